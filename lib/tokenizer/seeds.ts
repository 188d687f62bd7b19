/**
 * The seed pieces: every character, and the repeated substrings of whole sentences with the largest frequency times
 * length. Repeated substrings are the intervals of the suffix array (unigram_model_trainer.cc, MakeSeedSentencePieces).
 */
import type { AlphabetText } from "./alphabet.ts";
import type { ResolvedOptions } from "./options.ts";
import { part, type Steps } from "./pace.ts";
import { type PieceList, pieceList } from "./piece_list.ts";
import type { ListedSeed } from "./seed_file.ts";
import { release } from "./release.ts";
import { validPieces } from "./valid_pieces.ts";
import { wordStart } from "./words.ts";
import { makeSliceTable } from "./slice_table.ts";
import type { Symbols } from "./symbol_text.ts";
import { compareSlices, sortedByScore } from "./sorting.ts";
import { allSuffixes, type Suffixes, wordSuffixes } from "./suffixes.ts";

/** Candidates in closing order: slices of the text and their integer scores. */
type Candidates = { starts: Int32Array; lengths: Int32Array; scores: Int32Array; count: number };

/**
 * Makes the seed pieces with their logarithmic scores; a generator, so that the caller can rest between steps.
 *
 * @param listed Pieces and frequencies of a file, in the order of `source.extras`, instead of those of the text.
 */
export function* makeSeeds(
  source: AlphabetText,
  flags: ResolvedOptions,
  listed?: readonly ListedSeed[],
): Steps<PieceList> {
  const characters = yield* part(0, 0.1, countSymbols(source));
  yield;
  if (listed !== undefined) return listedSeeds(source, flags, characters, listed);
  const { begin, end, last } = source.seedText;
  const searched = { ...source, text: source.text.subarray(begin, end), starts: Int32Array.of(last - begin) };
  const perWord = flags.spm_version === "0.2.2";
  const cap = flags.max_sentencepiece_length + 2;
  const suffixes = flags.split_by_whitespace && !perWord
    ? yield* part(0.1, 0.8, wordSuffixes(searched, flags, cap))
    : yield* part(0.1, 0.8, allSuffixes(searched, cap));
  yield;
  const all = yield* part(0.8, 0.95, collect(searched, flags, suffixes));
  suffixes.close();
  const candidates = perWord ? distinctBest(searched.text, all) : all;
  if (perWord) release(all.starts, all.lengths, all.scores);
  yield;
  const ranks = perWord
    ? byScoreAndBytes(searched, candidates)
    : sortedByScore(candidates.scores, candidates.count);
  yield;
  const room = roomForSeeds(flags, characters.length);
  const taken = Math.max(0, Math.min(room, candidates.count));
  const seeds = pieceList(characters.length + taken);
  characters.forEach(({ start, count }, k) => {
    seeds.starts[k] = start;
    seeds.lengths[k] = 1;
    seeds.scores[k] = count;
  });
  for (let k = 0; k < taken; k++) {
    const candidate = ranks[k] as number;
    seeds.starts[characters.length + k] = begin + (candidates.starts[candidate] as number);
    seeds.lengths[characters.length + k] = candidates.lengths[candidate] as number;
    seeds.scores[characters.length + k] = candidates.scores[candidate] as number;
  }
  release(ranks, candidates.starts, candidates.lengths, candidates.scores);
  toLogarithms(seeds.scores);
  return seeds;
}

/**
 * How many repeated substrings are taken. 0.1.97 counts the characters too, and compares for equality: where they alone
 * are more than the wished size, nothing stops it.
 */
function roomForSeeds({ spm_version, seed_sentencepiece_size }: ResolvedOptions, characters: number): number {
  if (spm_version !== "0.1.97") return seed_sentencepiece_size;
  return characters > seed_sentencepiece_size ? Infinity : seed_sentencepiece_size - characters;
}

type CountedSymbol = { readonly symbol: number; readonly start: number; readonly count: number };

