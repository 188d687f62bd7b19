/**
 * The weights of ALBERT: their names, shapes and first values. Names, order and shapes are those of the variables that
 * google-research/albert creates (modeling.py, run_pretraining.py), without TensorFlow's ":0"; kernels are [in, out].
 */
import type { AlbertConfig } from "../config/mod.ts";
import type { Shape } from "../tensor/mod.ts";

/**
 * One weight: its name, shape and how it starts.
 *
 * @example
 * ```ts
 * import type { ParameterSpec } from "albert-guide";
 * const table: ParameterSpec = { name: "bert/embeddings/word_embeddings", shape: [30000, 128], init: "normal" };
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

type Run = { readonly group: number; readonly from: number; readonly to: number };

/** Runs of layers that share weights: layer l uses group int(l / L × G), in floating point as the reference does. */
export function layerGroups({ num_hidden_layers: L, num_hidden_groups: G }: AlbertConfig): Run[] {
  const groups = Array.from({ length: L }, (_, layer) => Math.floor(layer / L * G));
  const run = (group: number): Run => ({
    group,
    from: groups.indexOf(group),
    to: groups.lastIndexOf(group) + 1,
  });
  return [...new Set(groups)].map(run);
}

/** Prefix of the names of one block. */
export function blockName(group: number, inner: number): string {
  return `bert/encoder/transformer/group_${group}/inner_group_${inner}`;
}

const table = (name: string, shape: Shape): ParameterSpec => ({ name, shape, init: "normal" });

const dense = (name: string, inputs: number, outputs: number): ParameterSpec[] => [
  table(`${name}/kernel`, [inputs, outputs]),
  { name: `${name}/bias`, shape: [outputs], init: "zeros" },
];

const norm = (name: string, width: number): ParameterSpec[] => [
  { name: `${name}/beta`, shape: [width], init: "zeros" },
  { name: `${name}/gamma`, shape: [width], init: "ones" },
];

const block = (prefix: string, H: number, I: number): ParameterSpec[] => [
  ...["query", "key", "value"].flatMap((name) => dense(`${prefix}/attention_1/self/${name}`, H, H)),
  ...dense(`${prefix}/attention_1/output/dense`, H, H),
  ...norm(`${prefix}/LayerNorm`, H),
  ...dense(`${prefix}/ffn_1/intermediate/dense`, H, I),
  ...dense(`${prefix}/ffn_1/intermediate/output/dense`, I, H),
  ...norm(`${prefix}/LayerNorm_1`, H),
];

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
  const inners = Array.from({ length: config.inner_group_num }, (_, inner) => inner);
  const blocks = layerGroups(config).flatMap(({ group }) => inners.map((inner) => blockName(group, inner)));
  return [
    table("bert/embeddings/word_embeddings", [V, E]),
    table("bert/embeddings/token_type_embeddings", [config.type_vocab_size, E]),
    table("bert/embeddings/position_embeddings", [config.max_position_embeddings, E]),
    ...norm("bert/embeddings/LayerNorm", E),
    ...(E === H ? [] : dense("bert/encoder/embedding_hidden_mapping_in", E, H)), // as in the reference
    ...blocks.flatMap((name) => block(name, H, I)),
    ...dense("bert/pooler/dense", H, H),
    ...dense("cls/predictions/transform/dense", H, E),
    ...norm("cls/predictions/transform/LayerNorm", E),
    { name: "cls/predictions/output_bias", shape: [V], init: "zeros" },
    table("cls/seq_relationship/output_weights", [2, H]),
    { name: "cls/seq_relationship/output_bias", shape: [2], init: "zeros" },
  ];
}
