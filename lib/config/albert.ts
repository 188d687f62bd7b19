/**
 * AlbertConfig: the architecture, in the reference's file format. The reader accepts the reference's keys and nothing
 * else; four of them are used nowhere in the reference's model and are only kept.
 *
 * Source of names and defaults: `AlbertConfig` in google-research/albert modeling.py.
 */
import { type Field, type Mistake, readFields, refuse, sortedJson } from "./fields.ts";

/**
 * Activation of the feed-forward block: `gelu` is the tanh form, `linear` and `""` are none.
 *
 * @example
 * ```ts
 * import { albertPreset, type HiddenActivation } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const activation: HiddenActivation = albertPreset("base").hidden_act;
 * assert.equal(activation, "gelu");
 * ```
 */
export type HiddenActivation = "gelu" | "relu" | "tanh" | "linear" | "";

/**
 * The architecture of an ALBERT model. Defaults in brackets are those of the reference's class; sizes are counts.
 *
 * @example
 * ```ts
 * import { type AlbertConfig, parseAlbertConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config: AlbertConfig = parseAlbertConfig({ vocab_size: 1000, hidden_size: 64, num_attention_heads: 4 });
 * assert.equal(config.embedding_size, 128);
 * ```
 */
export type AlbertConfig = {
  /** Pieces of the tokenizer, V (no default). */
  readonly vocab_size: number;
  /** Width of the embedding tables, E [128]. */
  readonly embedding_size: number;
  /** Width of the layers, H [4096]. */
  readonly hidden_size: number;
  /** Layers, L [12]. */
  readonly num_hidden_layers: number;
  /** Sets of weights the layers share [1]. */
  readonly num_hidden_groups: number;
  /** Attention heads, A [64]; H must divide by A. */
  readonly num_attention_heads: number;
  /** Width of the feed-forward block, I [16384]. */
  readonly intermediate_size: number;
  /** Blocks inside one layer [1]. */
  readonly inner_group_num: number;
  /** Used nowhere in the reference [1]. */
  readonly down_scale_factor: number;
  /** Activation of the feed-forward block and the masked-LM transform [gelu]. */
  readonly hidden_act: HiddenActivation;
  /** Dropout after the embeddings, the attention output and the feed-forward output, a probability [0]. */
  readonly hidden_dropout_prob: number;
  /** Dropout on the attention probabilities, a probability [0]. */
  readonly attention_probs_dropout_prob: number;
  /** Rows of the position table, the longest sequence [512]. */
  readonly max_position_embeddings: number;
  /** Rows of the segment table [2]. */
  readonly type_vocab_size: number;
  /** Standard deviation of the truncated normal of fresh weights [0.02]. */
  readonly initializer_range: number;
  /** Used only by the trainer's `init_from_group0` in the reference; kept. */
  readonly net_structure_type?: number;
  /** Used nowhere in the reference; kept. */
  readonly gap_size?: number;
  /** Used nowhere in the reference; kept. */
  readonly num_memory_blocks?: number;
  /** Found in some released files, used nowhere; kept. */
  readonly layers_to_keep?: readonly number[];
};

/** What a pretraining run of any length can count to. */
const large = Number.MAX_SAFE_INTEGER;
const size = (value?: number): Field =>
  value === undefined
    ? { kind: "int", min: 1, max: large, required: true }
    : { kind: "int", min: 1, max: large, default: value };

const table: Readonly<Record<keyof AlbertConfig, Field>> = {
  vocab_size: size(),
  embedding_size: size(128),
  hidden_size: size(4096),
  num_hidden_layers: size(12),
  num_hidden_groups: size(1),
  num_attention_heads: size(64),
  intermediate_size: size(16384),
  inner_group_num: size(1),
  down_scale_factor: { kind: "number", default: 1 },
  hidden_act: { kind: "choice", choices: ["gelu", "relu", "tanh", "linear", ""], default: "gelu" },
  hidden_dropout_prob: { kind: "probability", default: 0 },
  attention_probs_dropout_prob: { kind: "probability", default: 0 },
  max_position_embeddings: size(512),
  type_vocab_size: size(2),
  initializer_range: { kind: "number", min: 0, max: 10, default: 0.02 },
  net_structure_type: { kind: "int" },
  gap_size: { kind: "int" },
  num_memory_blocks: { kind: "int" },
  layers_to_keep: { kind: "list of ints" },
};

/** Beyond every model that can be run; a file that asks for more is damaged, and its weights could not even be listed. */
const MOST_BLOCKS = 100_000;

function contradictions(values: Readonly<Record<string, unknown>>): Mistake[] {
  const number = (key: keyof AlbertConfig): number => values[key] === undefined ? NaN : values[key] as number;
  const mistakes: Mistake[] = [];
  const [hidden, heads] = [number("hidden_size"), number("num_attention_heads")];
  if (hidden % heads > 0) {
    mistakes.push({
      kind: "range",
      text: `hidden_size must be a multiple of num_attention_heads, they are ${hidden} and ${heads}`,
    });
  }
  const [layers, groups] = [number("num_hidden_layers"), number("num_hidden_groups")];
  if (groups > layers) {
    mistakes.push({
      kind: "range",
      text: `num_hidden_groups must be at most num_hidden_layers, they are ${groups} and ${layers}`,
    });
  }
  const blocks = Math.max(layers, groups) * number("inner_group_num");
  if (blocks > MOST_BLOCKS) {
    mistakes.push({
      kind: "range",
      text: `num_hidden_layers times inner_group_num must be at most ${MOST_BLOCKS}, it is ${blocks}`,
    });
  }
  return mistakes;
}

/**
 * Checks the value of an ALBERT config and fills in defaults. `hidden_act` may be in capitals, as in the reference.
 *
 * @param value What a JSON or YAML file held.
 * @param options `path`: the file, for messages.
 * @returns The config; keys the model does not use are kept when given.
 * @throws {TypeError} When a key is unknown or missing or a value has the wrong type; names every mistake.
 * @throws {RangeError} When values are only out of range or contradict each other; names every mistake.
 * @example
 * ```ts
 * import { parseAlbertConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.throws(
 *   () => parseAlbertConfig({ vocab_size: 1000, hiden_size: 64 }, { path: "albert_config.json" }),
 *   /hiden_size is no known key, did you mean hidden_size\?/,
 * );
 * ```
 */
export function parseAlbertConfig(
  value: unknown,
  { path }: { readonly path?: string } = {},
): AlbertConfig {
  const given = typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Readonly<Record<string, unknown>>
    : undefined;
  const act = given?.["hidden_act"];
  const source = typeof act === "string" ? { ...given, hidden_act: act.toLowerCase() } : value;
  const { values, mistakes } = readFields(source, table);
  refuse(path === undefined ? "the ALBERT config" : `the ALBERT config ${path}`, [
    ...mistakes,
    ...contradictions(values),
  ]);
  return values as AlbertConfig;
}

/**
 * The config as the reference writes it: keys sorted, indented by 2, a newline at the end.
 *
 * @param config Any config.
 * @returns JSON text.
 * @example
 * ```ts
 * import { albertConfigToJson, albertPreset } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.ok(albertConfigToJson(albertPreset("base")).startsWith('{\n  "attention_probs_dropout_prob": 0,\n'));
 * ```
 */
export function albertConfigToJson(config: AlbertConfig): string {
  return sortedJson(config);
}
