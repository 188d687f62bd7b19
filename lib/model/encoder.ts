/**
 * ALBERT's encoder (Lan et al. 2019, arXiv 1909.11942): factorised embeddings, post-LayerNorm transformer blocks that
 * share their weights, and the pooler. It follows google-research/albert modeling.py to the place of every dropout.
 *
 * Letters: B batch, S sequence, V pieces, E embedding, H hidden, A heads, d = H / A, I intermediate, L layers. Between
 * the parts a sequence is [B*S, H], so that each dense layer is one large product.
 */
import type { AlbertConfig } from "../config/mod.ts";
import {
  add,
  broadcastTo,
  cast,
  dot,
  dropout,
  type DType,
  gather,
  gelu,
  layerNorm,
  mul,
  randomBits,
  relu,
  reshape,
  scan,
  slice,
  softmax,
  splitKey,
  stack,
  sub,
  tanh,
  type Tensor,
  transpose,
} from "../tensor/mod.ts";
import { blockName, groupOf } from "./parameters.ts";

/**
 * Weights by name, as `albertParameters` lists them.
 *
 * @example
 * ```ts
 * import { type NamedTensors, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const weights: NamedTensors = { "cls/seq_relationship/output_bias": zeros([2]) };
 * assert.equal(Object.keys(weights).length, 1);
 * ```
 */
export type NamedTensors = { readonly [name: string]: Tensor };

/**
 * What the encoder reads.
 *
 * @example
 * ```ts
 * import { type EncoderInputs, ones, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ids = zeros([1, 8], { dtype: "int32" });
 * const inputs: EncoderInputs = { inputIds: ids, inputMask: ones([1, 8], { dtype: "int32" }), segmentIds: ids };
 * assert.deepEqual(inputs.inputIds.shape, [1, 8]);
 * ```
 */
export type EncoderInputs = {
  /** Piece ids, int32 [B, S]. */
  readonly inputIds: Tensor;
  /** 1 for pieces, 0 for padding, int32 [B, S]. */
  readonly inputMask: Tensor;
  /** 0 for segment A, 1 for segment B, int32 [B, S]. */
  readonly segmentIds: Tensor;
};

/**
 * How the encoder computes.
 *
 * @example
 * ```ts
 * import { type EncoderOptions, randomKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const training: EncoderOptions = { dropoutKey: randomKey(1), remat: true };
 * assert.equal(training.dropoutKey?.dtype, "uint32");
 * ```
 */
export type EncoderOptions = {
  /** uint32 [2]; without it nothing is dropped (evaluation). */
  readonly dropoutKey?: Tensor;
  /** Type of the products, default float32; softmax and norms are float32 always. */
  readonly computeDtype?: "float32" | "bfloat16";
  /** Recompute each layer in the backward pass instead of storing its values, default false. */
  readonly remat?: boolean;
  /** Return every layer's output and the attention probabilities, default false. */
  readonly layers?: boolean;
};

/**
 * What the encoder returns.
 *
 * @example
 * ```ts
 * import type { EncoderOutputs } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const widthOf = ({ sequence }: EncoderOutputs): number | undefined => sequence.shape[2];
 * assert.equal(typeof widthOf, "function");
 * ```
 */
export type EncoderOutputs = {
  /** The normalised embeddings, float32 [B, S, E]. */
  readonly embeddings: Tensor;
  /** The last layer, float32 [B, S, H]. */
  readonly sequence: Tensor;
  /** tanh of a dense layer of the first piece, float32 [B, H]. */
  readonly pooled: Tensor;
  /** With `layers`: every block's output, float32 [L * inner, B, S, H]. */
  readonly layers?: Tensor;
  /** With `layers`: every block's attention probabilities, float32 [L * inner, B, A, S, S]. */
  readonly attention?: Tensor;
};

/** A weight by name, with a clear error where it is missing. */
export function weight(parameters: NamedTensors, name: string): Tensor {
  const found = parameters[name];
  if (found === undefined) throw new TypeError(`Cannot build the model: the weight ${name} is missing`);
  return found;
}

/** [n, in] -> [n, out]: x × kernel + bias, the product in the wanted type. */
export function denseLayer(parameters: NamedTensors, name: string, x: Tensor, dtype: DType): Tensor {
  const kernel = cast(weight(parameters, `${name}/kernel`), dtype); // [in, out]
  const product = dot(cast(x, dtype), kernel, { batch: [[], []], contract: [[1], [0]] });
  return add(cast(product, "float32"), weight(parameters, `${name}/bias`));
}

/** Layer normalisation with named gamma and beta. */
export function normLayer(parameters: NamedTensors, name: string, x: Tensor): Tensor {
  return layerNorm(x, weight(parameters, `${name}/gamma`), weight(parameters, `${name}/beta`));
}

