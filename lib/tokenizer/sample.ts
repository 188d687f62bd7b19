/**
 * A sample of sentences that depends on the sentences alone: those with the smallest keys, hashes of seed and text, in the
 * order of their keys. However a corpus is cut into files, and in whatever order these are read, the sample is the same.
 * spm_train's own reservoir (`input_sentence_size`) depends on the order of the lines.
 */
import type { Pace } from "./pace.ts";

/** 53 bits of a sentence and a seed; two rounds of MurmurHash3's finalizer over a multiplicative hash (Austin Appleby). */
export function sentenceKey(line: string, seed: number): number {
  let low = seed | 0;
  let high = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  for (let i = 0; i < line.length; i++) {
    const unit = line.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ (unit + i), 0x5bd1e995) ^ (high >>> 13);
  }
  const mix = (word: number): number => {
    let h = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  };
  return mix(high ^ line.length) * 2 ** 21 + (mix(low ^ high) >>> 11);
}

type Keyed = { readonly key: number; readonly line: string };

const inOrder = (a: Keyed, b: Keyed): number =>
  a.key - b.key || (a.line < b.line ? -1 : a.line > b.line ? 1 : 0);

/**
 * Draws a sample of lines that are not empty. Copies of a sentence have one key, so all of them are drawn or, but for the
 * last one drawn, none.
 *
 * @param lines All sentences.
 * @param options How many, the seed, and the pace of the thread.
 * @returns The sample in the order of its keys; all lines in that order when there are no more. Memory: twice the sample.
 */
export async function sampleLines(
  lines: Iterable<string>,
  { size, seed, pace }: { readonly size: number; readonly seed: number; readonly pace: Pace },
): Promise<string[]> {
  let held: Keyed[] = [];
  let most = Infinity; // keys above it are not among the smallest
  const cut = (): void => {
    held.sort(inOrder);
    held = held.slice(0, size);
    if (held.length === size) most = held[size - 1]?.key ?? most;
  };
  let count = 0;
  for (const line of lines) {
    if ((++count & 255) === 0 && pace.due()) await pace.rest();
    if (line === "" || line === "\r") continue;
    const key = sentenceKey(line, seed);
    if (key > most) continue;
    held.push({ key, line });
    if (held.length >= 2 * size + 1024) cut();
  }
  cut();
  return held.map(({ line }) => line);
}
