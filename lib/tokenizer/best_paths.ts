/**
 * The best segmentation of a word while training, and the second best of a piece, as Lattice::Viterbi and Lattice::NBest
 * choose them (unigram_model.cc). Pieces that occur equally often have equal scores, so sums tie all the time and float32
 * rounding decides: each arc looks for the best way before itself, with its own score already added.
 */
import type { LoadedWord } from "./arcs.ts";
import { makeSegmentLattice, type SegmentLattice } from "./segment_lattice.ts";

const fround = Math.fround;

/** The arcs of a word. */
type Arcs = Pick<LoadedWord, "firstArc" | "ends" | "ids" | "scores">;

/** The search over the word that was loaded last. */
export type BestPath = {
  /** Fills `path` with the ids, last piece first, and returns their number; if wished without the arc over all of it. */
  readonly run: (length: number, whole: boolean) => number;
  readonly path: readonly number[];
  /** Score of the last path. */
  readonly score: () => number;
  /** How much worse than the best way to it the second one to any place of the last path is. */
  readonly margin: () => number;
};

/** Makes the search. */
export function makeBestPath(word: Arcs): BestPath {
  let best = new Int32Array(64); // arc of the best way to each place
  let second = new Float32Array(64); // sum of the next one
  let sums = new Float32Array(256); // by arc: of the best way up to and with it
  let from = new Int32Array(256); // by arc: the one before it on that way
  let rivals = new Int32Array(256); // by arc: the best one to the same place before it came
  const path: number[] = [];
  let score = 0;
  let margin = Infinity;
  const fit = (length: number): void => {
    const arcs = word.firstArc()[length] as number;
    if (best.length < length + 1) {
      best = new Int32Array(2 * length + 1);
      second = new Float32Array(2 * length + 1);
    }
    if (sums.length >= arcs) return;
    sums = new Float32Array(2 * arcs);
    from = new Int32Array(2 * arcs);
    rivals = new Int32Array(2 * arcs);
  };
  const forward = (length: number, whole: boolean): void => {
    const firstArc = word.firstArc();
    const ends = word.ends();
    const scores = word.scores();
    best.fill(-1, 0, length + 1);
    second.fill(-Infinity, 0, length + 1);
    for (let at = 0; at < length; at++) {
      const way = best[at] as number;
      if (at > 0 && way < 0) continue;
      const here = at === 0 ? 0 : sums[way] as number;
      const rival = at === 0 ? -1 : rivals[way] as number;
      const last = firstArc[at + 1] as number;
      for (let arc = firstArc[at] as number; arc < last; arc++) {
        const end = ends[arc] as number;
        if (!whole && at === 0 && end === length) continue;
        const own = scores[arc] as number;
        const sum = fround(here + own);
        let before = way;
        // A way that came first wins if it is no worse after this arc's score is added and rounded.
        for (let r = rival; r >= 0 && fround((sums[r] as number) + own) === sum; r = rivals[r] as number) {
          before = r;
        }
        sums[arc] = sum;
        from[arc] = before;
        const known = best[end] as number;
        const knownSum = known < 0 ? -Infinity : sums[known] as number;
        if (sum > knownSum) {
          second[end] = knownSum;
          rivals[arc] = known;
          best[end] = arc;
        } else if (sum > (second[end] as number)) second[end] = sum;
      }
    }
  };
  const run = (length: number, whole: boolean): number => {
    fit(length);
    forward(length, whole);
    const [ids, ends] = [word.ids(), word.ends()];
    path.length = 0;
    margin = Infinity;
    const last = best[length] as number;
    if (last < 0) return 0;
    score = sums[last] as number;
    for (let arc = last; arc >= 0; arc = from[arc] as number) {
      const end = ends[arc] as number;
      margin = Math.min(margin, (sums[best[end] as number] as number) - (second[end] as number));
      path.push(ids[arc] as number);
    }
    return path.length;
  };
  return { run, path, score: () => score, margin: () => margin };
}

/** Adds the ids of the second best segmentation of a piece to a list; false if even the best one is not the piece. */
export type FindAlternative = (length: number, ownScore: number, ids: number[]) => boolean;

/** Makes the search for the alternative to a piece of more than one symbol, whose own lattice was built last. */
export function makeAlternatives(word: Arcs): FindAlternative {
  const bestPath = makeBestPath(word);
  const lattice = makeSegmentLattice();
  return (length, ownScore, ids) => {
    bestPath.run(length, false);
    const score = bestPath.score();
    // spm_train sums from both ends (A*). Where that could round to another order, it is done in the same way.
    const doubt = 2 * length * Math.abs(score) * 2 ** -23;
    if (bestPath.margin() <= doubt || Math.abs(score - ownScore) <= doubt) {
      const [first = [], other = []] = twoBest(lattice, word, length);
      if (first.length > 1) return false;
      for (const id of other) ids.push(id);
      return true;
    }
    if (score > ownScore) return false;
    for (let k = bestPath.path.length - 1; k >= 0; k--) ids.push(bestPath.path[k] as number);
    return true;
  };
}

/** Ids of the two best segmentations by A*. */
function twoBest(lattice: SegmentLattice, word: Arcs, length: number): (readonly number[])[] {
  const [firstArc, ends, ids, scores] = [word.firstArc(), word.ends(), word.ids(), word.scores()];
  lattice.begin(length);
  for (let begin = 0; begin < length; begin++) {
    for (let arc = firstArc[begin] as number; arc < (firstArc[begin + 1] as number); arc++) {
      lattice.add(begin, ends[arc] as number, ids[arc] as number, scores[arc] as number);
    }
  }
  return lattice.nBest(2).map((path) => path.ids);
}
