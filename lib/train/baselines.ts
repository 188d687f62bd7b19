/**
 * What a model that uses no context reaches, and two yardsticks: without them a falling loss proves nothing. Every number
 * is computed on the held-out examples from counts of the training examples.
 *
 * U is the cross-entropy under the frequencies of the training labels. About a tenth of the masked positions keep their
 * piece, so a model that only copies a visible piece gets below U, to the copy floor C. Only the positions that show
 * [MASK] tell whether context is used: there, a context-free model stays at U[MASK].
 */
import { originalPieces } from "./bands.ts";
import type { TrainingExample, TrainingExamples } from "./batches.ts";

/**
 * Yardsticks of a pair of training and held-out examples; losses in nats, accuracies and shares from 0 to 1.
 *
 * @example
 * ```ts
 * import type { Baselines } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const learned = (loss: number, { unigram_mask_loss }: Baselines): boolean => loss < unigram_mask_loss - 0.45;
 * assert.equal(typeof learned, "function");
 * ```
 */
export type Baselines = {
  /** U: loss of the training labels' frequencies, one added to every count. */
  readonly unigram_loss: number;
  /** U[MASK]: the same on [MASK] positions only. */
  readonly unigram_mask_loss: number;
  /** Accuracy of the most frequent label on [MASK] positions. */
  readonly unigram_mask_accuracy: number;
  /** C: loss of the best model that sees only the piece at the position itself. */
  readonly copy_loss: number;
  /** Accuracy of that model. */
  readonly copy_accuracy: number;
  /** Loss on [MASK] positions of both neighbours' bigrams. */
  readonly bigram_mask_loss: number;
  /** Accuracy of the same. */
  readonly bigram_mask_accuracy: number;
  /** Share of the larger class of the sentence order. */
  readonly sentence_order_majority: number;
  /** Accuracy of one threshold on the difference of the segments' lengths. */
  readonly sentence_order_length_cue: number;
  /** Held-out predictions, and those that show [MASK]. */
  readonly predictions: number;
  readonly mask_predictions: number;
};

/**
 * Options of `baselines`.
 *
 * @example
 * ```ts
 * import type { BaselineOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: BaselineOptions = { vocabSize: 1000 };
 * assert.equal(options.vocabSize, 1000);
 * ```
 */
export type BaselineOptions = {
  /** Pieces of the tokenizer, V. */
  readonly vocabSize: number;
  /** Id of [MASK], default 4. */
  readonly maskTokenId?: number;
};

type Counts = {
  readonly labels: Float64Array;
  total: number;
  masked: number;
  kept: number;
  readonly right: Map<number, Float64Array>;
  readonly left: Map<number, Float64Array>;
  readonly differences: Map<number, [number, number]>;
};

type Prediction = {
  readonly label: number;
  readonly shown: number;
  readonly before: number;
  readonly after: number;
};

/** The predictions of an example with their visible neighbours; -1 where there is none or it is masked. */
function* predictions(example: TrainingExample, mask: number): Generator<Prediction> {
  const { input_ids, input_mask, masked_lm_positions, masked_lm_ids, masked_lm_weights } = example;

  const visible = (position: number): number => {
    const id = input_ids[position];
    return id === undefined || input_mask[position] !== 1 || id === mask ? -1 : id;
  };
  for (const [i, position] of masked_lm_positions.entries()) {
    if ((masked_lm_weights[i] ?? 0) === 0) continue;
    yield {
      label: masked_lm_ids[i] ?? 0,
      shown: input_ids[position] ?? 0,
      before: visible(position - 1),
      after: visible(position + 1),
    };
  }
}

const rowOf = (rows: Map<number, Float64Array>, key: number, size: number): Float64Array => {
  const row = rows.get(key) ?? new Float64Array(size);
  rows.set(key, row);
  return row;
};

/** |B| - |A|, specials included. */
function lengthDifference({ segment_ids, input_mask }: TrainingExample): number {
  const used = input_mask.reduce((sum, one) => sum + one, 0);
  const second = segment_ids.reduce((sum, one) => sum + one, 0);
  return 2 * second - used;
}

