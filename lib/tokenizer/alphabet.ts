/**
 * The alphabet: the most frequent characters up to the wished coverage. All others become one symbol. From here on the
 * text is an array of small symbol numbers in code point order, so that comparing numbers compares UTF-8 bytes
 * (trainer_interface.cc, LoadSentences).
 */
import { type Corpus, metaBoundary, rareCharacter } from "./corpus.ts";
import type { ResolvedOptions } from "./options.ts";

/** Text in symbol numbers. */
export type Symbols = Uint8Array | Uint16Array | Int32Array;

/** The alphabet and the text in it. */
export type AlphabetText = {
  /** All sentences, each followed by 0. */
  readonly text: Symbols;
  /** Start of each sentence in `text`; tsv sentences stand there twice (since 0.1.98), the first copy counts. */
  readonly starts: Int32Array;
  /** Frequency of each sentence, when it is not 1. */
  readonly frequencies?: readonly number[];
  /** Code point of each symbol number; number 0 is the end of a sentence. */
  readonly codePoints: Int32Array;
  /** Number of the symbol for characters outside the alphabet. */
  readonly rare: number;
  /** Symbol numbers of the alphabet, most frequent first (equal counts: code point ascending). */
  readonly required: readonly number[];
  /** Count of all characters, weighted by frequency. */
  readonly characters: number;
};

/** Chooses the alphabet and translates the text, in steps. */
export function* translateCorpus(corpus: Corpus, options: ResolvedOptions): Generator<void, AlphabetText> {
  const { counts, all, symbols } = yield* countCharacters(corpus);
  const alphabet = chooseAlphabet(counts, all, options);
  const codePoints = Int32Array.from([0, ...new Set([...alphabet, rareCharacter])].sort((a, b) => a - b));
  const rare = codePoints.indexOf(rareCharacter);
  const numberOf = new Int32Array(0x110000).fill(rare);
  codePoints.forEach((cp, k) => {
    if (k > 0) numberOf[cp] = k;
  });
  const sentences = corpus.bounds.length / 2;
  const copies = corpus.frequencies !== undefined && options.spm_version !== "0.1.97" ? 2 : 1;
  const length = copies * (symbols + sentences);
  if (length > 0x7ffffff0) {
    throw new RangeError(
      `Cannot train the tokenizer: the text has ${length} characters, at most 2147483632 are possible; ` +
        "set input_sentence_size to use a sample",
    );
  }
  const text: Symbols = codePoints.length <= 256
    ? new Uint8Array(length)
    : codePoints.length <= 65536
    ? new Uint16Array(length)
    : new Int32Array(length);
  const starts = new Int32Array(sentences);
  let at = 0;
  for (let i = 0; i < sentences; i++) {
    if ((i & 0xfff) === 0) yield;
    starts[i] = at;
    const end = corpus.bounds[2 * i + 1] as number;
    for (let k = corpus.bounds[2 * i] as number; k < end; k++) {
      let cp = corpus.units[k] as number;
      if (cp >= 0xd800 && cp <= 0xdbff) cp = joined(cp, corpus.units[++k] as number);
      text[at++] = numberOf[cp] as number;
    }
    text[at++] = 0;
    if (copies === 2) {
      const again = text.subarray(starts[i], at);
      text.set(again, at);
      at += again.length;
    }
  }
  const required = alphabet.map((cp) => numberOf[cp] as number);
  const { frequencies } = corpus;
  const weights = frequencies === undefined ? {} : { frequencies };
  return { text, starts, ...weights, codePoints, rare, required, characters: all };
}

function joined(high: number, low: number): number {
  return ((high - 0xd7c0) << 10) | (low & 0x3ff);
}

/** Counts per code point, their sum, and the number of characters without weights. */
function* countCharacters(
  corpus: Corpus,
): Generator<void, { counts: Float64Array; all: number; symbols: number }> {
  const counts = new Float64Array(0x110000);
  let all = 0;
  let symbols = 0;
  for (let i = 0; 2 * i < corpus.bounds.length; i++) {
    if ((i & 0xfff) === 0) yield;
    const weight = corpus.frequencies?.[i] ?? 1;
    const end = corpus.bounds[2 * i + 1] as number;
    for (let k = corpus.bounds[2 * i] as number; k < end; k++) {
      let cp = corpus.units[k] as number;
      if (cp >= 0xd800 && cp <= 0xdbff) cp = joined(cp, corpus.units[++k] as number);
      symbols++;
      if (cp === 0) continue;
      (counts[cp] as number) += weight;
      all += weight;
    }
  }
  return { counts, all, symbols };
}

/** Code points of the alphabet: `required_chars` first, then by count; the walk stops when the coverage is reached. */
function chooseAlphabet(counts: Float64Array, all: number, options: ResolvedOptions): number[] {
  const wanted = new Set(
    Array.from(options.required_chars, (character) => character.codePointAt(0) as number),
  );
  const seen: number[] = [];
  for (let cp = 1; cp < counts.length; cp++) if ((counts[cp] as number) > 0 || wanted.has(cp)) seen.push(cp);
  const count = (cp: number): number => counts[cp] as number;
  seen.sort((a, b) => Number(wanted.has(b)) - Number(wanted.has(a)) || count(b) - count(a) || a - b);
  const goal = Math.fround(options.character_coverage);
  const alphabet: number[] = [];
  let covered = 0;
  for (const cp of seen) {
    if (Math.fround(covered / all) >= goal) break;
    covered += count(cp);
    if (cp !== metaBoundary) alphabet.push(cp);
  }
  return alphabet.sort((a, b) => count(b) - count(a) || a - b);
}
