/**
 * Sums over batches from which every metric follows, on the device as one vector, so that a step downloads nothing and a
 * log line downloads 9 numbers. `[MASK]` positions are counted apart: the other masked positions show the piece itself
 * or a random one, and their loss falls without any use of context.
 */
import type { PretrainingInputs, PretrainingOutputs } from "../model/mod.ts";
import {
  cast,
  compare,
  mul,
  oneHot,
  reduceMax,
  reduceSum,
  reshape,
  stack,
  type Tensor,
  type TensorType,
} from "../tensor/mod.ts";
import type { Batch } from "./batches.ts";

/** How many sums there are. */
export const totalsLength = 9;

/**
 * Means over examples or predictions, named as the reference names them; losses in nats.
 *
 * @example
 * ```ts
 * import type { Metrics } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const perplexity = ({ masked_lm_loss }: Metrics): number => Math.exp(masked_lm_loss);
 * assert.equal(typeof perplexity, "function");
 * ```
 */
export type Metrics = {
  /** Sum of both losses. */
  readonly loss: number;
  /** Mean over all predictions. */
  readonly masked_lm_loss: number;
  /** Share of predictions whose best piece is the right one. */
  readonly masked_lm_accuracy: number;
  /** Mean over predictions whose input is [MASK]: shows the use of context. */
  readonly masked_lm_mask_loss: number;
  /** Share right among them. */
  readonly masked_lm_mask_accuracy: number;
  /** Mean over examples. */
  readonly sentence_order_loss: number;
  /** Share of examples whose order is told right. */
  readonly sentence_order_accuracy: number;
  /** Predictions counted. */
  readonly predictions: number;
  /** Examples counted. */
  readonly examples: number;
};

/** The arrays of a batch as a program takes them; two weights are added to those of the records. */
export type BatchArrays = {
  readonly [Name in keyof BatchTypes]: Int32Array | Float32Array;
};

/** Types of those arrays. */
export type BatchTypes = {
  readonly [
    Name in
      | "input_ids"
      | "input_mask"
      | "segment_ids"
      | "masked_lm_positions"
      | "masked_lm_ids"
      | "masked_lm_weights"
      | "next_sentence_labels"
      | "mask_weights"
      | "example_weights"
  ]: TensorType;
};

/** Types of a batch of B examples, S pieces, P predictions. */
export function batchTypes(B: number, S: number, P: number): BatchTypes {
  const ints = (...shape: number[]): TensorType => ({ dtype: "int32", shape });
  const floats = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
  return {
    input_ids: ints(B, S),
    input_mask: ints(B, S),
    segment_ids: ints(B, S),
    masked_lm_positions: ints(B, P),
    masked_lm_ids: ints(B, P),
    masked_lm_weights: floats(B, P),
    next_sentence_labels: ints(B),
    mask_weights: floats(B, P),
    example_weights: floats(B),
  };
}

/** A batch for a program of `rows` rows: missing rows are filled with zeros, which weigh nothing. */
export function batchArrays(batch: Batch, maskTokenId: number, rows: number = batch.size): BatchArrays {
  const { input_ids, masked_lm_positions, masked_lm_weights, size } = batch;
  const S = input_ids.length / size;
  const P = masked_lm_positions.length / size;
  const ints = (values: Int32Array): Int32Array => {
    if (rows === size) return values;
    const padded = new Int32Array(values.length / size * rows);
    padded.set(values);
    return padded;
  };
  const weights = new Float32Array(rows * P);
  weights.set(masked_lm_weights);
  const maskWeights = new Float32Array(rows * P);
  for (let i = 0; i < masked_lm_positions.length; i++) {
    const row = Math.floor(i / P);
    const id = input_ids[row * S + (masked_lm_positions[i] ?? 0)];
    maskWeights[i] = id === maskTokenId ? masked_lm_weights[i] ?? 0 : 0;
  }
  return {
    input_ids: ints(input_ids),
    input_mask: ints(batch.input_mask),
    segment_ids: ints(batch.segment_ids),
    masked_lm_positions: ints(masked_lm_positions),
    masked_lm_ids: ints(batch.masked_lm_ids),
    masked_lm_weights: weights,
    next_sentence_labels: ints(batch.next_sentence_labels),
    mask_weights: maskWeights,
    example_weights: new Float32Array(rows).fill(1, 0, size),
  };
}

/** The names that the model gives to the arrays of a batch. */
export function modelInputs(batch: { readonly [Name in keyof BatchTypes]: Tensor }): PretrainingInputs {
  return {
    inputIds: batch.input_ids,
    inputMask: batch.input_mask,
    segmentIds: batch.segment_ids,
    maskedLmPositions: batch.masked_lm_positions,
    maskedLmIds: batch.masked_lm_ids,
    maskedLmWeights: batch.masked_lm_weights,
    nextSentenceLabels: batch.next_sentence_labels,
  };
}

/** 1 where no class has a higher score than the label: [n, classes], int32 [n] -> float32 [n]. */
export function correctOnes(logits: Tensor, labels: Tensor): Tensor {
  const ofLabel = reduceSum(mul(logits, oneHot(labels, logits.shape[1] as number)), [-1]);
  return cast(compare(ofLabel, "ge", reduceMax(logits, [-1])), "float32");
}

/** The sums of one batch, float32 [9]. */
export function batchTotals(
  out: PretrainingOutputs,
  batch: { readonly [Name in keyof BatchTypes]: Tensor },
): Tensor {
  const n = out.maskedLmLosses.shape[0] as number;
  const flat = (x: Tensor): Tensor => reshape(x, [n]);
  const right = correctOnes(out.maskedLmLogits, flat(batch.masked_lm_ids));
  const weighted = (values: Tensor, weights: Tensor): Tensor => reduceSum(mul(values, weights));
  const [all, masks] = [flat(batch.masked_lm_weights), flat(batch.mask_weights)];
  const orderRight = correctOnes(out.sentenceOrderLogits, batch.next_sentence_labels);
  return stack([
    weighted(out.maskedLmLosses, all),
    weighted(right, all),
    reduceSum(all),
    weighted(out.maskedLmLosses, masks),
    weighted(right, masks),
    reduceSum(masks),
    weighted(out.sentenceOrderLosses, batch.example_weights),
    weighted(orderRight, batch.example_weights),
    reduceSum(batch.example_weights),
  ]);
}

/** Means from sums; a mean over nothing is NaN. */
export function metricsOf(totals: ArrayLike<number>): Metrics {
  const [mlm, right, weight, maskLoss, maskRight, masks, order, orderRight, examples] = Array.from(
    { length: totalsLength },
    (_, i) => totals[i] ?? NaN,
  ) as [number, number, number, number, number, number, number, number, number];
  return {
    loss: mlm / weight + order / examples,
    masked_lm_loss: mlm / weight,
    masked_lm_accuracy: right / weight,
    masked_lm_mask_loss: maskLoss / masks,
    masked_lm_mask_accuracy: maskRight / masks,
    sentence_order_loss: order / examples,
    sentence_order_accuracy: orderRight / examples,
    predictions: weight,
    examples,
  };
}
