/**
 * What a raw file is made of: lengths of sentences, how often each word and each character occurs. It is what a person
 * looks at before a tokenizer is trained: a strange length or a foreign script shows here first.
 */
import { readRaw } from "./raw.ts";
import { wordsIn } from "./raw_parts.ts";

/**
 * Counts of a raw file.
 *
 * @example
 * ```ts
 * import { type RawStatistics, rawStatistics } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/raw.txt`;
 * writeFileSync(path, "To be.\nOr not to be.\n");
 * const { words, sentences }: RawStatistics = await rawStatistics(path);
 * assert.deepEqual([words, sentences], [6, 2]);
 * ```
 */
export type RawStatistics = {
  readonly documents: number;
  readonly sentences: number;
  /** Runs of letters and digits, with inner apostrophes and hyphens. */
  readonly words: number;
  /** Unicode characters, line ends left out. */
  readonly characters: number;
  /** Sentences with 0, 1, 2, … space-separated words; the last entry, 100, counts those with 100 or more. */
  readonly sentenceWords: readonly number[];
  /** Words in lower case with their counts, the most frequent first. */
  readonly wordCounts: readonly (readonly [word: string, count: number])[];
  /** Characters with their counts, the most frequent first. */
  readonly characterCounts: readonly (readonly [character: string, count: number])[];
};

const WORD = /[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu;

/**
 * Counts sentences, words and characters of raw files.
 *
 * @param paths A raw file or several, such as shards; also `.gz` and `.zst`.
 * @param options `maxWords`: different words held at most, beyond it the rarest are forgotten; default 1,048,576.
 * @returns The counts; equal counts stand in the order of the characters.
 * @throws {Error} When a file is missing.
 * @throws {CorruptFileError} When a byte is not UTF-8.
 * @example
 * ```ts
 * import { rawStatistics } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/raw.txt`;
 * writeFileSync(path, "To be.\nOr not to be.\n");
 * const { wordCounts, sentenceWords } = await rawStatistics(path);
 * assert.deepEqual(wordCounts.slice(0, 2), [["be", 2], ["to", 2]]);
 * assert.deepEqual(sentenceWords.slice(0, 5), [0, 0, 1, 0, 1]);
 * ```
 */
export async function rawStatistics(
  paths: string | readonly string[],
  { maxWords = 1 << 20 }: { readonly maxWords?: number } = {},
): Promise<RawStatistics> {
  const words = new Map<string, number>();
  const characters = new Map<string, number>();
  const sentenceWords = Array.from({ length: 101 }, () => 0);
  const totals = { documents: 0, sentences: 0, words: 0, characters: 0 };
  for (const path of typeof paths === "string" ? [paths] : paths) {
    for await (const sentences of readRaw(path)) {
      totals.documents++;
      for (const sentence of sentences) {
        totals.sentences++;
        const length = Math.min(100, wordsIn(sentence));
        sentenceWords[length] = (sentenceWords[length] ?? 0) + 1;
        for (const word of sentence.match(WORD) ?? []) {
          totals.words++;
          add(words, word.toLowerCase());
        }
        for (const character of sentence) {
          totals.characters++;
          add(characters, character);
        }
      }
      for (let rare = 1; words.size > maxWords; rare *= 2) {
        for (const [word, count] of words) if (count <= rare) words.delete(word);
      }
    }
  }
  return { ...totals, sentenceWords, wordCounts: ranked(words), characterCounts: ranked(characters) };
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function ranked(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}
