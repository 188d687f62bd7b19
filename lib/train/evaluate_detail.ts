/**
 * Held-out metrics with what is needed to trust and compare them: perplexity, 95 % intervals, accuracy by how frequent the
 * hidden piece and its word are and by how long the word is, and the difference of two models on the same records.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { makeBands, type MetricBand } from "./bands.ts";
import type { TrainingExamples } from "./batches.ts";
import type { EvaluateOptions } from "./evaluate.ts";
import { type Outcome, outcomes, recordOf } from "./outcomes.ts";
import { addRecord, around, aroundShare, emptyRatio, type Estimate, estimate, type Ratio } from "./ratio.ts";
import type { Metrics } from "./totals.ts";

/**
 * Sums of each record in the order of the source, for comparing two models on the same records.
 *
 * @example
 * ```ts
 * import type { RecordSums } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const one: RecordSums = { masks: [4], maskLoss: [12.5], maskRight: [2], orderRight: [1] };
 * assert.equal(one.masks.length, 1);
 * ```
 */
export type RecordSums = {
  /** Predictions on `[MASK]` positions. */
  readonly masks: readonly number[];
  /** Their losses together, nats. */
  readonly maskLoss: readonly number[];
  /** How many of them are right. */
  readonly maskRight: readonly number[];
  /** 1 where the order is told right. */
  readonly orderRight: readonly number[];
};

/**
 * Metrics with intervals and bands.
 *
 * @example
 * ```ts
 * import type { DetailedMetrics } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const halfOf = ({ intervals }: DetailedMetrics, name: string): number =>
 *   ((intervals[name]?.[1] ?? NaN) - (intervals[name]?.[0] ?? NaN)) / 2;
 * assert.equal(typeof halfOf, "function");
 * ```
 */
export type DetailedMetrics = Metrics & {
  /** e to the mean loss over all predictions. */
  readonly perplexity: number;
  /** The same on `[MASK]` positions. */
  readonly mask_perplexity: number;
  /**
   * 95 % intervals by the names of the metrics. Losses: 1.96 deviations to both sides, NaN where there are fewer than two
   * records. Accuracies: Wilson's score interval over as many draws as the variance over records allows, so that it has a
   * width where nothing or everything is right.
   */
  readonly intervals: { readonly [name: string]: readonly [number, number] };
  /** Predictions on `[MASK]` positions by the rank of the hidden piece; empty bands are left out. */
  readonly by_piece_frequency: readonly MetricBand[];
  /** With `pieceOf`: by the rank of the word that holds the piece. */
  readonly by_word_frequency?: readonly MetricBand[];
  /** With `pieceOf`: by the letters of that word. */
  readonly by_word_length?: readonly MetricBand[];
  /** With `keepRecords`: the sums of every record. */
  readonly records?: RecordSums;
};

/**
 * Options of a detailed evaluation.
 *
 * @example
 * ```ts
 * import { type DetailedEvaluateOptions, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: DetailedEvaluateOptions = { engine: referenceEngine(), countOn: [], keepRecords: true };
 * assert.equal(options.batchSize, undefined);
 * ```
 */
export type DetailedEvaluateOptions = EvaluateOptions & {
  /** Examples whose labels and words are counted for the bands, such as the training examples; default the evaluated. */
  readonly countOn?: TrainingExamples;
  /** Piece of an id, as a tokenizer has it; without it there are no bands of words. */
  readonly pieceOf?: (id: number) => string;
  /** Return the sums of every record, default false. */
  readonly keepRecords?: boolean;
};

type Sums = Readonly<Record<"loss" | "right" | "maskLoss" | "maskRight" | "order" | "orderRight", Ratio>>;
type Kept = { readonly [Name in keyof RecordSums]: number[] };
type Hit = { readonly at: number; readonly label: number; readonly loss: number; readonly right: number };

