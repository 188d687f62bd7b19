/**
 * Orders used by the trainer: slices of the text by symbol number (which is UTF-8 byte order), and ids by score.
 */
import type { Symbols } from "./symbol_text.ts";

/** Lexicographic order of two slices, a prefix first. */
export function compareSlices(
  text: Symbols,
  startA: number,
  lengthA: number,
  startB: number,
  lengthB: number,
): number {
  const length = lengthA < lengthB ? lengthA : lengthB;
  for (let k = 0; k < length; k++) {
    const difference = (text[startA + k] as number) - (text[startB + k] as number);
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}

/** Indexes of non-negative int32 scores, largest first, equal ones in index order: two stable counting sorts. */
export function sortedByScore(scores: Int32Array, count: number): Uint32Array {
  let indexes = new Uint32Array(count);
  for (let i = 0; i < count; i++) indexes[i] = i;
  for (const shift of [0, 16]) {
    const places = new Uint32Array(65537);
    for (let i = 0; i < count; i++) {
      (places[0xffff - (((scores[i] as number) >>> shift) & 0xffff) + 1] as number)++;
    }
    for (let digit = 0; digit < 65536; digit++) (places[digit + 1] as number) += places[digit] as number;
    const sorted = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const index = indexes[i] as number;
      const digit = 0xffff - (((scores[index] as number) >>> shift) & 0xffff);
      sorted[(places[digit] as number)++] = index;
    }
    indexes = sorted;
  }
  return indexes;
}
