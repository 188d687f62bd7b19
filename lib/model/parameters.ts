/**
 * The weights of ALBERT: their names, shapes and first values. Names, order and shapes are those of the variables that
 * google-research/albert creates (modeling.py, run_pretraining.py), without TensorFlow's ":0"; kernels are [in, out].
 */
import type { AlbertConfig } from "../config/mod.ts";
import { hashBits, type Shape, sizeOf } from "../tensor/mod.ts";

/**
 * One weight: its name, shape and how it starts.
 *
 * @example
 * ```ts
 * import { albertParameters, albertPreset, type ParameterSpec } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const table: ParameterSpec | undefined = albertParameters(albertPreset("base"))[0];
 * assert.deepEqual(table?.shape, [30000, 128]);
 * ```
 */
export type ParameterSpec = {
  /** Name of the TensorFlow variable. */
  readonly name: string;
  /** Sizes, kernels as [in, out]. */
  readonly shape: Shape;
  /** First values: a truncated normal for kernels and tables, zeros for biases and beta, ones for gamma. */
  readonly init: "normal" | "zeros" | "ones";
};

/** The group whose weights layer `layer` uses: int(l / L × G) in floating point, as the reference computes it. */
export function groupOf(layer: number, { num_hidden_layers, num_hidden_groups }: AlbertConfig): number {
  return Math.floor(layer / num_hidden_layers * num_hidden_groups);
}

/** Prefix of the names of one block. */
export function blockName(group: number, inner: number): string {
  return `bert/encoder/transformer/group_${group}/inner_group_${inner}`;
}

const dense = (name: string, inputs: number, outputs: number): ParameterSpec[] => [
  { name: `${name}/kernel`, shape: [inputs, outputs], init: "normal" },
  { name: `${name}/bias`, shape: [outputs], init: "zeros" },
];

const norm = (name: string, width: number): ParameterSpec[] => [
  { name: `${name}/beta`, shape: [width], init: "zeros" },
  { name: `${name}/gamma`, shape: [width], init: "ones" },
];

function block(prefix: string, H: number, I: number): ParameterSpec[] {
  return [
    ...["query", "key", "value"].flatMap((name) => dense(`${prefix}/attention_1/self/${name}`, H, H)),
    ...dense(`${prefix}/attention_1/output/dense`, H, H),
    ...norm(`${prefix}/LayerNorm`, H),
    ...dense(`${prefix}/ffn_1/intermediate/dense`, H, I),
    ...dense(`${prefix}/ffn_1/intermediate/output/dense`, I, H),
    ...norm(`${prefix}/LayerNorm_1`, H),
  ];
}

/**
 * Every weight of the model with both heads, in the order the reference creates them.
 *
 * @param config The architecture.
 * @returns Names, shapes and first values; layers that share weights share names.
 * @example
 * ```ts
 * import { albertParameters, albertPreset } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const count = albertParameters(albertPreset("base"))
 *   .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
 * assert.equal(count, 11_813_810);
 * ```
 */
export function albertParameters(config: AlbertConfig): readonly ParameterSpec[] {
  const { vocab_size: V, embedding_size: E, hidden_size: H, intermediate_size: I } = config;
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => groupOf(layer, config));
  return [
    { name: "bert/embeddings/word_embeddings", shape: [V, E], init: "normal" },
    { name: "bert/embeddings/token_type_embeddings", shape: [config.type_vocab_size, E], init: "normal" },
    {
      name: "bert/embeddings/position_embeddings",
      shape: [config.max_position_embeddings, E],
      init: "normal",
    },
    ...norm("bert/embeddings/LayerNorm", E),
    // With E = H the reference has no mapping layer.
    ...(E === H ? [] : dense("bert/encoder/embedding_hidden_mapping_in", E, H)),
    ...[...new Set(layers)].flatMap((group) =>
      Array.from({ length: config.inner_group_num }, (_, inner) => block(blockName(group, inner), H, I))
        .flat()
    ),
    ...dense("bert/pooler/dense", H, H),
    ...dense("cls/predictions/transform/dense", H, E),
    ...norm("cls/predictions/transform/LayerNorm", E),
    { name: "cls/predictions/output_bias", shape: [V], init: "zeros" },
    { name: "cls/seq_relationship/output_weights", shape: [2, H], init: "normal" },
    { name: "cls/seq_relationship/output_bias", shape: [2], init: "zeros" },
  ];
}

const uniform = (seed: readonly [number, number], index: number): number =>
  (hashBits(seed[0], seed[1], index) + 0.5) / 2 ** 32;

/** Normal numbers by Box and Muller from hashed counters; a number beyond 2 is drawn again, as in TensorFlow. */
function truncatedNormal(length: number, deviation: number, key: readonly [number, number]): Float32Array {
  const values = new Float32Array(length);
  let index = 0;
  for (let i = 0; i < length;) {
    const radius = Math.sqrt(-2 * Math.log(uniform(key, index++)));
    const normal = radius * Math.cos(2 * Math.PI * uniform(key, index++));
    if (Math.abs(normal) <= 2) values[i++] = normal * deviation;
  }
  return values;
}

/**
 * Fresh weights: kernels and tables from a truncated normal of deviation `initializer_range`, biases and beta 0, gamma 1.
 * Computed on the host, so the same seed gives the same weights on every engine.
 *
 * @param config The architecture.
 * @param seed A whole number, 0 to 2^53 - 1.
 * @returns Values by name, row-major.
 * @throws {RangeError} When the seed is no such number.
 * @example
 * ```ts
 * import { albertPreset, initialParameters } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const weights = initialParameters(albertPreset("tiny"), 1);
 * assert.equal(weights["cls/predictions/output_bias"]?.every((value) => value === 0), true);
 * assert.ok(weights["bert/embeddings/word_embeddings"]?.every((value) => Math.abs(value) <= 0.2));
 * ```
 */
export function initialParameters(config: AlbertConfig, seed: number): Record<string, Float32Array> {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(
      `Cannot draw fresh weights: the seed must be a whole number from 0 to 2^53 - 1, it is ${seed}`,
    );
  }
  const entries = albertParameters(config).map(({ name, shape, init }, index) => {
    const length = sizeOf(shape);
    // A key per weight: hashed seed and position in the list.
    const key = [hashBits(seed >>> 0, Math.floor(seed / 2 ** 32), 2 * index), 2 * index + 1] as const;
    const values = init === "normal"
      ? truncatedNormal(length, config.initializer_range, key)
      : new Float32Array(length).fill(init === "ones" ? 1 : 0);
    return [name, values] as const;
  });
  return Object.fromEntries(entries);
}
