/**
 * Held-out metrics with what is needed to trust and compare them: perplexity, 95 % intervals, and accuracy by how
 * frequent the hidden piece is.
 *
 * The predictions of one record share a text, so they are no independent draws: an interval is that of a ratio of sums
 * over records (the linearised variance of cluster samples: Cochran 1977, Sampling Techniques, 6.5 and 9A.5). Records that
 * repeat a text with other masks (`dupe_factor`) still count as independent; evaluate on records made with one pass.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { pretrainingLoss } from "../model/mod.ts";
import { compile, reshape } from "../tensor/mod.ts";
import { type Batch, readBatches, type TrainingExamples } from "./batches.ts";
import { checkIds, type EvaluateOptions } from "./evaluate.ts";
import { parameterTypes, uploadAll } from "./step.ts";
import { batchArrays, batchTypes, correctOnes, type Metrics, modelInputs } from "./totals.ts";

/**
 * Predictions on `[MASK]` positions whose hidden piece has one range of ranks.
 *
 * @example
 * ```ts
 * import type { FrequencyBand } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rare = ({ ranks }: FrequencyBand): boolean => ranks === "never counted";
 * assert.equal(typeof rare, "function");
 * ```
 */
export type FrequencyBand = {
  /** Ranks by frequency, 1 the most frequent piece: `1-10`, `11-100` ..., or `never counted`. */
  readonly ranks: string;
  /** Predictions in the band. */
  readonly predictions: number;
  /** Share right, and its 95 % interval. */
  readonly accuracy: number;
  readonly accuracy_interval: readonly [number, number];
  /** Mean loss, nats. */
  readonly loss: number;
};

/**
 * Metrics with intervals and bands.
 *
 * @example
 * ```ts
 * import type { DetailedMetrics } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const clearlyBelow = (a: DetailedMetrics, b: DetailedMetrics): boolean =>
 *   (a.intervals["masked_lm_mask_loss"]?.[1] ?? NaN) < (b.intervals["masked_lm_mask_loss"]?.[0] ?? NaN);
 * assert.equal(typeof clearlyBelow, "function");
 * ```
 */
export type DetailedMetrics = Metrics & {
  /** e to the mean loss over all predictions. */
  readonly perplexity: number;
  /** The same on `[MASK]` positions. */
  readonly mask_perplexity: number;
  /** 95 % intervals by the names of the metrics; NaN where there are fewer than two records. */
  readonly intervals: { readonly [name: string]: readonly [number, number] };
  /** Predictions on `[MASK]` positions by the rank of the hidden piece; empty bands are left out. */
  readonly bands: readonly FrequencyBand[];
};

/**
 * Options of a detailed evaluation.
 *
 * @example
 * ```ts
 * import { type DetailedEvaluateOptions, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: DetailedEvaluateOptions = { engine: referenceEngine(), countOn: [] };
 * assert.equal(options.batchSize, undefined);
 * ```
 */
export type DetailedEvaluateOptions = EvaluateOptions & {
  /** Examples whose labels are counted for the bands, such as the training examples; default the evaluated ones. */
  readonly countOn?: TrainingExamples;
};

/** Sums over records from which a ratio and its interval follow. */
export type Ratio = { n: number; y: number; w: number; yy: number; yw: number; ww: number };

export const emptyRatio = (): Ratio => ({ n: 0, y: 0, w: 0, yy: 0, yw: 0, ww: 0 });

/** Adds a record: sum of values y over weight w. */
export function addRecord(ratio: Ratio, y: number, w: number): void {
  if (w === 0) return;
  ratio.n++;
  ratio.y += y;
  ratio.w += w;
  ratio.yy += y * y;
  ratio.yw += y * w;
  ratio.ww += w * w;
}

/** The ratio of the sums and its interval: 1.96 deviations to both sides. */
export function estimate({ n, y, w, yy, yw, ww }: Ratio): { readonly value: number; readonly half: number } {
  const value = y / w;
  const spread = Math.max(0, yy - 2 * value * yw + value * value * ww);
  return { value, half: n < 2 ? NaN : 1.96 * Math.sqrt(spread * n / (n - 1)) / w };
}