/** Counts every symbol of the alphabet; count descending, then symbol ascending. */
function* countSymbols(
  { text, seedText, frequencies, rare, codePoints }: AlphabetText,
): Steps<CountedSymbol[]> {
  const { starts, end, copies } = seedText;
  const counts = new Float64Array(codePoints.length);
  const first = new Int32Array(codePoints.length).fill(-1);
  for (let i = 0; i < starts.length; i++) {
    if ((i & 0xfff) === 0) yield i / starts.length;
    const weight = (frequencies?.[i] ?? 1) / copies;
    const next = starts[i + 1] ?? end;
    for (let at = starts[i] as number; at < next; at++) {
      const symbol = text[at] as number;
      (counts[symbol] as number) += weight;
      if ((first[symbol] as number) < 0) first[symbol] = at;
    }
  }
  counts[0] = 0; // the ends of sentences
  const found: CountedSymbol[] = [];
  counts.forEach((count, symbol) => {
    if (count > 0 && symbol !== rare) found.push({ symbol, start: first[symbol] as number, count });
  });
  return found.sort((a, b) => b.count - a.count || a.symbol - b.symbol);
}

/** Characters and the valid pieces of a file in one order, cut to the wished size: score descending, then bytes. */
function listedSeeds(
  source: AlphabetText,
  flags: ResolvedOptions,
  characters: readonly CountedSymbol[],
  listed: readonly ListedSeed[],
): PieceList {
  const isValid = validPieces(source, flags);
  const all = characters.map(({ start, count }) => ({ start, length: 1, score: Math.fround(count) }));
  listed.forEach(({ length, frequency }, k) => {
    const start = source.extras[k] as number;
    if (isValid(source.text, start, length)) {
      all.push({ start, length, score: Math.fround(frequency * length) });
    }
  });
  all.sort((a, b) => b.score - a.score || compareSlices(source.text, a.start, a.length, b.start, b.length));
  all.length = Math.min(all.length, flags.seed_sentencepiece_size);
  const seeds = pieceList(all.length);
  all.forEach(({ start, length, score }, k) => {
    seeds.starts[k] = start;
    seeds.lengths[k] = length;
    seeds.scores[k] = score;
  });
  toLogarithms(seeds.scores);
  return seeds;
}

/** Scores to log probabilities, float32 as the original rounds. */
function toLogarithms(scores: Float32Array): void {
  let sum = 0;
  for (const score of scores) sum = Math.fround(sum + score);
  const logSum = Math.fround(Math.log(sum));
  for (let k = 0; k < scores.length; k++) scores[k] = Math.log(scores[k] as number) - logSum;
}

/** Walks over all intervals of the suffix array in closing order and keeps what can be a piece. */
function* collect(
  source: AlphabetText,
  flags: ResolvedOptions,
  { text, order, prefixes, occurrences, origin }: Suffixes,
): Steps<Candidates> {
  const n = order.length;
  const longest = flags.max_sentencepiece_length;
  const isValid = validPieces(source, flags);
  const firstOf = flags.spm_version === "0.2.2" ? firstWord(source, flags, order) : undefined;
  const found: Candidates = {
    starts: new Int32Array(1 << 14),
    lengths: new Int32Array(1 << 14),
    scores: new Int32Array(1 << 14),
    count: 0,
  };
  const close = (left: number, right: number, depth: number): void => {
    if (depth < 2) return;
    const { length, count } = firstOf?.(left, right, depth) ??
      { length: depth, count: occurrences(left, right) };
    const start = order[left] as number;
    if (length < 2 || length > longest || count < 2 || !isValid(text, start, length)) return;
    if (found.count === found.starts.length) enlarge(found);
    found.starts[found.count] = origin(start);
    found.lengths[found.count] = length;
    found.scores[found.count++] = count * length;
  };
  // Open intervals, outermost first: depths grow strictly, so there are at most cap + 1 of them.
  const lefts = new Int32Array(longest + 4);
  const depths = new Int32Array(longest + 4);
  let top = 0;
  for (let i = 1; i <= n; i++) {
    const depth = i < n ? prefixes[i] as number : 0;
    let left = i - 1;
    while ((depths[top] as number) > depth) {
      left = lefts[top] as number;
      close(left, i, depths[top] as number);
      top--;
    }
    if ((depths[top] as number) < depth) {
      top++;
      lefts[top] = left;
      depths[top] = depth;
    }
    if ((i & 0x3ffff) === 0) yield i / n;
  }
  return found;
}

