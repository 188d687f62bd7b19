/**
 * The model card: the `README.md` of a Hugging Face folder. Only what was measured or is known stands there; what is not known
 * is said to be so. Facts: the front matter that the Hugging Face hub reads.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { albertParameters } from "../model/mod.ts";
import type { ExportOptions } from "./export.ts";

/**
 * What a model card tells.
 *
 * @example
 * ```ts
 * import { albertPreset, type ModelCardFacts } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const facts: ModelCardFacts = { title: "Bible ALBERT", config: albertPreset("tiny"), step: 100, command: "albert export" };
 * assert.equal(facts.data, undefined);
 * ```
 */
export type ModelCardFacts = {
  /** Name of the model. */
  readonly title: string;
  readonly config: AlbertConfig;
  /** Updates done. */
  readonly step: number;
  /** The command line that made the folder. */
  readonly command: string;
  /** Language code, such as `en`. */
  readonly language?: string;
  /** Licence of the weights, such as `cc0-1.0`. */
  readonly licence?: string;
  /** The training text: its name, source, licence and SHA-256, as far as known. */
  readonly data?: {
    readonly name: string;
    readonly source?: string;
    readonly licence?: string;
    readonly sha256?: string;
  };
  /** Settings of the run by flag, such as `learning_rate`. */
  readonly run?: { readonly [flag: string]: unknown };
  /** SHA-256 by name of what the run was made from: `tokenizer`, `records`, `config`. */
  readonly hashes?: { readonly [name: string]: string };
  /** Held-out metrics by name, with 95 % intervals in `intervals` by the same names. */
  readonly evaluation?: {
    readonly [name: string]: unknown;
    readonly intervals?: { readonly [name: string]: readonly [number, number] };
  };
  /** File name of the loss chart beside the card. */
  readonly chart?: string;
  /** A sentence with one [MASK] to try. */
  readonly example?: string;
  /** The text was lower-cased; default true. */
  readonly doLowerCase?: boolean;
  /** The text kept its accents; default false. */
  readonly keepAccents?: boolean;
  /** The tokenizer: its pieces, the name of its table of characters, its SHA-256. */
  readonly tokenizer?: { readonly pieces: number; readonly normalizer: string; readonly sha256: string };
  /** The command lines of the training, a stage each. */
  readonly trainedBy?: readonly string[];
  /** The class of the Hugging Face weights; default `AlbertForPreTraining`. */
  readonly architecture?: ExportOptions["architecture"];
  /** What lies in the folder; default `["hf"]`. */
  readonly formats?: ExportOptions["formats"];
  /** Kinds of weights and outputs of the ONNX models. */
  readonly onnx?: ExportOptions["onnx"];
};

/** Settings that a reader asks for first; the rest is in the checkpoint. */
const told = [
  ...[
    "max_seq_length",
    "max_predictions_per_seq",
    "train_batch_size",
    "gradient_accumulation_steps",
    "optimizer",
  ],
  ...["learning_rate", "num_train_steps", "num_warmup_steps", "weight_decay_rate", "compute_dtype", "seed"],
];

const metricNames: { readonly [name: string]: string } = {
  masked_lm_mask_loss: "masked-LM loss on [MASK] positions, nats",
  masked_lm_mask_accuracy: "masked-LM accuracy on [MASK] positions",
  mask_perplexity: "perplexity on [MASK] positions",
  masked_lm_loss: "masked-LM loss on all predictions, nats",
  masked_lm_accuracy: "masked-LM accuracy on all predictions",
  sentence_order_loss: "sentence-order loss, nats",
  sentence_order_accuracy: "sentence-order accuracy",
};

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");
}

/** A text of the front matter; `no` is Norwegian and would be false, `1.0` a number. */
export const yaml = (text: string): string =>
  /^[a-z][\w.-]*$/i.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text)
    ? text
    : JSON.stringify(text);

