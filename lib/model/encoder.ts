/**
 * ALBERT's encoder (Lan et al. 2019, arXiv 1909.11942): factorised embeddings, post-LayerNorm transformer blocks that
 * share their weights, and the pooler. It follows google-research/albert modeling.py to the place of every dropout.
 *
 * Letters: B batch, S sequence, V pieces, E embedding, H hidden, A heads, d = H / A, I intermediate, L layers. Between
 * the parts a sequence is [B*S, H], so that each dense layer is one large product.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { add, broadcastTo, cast, concat, dot, gather, mul, reshape, slice, sub } from "../tensor/mod.ts";
import { dropout, gelu, layerNorm, randomBits, relu, softmax, splitKey, tanh } from "../tensor/mod.ts";
import { type DType, scan, stack, type Tensor, transpose } from "../tensor/mod.ts";
import { blockName, layerGroups } from "./parameters.ts";

/**
 * Weights by name, as `albertParameters` lists them.
 *
 * @example
 * ```ts
 * import { type NamedTensors, zeros } from "albert-guide";
 * const weights: NamedTensors = { "cls/seq_relationship/output_bias": zeros([2]) };
 * ```
 */
export type NamedTensors = { readonly [name: string]: Tensor };

/**
 * What the encoder reads: int32 [B, S] each.
 *
 * @example
 * ```ts
 * import type { EncoderInputs } from "albert-guide";
 * const lengthOf = ({ inputIds }: EncoderInputs): number | undefined => inputIds.shape[1];
 * ```
 */
export type EncoderInputs = {
  /** Piece ids. */ readonly inputIds: Tensor;
  /** 1 for pieces, 0 for padding. */ readonly inputMask: Tensor;
  /** 0 for segment A, 1 for segment B. */ readonly segmentIds: Tensor;
};

/**
 * How the encoder computes.
 *
 * @example
 * ```ts
 * import { type EncoderOptions, randomKey } from "albert-guide";
 * const training: EncoderOptions = { dropoutKey: randomKey(1), remat: true };
 * ```
 */
export type EncoderOptions = {
  /** uint32 [2]; without it nothing is dropped (evaluation). */ readonly dropoutKey?: Tensor;
  /** Type of the products, default float32; softmax and norms are float32 always. */
  readonly computeDtype?: "float32" | "bfloat16";
  /** Recompute each layer in the backward pass instead of storing its values, default false. */
  readonly remat?: boolean;
  /** Return every layer's output and the attention probabilities, default false. */
  readonly layers?: boolean;
};

/**
 * What the encoder returns, float32.
 *
 * @example
 * ```ts
 * import type { EncoderOutputs } from "albert-guide";
 * const widthOf = ({ sequence }: EncoderOutputs): number | undefined => sequence.shape[2];
 * ```
 */
export type EncoderOutputs = {
  /** The normalised embeddings, [B, S, E]. */ readonly embeddings: Tensor;
  /** The last layer, [B, S, H]. */ readonly sequence: Tensor;
  /** tanh of a dense layer of the first piece, [B, H]. */ readonly pooled: Tensor;
  /** With `layers`: every block's output, [L * inner, B, S, H]. */ readonly layers?: Tensor;
  /** With `layers`: every block's attention probabilities, [L * inner, B, A, S, S]. */
  readonly attention?: Tensor;
};

/** A weight by name, with a clear error where it is missing. */
export function weight(parameters: NamedTensors, name: string): Tensor {
  const found = parameters[name];
  if (found === undefined) throw new TypeError(`Cannot build the model: the weight ${name} is missing`);
  return found;
}

/** What a dense layer needs: the weights, and the type of its product. */
export type Net = { readonly parameters: NamedTensors; readonly dtype: DType };

/** [n, in] -> [n, out]: x × kernel + bias, the product in the wanted type. */
export function denseLayer({ parameters, dtype }: Net, name: string, x: Tensor): Tensor {
  const kernel = cast(weight(parameters, `${name}/kernel`), dtype); // [in, out]
  const product = dot(cast(x, dtype), kernel, { batch: [[], []], contract: [[1], [0]] });
  return add(cast(product, "float32"), weight(parameters, `${name}/bias`));
}

/** Layer normalisation with named gamma and beta. */
export function normLayer({ parameters }: Net, name: string, x: Tensor): Tensor {
  return layerNorm(x, weight(parameters, `${name}/gamma`), weight(parameters, `${name}/beta`));
}