/** Adds one record of a batch; returns its predictions on `[MASK]` positions. */
function addRow(sums: Sums, kept: Kept | undefined, outcome: Outcome, row: number, mask: number): Hit[] {
  const { batch, losses, right } = outcome;
  const [S, P] = [batch.input_ids.length / batch.size, batch.masked_lm_ids.length / batch.size];
  const all: Hit[] = [];
  for (let i = row * P; i < (row + 1) * P; i++) {
    if ((batch.masked_lm_weights[i] ?? 0) === 0) continue;
    const [at, label] = [batch.masked_lm_positions[i] ?? 0, batch.masked_lm_ids[i] ?? 0];
    all.push({ at, label, loss: losses[i] ?? NaN, right: right[i] ?? NaN });
  }
  const hidden = all.filter(({ at }) => batch.input_ids[row * S + at] === mask);
  const sum = (hits: readonly Hit[], part: "loss" | "right"): number =>
    hits.reduce((total, hit) => total + hit[part], 0);
  addRecord(sums.loss, sum(all, "loss"), all.length);
  addRecord(sums.right, sum(all, "right"), all.length);
  addRecord(sums.maskLoss, sum(hidden, "loss"), hidden.length);
  addRecord(sums.maskRight, sum(hidden, "right"), hidden.length);
  addRecord(sums.order, outcome.order[row] ?? NaN, 1);
  addRecord(sums.orderRight, outcome.orderRight[row] ?? NaN, 1);
  kept?.masks.push(hidden.length);
  kept?.maskLoss.push(sum(hidden, "loss"));
  kept?.maskRight.push(sum(hidden, "right"));
  kept?.orderRight.push(outcome.orderRight[row] ?? NaN);
  return hidden;
}

function resultOf(sums: Sums): Omit<DetailedMetrics, "by_piece_frequency"> {
  const [loss, right, order] = [estimate(sums.loss), estimate(sums.right), estimate(sums.order)];
  const [maskLoss, maskRight] = [estimate(sums.maskLoss), estimate(sums.maskRight)];
  const orderRight = estimate(sums.orderRight);
  const exponent = (found: Estimate): readonly [number, number] =>
    around(found).map(Math.exp) as [number, number];
  return {
    loss: loss.value + order.value,
    masked_lm_loss: loss.value,
    masked_lm_accuracy: right.value,
    masked_lm_mask_loss: maskLoss.value,
    masked_lm_mask_accuracy: maskRight.value,
    sentence_order_loss: order.value,
    sentence_order_accuracy: orderRight.value,
    predictions: sums.loss.w,
    examples: sums.order.n,
    perplexity: Math.exp(loss.value),
    mask_perplexity: Math.exp(maskLoss.value),
    intervals: {
      masked_lm_loss: around(loss),
      masked_lm_accuracy: aroundShare(sums.right),
      masked_lm_mask_loss: around(maskLoss),
      masked_lm_mask_accuracy: aroundShare(sums.maskRight),
      sentence_order_loss: around(order),
      sentence_order_accuracy: aroundShare(sums.orderRight),
      perplexity: exponent(loss),
      mask_perplexity: exponent(maskLoss),
    },
  };
}

/**
 * Evaluates weights on held-out examples with intervals, perplexities and bands.
 *
 * @param parameters Weights by name, as in a checkpoint.
 * @param config The architecture.
 * @param examples Held-out examples; made with one pass, since an interval takes every record as a text of its own.
 * @param options Engine, batch size, limit, what to count for the bands.
 * @returns The metrics; losses in nats, accuracies from 0 to 1.
 * @throws {RangeError} When there is no example or an id is outside the vocabulary.
 * @example
 * ```ts
 * import { albertPreset, evaluateInDetail, initialParameters, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const example = (label: number) => ({
 *   input_ids: Int32Array.of(2, 4, 3, 8, 3),
 *   input_mask: Int32Array.of(1, 1, 1, 1, 1),
 *   segment_ids: Int32Array.of(0, 0, 0, 1, 1),
 *   masked_lm_positions: Int32Array.of(1),
 *   masked_lm_ids: Int32Array.of(label),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * });
 * const weights = initialParameters(config, 1);
 * const options = { engine: referenceEngine(), batchSize: 2, pieceOf: (id: number) => `▁word${id}` };
 * const found = await evaluateInDetail(weights, config, [example(9), example(10)], options);
 * const [low, high] = found.intervals["perplexity"] ?? [NaN, NaN];
 * assert.ok(low <= found.perplexity && found.perplexity <= high);
 * assert.deepEqual(found.by_word_length?.map(({ band, predictions }) => [band, predictions]), [["5-6", 2]]);
 * ```
 */
