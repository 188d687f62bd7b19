/**
 * The search for the best segmentation of a normalized text. Candidates are compared as SentencePiece 0.1.97 to 0.2.1
 * compare them, the double sum against the stored float32; 0.2.2 rounds first, which shows in runs such as `====`.
 */
import type { Piece } from "./model_file.ts";
import { pieceTrie } from "./piece_trie.ts";
import { encodingScores } from "./scores.ts";
import { utf8Length } from "./utf8.ts";

/** The best segmentation of the last text: piece k has `ids[k]` and ends before code point `ends[k]`. */
export type Search = {
  /** Segments `count` code points; returns the number of pieces, unknown characters not yet merged. */
  readonly run: (codePoints: Int32Array, count: number) => number;
  /** Ids of the last result. */
  readonly ids: () => Int32Array;
  /** Ends of the last result, in code points. */
  readonly ends: () => Int32Array;
};

/** What the search needs to know besides the pieces. */
export type SearchOptions = {
  /** Id of the unknown piece. */
  readonly unkId: number;
  /** Whether sums are rounded to float32 before they are compared, and symbols score by their length (0.2.2). */
  readonly newer: boolean;
};

/** A search that can tell whether it would find the same in the middle of a text. */
export type UnigramSearch = Search & {
  /**
   * Runs the search. Sums are rounded to float32 from the start of a text, so two segmentations of its end may change places when much stands
   * before it. `limit` is how far the score of that may be from zero so that the search still finds the same, 0 or less when
   * two are too close to tell; `cost` is how far the text moves the score at most.
   */
  readonly certainty: (
    codePoints: Int32Array,
    count: number,
  ) => { readonly count: number; readonly limit: number; readonly cost: number };
};

/** Makes a search over the normal and user-defined pieces. */
export function makeSearch(pieces: readonly Piece[], options: SearchOptions): UnigramSearch {
  const { unkId, newer } = options;
  const { basic, astral, cells } = pieceTrie(pieces);
  const { scores, unknown: unkScore } = encodingScores(pieces, { lengthOf: utf8Length, byLength: newer });
  let best = new Float32Array(0);
  let from = new Int32Array(0);
  let idAt = new Int32Array(0);
  let symbols = new Int32Array(0);
  let ids = new Int32Array(0);
  let ends = new Int32Array(0);
  let first = new Float64Array(64);
  let second = new Float64Array(64);

  const forward = (codePoints: Int32Array, count: number): void => {
    for (let i = 0; i < count; i++) {
      const cp = codePoints[i] as number;
      symbols[i] = cp < 0x10000 ? basic[cp] as number : astral.get(cp) ?? 0;
    }
    from.fill(-1, 0, count + 1);
    best[0] = 0;
    for (let start = 0; start < count; start++) {
      const here = best[start] as number;
      let node = 0;
      let single = false;
      for (let end = start; end < count;) {
        const symbol = symbols[end] as number;
        if (symbol === 0) break;
        const next = (cells[4 * node] as number) + symbol;
        if (cells[4 * next + 1] !== node + 1) break;
        node = next;
        end++;
        const id = cells[4 * next + 2] as number;
        if (id < 0) continue;
        const sum = here + (scores[id] as number);
        const candidate = newer ? Math.fround(sum) : sum;
        if (from[end] === -1 || candidate > (best[end] as number)) {
          best[end] = candidate;
          from[end] = start;
          idAt[end] = id;
        }
        if (end === start + 1) single = true;
      }
      if (single) continue;
      const candidate = Math.fround(here + unkScore);
      if (from[start + 1] === -1 || candidate > (best[start + 1] as number)) {
        best[start + 1] = candidate;
        from[start + 1] = start;
        idAt[start + 1] = unkId;
      }
    }
  };
  const run = (codePoints: Int32Array, count: number): number => {
    if (count + 1 > best.length) {
      const size = 2 * count + 256;
      best = new Float32Array(size);
      from = new Int32Array(size);
      idAt = new Int32Array(size);
      symbols = new Int32Array(size);
      ids = new Int32Array(size);
      ends = new Int32Array(size);
    }
    forward(codePoints, count);
    let pieceCount = 0;
    for (let end = count; end > 0; end = from[end] as number) pieceCount++;
    let k = pieceCount;
    for (let end = count; end > 0; end = from[end] as number) {
      ids[--k] = idAt[end] as number;
      ends[k] = end;
    }
    return pieceCount;
  };
  const certainty: UnigramSearch["certainty"] = (codePoints, count) => {
    const pieces = run(codePoints, count); // sets the symbols
    let cost = 0;
    for (let k = 0; k < pieces; k++) {
      const id = ids[k] as number;
      cost += Math.abs(id === unkId ? unkScore : scores[id] as number) + 1; // 1: more than all rounding
    }
    if (first.length < count + 1) {
      [first, second] = [new Float64Array(2 * count), new Float64Array(2 * count)];
    }
    first.fill(-Infinity, 0, count + 1); // exact score of the best way to a place
    second.fill(-Infinity, 0, count + 1); // and of the next best
    first[0] = 0;
    let largest = 0;
    for (let start = 0; start < count; start++) {
      let single = false;
      for (let end = start, node = 0; end <= count; end++) {
        let score = unkScore;
        let to = start + 1;
        const symbol = end < count ? symbols[end] as number : 0;
        const next = (cells[4 * node] as number) + symbol;
        const ended = symbol === 0 || cells[4 * next + 1] !== node + 1;
        if (ended && single) break;
        if (!ended) {
          node = next;
          const id = cells[4 * next + 2] as number;
          if (id < 0) continue;
          to = end + 1;
          score = scores[id] as number;
          if (end === start) single = true;
        }
        const one = (first[start] as number) + score;
        const two = (second[start] as number) + score;
        const old = first[to] as number;
        first[to] = Math.max(old, one);
        second[to] = Math.max(second[to] as number, Math.min(old, one), two);
        largest = Math.max(largest, Math.abs(score));
        if (ended) break;
      }
    }
    const gap = (first[count] as number) - (second[count] as number);
    // A float32 sum is wrong by at most 2^-24 of itself, a way has at most `count` sums, and two ways are compared: twice that.
    return { count: pieces, cost, limit: gap * 2 ** 24 / (4 * count) - count * largest - 1 };
  };
  return { run, certainty, ids: () => ids, ends: () => ends };
}
