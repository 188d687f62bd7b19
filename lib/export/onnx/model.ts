/**
 * A trained ALBERT as an ONNX model, from the graph that the engines run: ids, mask and segments to scores of pieces and
 * vectors. Names of inputs and outputs are those of Hugging Face.
 */
import type { AlbertConfig } from "../../config/mod.ts";
import type { OnnxModel } from "../../formats/mod.ts";
import { albertEncoder, albertParameters, maskedLmLogits } from "../../model/mod.ts";
import { graphOf, reshape, type Tensor, type TensorType } from "../../tensor/mod.ts";
import { buildOnnx, type OnnxWeights } from "./build.ts";

/**
 * What an ONNX model gives: `logits` for fill-mask, `last_hidden_state` for feature extraction.
 *
 * @example
 * ```ts
 * import type { OnnxOutput } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const encoderOnly: readonly OnnxOutput[] = ["last_hidden_state"];
 * assert.equal(encoderOnly.length, 1);
 * ```
 */
export type OnnxOutput = "logits" | "last_hidden_state";

/**
 * How an ONNX model is written.
 *
 * @example
 * ```ts
 * import type { OnnxOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const small: OnnxOptions = { weights: "int8", outputs: ["logits"] };
 * assert.equal(small.weights, "int8");
 * ```
 */
export type OnnxOptions = {
  /** Default `"fp32"`. */
  readonly weights?: OnnxWeights;
  /** Default both; runtimes compute all there are, and scores of 30,000 pieces are the larger part. */
  readonly outputs?: readonly OnnxOutput[];
  /** Version of the operators, 17 to 21; default 17, which the oldest runtimes in use read. */
  readonly opset?: number;
};

/** Sizes that every engine needs more of than the two lengths at which the graph is traced. */
const leastPositions = 4;

/**
 * Writes a model as ONNX: batch and length differ from run to run, one node or small group for each operation.
 *
 * @param model The architecture, and weights by TensorFlow name as in a checkpoint.
 * @param options Weights, outputs, version of the operators.
 * @returns The model; inputs `input_ids`, `attention_mask`, `token_type_ids`, int64 [batch, length]; outputs float32
 * `logits` [batch, length, pieces] and `last_hidden_state` [batch, length, hidden].
 * @throws {RangeError} When the version is none of 17 to 21, or a weight is beyond what half precision holds.
 * @throws {TypeError} When a weight is missing.
 * @example
 * ```ts
 * import { albertPreset, initialParameters, onnxModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const { inputs, outputs } = onnxModel({ config, parameters: initialParameters(config, 1) });
 * assert.deepEqual(inputs.map(({ name }) => name), ["input_ids", "attention_mask", "token_type_ids"]);
 * assert.deepEqual(outputs[0]?.shape, ["batch_size", "sequence_length", config.vocab_size]);
 * ```
 */
export function onnxModel(
  { config, parameters }: {
    readonly config: AlbertConfig;
    readonly parameters: { readonly [name: string]: Float32Array };
  },
  { weights = "fp32", outputs = ["logits", "last_hidden_state"], opset = 17 }: OnnxOptions = {},
): OnnxModel {
  const types = Object.fromEntries(
    albertParameters(config).map((
      { name, shape },
    ): [string, TensorType] => [name, { dtype: "float32", shape }]),
  );
  if (config.max_position_embeddings < leastPositions) {
    throw new RangeError(
      `Cannot write ONNX: the model has ${config.max_position_embeddings} positions, at least ${leastPositions} are needed`,
    );
  }
  const make = (batch: number, length: number) => {
    const ids: TensorType = { dtype: "int32", shape: [batch, length] };
    return graphOf((args) => {
      const { input_ids: inputIds, attention_mask: inputMask, token_type_ids: segmentIds } = args;
      const { sequence } = albertEncoder(args.weights, { inputIds, inputMask, segmentIds }, config);
      const all: { readonly [Name in OnnxOutput]: () => Tensor } = {
        logits: () => {
          const scores = maskedLmLogits(args.weights, sequence, undefined, config);
          return reshape(scores, [batch, length, config.vocab_size]);
        },
        last_hidden_state: () => sequence,
      };
      return Object.fromEntries(outputs.map((name) => [name, all[name]()]));
    }, { input_ids: ids, attention_mask: ids, token_type_ids: ids, weights: types });
  };
  return buildOnnx({
    make,
    weights,
    opset,
    wideInputs: true,
    weightOf: (argument) => {
      const name = argument.startsWith("weights.") ? argument.slice("weights.".length) : undefined;
      if (name === undefined) return undefined;
      const values = parameters[name];
      if (values === undefined) throw new TypeError(`Cannot write ONNX: the weight ${name} is missing`);
      return { name, values };
    },
  });
}
