/**
 * All ways to cut one text, as arcs between its places in flat arrays: the n best ways by A* from the end of the text, with
 * float32 sums, and one drawn at random. Equal hypotheses leave the agenda in the order of libstdc++'s heap, which decides
 * between ways of equal score (Lattice::NBest and Lattice::Sample, unigram_model.cc).
 */
import { type Agenda, makeAgenda } from "./agenda.ts";

/** A segmentation: piece k has `ids[k]` and ends before code point `ends[k]`. */
export type Path = {
  readonly ids: readonly number[];
  readonly ends: readonly number[];
  readonly score: number;
};

/** The arcs of one text at a time. */
export type SegmentLattice = {
  /** Begins with a text of so many code points. */
  readonly begin: (count: number) => void;
  /** Adds an arc; they come in the order of where they begin. */
  readonly add: (begin: number, end: number, id: number, score: number) => void;
  /** The best ways, best first; fewer than `size` when there are fewer. */
  readonly nBest: (size: number) => Path[];
  /** One drawn with probability in proportion to exp(alpha times its score). */
  readonly sample: (alpha: number, random: () => number) => Path;
};

const fround = Math.fround;
const agendaLimit = 10_000;
const agendaKept = 512;
/** The arc that stands before a text, and the number for the place behind it. */
const start = 0;
const finish = -1;

/** An index drawn in proportion to weights that are not all zero. */
export function drawIndex(weights: readonly number[], random: () => number): number {
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const found = weights.findIndex((weight) => (rest -= weight) < 0);
  return found < 0 ? weights.length - 1 : found;
}

/** Makes an empty lattice, to be filled for one text after another. */
export function makeSegmentLattice(): SegmentLattice {
  let arcs = makeArcs(1 << 10);
  let places = makePlaces(1 << 8);
  let arcCount = 0;
  let count = 0;
  const add: SegmentLattice["add"] = (begin, end, id, score) => {
    if (arcCount === arcs.begins.length) arcs = longerArcs(arcs);
    const arc = arcCount++;
    arcs.begins[arc] = begin;
    arcs.ends[arc] = end;
    arcs.ids[arc] = id;
    arcs.scores[arc] = score;
    arcs.later[arc] = finish;
    const last = places.lasts[end] as number;
    if (last < 0) places.firsts[end] = arc;
    else arcs.later[last] = arc;
    places.lasts[end] = arc;
  };
  const begin = (length: number): void => {
    count = length;
    arcCount = 0;
    if (length >= places.firsts.length) places = makePlaces(2 * length + 1);
    places.firsts.fill(finish, 0, length + 1);
    places.lasts.fill(finish, 0, length + 1);
    add(0, 0, finish, 0);
  };
  /** For every arc the score of the best way up to and with it. */
  const sumBest = (): void => {
    const { begins, ends, scores, bests } = arcs;
    const { best } = places;
    best.fill(-Infinity, 0, count + 1);
    bests[start] = best[0] = 0;
    for (let arc = 1; arc < arcCount; arc++) {
      // All arcs that begin here have the same best way before them: float32 sums keep the order.
      const sum = fround((best[begins[arc] as number] as number) + (scores[arc] as number));
      bests[arc] = sum;
      const end = ends[arc] as number;
      if (sum > (best[end] as number)) best[end] = sum;
    }
  };
  const pathOf = (nodes: readonly number[], score: number): Path => ({
    ids: nodes.map((arc) => arcs.ids[arc] as number),
    ends: nodes.map((arc) => arcs.ends[arc] as number),
    score,
  });
  const nBest = (size: number): Path[] => {
    sumBest();
    // A hypothesis is part of a way, from an arc to the end of the text: the arc, what follows it, and two sums.
    const [arcOf, next, behind, total] = [[finish], [-1], [0], [0]];
    let agenda: Agenda<number> = makeAgenda((hypothesis) => total[hypothesis] as number);
    agenda.push(0);
    const paths: Path[] = [];
    for (let top = agenda.pop(); top !== undefined; top = agenda.pop()) {
      const arc = arcOf[top] as number;
      if (arc === start) {
        const nodes: number[] = [];
        for (let each = next[top] as number; each > 0; each = next[each] as number) {
          nodes.push(arcOf[each] as number);
        }
        paths.push(pathOf(nodes, total[top] as number));
        if (paths.length === size) break;
        continue;
      }
      const at = arc === finish ? count : arcs.begins[arc] as number;
      const rest = behind[top] as number;
      for (let node = places.firsts[at] as number; node >= 0; node = arcs.later[node] as number) {
        const hypothesis = arcOf.push(node) - 1;
        next.push(top);
        behind.push(fround((arcs.scores[node] as number) + rest));
        total.push(fround((arcs.bests[node] as number) + rest));
        agenda.push(hypothesis);
      }
      if (agenda.size() < agendaLimit) continue;
      const kept: Agenda<number> = makeAgenda((hypothesis) => total[hypothesis] as number);
      for (let k = Math.min(agendaKept, 10 * size); k > 0; k--) kept.push(agenda.pop() as number);
      agenda = kept;
    }
    return paths;
  };
  /** Writes the log weight of every arc that ends at a place, and gives the largest. */
  const weigh = (at: number, alpha: number): number => {
    let largest = -Infinity;
    for (let arc = places.firsts[at] as number; arc >= 0; arc = arcs.later[arc] as number) {
      const before = arc === start ? 0 : places.weights[arcs.begins[arc] as number] as number;
      const way = before + alpha * (arcs.scores[arc] as number);
      arcs.ways[arc] = way;
      if (way > largest) largest = way;
    }
    return largest;
  };
  const sample = (alpha: number, random: () => number): Path => {
    for (let at = 0; at < count; at++) {
      const largest = weigh(at, alpha);
      let sum = 0;
      for (let arc = places.firsts[at] as number; arc >= 0; arc = arcs.later[arc] as number) {
        sum += Math.exp((arcs.ways[arc] as number) - largest);
      }
      places.weights[at] = largest + Math.log(sum);
    }
    const nodes: number[] = [];
    for (let at = count; at > 0;) {
      const largest = weigh(at, alpha);
      const [here, weights]: [number[], number[]] = [[], []];
      for (let arc = places.firsts[at] as number; arc >= 0; arc = arcs.later[arc] as number) {
        here.push(arc);
        weights.push(Math.exp((arcs.ways[arc] as number) - largest));
      }
      const arc = here[drawIndex(weights, random)] as number;
      nodes.push(arc);
      at = arcs.begins[arc] as number;
    }
    nodes.reverse();
    return pathOf(nodes, nodes.reduce((sum, arc) => sum + (arcs.scores[arc] as number), 0));
  };
  return { begin, add, nBest, sample };
}

const makeArcs = (length: number) => ({
  begins: new Int32Array(length),
  ends: new Int32Array(length),
  ids: new Int32Array(length),
  scores: new Float32Array(length),
  later: new Int32Array(length), // the next arc that ends at the same place
  bests: new Float32Array(length),
  ways: new Float64Array(length),
});

/** Twice as many, with what `add` has written. */
function longerArcs(arcs: ReturnType<typeof makeArcs>): ReturnType<typeof makeArcs> {
  const longer = makeArcs(2 * arcs.begins.length);
  for (const field of ["begins", "ends", "ids", "scores", "later"] as const) longer[field].set(arcs[field]);
  return longer;
}

const makePlaces = (length: number) => ({
  firsts: new Int32Array(length), // the first arc that ends here, -1: none
  lasts: new Int32Array(length),
  best: new Float32Array(length),
  weights: new Float64Array(length), // log of the summed weights of all ways up to here
});