function count(counts: Counts, example: TrainingExample, V: number, mask: number): void {
  const pieces = originalPieces(example);
  for (const { label, shown } of predictions(example, mask)) {
    counts.labels[label] = (counts.labels[label] ?? 0) + 1;
    counts.total++;
    if (shown === mask) counts.masked++;
    else if (shown === label) counts.kept++;
  }
  for (let i = 0; i + 1 < pieces.length && example.input_mask[i + 1] === 1; i++) {
    const [a, b] = [pieces[i] ?? 0, pieces[i + 1] ?? 0];
    const after = rowOf(counts.right, a, V);
    after[b] = (after[b] ?? 0) + 1;
    const before = rowOf(counts.left, b, V);
    before[a] = (before[a] ?? 0) + 1;
  }
  const difference = lengthDifference(example);
  const classes = counts.differences.get(difference) ?? [0, 0];
  counts.differences.set(difference, classes);
  if (example.next_sentence_labels[0] === 0) classes[0]++;
  else classes[1]++;
}

/** The best single threshold on the length difference, learned on training counts. */
function lengthRule(
  differences: ReadonlyMap<number, readonly [number, number]>,
): (difference: number) => 0 | 1 {
  const sorted = [...differences].sort(([a], [b]) => a - b);
  const ones = sorted.reduce((sum, [, [, one]]) => sum + one, 0);
  // Right when everything up to the threshold is called 0; the opposite rule is right elsewhere.
  let [best, threshold, low] = [0, -Infinity, 0 as 0 | 1];
  const total = sorted.reduce((sum, [, [zero, one]]) => sum + zero + one, 0);
  let right = ones;
  for (const [difference, [zero, one]] of [[-Infinity, [0, 0]] as const, ...sorted]) {
    right += zero - one;
    for (const [hits, side] of [[right, 0], [total - right, 1]] as const) {
      if (hits > best) [best, threshold, low] = [hits, difference, side];
    }
  }
  return (difference) => (difference <= threshold ? low : (1 - low) as 0 | 1);
}

/** P(y | left) × (P(y | right) / P(y))^0.8, normalised; each estimate is smoothed towards P(y). */
function bigram(counts: Counts, V: number): (prediction: Prediction) => Float64Array {
  const prior = counts.labels.map((n) => (n + 1) / (counts.total + V));
  const smoothed = (row: Float64Array | undefined): (y: number) => number => {
    const sum = row?.reduce((a, b) => a + b, 0) ?? 0;
    return (y) => ((row?.[y] ?? 0) + smoothing * (prior[y] ?? 0)) / (sum + smoothing);
  };
  return ({ before, after }) => {
    const [fromLeft, fromRight] = [
      smoothed(before < 0 ? undefined : counts.right.get(before)),
      smoothed(after < 0 ? undefined : counts.left.get(after)),
    ];
    // Specials are neighbours but never labels: no context speaks for them.
    const scores = prior.map((p, y) => counts.labels[y] === 0 ? p : fromLeft(y) * (fromRight(y) / p) ** 0.8);
    const sum = scores.reduce((a, b) => a + b, 0);
    return scores.map((score) => score / sum);
  };
}

/** Weight of the prior in a smoothed count, in occurrences. */
const smoothing = 3;

async function each(source: TrainingExamples, visit: (example: TrainingExample) => void): Promise<void> {
  for await (const example of typeof source === "function" ? source() : source) visit(example);
}

const argmax = (values: Float64Array): number =>
  values.reduce((best, x, i) => x > (values[best] ?? 0) ? i : best, 0);

type Sums = Record<
  "u" | "uMask" | "hitMask" | "copy" | "copyHit" | "bigram" | "bigramHit" | "all" | "masks",
  number
>;

