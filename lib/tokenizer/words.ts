/**
 * What EM runs over: the distinct words of the text with their frequencies, most frequent first
 * (trainer_interface.cc, SplitSentencesByWhitespace).
 */
import type { AlphabetText } from "./alphabet.ts";
import type { ResolvedOptions } from "./options.ts";
import { compareSlices } from "./sorting.ts";

/** Words as slices of the text. */
export type Words = {
  readonly count: number;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  /** How often each word occurs, rounded to float32 as the sums need it. */
  readonly frequencies: Float32Array;
  /** Sum of all frequencies. */
  readonly total: number;
};

/** Cuts the sentences into words and counts them, in steps; without `split_by_whitespace` the sentences are the words. */
export function* countWords(source: AlphabetText, flags: ResolvedOptions): Generator<void, Words> {
  const { starts, lengths, weights } = flags.split_by_whitespace
    ? yield* distinctWords(source, flags)
    : wholeSentences(source);
  yield;
  const order = Uint32Array.from(starts, (_, k) => k);
  if (flags.split_by_whitespace) {
    order.sort((a, b) =>
      (weights[b] as number) - (weights[a] as number) ||
      compareSlices(
        source.text,
        starts[a] as number,
        lengths[a] as number,
        starts[b] as number,
        lengths[b] as number,
      )
    );
  }
  return {
    count: order.length,
    starts: Int32Array.from(order, (k) => starts[k] as number),
    lengths: Int32Array.from(order, (k) => lengths[k] as number),
    frequencies: Float32Array.from(order, (k) => weights[k] as number),
    total: weights.reduce((sum, weight) => sum + weight, 0),
  };
}

type Counted = { starts: number[]; lengths: number[]; weights: number[] };

function wholeSentences({ text, starts, frequencies }: AlphabetText): Counted {
  const lengths = Array.from(starts, (start) => text.indexOf(0, start) - start);
  return { starts: [...starts], lengths, weights: Array.from(starts, (_, k) => frequencies?.[k] ?? 1) };
}

function* distinctWords(source: AlphabetText, flags: ResolvedOptions): Generator<void, Counted> {
  const { text, starts: sentences, frequencies } = source;
  const counted: Counted = { starts: [], lengths: [], weights: [] };
  const { starts, lengths, weights } = counted;
  let table = new Int32Array(1 << 14).fill(-1);
  const hashOf = (start: number, length: number): number => {
    let hash = length;
    for (let k = 0; k < length; k++) hash = Math.imul(hash ^ (text[start + k] as number), 0x01000193);
    return hash ^ (hash >>> 15);
  };
  const find = (start: number, length: number): number => {
    const mask = table.length - 1;
    let slot = hashOf(start, length) & mask;
    for (;; slot = (slot + 1) & mask) {
      const word = table[slot] as number;
      if (
        word < 0 || compareSlices(text, starts[word] as number, lengths[word] as number, start, length) === 0
      ) {
        return slot;
      }
    }
  };
  const add = (start: number, length: number, weight: number): void => {
    const slot = find(start, length);
    const word = table[slot] as number;
    if (word >= 0) {
      (weights[word] as number) += weight;
      return;
    }
    table[slot] = starts.length;
    starts.push(start);
    lengths.push(length);
    weights.push(weight);
    if (2 * starts.length < table.length) return;
    table = new Int32Array(2 * table.length).fill(-1);
    starts.forEach((at, k) => table[find(at, lengths[k] as number)] = k);
  };
  const isStart = wordStart(source, flags);
  for (let i = 0; i < sentences.length; i++) {
    if ((i & 0xfff) === 0) yield;
    const weight = frequencies?.[i] ?? 1;
    const first = sentences[i] as number;
    let start = first;
    let at = first;
    for (; text[at] !== 0; at++) {
      if (at > first && isStart(at)) {
        add(start, at - start, weight);
        start = at;
      }
    }
    if (at > start) add(start, at - start, weight);
  }
  return counted;
}

/** Makes the test whether a word starts at a place that is not the start of its sentence. */
export function wordStart(source: AlphabetText, flags: ResolvedOptions): (at: number) => boolean {
  const { text, codePoints } = source;
  const blank = codePoints.indexOf(0x2581);
  if (blank < 0) return () => false;
  const runs = flags.allow_whitespace_only_pieces; // runs of blanks stay together
  if (flags.treat_whitespace_as_suffix) {
    return (at) => text[at - 1] === blank && !(runs && text[at] === blank);
  }
  return (at) => text[at] === blank && !(runs && text[at - 1] === blank);
}