const around = (
  { value, half }: { readonly value: number; readonly half: number },
): readonly [number, number] => [
  value - half,
  value + half,
];
const share = (found: { readonly value: number; readonly half: number }): readonly [number, number] => {
  const [low, high] = around(found);
  return [Math.max(0, low), Math.min(1, high)];
};

/** Rank of every piece by its count as a label, 1 the most frequent; 0 for one that is never counted. */
async function ranksOf(examples: TrainingExamples, vocabSize: number): Promise<Int32Array> {
  const counts = new Float64Array(vocabSize);
  for await (const example of typeof examples === "function" ? examples() : examples) {
    example.masked_lm_ids.forEach((id, i) => {
      if ((example.masked_lm_weights[i] ?? 0) > 0) counts[id] = (counts[id] ?? 0) + 1;
    });
  }
  const ranks = new Int32Array(vocabSize);
  [...counts.keys()].filter((id) => (counts[id] ?? 0) > 0)
    .sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b)
    .forEach((id, i) => ranks[id] = i + 1);
  return ranks;
}

const edges = [10, 100, 1000, 10000, Infinity];
const bandNames = [
  ...["1-10", "11-100", "101-1,000", "1,001-10,000", "10,001 and more"],
  "never counted",
];
const bandOf = (rank: number): number => rank === 0 ? edges.length : edges.findIndex((edge) => rank <= edge);

type Sums = {
  readonly loss: Ratio;
  readonly right: Ratio;
  readonly maskLoss: Ratio;
  readonly maskRight: Ratio;
  readonly order: Ratio;
  readonly orderRight: Ratio;
  readonly bands: readonly { readonly loss: Ratio; readonly right: Ratio }[];
};

type Outcome = {
  readonly losses: ArrayLike<number>;
  readonly right: ArrayLike<number>;
  readonly order: ArrayLike<number>;
  readonly orderRight: ArrayLike<number>;
};

/** Adds every record of a batch. */
function addBatch(sums: Sums, batch: Batch, mask: number, ranks: Int32Array, outcome: Outcome): void {
  const [S, P] = [batch.input_ids.length / batch.size, batch.masked_lm_ids.length / batch.size];
  for (let row = 0; row < batch.size; row++) {
    const all = { loss: 0, right: 0, n: 0 };
    const masked = { loss: 0, right: 0, n: 0 };
    const bands = bandNames.map(() => ({ loss: 0, right: 0, n: 0 }));
    for (let i = row * P; i < (row + 1) * P; i++) {
      if ((batch.masked_lm_weights[i] ?? 0) === 0) continue;
      const hidden = batch.input_ids[row * S + (batch.masked_lm_positions[i] ?? 0)] === mask;
      const band = bands[bandOf(ranks[batch.masked_lm_ids[i] ?? 0] ?? 0)];
      for (const part of hidden && band !== undefined ? [all, masked, band] : [all]) {
        part.loss += outcome.losses[i] ?? NaN;
        part.right += outcome.right[i] ?? NaN;
        part.n++;
      }
    }
    addRecord(sums.loss, all.loss, all.n);
    addRecord(sums.right, all.right, all.n);
    addRecord(sums.maskLoss, masked.loss, masked.n);
    addRecord(sums.maskRight, masked.right, masked.n);
    addRecord(sums.order, outcome.order[row] ?? NaN, 1);
    addRecord(sums.orderRight, outcome.orderRight[row] ?? NaN, 1);
    bands.forEach(({ loss, right, n }, i) => {
      const band = sums.bands[i];
      if (band === undefined) return;
      addRecord(band.loss, loss, n);
      addRecord(band.right, right, n);
    });
  }
}