/** Adds the held-out predictions of one example. */
function measure(
  sums: Sums,
  example: TrainingExample,
  { counts, V, mask, model }: {
    readonly counts: Counts;
    readonly V: number;
    readonly mask: number;
    readonly model: (prediction: Prediction) => Float64Array;
  },
): void {
  const best = argmax(counts.labels);
  const shownCount = Math.max(1, counts.total - counts.masked);
  const keptShare = counts.kept / shownCount;
  for (const prediction of predictions(example, mask)) {
    const { label, shown } = prediction;
    const p = ((counts.labels[label] ?? 0) + 1) / (counts.total + V);
    // A visible piece x: it stands there itself with the share of kept ones, by its frequency against random ones.
    const shownP = ((counts.labels[shown] ?? 0) + 1) / (counts.total + V);
    const kept = keptShare * shownP / (keptShare * shownP + (1 - keptShare) / V);
    const copied = shown === mask ? p : (label === shown ? kept : 0) + (1 - kept) * p;
    sums.all++;
    sums.u -= Math.log(p);
    sums.copy -= Math.log(copied);
    const guess = shown === mask || kept < 0.5 ? best : shown;
    if (guess === label) sums.copyHit++;
    if (shown !== mask) continue;
    const q = model(prediction);
    sums.masks++;
    sums.uMask -= Math.log(p);
    sums.bigram -= Math.log(q[label] ?? 0);
    if (best === label) sums.hitMask++;
    if (argmax(q) === label) sums.bigramHit++;
  }
}

/**
 * Yardsticks for a training: what no context, plain copying, neighbouring pieces and segment lengths reach.
 *
 * @param training Examples to count; about 10,000 are enough.
 * @param heldOut Examples to measure on.
 * @param options Size of the vocabulary, id of [MASK].
 * @returns The yardsticks.
 * @throws {RangeError} When there is no held-out prediction.
 * @example
 * ```ts
 * import { baselines } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const example = {
 *   input_ids: Int32Array.of(2, 4, 3, 8, 3),
 *   input_mask: Int32Array.of(1, 1, 1, 1, 1),
 *   segment_ids: Int32Array.of(0, 0, 0, 1, 1),
 *   masked_lm_positions: Int32Array.of(1),
 *   masked_lm_ids: Int32Array.of(9),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * };
 * const { unigram_loss, mask_predictions } = await baselines([example], [example], { vocabSize: 10 });
 * assert.ok(Math.abs(unigram_loss - Math.log(11 / 2)) < 1e-12);
 * assert.equal(mask_predictions, 1);
 * ```
 */
export async function baselines(
  training: TrainingExamples,
  heldOut: TrainingExamples,
  { vocabSize: V, maskTokenId: mask = 4 }: BaselineOptions,
): Promise<Baselines> {
  const counts: Counts = {
    labels: new Float64Array(V),
    total: 0,
    masked: 0,
    kept: 0,
    right: new Map(),
    left: new Map(),
    differences: new Map(),
  };
  await each(training, (example) => count(counts, example, V, mask));
  const ofLength = lengthRule(counts.differences);
  const model = bigram(counts, V);
  const sums: Sums = {
    u: 0,
    uMask: 0,
    hitMask: 0,
    copy: 0,
    copyHit: 0,
    bigram: 0,
    bigramHit: 0,
    all: 0,
    masks: 0,
  };
  const order = [0, 0];
  let [cue, examples] = [0, 0];
  await each(heldOut, (example) => {
    measure(sums, example, { counts, V, mask, model });
    const label = example.next_sentence_labels[0] === 0 ? 0 : 1;
    order[label] = (order[label] ?? 0) + 1;
    examples++;
    if (ofLength(lengthDifference(example)) === label) cue++;
  });
  if (sums.all === 0) throw new RangeError("Cannot compute baselines: the held-out examples predict nothing");
  return {
    unigram_loss: sums.u / sums.all,
    unigram_mask_loss: sums.uMask / sums.masks,
    unigram_mask_accuracy: sums.hitMask / sums.masks,
    copy_loss: sums.copy / sums.all,
    copy_accuracy: sums.copyHit / sums.all,
    bigram_mask_loss: sums.bigram / sums.masks,
    bigram_mask_accuracy: sums.bigramHit / sums.masks,
    sentence_order_majority: Math.max(...order) / examples,
    sentence_order_length_cue: cue / examples,
    predictions: sums.all,
    mask_predictions: sums.masks,
  };
}
