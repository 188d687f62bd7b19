/**
 * The two simplest model types: `word` looks up whole words, `char` single characters. A user-defined symbol is one
 * character to a char model (char_model.cc, word_model.cc).
 */
import type { Piece } from "./model_file.ts";
import { blankMark } from "./normalizer.ts";
import type { Search } from "./viterbi.ts";

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
  const symbols = pieces.filter(({ type }) => type === "user_defined")
    .map(({ piece }) => Array.from(piece, (character) => character.codePointAt(0) as number))
    .sort((a, b) => b.length - a.length);
  return (codePoints, at, count) =>
    symbols.find((symbol) =>
      at + symbol.length <= count && symbol.every((cp, k) => codePoints[at + k] === cp)
    )?.length ?? 0;
}

type Unit = { readonly id: number; readonly end: number };

/** A search from a function that cuts a text. */
export function searchBy(cut: (codePoints: Int32Array, count: number) => readonly Unit[]): Search {
  let ids = new Int32Array(0);
  let ends = new Int32Array(0);
  return {
    run: (codePoints, count) => {
      const units = cut(codePoints, count);
      ids = Int32Array.from(units, ({ id }) => id);
      ends = Int32Array.from(units, ({ end }) => end);
      return units.length;
    },
    ids: () => ids,
    ends: () => ends,
  };
}

const textOf = (codePoints: Int32Array, begin: number, end: number): string => {
  let text = "";
  for (let at = begin; at < end; at++) text += String.fromCodePoint(codePoints[at] as number);
  return text;
};

/** Words: each begins at a blank mark, also where the model was trained with blanks as suffixes, as in the original. */
export function makeWordSearch(pieces: readonly Piece[], unkId: number): Search {
  const known = textPieces(pieces);
  return searchBy((codePoints, count) => {
    const units: Unit[] = [];
    for (let begin = 0; begin < count;) {
      let end = begin + 1;
      while (end < count && codePoints[end] !== blankMark) end++;
      units.push({ id: known.get(textOf(codePoints, begin, end)) ?? unkId, end });
      begin = end;
    }
    return units;
  });
}

/** Characters. */
export function makeCharacterSearch(pieces: readonly Piece[], unkId: number): Search {
  const known = textPieces(pieces);
  const symbolAt = symbolLengthAt(pieces);
  return searchBy((codePoints, count) => {
    const units: Unit[] = [];
    for (let at = 0; at < count;) {
      const end = at + (symbolAt(codePoints, at, count) || 1);
      units.push({ id: known.get(textOf(codePoints, at, end)) ?? unkId, end });
      at = end;
    }
    return units;
  });
}
