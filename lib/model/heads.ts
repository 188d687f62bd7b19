/**
 * The two pretraining tasks on top of the encoder, and their loss: masked pieces (tied to the word table) and sentence
 * order. Formulas: google-research/albert run_pretraining.py, `get_masked_lm_output` and `get_sentence_order_output`.
 * P is the number of predictions of a record, the other letters are those of the encoder.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { add, allReduce, cast, crossEntropy, div, dot, gather, iota, maximum, mean } from "../tensor/mod.ts";
import { minimum, mul, reduceSum, reshape, type Tensor } from "../tensor/mod.ts";
import { activate, albertEncoder, denseLayer, normLayer, weight } from "./encoder.ts";
import type { EncoderInputs, EncoderOptions, EncoderOutputs, NamedTensors } from "./encoder.ts";

/** [n, k] × [m, k] -> [n, m]: both contracted over their last dimension. */
const timesTransposed = (a: Tensor, b: Tensor): Tensor =>
  dot(a, b, { batch: [[], []], contract: [[1], [1]] });

/** The rows of [B*S, H] that positions mean, [B*P]; none leads into another sequence. */
function rowsOf(positions: Tensor, S: number): Tensor {
  const [B, P] = positions.shape as readonly [number, number];
  const within = minimum(maximum(positions, 0), S - 1);
  return reshape(add(within, mul(iota([B, P], 0), S)), [B * P]);
}

/**
 * Scores of every piece at given positions.
 *
 * @param parameters Weights by name.
 * @param sequence The encoder's last layer, [B, S, H].
 * @param positions int32 [B, P], positions in the sequence; undefined for all of them, P = S.
 * @param config The architecture.
 * @param options `computeDtype`: type of the products, default float32.
 * @returns Logits, float32 [B*P, V].
 * @example
 * ```ts
 * import { albertParameters, albertPreset, constant, maskedLmLogits, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const weights = Object.fromEntries(albertParameters(config).map(({ name, shape }) => [name, zeros(shape)]));
 * const logits = maskedLmLogits(weights, zeros([2, 8, 32]), constant([[1, 2], [3, 4]], { dtype: "int32" }), config);
 * assert.deepEqual(logits.shape, [4, 1000]);
 * ```
 */
export function maskedLmLogits(
  parameters: NamedTensors,
  sequence: Tensor,
  positions: Tensor | undefined,
  config: AlbertConfig,
  { computeDtype = "float32" }: Pick<EncoderOptions, "computeDtype"> = {},
): Tensor {
  const [B, S, H] = sequence.shape as readonly [number, number, number];
  const all = reshape(sequence, [B * S, H]);
  const chosen = positions === undefined ? all : gather(all, rowsOf(positions, S)); // [B*P, H]
  const net = { parameters, dtype: computeDtype };
  const dense = denseLayer(net, "cls/predictions/transform/dense", chosen); // [B*P, E]
  const transformed = normLayer(net, "cls/predictions/transform/LayerNorm", activate(dense, config));
  const table = weight(parameters, "bert/embeddings/word_embeddings"); // [V, E], shared with the input
  const scores = timesTransposed(cast(transformed, computeDtype), cast(table, computeDtype)); // [B*P, V]
  return add(cast(scores, "float32"), weight(parameters, "cls/predictions/output_bias"));
}

/**
 * Scores of "in order" (0) and "swapped" (1).
 *
 * @param parameters Weights by name.
 * @param pooled The encoder's pooled output, [B, H].
 * @returns Logits, float32 [B, 2].
 * @example
 * ```ts
 * import { ones, sentenceOrderLogits, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name = "cls/seq_relationship";
 * const weights = { [`${name}/output_weights`]: ones([2, 3]), [`${name}/output_bias`]: zeros([2]) };
 * assert.deepEqual(Array.from(await sentenceOrderLogits(weights, ones([1, 3])).data()), [3, 3]);
 * ```
 */
export function sentenceOrderLogits(parameters: NamedTensors, pooled: Tensor): Tensor {
  const scores = timesTransposed(pooled, weight(parameters, "cls/seq_relationship/output_weights"));
  return add(scores, weight(parameters, "cls/seq_relationship/output_bias"));
}