function enlarge(found: Candidates): void {
  for (const key of ["starts", "lengths", "scores"] as const) {
    const larger = new Int32Array(2 * found[key].length);
    larger.set(found[key]);
    release(found[key]);
    found[key] = larger;
  }
}

/**
 * 0.2.2 cuts every interval's string at sentence ends and into words and takes all parts. The first part is enough here:
 * each later part is the first one of the interval that starts there, which is at least as frequent.
 */
function firstWord(
  source: AlphabetText,
  flags: ResolvedOptions,
  order: Int32Array,
): (left: number, right: number, depth: number) => { readonly length: number; readonly count: number } {
  const { text, starts } = source;
  const splits = flags.split_by_whitespace;
  const isStart = wordStart(source, flags);
  const lastSentence = starts[starts.length - 1] ?? 0;
  const n = text.length;
  const lengthOf = (start: number, depth: number): number => {
    for (let k = 0; k < depth; k++) {
      if (text[start + k] === 0 || (k > 0 && splits && isStart(start + k))) return k;
    }
    return depth;
  };
  return (left, right, depth) => {
    const start = order[left] as number;
    const length = lengthOf(start, depth);
    if (start < lastSentence) return { length, count: right - left };
    const other = order[right - 1] as number;
    let full = depth;
    while (start + full < n && other + full < n && text[start + full] === text[other + full]) full++;
    if (start + full < n) return { length, count: right - left };
    // An interval that runs into the end of the text is left out; what remains of its first word is in the intervals
    // without the last sentence: those that go on behind the others, or begin before them.
    const others = order.subarray(left + 1, right);
    const after = mostFrequent(others, (at) => text[at + full] as number);
    const isWhole = start === 0 || text[start - 1] === 0 || (splits && isStart(start));
    return { length, count: isWhole ? Math.max(after, mostFrequent(others, beforeIn(text, start))) : after };
  };
}

/** How many places share the most frequent key. */
function mostFrequent(places: Int32Array, keyOf: (at: number) => number): number {
  const counts = new Map<number, number>();
  let most = 0;
  for (const at of places) {
    const key = keyOf(at);
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    most = Math.max(most, count);
  }
  return most;
}

/** Tells by one number how far a place has the same text before it as another place, and which symbol differs. */
function beforeIn(text: Symbols, start: number): (at: number) => number {
  return (at) => {
    let same = 1;
    while (same <= at && text[at - same] === text[start - same]) same++;
    const before = text[at - same];
    return before === undefined ? -1 - at : same * 0x110000 + before; // at the start of the text it is alone
  };
}

/** Of equal strings the one with the largest score. */
function distinctBest(text: AlphabetText["text"], all: Candidates): Candidates {
  const { numberOf, starts, lengths } = makeSliceTable(text);
  const scores: number[] = [];
  for (let i = 0; i < all.count; i++) {
    const slice = numberOf(all.starts[i] as number, all.lengths[i] as number);
    scores[slice] = Math.max(scores[slice] ?? 0, all.scores[i] as number);
  }
  return {
    starts: Int32Array.from(starts),
    lengths: Int32Array.from(lengths),
    scores: Int32Array.from(scores),
    count: scores.length,
  };
}

/** Score descending, UTF-8 length descending, bytes ascending. */
function byScoreAndBytes(source: AlphabetText, found: Candidates): Uint32Array {
  const { text, codePoints } = source;
  const { starts, lengths, scores, count } = found;
  const bytes = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < (lengths[i] as number); k++) {
      const cp = codePoints[text[(starts[i] as number) + k] as number] as number;
      (bytes[i] as number) += cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    }
  }
  return Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) =>
    (scores[b] as number) - (scores[a] as number) || (bytes[b] as number) - (bytes[a] as number) ||
    compareSlices(text, starts[a] as number, lengths[a] as number, starts[b] as number, lengths[b] as number)
  );
}
