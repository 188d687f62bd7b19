/**
 * Pruning: a piece is worth what the likelihood loses when its occurrences are spelled by its second best segmentation
 * (unigram_model_trainer.cc, PruneSentencePieces). Sums are float32 in the original's order.
 */
import type { Training } from "./em.ts";
import { makeAlternatives, makeBestPath } from "./best_paths.ts";
import { type Lattice, makeLattice } from "./lattice.ts";
import { type PieceList, selectPieces } from "./piece_list.ts";

const fround = Math.fround;

/** What pruning needs to know of the flags. */
export type PruneOptions = {
  /** Number of pieces at which training stops. */
  readonly desired: number;
  /** Share of the pieces kept, `shrinking_factor`. */
  readonly shrinkingFactor: number;
  /** Whose formulas to follow. */
  readonly version: "0.1.97" | "0.2.0" | "0.2.2";
};

/** Second best segmentations: those of piece i are `ids[bounds[i]]` to `ids[bounds[i + 1]]`. */
type Alternatives = { readonly bounds: Int32Array; readonly ids: number[]; readonly dropped: Uint8Array };

/** Counts of the best segmentations of all words. */
type Usage = {
  /** Occurrences per piece, summed by partition. */
  readonly counts: Float32Array;
  /** The same occurrences summed one after the other. */
  readonly folded: Float32Array;
  /** Sum of the words' frequencies. */
  readonly words: number;
};

/** Keeps the pieces without alternatives and the most valuable of the others. */
export async function prunePieces(
  pieces: PieceList,
  training: Training,
  options: PruneOptions,
): Promise<PieceList> {
  const lattice = makeLattice(training.text, pieces);
  const alternatives = await secondBest(pieces, lattice, training);
  lattice.close();
  const usage = await bestUsage(pieces, training);
  const { kept, candidates, losses } = weigh(pieces, alternatives, usage, options);
  const target = Math.max(
    options.desired,
    Math.trunc(fround(fround(options.shrinkingFactor) * fround(pieces.count))),
  );
  candidates.sort((a, b) => (losses[b] as number) - (losses[a] as number) || a - b);
  for (const id of candidates) {
    if (kept.length >= target) break;
    kept.push(id);
  }
  training.arcs.keep(kept, pieces.count);
  return selectPieces(pieces, kept, Float32Array.from(kept, (id) => pieces.scores[id] as number));
}

async function secondBest(pieces: PieceList, lattice: Lattice, { pace }: Training): Promise<Alternatives> {
  const bounds = new Int32Array(pieces.count + 1);
  const ids: number[] = [];
  const dropped = new Uint8Array(pieces.count);
  const alternativeOf = makeAlternatives(lattice);
  for (let id = 0; id < pieces.count; id++) {
    const length = pieces.lengths[id] as number;
    if (length > 1) {
      lattice.build(pieces.starts[id] as number, length);
      if (!alternativeOf(length, pieces.scores[id] as number, ids)) dropped[id] = 1;
    }
    bounds[id + 1] = ids.length;
    if ((id & 1023) === 0 && pace.due()) await pace.rest();
  }
  return { bounds, ids, dropped };
}

async function bestUsage(pieces: PieceList, training: Training): Promise<Usage> {
  const lattice = training.arcs.lattice(pieces);
  const { words, partitions, pace } = training;
  const viterbi = makeBestPath(lattice);
  const counts = new Float32Array(pieces.count);
  const folded = new Float32Array(pieces.count);
  const own = new Float32Array(pieces.count);
  let wordSum = 0;
  for (let partition = 0; partition < partitions; partition++) {
    own.fill(0);
    let ownSum = 0;
    for (let word = partition; word < words.count; word += partitions) {
      const frequency = words.frequencies[word] as number;
      const length = words.lengths[word] as number;
      lattice.load(word);
      const count = viterbi.run(length, true);
      ownSum = fround(ownSum + frequency);
      for (let k = count - 1; k >= 0; k--) {
        const id = viterbi.path[k] as number;
        own[id] = (own[id] as number) + frequency;
        folded[id] = (folded[id] as number) + frequency;
      }
      if ((word & 255) < partitions && pace.due()) await pace.rest();
    }
    for (let id = 0; id < own.length; id++) counts[id] = (counts[id] as number) + (own[id] as number);
    wordSum = fround(wordSum + ownSum);
  }
  return { counts, folded, words: wordSum };
}

/** Sorts the pieces into those that stay whatever happens and candidates with a loss, which is given by id. */
function weigh(
  pieces: PieceList,
  alternatives: Alternatives,
  usage: Usage,
  options: PruneOptions,
): { kept: number[]; candidates: number[]; losses: Float32Array } {
  const { counts, folded } = usage;
  const { bounds, ids, dropped } = alternatives;
  let doubleSum = 0;
  for (const count of counts) doubleSum += count;
  const sum = fround(doubleSum);
  const logSum = fround(Math.log(sum));
  const kept: number[] = [];
  const candidates: number[] = [];
  const losses = new Float32Array(pieces.count);
  for (let id = 0; id < pieces.count; id++) {
    const count = counts[id] as number;
    if (count === 0 || dropped[id] === 1) continue;
    const first = bounds[id] as number;
    const last = bounds[id + 1] as number;
    if (first === last) {
      kept.push(id);
      continue;
    }
    const share = fround(options.version === "0.2.2" ? count / sum : (folded[id] as number) / usage.words);
    // 0.1.97 counts all pieces where the alternatives are meant (google/sentencepiece issue 628).
    const pieceCount = options.version === "0.1.97" ? pieces.count : last - first;
    const logProbability = fround(Math.log(count) - logSum);
    const logSumAfter = fround(Math.log(fround(sum + fround(count * (pieceCount - 1)))));
    let after = 0;
    for (let k = first; k < last; k++) {
      const other = counts[ids[k] as number] as number;
      after = fround(after + (Math.log(fround(other + count)) - logSumAfter));
    }
    losses[id] = share * fround(logProbability - after);
    candidates.push(id);
  }
  return { kept, candidates, losses };
}
