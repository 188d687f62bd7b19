/**
 * ALBERT's weights under the names of Hugging Face's `AlbertForPreTraining` and back. Kernels are [in, out] here and
 * [out, in] there; the mapping layer always exists there, as an identity where E = H. Facts: the variables of
 * google-research/albert and the modules of transformers' modeling_albert.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { firstNotFinite } from "../formats/mod.ts";
import { albertParameters, type ParameterSpec } from "../model/mod.ts";

/** Float32 values by name. */
export type NamedValues = { readonly [name: string]: Float32Array };

/** A weight with its shape. */
export type ShapedValues = { readonly shape: readonly number[]; readonly data: Float32Array };

/** One weight under both names. */
type Pair = {
  readonly ours: string;
  readonly theirs: string;
  /** Shape here. */
  readonly shape: readonly number[];
  readonly transpose: boolean;
};

const MAPPING = "albert.encoder.embedding_hidden_mapping_in";

/** What stands between `albert_layers.I` and `.weight`, by what stands behind `inner_group_I` here. */
const blockModules: { readonly [name: string]: string } = {
  "attention_1/self/query": "attention.query",
  "attention_1/self/key": "attention.key",
  "attention_1/self/value": "attention.value",
  "attention_1/output/dense": "attention.dense",
  LayerNorm: "attention.LayerNorm",
  "ffn_1/intermediate/dense": "ffn",
  "ffn_1/intermediate/output/dense": "ffn_output",
  LayerNorm_1: "full_layer_layer_norm",
};

const modules: { readonly [name: string]: string } = {
  "bert/embeddings/LayerNorm": "albert.embeddings.LayerNorm",
  "bert/encoder/embedding_hidden_mapping_in": MAPPING,
  "bert/pooler/dense": "albert.pooler",
  "cls/predictions/transform/dense": "predictions.dense",
  "cls/predictions/transform/LayerNorm": "predictions.LayerNorm",
};

const whole: { readonly [name: string]: string } = {
  "bert/embeddings/word_embeddings": "albert.embeddings.word_embeddings.weight",
  "bert/embeddings/token_type_embeddings": "albert.embeddings.token_type_embeddings.weight",
  "bert/embeddings/position_embeddings": "albert.embeddings.position_embeddings.weight",
  "cls/predictions/output_bias": "predictions.bias",
  "cls/seq_relationship/output_weights": "sop_classifier.classifier.weight",
  "cls/seq_relationship/output_bias": "sop_classifier.classifier.bias",
  output_weights: "classifier.weight",
  output_bias: "classifier.bias",
};

function theirName(name: string): string {
  const fixed = whole[name];
  if (fixed !== undefined) return fixed;
  const cut = name.lastIndexOf("/");
  const [place, leaf] = [name.slice(0, cut), name.slice(cut + 1)];
  const end = leaf === "kernel" || leaf === "gamma" ? "weight" : "bias";
  const block = /^bert\/encoder\/transformer\/group_(\d+)\/inner_group_(\d+)\/(.*)$/.exec(place);
  if (block === null) return `${modules[place]}.${end}`;
  const [, group, inner, rest = ""] = block;
  return `albert.encoder.albert_layer_groups.${group}.albert_layers.${inner}.${blockModules[rest]}.${end}`;
}

function pairs(weights: readonly ParameterSpec[]): Pair[] {
  return weights.map(({ name, shape }) => ({
    ours: name,
    theirs: theirName(name),
    shape,
    transpose: name.endsWith("/kernel"),
  }));
}

/** Swaps the two axes of a [rows, columns] matrix. */
function transposed(values: Float32Array, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column] ?? 0;
    }
  }
  return out;
}

const turned = (shape: readonly number[]): readonly number[] => [...shape].reverse();

/** Hugging Face computes a layer's group by another formula; a model where the two differ has no equal there. */
function checkGroups({ num_hidden_layers: L, num_hidden_groups: G }: AlbertConfig): void {
  for (let layer = 0; layer < L; layer++) {
    const [ours, theirs] = [Math.floor(layer / L * G), Math.floor(layer / (L / G))];
    if (ours !== theirs) {
      throw new RangeError(
        `Cannot name the weights for Hugging Face: with ${L} layers in ${G} groups layer ${layer} uses group ${ours} ` +
          `here and ${theirs} there; take a number of groups that divides the layers`,
      );
    }
  }
}

function identity(rows: number, columns: number): Float32Array {
  const values = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) values[i * columns + i] = 1;
  return values;
}

/**
 * Weights under the names and shapes of Hugging Face's `AlbertForPreTraining`, or of a fine-tuned class.
 *
 * @param parameters Weights by TensorFlow name, as in a checkpoint.
 * @param config The architecture.
 * @param weights Names and shapes of the weights; default those of the pretrained model.
 * @returns Values by name; the decoder's weight is tied to the word embeddings there and left out.
 * @throws {RangeError} When a weight is missing or has the wrong size, or layers and groups have no equal there.
 * @example
 * ```ts
 * import { albertPreset, huggingFaceWeights, initialParameters } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny", { vocab_size: 10 });
 * const weights = huggingFaceWeights(initialParameters(config, 1), config);
 * assert.deepEqual(weights["albert.pooler.weight"]?.shape, [config.hidden_size, config.hidden_size]);
 * ```
 */