/** The activation that the config names. */
export function activate(x: Tensor, { hidden_act }: AlbertConfig): Tensor {
  switch (hidden_act) {
    case "gelu":
      return gelu(x);
    case "relu":
      return relu(x);
    case "tanh":
      return tanh(x);
    default:
      return x;
  }
}

const drop = (x: Tensor, rate: number, key: Tensor | undefined): Tensor =>
  key === undefined ? x : dropout(x, rate, key);

type Sizes = { readonly B: number; readonly S: number };
type BlockResult = { readonly output: Tensor; readonly attention: Tensor };

/** Multi-head attention of a sequence with itself: [B*S, H] -> [B*S, H], and the probabilities [B, A, S, S]. */
function selfAttention(
  parameters: NamedTensors,
  prefix: string,
  x: Tensor,
  { bias, key, config, dtype, B, S }: BlockContext,
): BlockResult {
  const { hidden_size: H, num_attention_heads: A } = config;
  const d = H / A;
  const heads = (name: string): Tensor => {
    const projected = denseLayer(parameters, `${prefix}/self/${name}`, x, dtype); // [B*S, H]
    return cast(transpose(reshape(projected, [B, S, A, d]), [0, 2, 1, 3]), dtype); // [B, A, S, d]
  };
  const scores = dot(heads("query"), heads("key"), { batch: [[0, 1], [0, 1]], contract: [[3], [3]] });
  const attention = softmax(add(mul(cast(scores, "float32"), 1 / Math.sqrt(d)), bias)); // [B, A, S, S]
  const kept = cast(drop(attention, config.attention_probs_dropout_prob, key), dtype);
  const mixed = dot(kept, heads("value"), { batch: [[0, 1], [0, 1]], contract: [[3], [2]] }); // [B, A, S, d]
  const merged = reshape(transpose(mixed, [0, 2, 1, 3]), [B * S, H]);
  return { output: denseLayer(parameters, `${prefix}/output/dense`, merged, dtype), attention };
}

type BlockContext = Sizes & {
  /** 0 where a key may be seen, -10000 where not, [B, 1, 1, S]. */
  readonly bias: Tensor;
  readonly key: Tensor | undefined;
  readonly config: AlbertConfig;
  readonly dtype: DType;
};

/** One transformer block: [B*S, H] -> [B*S, H]. */
function transformerBlock(
  parameters: NamedTensors,
  prefix: string,
  x: Tensor,
  context: BlockContext,
): BlockResult {
  const { config, dtype } = context;
  const rate = config.hidden_dropout_prob;
  const [forAttention, forOutput, forFeedForward] = context.key === undefined ? [] : splitKey(context.key, 3);
  const { output, attention } = selfAttention(parameters, `${prefix}/attention_1`, x, {
    ...context,
    key: forAttention,
  });
  const attended = normLayer(parameters, `${prefix}/LayerNorm`, add(x, drop(output, rate, forOutput)));
  const inner = denseLayer(parameters, `${prefix}/ffn_1/intermediate/dense`, attended, dtype); // [B*S, I]
  const outer = denseLayer(
    parameters,
    `${prefix}/ffn_1/intermediate/output/dense`,
    activate(inner, config),
    dtype,
  );
  const dropped = drop(outer, rate, forFeedForward);
  return { output: normLayer(parameters, `${prefix}/LayerNorm_1`, add(attended, dropped)), attention };
}

/** Word, segment and position embeddings, summed and normalised: int32 [B, S] -> [B*S, E]. */
function embed(
  parameters: NamedTensors,
  { inputIds, segmentIds }: EncoderInputs,
  { B, S }: Sizes,
  config: AlbertConfig,
  key: Tensor | undefined,
): Tensor {
  const E = config.embedding_size;
  const table = (name: string): Tensor => weight(parameters, `bert/embeddings/${name}_embeddings`);
  const words = gather(table("word"), reshape(inputIds, [B * S])); // [B*S, E]
  const types = gather(table("token_type"), reshape(segmentIds, [B * S])); // [B*S, E]
  const positions = broadcastTo(slice(table("position"), [0, 0], [S, E]), [B, S, E]);
  const sum = add(add(words, types), reshape(positions, [B * S, E]));
  return drop(normLayer(parameters, "bert/embeddings/LayerNorm", sum), config.hidden_dropout_prob, key);
}

type Stacked = { readonly last: Tensor; readonly layers: Tensor; readonly attention: Tensor };