/**
 * A batch of records as tensors.
 *
 * @example
 * ```ts
 * import type { PretrainingInputs } from "albert-guide";
 * const predictionsOf = ({ maskedLmIds }: PretrainingInputs): number | undefined => maskedLmIds.shape[1];
 * ```
 */
export type PretrainingInputs = EncoderInputs & {
  /** int32 [B, P]. */ readonly maskedLmPositions: Tensor;
  /** The pieces that stood there, int32 [B, P]. */ readonly maskedLmIds: Tensor;
  /** 1 for predictions, 0 for padding, float32 [B, P]. */ readonly maskedLmWeights: Tensor;
  /** 0 in order, 1 swapped or random, int32 [B]. */ readonly nextSentenceLabels: Tensor;
};

/**
 * The losses in nats, and what metrics are made of.
 *
 * @example
 * ```ts
 * import type { PretrainingOutputs, Tensor } from "albert-guide";
 * const objective = ({ loss }: PretrainingOutputs): Tensor => loss;
 * ```
 */
export type PretrainingOutputs = EncoderOutputs & {
  /** Sum of both losses, scalar. */ readonly loss: Tensor;
  /** Σ weight × loss / (Σ weight + 1e-5), scalar. */ readonly maskedLmLoss: Tensor;
  /** Mean over the batch, scalar. */ readonly sentenceOrderLoss: Tensor;
  /** Loss of each prediction, [B*P]. */ readonly maskedLmLosses: Tensor;
  /** Loss of each record's order, [B]. */ readonly sentenceOrderLosses: Tensor;
  /** [B*P, V]. */ readonly maskedLmLogits: Tensor;
  /** [B, 2]. */ readonly sentenceOrderLogits: Tensor;
};

/**
 * The pretraining loss: masked pieces plus sentence order, weights 1 and 1.
 *
 * @param parameters Weights by name.
 * @param inputs A batch.
 * @param config The architecture.
 * @param options As for the encoder.
 * @returns The losses in nats, and the values they are made of.
 * @throws {RangeError} When shapes do not fit.
 * @example
 * ```ts
 * import { albertParameters, albertPreset, pretrainingLoss, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const weights = Object.fromEntries(albertParameters(config).map(({ name, shape }) => [name, zeros(shape)]));
 * const [ids, some] = [zeros([1, 8], { dtype: "int32" }), zeros([1, 2], { dtype: "int32" })];
 * const { sentenceOrderLoss } = pretrainingLoss(weights, {
 *   ...{ inputIds: ids, inputMask: ids, segmentIds: ids, nextSentenceLabels: zeros([1], { dtype: "int32" }) },
 *   ...{ maskedLmPositions: some, maskedLmIds: some, maskedLmWeights: zeros([1, 2]) },
 * }, config);
 * assert.ok(Math.abs((await sentenceOrderLoss.data())[0]! - Math.log(2)) < 1e-6); // ! a scalar
 * ```
 */
export function pretrainingLoss(
  parameters: NamedTensors,
  inputs: PretrainingInputs,
  config: AlbertConfig,
  options: EncoderOptions = {},
): PretrainingOutputs {
  const encoded = albertEncoder(parameters, inputs, config, options);
  const [B, P] = inputs.maskedLmIds.shape as readonly [number, number];
  const logits = maskedLmLogits(parameters, encoded.sequence, inputs.maskedLmPositions, config, options);
  const maskedLmLosses = crossEntropy(logits, reshape(inputs.maskedLmIds, [B * P])); // [B*P]
  const weights = reshape(inputs.maskedLmWeights, [B * P]);
  const sum = (values: Tensor): Tensor => allReduce(reduceSum(values)); // over all devices
  const maskedLmLoss = div(sum(mul(maskedLmLosses, weights)), add(sum(weights), 1e-5));
  const order = sentenceOrderLogits(parameters, encoded.pooled); // [B, 2]
  const sentenceOrderLosses = crossEntropy(order, reshape(inputs.nextSentenceLabels, [B])); // [B]
  const sentenceOrderLoss = mean(sentenceOrderLosses);
  const loss = add(maskedLmLoss, sentenceOrderLoss);
  const losses = { loss, maskedLmLoss, sentenceOrderLoss, maskedLmLosses, sentenceOrderLosses };
  return { ...encoded, ...losses, maskedLmLogits: logits, sentenceOrderLogits: order };
}