export async function evaluateInDetail(
  parameters: { readonly [name: string]: Float32Array },
  config: AlbertConfig,
  examples: TrainingExamples,
  options: DetailedEvaluateOptions,
): Promise<DetailedMetrics> {
  const { maskTokenId = 4, countOn = examples, pieceOf, keepRecords = false } = options;
  const bands = await makeBands(countOn, pieceOf);
  const names = ["loss", "right", "maskLoss", "maskRight", "order", "orderRight"] as const;
  const sums = Object.fromEntries(names.map((name) => [name, emptyRatio()])) as Sums;
  const kept = keepRecords ? { masks: [], maskLoss: [], maskRight: [], orderRight: [] } : undefined;
  for await (const outcome of outcomes(parameters, config, examples, options)) {
    for (let row = 0; row < outcome.batch.size; row++) {
      const hits = addRow(sums, kept, outcome, row, maskTokenId);
      bands.addRecord(recordOf(outcome.batch, row), hits);
    }
  }
  return { ...resultOf(sums), ...bands.result(), ...(kept === undefined ? {} : { records: kept }) };
}

/**
 * How much one model differs from another on the same records: intervals are those of the paired differences, which are
 * far narrower than the two models' own, since a hard record is hard for both.
 *
 * @param first Sums of the first model's records.
 * @param second Sums of the second's, over the same records in the same order.
 * @returns Second minus first with 95 % intervals; a difference is clear when its interval leaves out 0.
 * @throws {RangeError} When the records are not the same.
 * @example
 * ```ts
 * import { compareRecords } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const before = { masks: [2, 2], maskLoss: [10, 6], maskRight: [0, 1], orderRight: [1, 0] };
 * const after = { masks: [2, 2], maskLoss: [9, 5], maskRight: [1, 2], orderRight: [1, 1] };
 * const { mask_loss, mask_accuracy } = compareRecords(before, after);
 * assert.deepEqual([mask_loss.value, mask_loss.low, mask_loss.high], [-0.5, -0.5, -0.5]);
 * assert.equal(mask_accuracy.value, 0.5);
 * ```
 */
export function compareRecords(first: RecordSums, second: RecordSums): {
  readonly [Name in "mask_loss" | "mask_accuracy" | "sentence_order_accuracy"]: {
    readonly value: number;
    readonly low: number;
    readonly high: number;
  };
} {
  const n = first.masks.length;
  if (n !== second.masks.length || first.masks.some((count, i) => count !== second.masks[i])) {
    throw new RangeError(
      `Cannot compare two evaluations: they are of other records (${n} and ${second.masks.length}), ` +
        "evaluate both on the same file",
    );
  }
  const difference = (part: keyof RecordSums, weigh: (i: number) => number) => {
    const ratio = emptyRatio();
    for (let i = 0; i < n; i++) {
      addRecord(ratio, (second[part][i] ?? NaN) - (first[part][i] ?? NaN), weigh(i));
    }
    const found = estimate(ratio);
    const [low, high] = around(found);
    return { value: found.value, low, high };
  };
  const masks = (i: number): number => first.masks[i] ?? 0;
  return {
    mask_loss: difference("maskLoss", masks),
    mask_accuracy: difference("maskRight", masks),
    sentence_order_accuracy: difference("orderRight", () => 1),
  };
}
