/**
 * The sorted suffixes that seed pieces are read from. A piece never reaches over the end of a word, so it is enough to
 * sort the suffixes of the distinct words, each with the symbol behind it, which tells where the text branches, and to
 * count a word as often as it occurs: a hundredth of the text. Without `split_by_whitespace` it is the whole text.
 */
import type { AlphabetText } from "./alphabet.ts";
import type { ResolvedOptions } from "./options.ts";
import { part, type Steps } from "./pace.ts";
import { release } from "./release.ts";
import { makeSliceTable } from "./slice_table.ts";
import { commonPrefixes, suffixArray } from "./suffix_array.ts";
import { wordStart } from "./words.ts";
import type { Symbols } from "./symbol_text.ts";

/** Suffixes in order. */
export type Suffixes = {
  readonly text: Symbols;
  /** Where each suffix starts in `text`. */
  readonly order: Int32Array;
  /** Length of the common prefix of each suffix and the one before it, up to a cap. */
  readonly prefixes: Uint8Array | Uint16Array;
  /** How often the suffixes from place `left` to before `right` occur in the corpus. */
  readonly occurrences: (left: number, right: number) => number;
  /** Where a place of `text` stands in the corpus. */
  readonly origin: (at: number) => number;
  /** Frees all this; nobody may read it afterwards. */
  readonly close: () => void;
};

/** All suffixes of the corpus. */
export function* allSuffixes({ text, codePoints }: AlphabetText, cap: number): Steps<Suffixes> {
  const order = yield* part(0, 0.8, suffixArray(text, codePoints.length - 1));
  const prefixes = yield* part(0.8, 1, commonPrefixes(text, order, cap));
  return {
    text,
    order,
    prefixes,
    occurrences: (left, right) => right - left,
    origin: (at) => at,
    close: () => release(order, prefixes),
  };
}

/** The suffixes of the distinct words. */
export function* wordSuffixes(
  source: AlphabetText,
  flags: ResolvedOptions,
  cap: number,
): Steps<Suffixes> {
  const { starts, lengths, counts } = yield* part(0, 0.6, countWordsWithNext(source, flags));
  const size = lengths.reduce((sum, length) => sum + length, 0);
  const text = new (source.text.constructor as new (size: number) => Symbols)(size);
  const origins = new Int32Array(size);
  const weights = new Int32Array(size); // stays 0 at the symbol behind a word: no suffix of a word starts there
  for (let word = 0, at = 0; word < starts.length; word++) {
    const [start, length] = [starts[word] as number, lengths[word] as number];
    for (let k = 0; k < length; k++, at++) {
      text[at] = source.text[start + k] as number;
      origins[at] = start + k;
      weights[at] = k + 1 < length ? counts[word] as number : 0;
    }
  }
  yield;
  const sorted = yield* part(0.6, 0.9, suffixArray(text, source.codePoints.length - 1));
  const order = sorted.filter((at) => (weights[at] as number) > 0);
  release(sorted);
  const prefixes = yield* part(0.9, 1, commonPrefixes(text, order, cap));
  const before = new Int32Array(order.length + 1);
  for (let k = 0; k < order.length; k++) {
    before[k + 1] = (before[k] as number) + (weights[order[k] as number] as number);
  }
  release(weights);
  return {
    text,
    order,
    prefixes,
    occurrences: (left, right) => (before[right] as number) - (before[left] as number),
    origin: (at) => origins[at] as number,
    close: () => release(text, order, prefixes, before, origins),
  };
}

type Counted = {
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  readonly counts: readonly number[];
};

/** The distinct words with the symbol behind them, in slices that include it. */
function* countWordsWithNext(source: AlphabetText, flags: ResolvedOptions): Steps<Counted> {
  const { text } = source;
  const { numberOf, starts, lengths } = makeSliceTable(text);
  const counts: number[] = [];
  const isStart = wordStart(source, flags);
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if ((at & 0xfffff) === 0) yield at / text.length;
    const end = text[at] === 0;
    if (at > start && (end || isStart(at))) {
      const slice = numberOf(start, at - start + 1);
      counts[slice] = (counts[slice] ?? 0) + 1;
      start = at;
    }
    if (end) start = at + 1;
  }
  return { starts, lengths, counts };
}
