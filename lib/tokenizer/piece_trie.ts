/**
 * The pieces that text can become (normal and user-defined ones) as a trie over their characters.
 */
import { buildDoubleArray, type DoubleArray } from "./double_array.ts";
import type { Piece } from "./model_file.ts";

/** The trie with the numbers of its characters; a character of no piece has number 0. */
export type PieceTrie = {
  /** Numbers of the characters below U+10000. */
  readonly basic: Int32Array;
  /** Numbers of the others. */
  readonly astral: ReadonlyMap<number, number>;
  readonly cells: DoubleArray;
};

/** Numbers the characters of the pieces by code point and builds the trie over these numbers. */
export function pieceTrie(pieces: readonly Piece[]): PieceTrie {
  const entries: { id: number; codePoints: number[] }[] = [];
  const used = new Set<number>();
  pieces.forEach(({ piece, type }, id) => {
    if (type !== "normal" && type !== "user_defined") return;
    const codePoints = Array.from(piece, (character) => character.codePointAt(0) as number);
    for (const cp of codePoints) used.add(cp);
    entries.push({ id, codePoints });
  });
  const basic = new Int32Array(0x10000);
  const astral = new Map<number, number>();
  [...used].sort((a, b) => a - b).forEach((cp, k) => {
    if (cp < 0x10000) basic[cp] = k + 1;
    else astral.set(cp, k + 1);
  });
  const numbered = entries.map(({ id, codePoints }) => ({
    id,
    key: codePoints.map((cp) => cp < 0x10000 ? basic[cp] as number : astral.get(cp) ?? 0),
  }));
  numbered.sort((a, b) => compareSequences(a.key, b.key));
  return { basic, astral, cells: buildDoubleArray(numbered.map((e) => e.key), numbered.map((e) => e.id)) };
}

/** Lexicographic order of number sequences, a prefix first. */
export function compareSequences(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