/** All layers as a loop over one block: for the usual case of one group and one inner block. */
function sharedLayers(
  parameters: NamedTensors,
  x: Tensor,
  context: BlockContext,
  remat: boolean,
  all: boolean,
): Stacked {
  const L = context.config.num_hidden_layers;
  const keys = context.key === undefined ? [] : [randomBits(context.key, [L, 2])]; // one key per layer
  const { carries, stacked } = scan(([input], [key]) => {
    const { output, attention } = transformerBlock(parameters, blockName(0, 0), input as Tensor, {
      ...context,
      key,
    });
    return { carries: [output], stacked: all ? [output, attention] : [] };
  }, { carries: [x], sliced: keys, length: L, remat });
  const last = carries[0] as Tensor;
  return { last, layers: stacked[0] ?? last, attention: stacked[1] ?? last };
}

/** All layers written out: several groups, or several blocks inside a layer. */
function groupedLayers(parameters: NamedTensors, x: Tensor, context: BlockContext): Stacked {
  const { num_hidden_layers: L, inner_group_num: inners } = context.config;
  const keys = context.key === undefined ? [] : splitKey(context.key, L * inners);
  const results: BlockResult[] = [];
  for (let layer = 0; layer < L; layer++) {
    for (let inner = 0; inner < inners; inner++) {
      const name = blockName(groupOf(layer, context.config), inner);
      const input = results[results.length - 1]?.output ?? x;
      results.push(transformerBlock(parameters, name, input, { ...context, key: keys[results.length] }));
    }
  }
  return {
    last: results[results.length - 1]?.output ?? x,
    layers: stack(results.map(({ output }) => output)),
    attention: stack(results.map(({ attention }) => attention)),
  };
}

/**
 * The encoder: pieces to vectors.
 *
 * @param parameters Weights by name, float32.
 * @param inputs Ids, mask and segments, int32 [B, S] each.
 * @param config The architecture.
 * @param options Dropout key, type of the products, recomputation, whether to return every layer.
 * @returns `sequence` [B, S, H], `pooled` [B, H], `embeddings` [B, S, E], and on request `layers` and `attention`.
 * @throws {RangeError} When S exceeds max_position_embeddings or shapes differ.
 * @throws {TypeError} When a weight is missing.
 * @example
 * ```ts
 * import { albertEncoder, albertParameters, albertPreset, constant, initialParameters } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const values = initialParameters(config, 1);
 * const weights = Object.fromEntries(
 *   albertParameters(config).map(({ name, shape }) => [name, constant(values[name]!, { shape })]), // ! listed there
 * );
 * const ids = (rows: number[][]) => constant(rows, { dtype: "int32" });
 * const { sequence, pooled } = albertEncoder(weights, {
 *   inputIds: ids([[2, 7, 9, 3]]),
 *   inputMask: ids([[1, 1, 1, 1]]),
 *   segmentIds: ids([[0, 0, 0, 0]]),
 * }, config);
 * assert.deepEqual([sequence.shape, pooled.shape], [[1, 4, 32], [1, 32]]);
 * ```
 */
export function albertEncoder(
  parameters: NamedTensors,
  inputs: EncoderInputs,
  config: AlbertConfig,
  { dropoutKey, computeDtype = "float32", remat = false, layers = false }: EncoderOptions = {},
): EncoderOutputs {
  const [B, S] = inputs.inputIds.shape as readonly [number, number];
  const { hidden_size: H, embedding_size: E } = config;
  if (S > config.max_position_embeddings) {
    throw new RangeError(
      `Cannot encode sequences of ${S} pieces: the position table has ${config.max_position_embeddings} rows, ` +
        "shorten them or raise max_position_embeddings",
    );
  }
  const dropping = config.hidden_dropout_prob > 0 || config.attention_probs_dropout_prob > 0;
  const [forEmbeddings, forLayers] = dropoutKey !== undefined && dropping ? splitKey(dropoutKey, 2) : [];
  const embeddings = embed(parameters, inputs, { B, S }, config, forEmbeddings); // [B*S, E]
  const x = E === H
    ? embeddings
    : denseLayer(parameters, "bert/encoder/embedding_hidden_mapping_in", embeddings, computeDtype); // [B*S, H]
  const visible = reshape(cast(inputs.inputMask, "float32"), [B, 1, 1, S]);
  const context: BlockContext = {
    bias: mul(sub(1, visible), -10000),
    key: forLayers,
    config,
    dtype: computeDtype,
    B,
    S,
  };
  const { last, layers: every, attention } = config.num_hidden_groups === 1 && config.inner_group_num === 1
    ? sharedLayers(parameters, x, context, remat, layers)
    : groupedLayers(parameters, x, context);
  const sequence = reshape(last, [B, S, H]);
  const first = reshape(slice(sequence, [0, 0, 0], [B, 1, H]), [B, H]);
  const pooled = tanh(denseLayer(parameters, "bert/pooler/dense", first, computeDtype));
  const outputs = { embeddings: reshape(embeddings, [B, S, E]), sequence, pooled };
  return layers
    ? { ...outputs, layers: reshape(every, [every.shape[0] as number, B, S, H]), attention }
    : outputs;
}
