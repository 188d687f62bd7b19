/**
 * More than the best segmentation: the n best ones, and one drawn at random. SentencePiece builds a lattice for both
 * (unigram_model.cc), with a score for user-defined symbols by their length in characters.
 */
import type { Piece } from "./model_file.ts";
import { type PieceTrie, pieceTrie } from "./piece_trie.ts";
import { encodingScores } from "./scores.ts";
import { makeSegmentLattice, type Path } from "./segment_lattice.ts";
import type { SearchOptions } from "./viterbi.ts";

/** Segmentations of normalized text. */
export type Segmentations = {
  /** The best ones, best first; fewer than `size` when the text has fewer. */
  readonly nBest: (codePoints: Int32Array, count: number, size: number) => Path[];
  /** One drawn with probability in proportion to exp(alpha times its score). */
  readonly sample: (codePoints: Int32Array, count: number, alpha: number, random: () => number) => Path;
  /** Score of a segmentation given by its ids. */
  readonly scoreOf: (ids: readonly number[]) => number;
};

/** Makes the search over the normal and user-defined pieces. */
export function makeSegmentations(pieces: readonly Piece[], { unkId, newer }: SearchOptions): Segmentations {
  const trie = pieceTrie(pieces);
  const lengthOf = (piece: string): number => Array.from(piece).length;
  const { scores: exact, unknown } = encodingScores(pieces, { lengthOf, byLength: newer });
  const scores = Float32Array.from(exact);
  const lattice = makeSegmentLattice();
  const fill = (codePoints: Int32Array, count: number): void => {
    lattice.begin(count);
    for (let begin = 0; begin < count; begin++) {
      let single = false;
      eachPiece(trie, codePoints, begin, count, (end, id) => {
        lattice.add(begin, end, id, scores[id] as number);
        single ||= end === begin + 1;
      });
      if (!single) lattice.add(begin, begin + 1, unkId, unknown);
    }
  };
  const nBest = (codePoints: Int32Array, count: number, size: number): Path[] => {
    fill(codePoints, count);
    return lattice.nBest(size);
  };
  const sample = (codePoints: Int32Array, count: number, alpha: number, random: () => number): Path => {
    fill(codePoints, count);
    return lattice.sample(alpha, random);
  };
  const scoreOf = (ids: readonly number[]): number =>
    ids.reduce((sum, id) => Math.fround(sum + (id === unkId ? unknown : scores[id] as number)), 0);
  return { nBest, sample, scoreOf };
}

function eachPiece(
  { basic, astral, cells }: PieceTrie,
  codePoints: Int32Array,
  begin: number,
  count: number,
  visit: (end: number, id: number) => void,
): void {
  for (let at = begin, node = 0; at < count; at++) {
    const cp = codePoints[at] as number;
    const symbol = cp < 0x10000 ? basic[cp] as number : astral.get(cp) ?? 0;
    if (symbol === 0) return;
    const next = (cells[4 * node] as number) + symbol;
    if (cells[4 * next + 1] !== node + 1) return;
    node = next;
    const id = cells[4 * node + 2] as number;
    if (id >= 0) visit(at + 1, id);
  }
}
