/**
 * The two simplest model types: `word` looks up whole words, `char` single characters. A user-defined symbol is one
 * character to a char model (char_model.cc, word_model.cc).
 */
import type { Piece } from "./model_file.ts";
import type { Search } from "./viterbi.ts";
import { makeWordSearchBy } from "./word_memory.ts";

/** Ids of the pieces that text can become. */
export function textPieces(pieces: readonly Piece[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  pieces.forEach(({ piece, type }, id) => {
    if (type === "normal" || type === "user_defined" || type === "unused") ids.set(piece, id);
  });
  return ids;
}

/** How many characters the longest user-defined symbol at a place has; 0 where there is none. */
export function symbolLengthAt(
  pieces: readonly Piece[],
): (codePoints: Int32Array, at: number, count: number) => number {
  const byFirst = new Map<number, number[][]>();
  for (const { piece, type } of pieces) {
    if (type !== "user_defined") continue;
    const symbol = Array.from(piece, (character) => character.codePointAt(0) as number);
    const first = symbol[0] as number;
    byFirst.set(first, [...byFirst.get(first) ?? [], symbol]);
  }
  for (const symbols of byFirst.values()) symbols.sort((a, b) => b.length - a.length);
  if (byFirst.size === 0) return () => 0;
  return (codePoints, at, count) =>
    byFirst.get(codePoints[at] as number)?.find((symbol) =>
      at + symbol.length <= count && symbol.every((cp, k) => codePoints[at + k] === cp)
    )?.length ?? 0;
}

/** Words: each begins at a blank mark, also where the model was trained with blanks as suffixes, as in the original. */
export function makeWordSearch(pieces: readonly Piece[], unkId: number): Search {
  const known = textPieces(pieces);
  return makeWordSearchBy((codePoints, count) => {
    let text = "";
    for (let at = 0; at < count; at++) text += String.fromCodePoint(codePoints[at] as number);
    return [{ id: known.get(text) ?? unkId, end: count }];
  }, { beforeBlanks: true, afterBlanks: false, betweenBlanks: true });
}

/** Characters. */
export function makeCharacterSearch(pieces: readonly Piece[], unkId: number): Search {
  const symbolAt = symbolLengthAt(pieces);
  const symbols = new Map<string, number>();
  const basic = new Int32Array(0x10000).fill(unkId);
  const astral = new Map<number, number>();
  for (const [piece, id] of textPieces(pieces)) {
    const [first = "", ...rest] = piece;
    const cp = first.codePointAt(0) as number;
    if (pieces[id]?.type === "user_defined") symbols.set(piece, id);
    if (rest.length > 0) continue;
    if (cp < 0x10000) basic[cp] = id;
    else astral.set(cp, id);
  }
  let ids = new Int32Array(0);
  let ends = new Int32Array(0);
  const run = (codePoints: Int32Array, count: number): number => {
    if (count > ids.length) {
      ids = new Int32Array(2 * count + 64);
      ends = new Int32Array(2 * count + 64);
    }
    let size = 0;
    for (let at = 0; at < count;) {
      const cp = codePoints[at] as number;
      const length = symbols.size === 0 ? 0 : symbolAt(codePoints, at, count);
      ids[size] = length > 1
        ? symbols.get(String.fromCodePoint(...codePoints.subarray(at, at + length))) ?? unkId
        : cp < 0x10000
        ? basic[cp] as number
        : astral.get(cp) ?? unkId;
      at += length || 1;
      ends[size++] = at;
    }
    return size;
  };
  return { run, ids: () => ids, ends: () => ends };
}