/** The activation that a config names; "linear" and "" are none. */
export function activate(x: Tensor, { hidden_act }: AlbertConfig): Tensor {
  const none = (same: Tensor): Tensor => same;
  return { gelu, relu, tanh, linear: none, "": none }[hidden_act](x);
}

type Encoder = Net & {
  readonly config: AlbertConfig;
  readonly B: number;
  readonly S: number;
  /** 0 where a key may be seen, -10000 where not, [B, 1, 1, S]. */ readonly bias: Tensor;
};
type Key = Tensor | undefined; // of dropout; without one nothing is dropped
type Block = { readonly output: Tensor; readonly attention: Tensor };

const drop = (x: Tensor, rate: number, key: Key): Tensor => key === undefined ? x : dropout(x, rate, key);

/** Word, segment and position embeddings, summed and normalised: int32 [B, S] -> [B*S, E]. */
function embed(net: Encoder, { inputIds, segmentIds }: EncoderInputs, key: Key): Tensor {
  const { B, S, config: { embedding_size: E, hidden_dropout_prob } } = net;
  const table = (name: string): Tensor => weight(net.parameters, `bert/embeddings/${name}_embeddings`);
  const words = gather(table("word"), reshape(inputIds, [B * S])); // [B*S, E]
  const types = gather(table("token_type"), reshape(segmentIds, [B * S])); // [B*S, E]
  const positions = broadcastTo(slice(table("position"), [0, 0], [S, E]), [B, S, E]);
  const sum = add(add(words, types), reshape(positions, [B * S, E]));
  return drop(normLayer(net, "bert/embeddings/LayerNorm", sum), hidden_dropout_prob, key);
}

/** Attention of a sequence with itself: [B*S, H] -> [B*S, H], and its probabilities [B, A, S, S]. */
function selfAttention(net: Encoder, name: string, x: Tensor, key: Key): Block {
  const { B, S, bias, dtype, config: { hidden_size: H, num_attention_heads: A, ...config } } = net;
  const d = H / A;
  const heads = (part: string): Tensor => {
    const projected = denseLayer(net, `${name}/self/${part}`, x); // [B*S, H]
    return cast(transpose(reshape(projected, [B, S, A, d]), [0, 2, 1, 3]), dtype); // [B, A, S, d]
  };
  const scores = dot(heads("query"), heads("key"), { batch: [[0, 1], [0, 1]], contract: [[3], [3]] });
  const attention = softmax(add(mul(cast(scores, "float32"), 1 / Math.sqrt(d)), bias)); // [B, A, S, S]
  const kept = cast(drop(attention, config.attention_probs_dropout_prob, key), dtype);
  const mixed = dot(kept, heads("value"), { batch: [[0, 1], [0, 1]], contract: [[3], [2]] }); // [B, A, S, d]
  const merged = reshape(transpose(mixed, [0, 2, 1, 3]), [B * S, H]);
  return { output: denseLayer(net, `${name}/output/dense`, merged), attention };
}

/** One transformer block: attention, then two dense layers, each part added to its input: [B*S, H] -> [B*S, H]. */
function transformerBlock(net: Encoder, name: string, x: Tensor, key: Key): Block {
  const rate = net.config.hidden_dropout_prob;
  const [key1, key2, key3] = key === undefined ? [] : splitKey(key, 3);
  const { output, attention } = selfAttention(net, `${name}/attention_1`, x, key1);
  const attended = normLayer(net, `${name}/LayerNorm`, add(x, drop(output, rate, key2)));
  const inner = activate(denseLayer(net, `${name}/ffn_1/intermediate/dense`, attended), net.config); // [B*S, I]
  const outer = denseLayer(net, `${name}/ffn_1/intermediate/output/dense`, inner); // [B*S, H]
  return { output: normLayer(net, `${name}/LayerNorm_1`, add(attended, drop(outer, rate, key3))), attention };
}

type Layers = { readonly last: Tensor; readonly outputs: Tensor[]; readonly attention: Tensor[] };

