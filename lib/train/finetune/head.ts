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

/** What the head depends on. */
export type HeadShape = { readonly task: FinetuneTask; readonly labels: number };

/** The weights of the encoder that a task uses, and its head. */
export function taskParameters(config: AlbertConfig, { task, labels }: HeadShape): ParameterSpec[] {
  const unused = task === "tokens" ? /^(cls|bert\/pooler)\// : /^cls\//;
  return [
    ...albertParameters(config).filter(({ name }) => !unused.test(name)),
    { name: "output_weights", shape: [labels, config.hidden_size], init: "normal" },
    { name: "output_bias", shape: [labels], init: "zeros" },
  ];
}

/** Scores of the labels: float32 [B, labels], with tags [B*S, labels]. */
export function taskLogits(
  parameters: NamedTensors,
  inputs: EncoderInputs,
  config: AlbertConfig,
  { task, rate, ...options }: EncoderOptions & { readonly task: FinetuneTask; readonly rate: number },
): Tensor {
  const [forEncoder, forHead] = options.dropoutKey === undefined ? [] : splitKey(options.dropoutKey, 2);
  const { sequence, pooled } = albertEncoder(parameters, inputs, config, {
    ...options,
    ...(forEncoder === undefined ? {} : { dropoutKey: forEncoder }),
  });
  const [B, S, H] = sequence.shape as readonly [number, number, number];
  const features = task === "tokens" ? reshape(sequence, [B * S, H]) : pooled;
  const kept = forHead === undefined || rate === 0 ? features : dropout(features, rate, forHead);
  const { output_weights, output_bias } = parameters as { readonly [name: string]: Tensor };
  if (output_weights === undefined || output_bias === undefined) {
    throw new TypeError("Cannot score labels: output_weights or output_bias is missing");
  }
  return add(dot(kept, output_weights, { batch: [[], []], contract: [[1], [1]] }), output_bias);
}
