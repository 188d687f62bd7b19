/**
 * The alphabet: the most frequent characters up to the wished coverage. All others become one symbol. From here on the
 * text is an array of small symbol numbers in code point order, so that comparing numbers compares UTF-8 bytes
 * (trainer_interface.cc, LoadSentences).
 */
import { type Corpus, metaBoundary, rareCharacter } from "./corpus.ts";
import { type Cut, cutAtBytes, cutAtDelimiter, delimiterAt } from "./delimiter.ts";
import type { ResolvedOptions } from "./options.ts";
import { part, type Steps } from "./pace.ts";
import { makeSymbols, type Symbols } from "./symbol_text.ts";

/** The alphabet and the text in it. */
export type AlphabetText = {
  /** All sentences, each followed by 0; behind them what `seedText` and `extras` point to. */
  readonly text: Symbols;
  /** Start of each sentence in `text`. */
  readonly starts: Int32Array;
  /** What seeds are looked for in. */
  readonly seedText: SeedText;
  /** Start of each extra piece. */
  readonly extras: Int32Array;
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

/** The part of the text that seeds are looked for in: the sentences themselves, or what the flags make of them. */
export type SeedText = {
  readonly begin: number;
  readonly end: number;
  /** Where each sentence begins, with all its copies; each part of it is followed by 0. */
  readonly starts: Int32Array;
  /** Where the last copy of the last sentence begins. */
  readonly last: number;
  /** How often each sentence stands there. */
  readonly copies: number;
};

/**
 * Chooses the alphabet and translates the text, in steps.
 *
 * @param extras Pieces that are put behind the text, whether it holds their characters or not.
 */
export function* translateCorpus(
  corpus: Corpus,
  options: ResolvedOptions,
  extras: readonly string[] = [],
): Steps<AlphabetText> {
  const { counts, all, symbols } = yield* part(0, 0.4, countCharacters(corpus));
  const alphabet = chooseAlphabet(counts, all, options);
  const apartBytes = options.spm_version === "0.2.0" && /[^\0-\x7f]/.test(options.pretokenization_delimiter);
  const foreign = [...extras.flatMap(codePointsOf), ...apartBytes ? [0xfffd] : []];
  const codePoints = Int32Array.from(
    [0, ...new Set([...alphabet, rareCharacter, ...foreign])].sort((a, b) => a - b),
  );
  const rare = codePoints.indexOf(rareCharacter);
  const known = new Map(alphabet.map((cp) => [cp, codePoints.indexOf(cp)]));
  const numberOf = Int32Array.from(corpus.codePoints, (cp) => known.get(cp) ?? rare);
  const delimiter = codePointsOf(options.pretokenization_delimiter).map((cp) =>
    known.get(cp) ?? (cp === rareCharacter ? rare : -1)
  );
  // Since 0.1.98 seeds are looked for in each tsv sentence twice.
  const copies = corpus.frequencies !== undefined && options.input_format === "tsv" &&
      options.spm_version !== "0.1.97"
    ? 2
    : 1;
  const sentences = corpus.bounds.length / 2;
  const apart = copies === 2 || delimiter.length > 0;
  const room = symbols + sentences + (apart ? 4 * copies * (symbols + sentences) : 0) +
    foreign.length + extras.length;
  const text = (apart ? undefined : inPlace(corpus, codePoints.length, room)) ??
    makeSymbols(codePoints.length, room);
  const starts = new Int32Array(sentences);
  let at = 0;
  for (let i = 0; i < sentences; i++) {
    if ((i & 0xfff) === 0) yield 0.4 + 0.6 * i / sentences;
    starts[i] = at;
    at = writeSentence(corpus, i, numberOf, text, at);
    if (delimiter.length > 0) at = dropDelimiter(text, starts[i] as number, at, delimiter);
    text[at++] = 0;
  }
  let seedText: SeedText = { begin: 0, end: at, starts, last: starts[sentences - 1] ?? 0, copies: 1 };
  if (apart) {
    const cut = options.spm_version === "0.2.0"
      ? cutAtBytes(options.pretokenization_delimiter, codePoints)
      : cutAtDelimiter(delimiter);
    seedText = yield* writeSeedText(corpus, { numberOf, text, at, cut, copies });
    at = seedText.end;
  }
  const extraStarts = Int32Array.from(extras, (piece) => {
    const start = at;
    for (const cp of codePointsOf(piece)) text[at++] = codePoints.indexOf(cp);
    text[at++] = 0;
    return start;
  });
  const required = alphabet.map((cp) => known.get(cp) as number);
  const { frequencies } = corpus;
  const weights = frequencies === undefined ? {} : { frequencies };
  const own = text.subarray(0, at);
  return {
    text: own,
    starts,
    ...weights,
    seedText,
    extras: extraStarts,
    codePoints,
    rare,
    required,
    characters: all,
  };
}

function codePointsOf(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) as number);
}

