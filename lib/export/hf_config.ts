/**
 * `config.json` of a Hugging Face folder, from an ALBERT config and back. Facts: the fields and defaults of transformers'
 * `AlbertConfig`. The activation that TensorFlow calls "gelu" is "gelu_new" there.
 */
import { type AlbertConfig, parseAlbertConfig } from "../config/mod.ts";

/** Fields that Python must read as floats: written with a fraction or an exponent. */
const floats = ["hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range"] as const;
const fixedFloats = { classifier_dropout_prob: 0.1, layer_norm_eps: 1e-12 } as const;
const isFloat = new Set<string>([...floats, ...Object.keys(fixedFloats)]);

/** JSON with two blanks, keys sorted as transformers does. */
function configJson(values: { readonly [key: string]: unknown }): string {
  const lines = Object.keys(values).sort().map((key) => {
    const text = JSON.stringify(values[key], null, 2).replaceAll("\n", "\n  ");
    return `  ${JSON.stringify(key)}: ${isFloat.has(key) && !/[.e]/.test(text) ? `${text}.0` : text}`;
  });
  return `{\n${lines.join(",\n")}\n}\n`;
}

const activations: { readonly [ours: string]: string } = {
  gelu: "gelu_new",
  relu: "relu",
  tanh: "tanh",
  linear: "linear",
  "": "linear",
};

/** The sizes that both sides call by one name. */
const sizes = [
  ...["vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_hidden_groups"],
  ...[
    "num_attention_heads",
    "intermediate_size",
    "inner_group_num",
    "max_position_embeddings",
    "type_vocab_size",
  ],
] as const;

/** Ids of the special pieces, and the class the weights are for. */
export type SpecialIds = {
  readonly pad: number;
  readonly cls: number;
  readonly sep: number;
  readonly architecture: string;
  /** Of a fine-tuned class: labels in the order of its scores, and the dropout before them. */
  readonly labels?: readonly string[];
  readonly classifierDropout?: number;
  readonly task?: string;
};

/** The text of `config.json`. */
export function huggingFaceConfig(
  config: AlbertConfig,
  { pad, cls, sep, architecture, labels, classifierDropout, task }: SpecialIds,
): string {
  const plain = config as unknown as { readonly [key: string]: unknown };
  return configJson({
    ...Object.fromEntries(sizes.map((key) => [key, plain[key]])),
    ...Object.fromEntries(floats.map((key) => [key, config[key]])),
    architectures: [architecture],
    bos_token_id: cls,
    ...fixedFloats,
    dtype: "float32",
    eos_token_id: sep,
    hidden_act: activations[config.hidden_act],
    model_type: "albert",
    pad_token_id: pad,
    tie_word_embeddings: true,
    ...(classifierDropout === undefined ? {} : { classifier_dropout_prob: classifierDropout }),
    ...(task === undefined ? {} : { finetuning_task: task }),
    ...(labels === undefined ? {} : {
      id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
      label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    }),
  });
}

/** A config read, and what to know about it. */
export type ReadConfig = { readonly config: AlbertConfig; readonly notes: readonly string[] };

/** transformers' defaults of what a file may leave out. */
const defaults: { readonly [key: string]: unknown } = {
  vocab_size: 30000,
  hidden_act: "gelu_new",
  max_position_embeddings: 512,
};

/** The ALBERT config that a parsed `config.json` describes. */
export function readHuggingFaceConfig(value: unknown, path: string): ReadConfig {
  const given = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if (given["model_type"] !== "albert") {
    throw new TypeError(
      `Cannot use ${path}: its model_type is ${JSON.stringify(given["model_type"] ?? null)}, not "albert"`,
    );
  }
  const read = { ...defaults, ...given };
  const notes: string[] = [];
  const eps = read["layer_norm_eps"];
  if (eps !== undefined && eps !== 1e-12) {
    throw new RangeError(
      `Cannot use ${path}: its layer_norm_eps is ${String(eps)}, this model computes with 1e-12`,
    );
  }
  const positions = read["position_embedding_type"];
  if (positions !== undefined && positions !== "absolute") {
    throw new RangeError(
      `Cannot use ${path}: its position_embedding_type is ${
        JSON.stringify(positions)
      }, this model has absolute ones`,
    );
  }
  const act = read["hidden_act"];
  const names: { readonly [theirs: string]: string } = {
    gelu_new: "gelu",
    gelu_pytorch_tanh: "gelu",
    gelu: "gelu",
    relu: "relu",
    tanh: "tanh",
    linear: "linear",
  };
  const hidden_act = names[String(act)];
  if (hidden_act === undefined) {
    throw new RangeError(
      `Cannot use ${path}: its hidden_act is ${JSON.stringify(act)}, known are ${
        Object.keys(names).join(", ")
      }`,
    );
  }
  if (act === "gelu") {
    notes.push(
      `${path} says "gelu", the erf form; this model computes the tanh form, as the original's weights expect`,
    );
  }
  const keys = [...sizes, ...floats].filter((key) => read[key] !== undefined);
  const own = { ...Object.fromEntries(keys.map((key) => [key, read[key]])), hidden_act };
  try {
    return { config: parseAlbertConfig(own, { path }), notes };
  } catch (error) {
    // A folder's fault is one line, however many there are.
    const { message } = error as Error;
    throw Object.assign(error as Error, {
      message: message.replace(/: \d+ mistakes\n- /, ": ").replaceAll("\n- ", "; "),
    });
  }
}