function resultOf(sums: Sums): DetailedMetrics {
  const [loss, right, maskLoss, maskRight, order, orderRight] = [
    ...[sums.loss, sums.right, sums.maskLoss],
    ...[sums.maskRight, sums.order, sums.orderRight],
  ].map(estimate) as [Found, Found, Found, Found, Found, Found];
  const exponent = (found: Found): readonly [number, number] =>
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
      masked_lm_accuracy: share(right),
      masked_lm_mask_loss: around(maskLoss),
      masked_lm_mask_accuracy: share(maskRight),
      sentence_order_loss: around(order),
      sentence_order_accuracy: share(orderRight),
      perplexity: exponent(loss),
      mask_perplexity: exponent(maskLoss),
    },
    bands: sums.bands.flatMap((band, i) => {
      if (band.right.w === 0) return [];
      const accuracy = estimate(band.right);
      return [{
        ranks: bandNames[i] ?? "",
        predictions: band.right.w,
        accuracy: accuracy.value,
        accuracy_interval: share(accuracy),
        loss: estimate(band.loss).value,
      }];
    }),
  };
}

type Found = ReturnType<typeof estimate>;

/** The program of one batch: losses and hits of every prediction, [B*P], and of every order, [B]. */
function build(config: AlbertConfig, B: number, S: number, P: number, engine: EvaluateOptions["engine"]) {
  return compile(
    ({ parameters, batch }) => {
      const out = pretrainingLoss(parameters, modelInputs(batch), config);
      return {
        losses: out.maskedLmLosses,
        right: correctOnes(out.maskedLmLogits, reshape(batch.masked_lm_ids, [B * P])),
        order: out.sentenceOrderLosses,
        orderRight: correctOnes(out.sentenceOrderLogits, batch.next_sentence_labels),
      };
    },
    { parameters: parameterTypes(config), batch: batchTypes(B, S, P) },
    { engine },
  );
}

/**
 * Evaluates weights on held-out examples with intervals, perplexities and bands of frequency.
 *
 * @param parameters Weights by name, as in a checkpoint.
 * @param config The architecture.
 * @param examples Held-out examples.
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
 * const { perplexity, intervals, bands } = await evaluateInDetail(
 *   initialParameters(config, 1),
 *   config,
 *   [example(9), example(10)],
 *   { engine: referenceEngine(), batchSize: 2 },
 * );
 * const [low, high] = intervals["perplexity"] ?? [NaN, NaN];
 * assert.ok(low <= perplexity && perplexity <= high);
 * assert.deepEqual(bands.map(({ ranks, predictions }) => [ranks, predictions]), [["1-10", 2]]);
 * ```
 */
export async function evaluateInDetail(
  parameters: { readonly [name: string]: Float32Array },
  config: AlbertConfig,
  examples: TrainingExamples,
  { engine, batchSize = 64, maxBatches = Infinity, maskTokenId = 4, signal, countOn = examples }:
    DetailedEvaluateOptions,
): Promise<DetailedMetrics> {
  const ranks = await ranksOf(countOn, config.vocab_size);
  const pair = (): { readonly loss: Ratio; readonly right: Ratio } => ({
    loss: emptyRatio(),
    right: emptyRatio(),
  });
  const sums: Sums = {
    ...pair(),
    maskLoss: emptyRatio(),
    maskRight: emptyRatio(),
    order: emptyRatio(),
    orderRight: emptyRatio(),
    bands: bandNames.map(pair),
  };
  const uploaded = await uploadAll(parameters, parameterTypes(config), engine);
  let program: Awaited<ReturnType<typeof build>> | undefined;
  let batches = 0;
  try {
    for await (const batch of readBatches(examples, { batchSize })) {
      if (batches++ >= maxBatches) break;
      signal?.throwIfAborted();
      checkIds(batch, config);
      const [S, P] = [batch.input_ids, batch.masked_lm_ids].map(({ length }) => length / batch.size) as [
        number,
        number,
      ];
      program ??= await build(config, batchSize, S, P, engine);
      const out = await program.run({
        parameters: uploaded,
        batch: batchArrays(batch, maskTokenId, batchSize),
      });
      addBatch(sums, batch, maskTokenId, ranks, {
        losses: await out.losses.data(),
        right: await out.right.data(),
        order: await out.order.data(),
        orderRight: await out.orderRight.data(),
      });
      Object.values(out).forEach((array) => array.dispose());
    }
  } finally {
    Object.values(uploaded).forEach((array) => array.dispose());
    program?.dispose();
  }
  if (batches === 0) throw new RangeError("Cannot evaluate: the source holds no example");
  return resultOf(sums);
}