function frontMatter(facts: ModelCardFacts): string {
  const { language, licence, title } = facts;
  const lines = [
    ...(language === undefined ? [] : [`language: ${yaml(language)}`]),
    ...(licence === undefined ? [] : [`license: ${yaml(licence)}`]),
    `library_name: ${facts.formats?.includes("hf") === false ? "transformers.js" : "transformers"}`,
    "pipeline_tag: fill-mask",
    `model_name: ${JSON.stringify(title)}`,
    "tags:\n- albert\n- fill-mask\n- albert-guide",
  ];
  return `---\n${lines.join("\n")}\n---`;
}

const digits = (value: number): string => Number.isInteger(value) ? String(value) : value.toPrecision(4);

function metrics({ evaluation, chart }: ModelCardFacts): string {
  const parts: string[] = [];
  if (evaluation === undefined) {
    parts.push("No held-out evaluation was made for this export (`--eval_input_file` asks for one).");
  } else {
    const { intervals = {}, examples } = evaluation;
    const rows = Object.entries(metricNames).flatMap(([name, meaning]) => {
      const value = evaluation[name];
      if (typeof value !== "number") return [];
      const interval = intervals[name];
      const between = interval === undefined || interval.some((end) => !Number.isFinite(end))
        ? "not known"
        : interval.map(digits).join(" to ");
      return [[meaning, digits(value), between]];
    });
    parts.push(
      `Held out from training; intervals are 95 %, over ${
        typeof examples === "number" ? `${examples} ` : ""
      }records. All figures are in \`eval.json\`.`,
      markdownTable(["metric", "value", "interval"], rows),
    );
  }
  if (chart !== undefined) parts.push(`![loss over the steps of the run](${chart})`);
  return parts.join("\n\n");
}

export function dataPart({ data, hashes = {} }: Pick<ModelCardFacts, "data" | "hashes">): string {
  const rows = [
    ["text", data?.name ?? "not stated"],
    ["source", data?.source ?? "not stated"],
    ["licence", data?.licence ?? "not stated"],
    ...(data?.sha256 === undefined ? [] : [["SHA-256 of the text", data.sha256]]),
    ...Object.entries(hashes).map(([name, hash]) => [`SHA-256 of the ${name}`, hash]),
  ];
  return markdownTable(["", ""], rows);
}

/** How transformers loads the folder, and what its classes say of it. */
function pythonUsage({ architecture = "AlbertForPreTraining" }: ModelCardFacts, example: string): string[] {
  return [
    [
      "```python",
      "from transformers import pipeline",
      "",
      'fill = pipeline("fill-mask", model="path/to/this/folder")',
      `print(fill(${JSON.stringify(example)}))`,
      "```",
    ].join("\n"),
    architecture === "AlbertForMaskedLM"
      ? "The weights are those of `AlbertForMaskedLM`, without pooler and order head; `AlbertForPreTraining` would begin " +
        "those anew and say so."
      : "`AlbertForPreTraining` also gives the order of two segments (0 as written, 1 swapped). `AlbertForMaskedLM`, which " +
        "the pipeline takes, has neither pooler nor order head: transformers 5 lists their four weights as UNEXPECTED, " +
        "which changes nothing. No folder is silent for both classes, since each reports what it lacks or leaves over; " +
        "`albert export --architecture=AlbertForMaskedLM` writes one that is silent for the second.",
  ];
}