export function huggingFaceWeights(
  parameters: { readonly [name: string]: Float32Array },
  config: AlbertConfig,
  weights: readonly ParameterSpec[] = albertParameters(config),
): Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }> {
  checkGroups(config);
  const made: Record<string, ShapedValues> = {};
  for (const { ours, theirs, shape, transpose } of pairs(weights)) {
    const data = parameters[ours];
    const wanted = shape.reduce((product, size) => product * size, 1);
    if (data?.length !== wanted) {
      throw new RangeError(
        `Cannot name the weights for Hugging Face: ${ours} has ${
          data?.length ?? "no"
        } values, the config asks for ${wanted}`,
      );
    }
    made[theirs] = transpose ? { shape: turned(shape), data: transposed(data, shape) } : { shape, data };
  }
  const { embedding_size: E, hidden_size: H } = config;
  if (E === H) {
    made[`${MAPPING}.weight`] = { shape: [H, E], data: identity(H, E) };
    made[`${MAPPING}.bias`] = { shape: [H], data: new Float32Array(H) };
  }
  const bias = made["predictions.bias"];
  if (bias !== undefined) made["predictions.decoder.bias"] = bias;
  return made;
}

/** What `fromHuggingFaceWeights` finds. */
export type FoundWeights = {
  /** Weights by TensorFlow name. */
  readonly parameters: NamedValues;
  /** Weights of the architecture that the file lacks, by TensorFlow name. */
  readonly missing: readonly string[];
  /** Names of the file that are no weight of it. */
  readonly unexpected: readonly string[];
};

/** Names that files hold besides weights: buffers of old versions, and tied copies, which must equal their original. */
const tied: { readonly [name: string]: string } = {
  "predictions.decoder.bias": "predictions.bias",
  "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
};
const buffers = /(^|\.)embeddings\.(position_ids|token_type_ids)$/;

const same = (a: Float32Array, b: Float32Array): boolean =>
  a.length === b.length && a.every((value, i) => Object.is(value, b[i]));

/**
 * Weights by TensorFlow name out of Hugging Face's. Names may stand without `albert.` in front, as `AlbertModel` saves
 * them.
 */
export function fromHuggingFaceWeights(
  tensors: { readonly [name: string]: ShapedValues },
  config: AlbertConfig,
): FoundWeights {
  checkGroups(config);
  const bare = !Object.keys(tensors).some((name) => name.startsWith("albert."));
  const nameThere = (name: string): string => bare ? name.replace(/^albert\./, "") : name;
  const parameters: Record<string, Float32Array> = {};
  const [missing, wrong, taken] = [[] as string[], [] as string[], new Set<string>()];
  for (const { ours, theirs, shape, transpose } of pairs(albertParameters(config))) {
    const name = nameThere(theirs);
    const found = tensors[name];
    if (found === undefined) {
      missing.push(ours);
      continue;
    }
    taken.add(name);
    const wanted = transpose ? turned(shape) : shape;
    if (found.shape.join() !== wanted.join()) {
      wrong.push(`${name} is [${found.shape.join(", ")}], its config asks for [${wanted.join(", ")}]`);
    } else parameters[ours] = transpose ? transposed(found.data, found.shape) : found.data;
  }
  checkMapping(tensors, nameThere(MAPPING), config, wrong, taken);
  for (const [copy, original] of Object.entries(tied)) {
    const [a, b] = [tensors[copy], tensors[nameThere(original)]];
    if (a === undefined) continue;
    taken.add(copy);
    if (b !== undefined && !same(a.data, b.data)) {
      wrong.push(`${copy} differs from ${original}, to which it is tied`);
    }
  }
  for (const [name, values] of Object.entries(parameters)) {
    const bad = firstNotFinite(values);
    if (bad >= 0) wrong.push(`${theirName(name)} holds ${values[bad]} (${name}, place ${bad})`);
  }
  if (wrong.length > 0) {
    const more = wrong.length > 8 ? `; and ${wrong.length - 8} more` : "";
    throw new RangeError(`Cannot take the weights: ${wrong.slice(0, 8).join("; ")}${more}`);
  }
  const unexpected = Object.keys(tensors).filter((name) => !taken.has(name) && !buffers.test(name));
  return { parameters, missing, unexpected };
}

/** Where E = H the mapping layer must be the identity: this architecture has none. */
function checkMapping(
  tensors: { readonly [name: string]: ShapedValues },
  name: string,
  { embedding_size: E, hidden_size: H }: AlbertConfig,
  wrong: string[],
  taken: Set<string>,
): void {
  const [weight, bias] = [tensors[`${name}.weight`], tensors[`${name}.bias`]];
  if (E !== H || (weight === undefined && bias === undefined)) return;
  taken.add(`${name}.weight`).add(`${name}.bias`);
  const plain = weight !== undefined && same(weight.data, identity(H, E)) &&
    bias?.data.every((value) => value === 0) === true;
  if (!plain) wrong.push(`${name} is no identity, and with E = H = ${H} this architecture has no such layer`);
}