/** All layers: for each group a loop over the layers that share its blocks, [B*S, H] -> [B*S, H]. */
function allLayers(net: Encoder, x: Tensor, key: Key, options: EncoderOptions): Layers {
  const { num_hidden_layers: L, inner_group_num: inners } = net.config;
  const keys = key === undefined ? undefined : randomBits(key, [L, inners, 2]); // one a block
  return layerGroups(net.config).reduce<Layers>(({ last, outputs, attention }, { group, from, to }) => {
    const sliced = keys === undefined ? [] : [slice(keys, [from, 0, 0], [to, inners, 2])];
    const { carries, stacked } = scan(([input], [keysOfLayer]) => {
      const blocks: Block[] = [];
      for (let i = 0; i < inners; i++) {
        const ownKey = keysOfLayer && reshape(slice(keysOfLayer, [i, 0], [i + 1, 2]), [2]);
        const before = blocks[i - 1]?.output ?? input as Tensor;
        blocks.push(transformerBlock(net, blockName(group, i), before, ownKey));
      }
      const every = (part: keyof Block): Tensor => stack(blocks.map((block) => block[part])); // [inner, ...]
      const stacked = options.layers === true ? [every("output"), every("attention")] : [];
      return { carries: [blocks[inners - 1]?.output as Tensor], stacked };
    }, { carries: [last], sliced, length: to - from, remat: options.remat === true });
    const [a, b] = stacked as [Tensor, Tensor]; // when asked for: [layers of the group, inner, ...]
    return { last: carries[0] as Tensor, outputs: [...outputs, a], attention: [...attention, b] };
  }, { last: x, outputs: [], attention: [] });
}

/**
 * The encoder: pieces to vectors.
 *
 * @param parameters Weights by name, float32.
 * @param inputs Ids, mask and segments.
 * @param config The architecture.
 * @param options Dropout key, type of the products, recomputation, whether to return every layer.
 * @returns `sequence` [B, S, H], `pooled` [B, H], `embeddings` [B, S, E], and on request `layers` and `attention`.
 * @throws {RangeError} When S exceeds max_position_embeddings or shapes differ.
 * @throws {TypeError} When a weight is missing.
 * @example
 * ```ts
 * import { albertEncoder, albertParameters, albertPreset, constant, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const weights = Object.fromEntries(albertParameters(config).map(({ name, shape }) => [name, zeros(shape)]));
 * const ids = (row: number[]) => constant([row], { dtype: "int32" });
 * const inputs = { inputIds: ids([2, 7, 9, 3]), inputMask: ids([1, 1, 1, 1]), segmentIds: ids([0, 0, 0, 0]) };
 * const { sequence, pooled } = albertEncoder(weights, inputs, config);
 * assert.deepEqual([sequence.shape, pooled.shape], [[1, 4, 32], [1, 32]]);
 * ```
 */
export function albertEncoder(
  parameters: NamedTensors,
  inputs: EncoderInputs,
  config: AlbertConfig,
  options: EncoderOptions = {},
): EncoderOutputs {
  const { dropoutKey, computeDtype = "float32" } = options;
  const { hidden_size: H, embedding_size: E, num_attention_heads: A, max_position_embeddings: most } = config;
  const [B, S] = inputs.inputIds.shape as readonly [number, number];
  if (S > most) {
    const what = `Cannot encode sequences of ${S} pieces: the position table has ${most} rows`;
    throw new RangeError(`${what}, shorten them or raise max_position_embeddings`);
  }
  const visible = reshape(cast(inputs.inputMask, "float32"), [B, 1, 1, S]);
  const net = { parameters, dtype: computeDtype, config, B, S, bias: mul(sub(1, visible), -10000) };
  const dropping = config.hidden_dropout_prob > 0 || config.attention_probs_dropout_prob > 0;
  const [key1, key2] = dropoutKey !== undefined && dropping ? splitKey(dropoutKey, 2) : [];
  const embeddings = embed(net, inputs, key1); // [B*S, E]
  const mapping = "bert/encoder/embedding_hidden_mapping_in"; // the reference has none where E = H
  const x = E === H ? embeddings : denseLayer(net, mapping, embeddings); // [B*S, H]
  const { last, outputs: every, attention } = allLayers(net, x, key2, options);
  const sequence = reshape(last, [B, S, H]);
  const first = reshape(slice(sequence, [0, 0, 0], [B, 1, H]), [B, H]);
  const pooled = tanh(denseLayer(net, "bert/pooler/dense", first));
  const outputs = { embeddings: reshape(embeddings, [B, S, E]), sequence, pooled };
  if (options.layers !== true) return outputs;
  const blocks = config.num_hidden_layers * config.inner_group_num;
  const layers = reshape(concat(every), [blocks, B, S, H]);
  return { ...outputs, layers, attention: reshape(concat(attention), [blocks, B, A, S, S]) };
}
