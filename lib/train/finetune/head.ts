/**
 * The head of a fine-tuned model: one dense layer on the pooled output (a text, a pair) or on every piece (tags), after
 * dropout. Weights and initialization are those of the reference's run_classifier.py: `output_weights` [labels, H] from a
 * truncated normal, `output_bias` zeros. The heads of pretraining are left out, and with tags the pooler too, as in
 * Hugging Face's AlbertForSequenceClassification and AlbertForTokenClassification.
 */
import type { AlbertConfig, FinetuneTask } from "../../config/mod.ts";
import { albertEncoder, albertParameters, type EncoderInputs, type EncoderOptions } from "../../model/mod.ts";
import type { NamedTensors, ParameterSpec } from "../../model/mod.ts";
import { add, dot, dropout, reshape, splitKey, type Tensor } from "../../tensor/mod.ts";
import { encodeSequence, sequenceParameters } from "../sequence.ts";

/**
 * What the head depends on: the task and the number of labels.
 *
 * @example
 * ```ts
 * import type { HeadShape } from "albert-guide";
 *
 * const shape: HeadShape = { task: "classify", labels: 2 };
 * ```
 */
export type HeadShape = { readonly task: FinetuneTask; readonly labels: number };

/**
 * The weights of a fine-tuned model: those of the encoder that its task uses, and its head.
 *
 * @param config The architecture.
 * @param shape The task and the number of labels.
 * @returns Names, shapes and first values.
 * @example
 * ```ts
 * import { albertPreset, taskParameters } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const names = taskParameters(albertPreset("tiny"), { task: "tokens", labels: 3 }).map(({ name }) => name);
 * assert.deepEqual(names.slice(-2), ["output_weights", "output_bias"]);
 * assert.ok(!names.includes("bert/pooler/dense/kernel"));
 * ```
 */
export function taskParameters(config: AlbertConfig, { task, labels }: HeadShape): ParameterSpec[] {
  const encoder = task === "tokens"
    ? sequenceParameters(config)
    : albertParameters(config).filter(({ name }) => !name.startsWith("cls/"));
  return [
    ...encoder,
    { name: "output_weights", shape: [labels, config.hidden_size], init: "normal" },
    { name: "output_bias", shape: [labels], init: "zeros" },
  ];
}

/** [B, S, H] -> [B*S, H]. */
function rows(sequence: Tensor): Tensor {
  const [B, S, H] = sequence.shape as readonly [number, number, number];
  return reshape(sequence, [B * S, H]);
}

/** Scores of the labels: float32 [B, labels], with tags [B*S, labels]. */
export function taskLogits(
  parameters: NamedTensors,
  inputs: EncoderInputs,
  config: AlbertConfig,
  { task, rate, ...options }: EncoderOptions & { readonly task: FinetuneTask; readonly rate: number },
): Tensor {
  const [forEncoder, forHead] = options.dropoutKey === undefined ? [] : splitKey(options.dropoutKey, 2);
  const encoding = { ...options, ...(forEncoder === undefined ? {} : { dropoutKey: forEncoder }) };
  const features = task === "tokens"
    ? rows(encodeSequence(parameters, inputs, config, encoding))
    : albertEncoder(parameters, inputs, config, encoding).pooled;
  const kept = forHead === undefined || rate === 0 ? features : dropout(features, rate, forHead);
  const { output_weights, output_bias } = parameters as { readonly [name: string]: Tensor };
  if (output_weights === undefined || output_bias === undefined) {
    throw new TypeError("Cannot score labels: output_weights or output_bias is missing");
  }
  return add(dot(kept, output_weights, { batch: [[], []], contract: [[1], [1]] }), output_bias);
}