/** How transformers.js loads the ONNX models, without a network. */
function scriptUsage({ onnx = {} }: ModelCardFacts, example: string): string[] {
  const { weights: [first = "fp32"] = [], outputs = ["logits", "last_hidden_state"] } = onnx;
  const options = `{ dtype: "${first === "int8" ? "q8" : first}" }`;
  const lines = [
    'import { env, pipeline } from "@huggingface/transformers";',
    "",
    'Object.assign(env, { allowRemoteModels: false, localModelPath: "path/to/the/folder/above/" });',
    ...(outputs.includes("logits")
      ? [
        `const fill = await pipeline("fill-mask", "this-folder", ${options});`,
        `console.log(await fill(${JSON.stringify(example)}));`,
      ]
      : []),
    ...(outputs.includes("last_hidden_state")
      ? [
        `const extract = await pipeline("feature-extraction", "this-folder", ${options});`,
        `console.log(await extract(${JSON.stringify(example)}, { pooling: "mean" }));`,
      ]
      : []),
  ];
  return [`\`\`\`js\n${lines.join("\n")}\n\`\`\``];
}

function usage(facts: ModelCardFacts): string {
  const { example = "the [MASK] of the house", doLowerCase = true, formats = ["hf"] } = facts;
  return [
    ...(formats.includes("hf") ? pythonUsage(facts, example) : []),
    ...(formats.includes("onnx") ? scriptUsage(facts, example) : []),
    doLowerCase ? "Text is lower-cased by the tokenizer, as it was in training." : "Text keeps its case.",
  ].join("\n\n");
}

export function tokenizerPart(
  { tokenizer, doLowerCase = true, keepAccents = false }: Pick<
    ModelCardFacts,
    "tokenizer" | "doLowerCase" | "keepAccents"
  >,
): string {
  if (tokenizer === undefined) return "Not recorded.";
  const { pieces, normalizer, sha256 } = tokenizer;
  return markdownTable(["", ""], [
    ["kind", "SentencePiece, unigram"],
    ["pieces", pieces.toLocaleString("en-US")],
    ["table of characters", normalizer],
    ["capitals", doLowerCase ? "lower-cased" : "kept"],
    ["accents", keepAccents ? "kept" : "removed"],
    ["SHA-256 of `spiece.model`", sha256],
  ]);
}

/**
 * The text of a model card.
 *
 * @param facts What is known about the model.
 * @returns Markdown with the front matter that the hub reads.
 * @example
 * ```ts
 * import { albertPreset, modelCard } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const card = modelCard({ title: "Bible ALBERT", config: albertPreset("base"), step: 100, command: "albert export" });
 * assert.match(card, /11,813,810 parameters/);
 * ```
 */
export function modelCard(facts: ModelCardFacts): string {
  const { title, config, step, command, run = {} } = facts;
  const sizes = albertParameters(config).map(({ shape }) =>
    shape.reduce((product, size) => product * size, 1)
  );
  const count = sizes.reduce((sum, size) => sum + size, 0).toLocaleString("en-US");
  const settings = told.filter((flag) => run[flag] !== undefined).map((flag) => [flag, String(run[flag])]);
  const shape = Object.entries(config).map(([key, value]) => [key, JSON.stringify(value)]);
  const sections: readonly (readonly [string, string])[] = [
    [
      title,
      `An ALBERT of ${count} parameters, trained for ${step} steps on masked pieces and sentence order, made with ` +
      "albert-guide. Layers share their weights.",
    ],
    ["How to use it", usage(facts)],
    ["Training data", dataPart(facts)],
    ["Tokenizer", tokenizerPart(facts)],
    ["Metrics", metrics(facts)],
    ["Architecture", markdownTable(["key", "value"], shape)],
    ["Training", settings.length === 0 ? "Not recorded." : markdownTable(["flag", "value"], settings)],
    [
      "Limits",
      `Sequences have at most ${config.max_position_embeddings} pieces. The model knows the text above and nothing else; it ` +
      "repeats its views and mistakes. Nobody has examined it for bias or for use in decisions about people.",
    ],
    ["Made by", `\`\`\`\n${[...facts.trainedBy ?? [], command].join("\n")}\n\`\`\``],
  ];
  const text = sections.map(([head, body], i) => `${i === 0 ? "#" : "##"} ${head}\n\n${body}`).join("\n\n");
  return `${frontMatter(facts)}\n\n${text}\n`;
}
