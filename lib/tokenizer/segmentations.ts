/**
 * More than the best segmentation: the n best ones, and one drawn at random. SentencePiece builds a lattice for both
 * (unigram_model.cc), with float32 sums, a score for user-defined symbols by their length in characters, and A* from
 * the end of the text; equal hypotheses leave its agenda in the order of libstdc++'s heap, so that order is kept here.
 */
import { type Agenda, makeAgenda } from "./agenda.ts";
import type { Piece } from "./model_file.ts";
import { type PieceTrie, pieceTrie } from "./piece_trie.ts";
import { encodingScores } from "./scores.ts";
import type { SearchOptions } from "./viterbi.ts";

/** A segmentation: piece k has `ids[k]` and ends before code point `ends[k]`. */
export type Path = {
  readonly ids: readonly number[];
  readonly ends: readonly number[];
  readonly score: number;
};

/** Segmentations of normalized text. */
export type Segmentations = {
  /** The best ones, best first; fewer than `size` when the text has fewer. */
  readonly nBest: (codePoints: Int32Array, count: number, size: number) => Path[];
  /** One drawn with probability in proportion to exp(alpha times its score). */
  readonly sample: (codePoints: Int32Array, count: number, alpha: number, random: () => number) => Path;
  /** Score of a segmentation given by its ids. */
  readonly scoreOf: (ids: readonly number[]) => number;
};

const agendaLimit = 10_000;
const agendaKept = 512;

/** An arc of the lattice, or what stands before and behind a text. */
export type LatticeNode = {
  readonly begin: number;
  readonly end: number;
  readonly id: number;
  readonly score: number;
  /** Score of the best way from the start of the text up to and with this node. */
  best: number;
  /** Log of the summed weights of all ways up to and without this node. */
  weight: number;
};

/** Part of a segmentation from a node to the end of the text. */
type Hypothesis = {
  readonly node: LatticeNode;
  readonly next: Hypothesis | undefined;
  readonly behind: number;
  readonly total: number;
};

/** What stands before and behind a text. */
export const latticeEdge = (at: number): LatticeNode => ({
  begin: at,
  end: at,
  id: -1,
  score: 0,
  best: 0,
  weight: 0,
});

/** The arcs by the place where they start and by the one where they end. */
type Lattice = { readonly starting: readonly LatticeNode[][]; readonly ending: readonly LatticeNode[][] };

/** Makes the search over the normal and user-defined pieces. */
export function makeSegmentations(pieces: readonly Piece[], { unkId, newer }: SearchOptions): Segmentations {
  const trie = pieceTrie(pieces);
  const lengthOf = (piece: string): number => Array.from(piece).length;
  const { scores: exact, unknown } = encodingScores(pieces, { lengthOf, byLength: newer });
  const scores = Float32Array.from(exact);
  const build = (codePoints: Int32Array, count: number): Lattice => {
    const starting: LatticeNode[][] = Array.from({ length: count + 1 }, () => []);
    const ending: LatticeNode[][] = Array.from({ length: count + 1 }, () => []);
    const add = (begin: number, end: number, id: number, score: number): void => {
      const node: LatticeNode = { begin, end, id, score, best: 0, weight: 0 };
      (starting[begin] as LatticeNode[]).push(node);
      (ending[end] as LatticeNode[]).push(node);
    };
    (ending[0] as LatticeNode[]).push(latticeEdge(0));
    for (let begin = 0; begin < count; begin++) {
      let single = false;
      eachPiece(trie, codePoints, begin, count, (end, id) => {
        add(begin, end, id, scores[id] as number);
        single ||= end === begin + 1;
      });
      if (!single) add(begin, begin + 1, unkId, unknown);
    }
    (starting[count] as LatticeNode[]).push(latticeEdge(count));
    return { starting, ending };
  };
  const nBest = (codePoints: Int32Array, count: number, size: number): Path[] =>
    bestOfLattice(build(codePoints, count), count, size);
  const sample = (codePoints: Int32Array, count: number, alpha: number, random: () => number): Path => {
    const lattice = build(codePoints, count);
    sumWeights(lattice, alpha);
    const nodes: LatticeNode[] = [];
    for (let at = count; at > 0;) {
      const node = draw(lattice.ending[at] as LatticeNode[], alpha, random);
      nodes.unshift(node);
      at = node.begin;
    }
    return pathOf(nodes, nodes.reduce((sum, { score }) => sum + score, 0));
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

/** The best paths through a lattice, best first. */
export function bestOfLattice(lattice: Lattice, count: number, size: number): Path[] {
  sumBest(lattice);
  return bestPaths(lattice, count, size);
}

function sumBest({ starting, ending }: Lattice): void {
  starting.forEach((nodes, at) => {
    let best = -Infinity;
    for (const before of ending[at] as LatticeNode[]) best = Math.max(best, before.best);
    // Every node here has the same best way before it: float32 sums keep the order.
    for (const node of nodes) node.best = Math.fround(best + node.score);
  });
}

function sumWeights({ starting, ending }: Lattice, alpha: number): void {
  starting.forEach((nodes, at) => {
    const ways = (ending[at] as LatticeNode[]).map((node) => node.weight + alpha * node.score);
    const largest = ways.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = largest + Math.log(ways.reduce((total, way) => total + Math.exp(way - largest), 0));
    for (const node of nodes) node.weight = sum;
  });
}

function draw(nodes: readonly LatticeNode[], alpha: number, random: () => number): LatticeNode {
  const ways = nodes.map((node) => node.weight + alpha * node.score);
  const largest = ways.reduce((a, b) => Math.max(a, b), -Infinity);
  return nodes[drawIndex(ways.map((way) => Math.exp(way - largest)), random)] as LatticeNode;
}

/** An index drawn in proportion to weights that are not all zero. */
export function drawIndex(weights: readonly number[], random: () => number): number {
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const found = weights.findIndex((weight) => (rest -= weight) < 0);
  return found < 0 ? weights.length - 1 : found;
}

function bestPaths({ starting, ending }: Lattice, count: number, size: number): Path[] {
  const end = (starting[count] as LatticeNode[]).at(-1) as LatticeNode;
  let agenda: Agenda<Hypothesis> = makeAgenda(({ total }) => total);
  agenda.push({ node: end, next: undefined, behind: 0, total: 0 });
  const paths: Path[] = [];
  for (let top = agenda.pop(); top !== undefined; top = agenda.pop()) {
    if (top.node.id === -1 && top.node !== end) {
      const nodes: LatticeNode[] = [];
      for (let each = top.next; each?.next !== undefined; each = each.next) nodes.push(each.node);
      paths.push(pathOf(nodes, top.total));
      if (paths.length === size) break;
      continue;
    }
    for (const node of ending[top.node.begin] as LatticeNode[]) {
      const behind = Math.fround(node.score + top.behind);
      agenda.push({ node, next: top, behind, total: Math.fround(node.best + top.behind) });
    }
    if (agenda.size() < agendaLimit) continue;
    const kept: Agenda<Hypothesis> = makeAgenda(({ total }) => total);
    for (let k = Math.min(agendaKept, 10 * size); k > 0; k--) kept.push(agenda.pop() as Hypothesis);
    agenda = kept;
  }
  return paths;
}

const pathOf = (nodes: readonly LatticeNode[], score: number): Path => ({
  ids: nodes.map(({ id }) => id),
  ends: nodes.map(({ end }) => end),
  score,
});
