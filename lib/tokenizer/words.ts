/**
 * What EM runs over: the distinct words of the text with their frequencies, most frequent first
 * (trainer_interface.cc, SplitSentencesByWhitespace).
 */
import type { AlphabetText } from "./alphabet.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Steps } from "./pace.ts";
import { makeSliceTable } from "./slice_table.ts";
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
export function* countWords(source: AlphabetText, flags: ResolvedOptions): Steps<Words> {
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

type Counted = {
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  readonly weights: readonly number[];
};

function wholeSentences({ text, starts, frequencies }: AlphabetText): Counted {
  const lengths = Array.from(starts, (start) => text.indexOf(0, start) - start);
  return { starts: [...starts], lengths, weights: Array.from(starts, (_, k) => frequencies?.[k] ?? 1) };
}

function* distinctWords(source: AlphabetText, flags: ResolvedOptions): Steps<Counted> {
  const { text, starts: sentences, frequencies } = source;
  const { numberOf, starts, lengths } = makeSliceTable(text);
  const weights: number[] = [];
  const add = (start: number, length: number, weight: number): void => {
    const word = numberOf(start, length);
    weights[word] = (weights[word] ?? 0) + weight;
  };
  const isStart = wordStart(source, flags);
  for (let i = 0; i < sentences.length; i++) {
    if ((i & 0xfff) === 0) yield i / sentences.length;
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
  return { starts, lengths, weights };
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
