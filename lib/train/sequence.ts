/**
 * The encoder without its pooler, for what reads every piece: tags of words, mean-pooled vectors.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { albertEncoder, albertParameters, type EncoderInputs, type EncoderOptions } from "../model/mod.ts";
import type { NamedTensors, ParameterSpec } from "../model/mod.ts";
import { type Tensor, zeros } from "../tensor/mod.ts";

/** The weights of the encoder without the pooler and the heads of pretraining. */
export const sequenceParameters = (config: AlbertConfig): ParameterSpec[] =>
  albertParameters(config).filter(({ name }) => !/^(cls|bert\/pooler)\//.test(name));

/** The last layer, [B, S, H]. */
export function encodeSequence(
  parameters: NamedTensors,
  inputs: EncoderInputs,
  config: AlbertConfig,
  options: EncoderOptions = {},
): Tensor {
  // The encoder always builds the pooler; nothing reads it here, so it drops out of the program whatever its weights are.
  const H = config.hidden_size;
  const unread = { "bert/pooler/dense/kernel": zeros([H, H]), "bert/pooler/dense/bias": zeros([H]) };
  return albertEncoder({ ...parameters, ...unread }, inputs, config, options).sequence;
}
