/**
 * One round of expectation maximization. Sums are float32 and kept per partition of the words, as spm_train's threads
 * keep them, since their rounding decides between near ties; the numbers follow unigram_model_trainer.cc (RunEStep,
 * RunMStep) and unigram_model.cc (PopulateMarginal).
 */
import type { Symbols } from "./symbol_text.ts";
import type { LoadedWord, WordArcs } from "./arcs.ts";
import { type Pace, runSteps } from "./pace.ts";
import { type PieceList, selectPieces } from "./piece_list.ts";
import type { Words } from "./words.ts";

/** What EM and pruning work on. */
export type Training = {
  readonly text: Symbols;
  readonly words: Words;
  readonly arcs: WordArcs;
  /** Number of partitions of the sums, `num_threads`. */
  readonly partitions: number;
  /** Threads that take their part of the partitions; without them this one does all. */
  readonly team?: Team | undefined;
  readonly pace: Pace;
};

/** Threads that count. */
export type Team = {
  /** Counts all partitions, some of them here, and gives the results of each. */
  readonly count: (
    pieces: PieceList,
    pace: Pace,
  ) => Promise<(partition: number) => { readonly own: Float32Array; readonly objective: number }>;
  readonly close: () => Promise<void>;
};

const fround = Math.fround;

/**
 * Expected counts of all pieces.
 *
 * @returns Counts and the objective: mean negative log likelihood per occurrence of a word.
 */
export async function expectedCounts(
  pieces: PieceList,
  training: Training,
): Promise<{ expected: Float32Array; objective: number }> {
  const { words, partitions, pace, team } = training;
  const expected = new Float32Array(pieces.count);
  let objective = 0;
  const merge = (partition: number, own: Float32Array, ownObjective: number): void => {
    if (partition === 0) objective = ownObjective;
    else objective = fround(objective + ownObjective);
    for (let k = 0; k < own.length; k++) expected[k] = (expected[k] as number) + (own[k] as number);
  };
  if (team !== undefined) {
    const resultOf = await team.count(pieces, pace);
    for (let partition = 0; partition < partitions; partition++) {
      const { own, objective } = resultOf(partition);
      merge(partition, own, objective);
    }
    return { expected, objective };
  }
  const lattice = training.arcs.lattice(pieces);
  const own = new Float32Array(pieces.count);
  for (let partition = 0; partition < partitions && partition < words.count; partition++) {
    const steps = countPartition(lattice, words, { partition, partitions, own: own.fill(0) });
    merge(partition, own, await runSteps(steps, pace));
  }
  return { expected, objective };
}

/** Counts the words of one partition into `own`, in steps; gives its part of the objective. */
export function* countPartition(
  lattice: LoadedWord,
  words: Pick<Words, "count" | "lengths" | "frequencies" | "total">,
  { partition, partitions, own }: {
    readonly partition: number;
    readonly partitions: number;
    readonly own: Float32Array;
  },
): Generator<void, number> {
  const addWord = wordMarginals(lattice);
  const total = fround(words.total);
  let objective = 0;
  for (let word = partition; word < words.count; word += partitions) {
    const frequency = words.frequencies[word] as number;
    lattice.load(word);
    const z = addWord(words.lengths[word] as number, frequency, own);
    objective = fround(objective - fround(fround(frequency * z) / total));
    if ((word & 255) < partitions) yield;
  }
  return objective;
}

/** Makes the function that adds the loaded word's expected counts and returns the log of its summed probability. */
function wordMarginals(
  lattice: LoadedWord,
): (length: number, frequency: number, expected: Float32Array) => number {
  let alpha = new Float32Array(64);
  let beta = new Float32Array(64);
  let reached = new Uint8Array(64);
  return (length, frequency, expected) => {
    if (alpha.length < length + 1) {
      alpha = new Float32Array(2 * length + 1);
      beta = new Float32Array(2 * length + 1);
      reached = new Uint8Array(2 * length + 1);
    }
    const firstArc = lattice.firstArc();
    const ends = lattice.ends();
    const ids = lattice.ids();
    const scores = lattice.scores();
    reached.fill(0, 0, length + 1);
    alpha[0] = 0;
    for (let at = 0; at < length; at++) {
      const here = alpha[at] as number;
      const last = firstArc[at + 1] as number;
      for (let arc = firstArc[at] as number; arc < last; arc++) {
        const end = ends[arc] as number;
        const term = fround((scores[arc] as number) + here);
        alpha[end] = reached[end] === 0 ? term : logSumExp(alpha[end] as number, term);
        reached[end] = 1;
      }
    }
    beta[length] = 0;
    for (let at = length - 1; at >= 0; at--) {
      const first = firstArc[at] as number;
      const last = firstArc[at + 1] as number;
      let sum = fround((scores[first] as number) + (beta[ends[first] as number] as number));
      for (let arc = first + 1; arc < last; arc++) {
        sum = logSumExp(sum, fround((scores[arc] as number) + (beta[ends[arc] as number] as number)));
      }
      beta[at] = sum;
    }
    const z = alpha[length] as number;
    for (let at = 0; at < length; at++) {
      const here = alpha[at] as number;
      const last = firstArc[at + 1] as number;
      for (let arc = firstArc[at] as number; arc < last; arc++) {
        const after = beta[ends[arc] as number] as number;
        const share = fround(fround(fround(here + (scores[arc] as number)) + after) - z);
        const id = ids[arc] as number;
        expected[id] = (expected[id] as number) + frequency * Math.exp(share);
      }
    }
    return z;
  };
}

/** log(exp(x) + exp(y)) with one rounding at the end. */
function logSumExp(x: number, y: number): number {
  const low = x < y ? x : y;
  const high = x < y ? y : x;
  if (high > fround(low + 50)) return high;
  return fround(high + Math.log(Math.exp(fround(low - high)) + 1));
}

const leastCount = 0.5; // pieces expected less often are dropped

/** New scores from expected counts; pieces that are hardly used go, `arcs` follows. */
export function maximize(pieces: PieceList, expected: Float32Array, arcs: WordArcs): PieceList {
  const kept: number[] = [];
  let sum = 0;
  for (let id = 0; id < pieces.count; id++) {
    const count = expected[id] as number;
    if (count < leastCount) continue;
    kept.push(id);
    sum = fround(sum + count);
  }
  const logSum = fround(digamma(sum));
  const scores = Float64Array.from(kept, (id) => digamma(expected[id] as number) - logSum);
  if (kept.length < pieces.count) arcs.keep(kept, pieces.count);
  return selectPieces(pieces, kept, scores);
}

/** Digamma as spm_train approximates it: recurrence up to 7, then the asymptotic series. */
export function digamma(x: number): number {
  let result = 0;
  for (; x < 7; x++) result -= 1 / x;
  x -= 1 / 2;
  const inverse = 1 / x;
  const squared = inverse * inverse;
  const fourth = squared * squared;
  result += Math.log(x) + (1 / 24) * squared - (7 / 960) * fourth + (31 / 8064) * fourth * squared -
    (127 / 30720) * fourth * fourth;
  return result;
}