/** The corpus's own array, if its sentences can be overwritten from the first to the last. */
function inPlace({ text, bounds }: Corpus, kinds: number, room: number): Symbols | undefined {
  for (let k = 2; k < bounds.length; k++) if ((bounds[k] as number) < (bounds[k - 1] as number)) return;
  const { buffer, length } = text;
  const narrow = kinds <= 256
    ? new Uint8Array(buffer, 0, length)
    : kinds <= 65536 && text.BYTES_PER_ELEMENT > 1
    ? new Uint16Array(buffer, 0, length)
    : text;
  return kinds <= 2 ** (8 * narrow.BYTES_PER_ELEMENT) && room <= length ? narrow : undefined;
}

/** Writes the symbols of sentence i; returns the place behind them. */
function writeSentence(corpus: Corpus, i: number, numberOf: Int32Array, text: Symbols, at: number): number {
  const { text: from, bounds } = corpus;
  const end = bounds[2 * i + 1] as number;
  for (let k = bounds[2 * i] as number; k < end; k++) text[at++] = numberOf[from[k] as number] as number;
  return at;
}

/** Takes the delimiter out of a stretch of text; returns its new end. */
function dropDelimiter(text: Symbols, begin: number, end: number, delimiter: readonly number[]): number {
  let to = begin;
  for (let from = begin; from < end;) {
    if (delimiterAt(text, from, end, delimiter)) from += delimiter.length;
    else text[to++] = text[from++] as number;
  }
  return to;
}

type SeedTextOptions = {
  readonly numberOf: Int32Array;
  readonly text: Symbols;
  readonly at: number;
  readonly cut: Cut;
  readonly copies: number;
};

/** Writes what seeds are looked for in: every sentence, cut at the delimiter, as often as asked. */
function* writeSeedText(
  corpus: Corpus,
  { numberOf, text, at, cut, copies }: SeedTextOptions,
): Generator<void, SeedText> {
  const begin = at;
  const sentences = corpus.bounds.length / 2;
  const starts = new Int32Array(sentences);
  let last = at;
  for (let i = 0; i < sentences; i++) {
    if ((i & 0xfff) === 0) yield;
    starts[i] = at;
    const sentence = new Int32Array((corpus.bounds[2 * i + 1] as number) - (corpus.bounds[2 * i] as number));
    const length = writeSentence(corpus, i, numberOf, sentence, 0);
    for (let copy = 0; copy < copies; copy++) {
      last = at;
      at = cut(sentence, length, text, at);
      text[at++] = 0;
    }
  }
  return { begin, end: at, starts, last, copies };
}

/** Counts by code point, their sum, and the number of characters without weights. */
function* countCharacters(
  { text, bounds, codePoints, frequencies }: Corpus,
): Steps<{ counts: Map<number, number>; all: number; symbols: number }> {
  const counts = new Float64Array(codePoints.length);
  let symbols = 0;
  for (let i = 0; 2 * i < bounds.length; i++) {
    if ((i & 0xfff) === 0) yield 2 * i / bounds.length;
    const weight = frequencies?.[i] ?? 1;
    const end = bounds[2 * i + 1] as number;
    const begin = bounds[2 * i] as number;
    for (let k = begin; k < end; k++) (counts[text[k] as number] as number) += weight;
    symbols += end - begin;
  }
  const seen = new Map(codePoints.map((cp, symbol) => [cp, counts[symbol] as number] as const));
  seen.delete(0); // NUL is not counted; it never becomes a piece
  return { counts: seen, all: [...seen.values()].reduce((sum, count) => sum + count, 0), symbols };
}

/** Code points of the alphabet: `required_chars` first, then by count; the walk stops when the coverage is reached. */
function chooseAlphabet(
  counts: ReadonlyMap<number, number>,
  all: number,
  options: ResolvedOptions,
): number[] {
  const wanted = new Set(
    Array.from(options.required_chars, (character) => character.codePointAt(0) as number),
  );
  const count = (cp: number): number => counts.get(cp) ?? 0;
  const seen = [...new Set([...counts.keys(), ...wanted])].filter((cp) =>
    cp > 0 && (count(cp) > 0 || wanted.has(cp))
  );
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
