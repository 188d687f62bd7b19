/**
 * The model card of a fine-tuned model. Only what was measured or is known stands there.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { dataPart, markdownTable, type ModelCardFacts, tokenizerPart, yaml } from "./model_card.ts";

/**
 * What the card of a fine-tuned model tells.
 *
 * @example
 * ```ts
 * import { albertPreset, type TaskCardFacts } from "albert-guide";
 *
 * const facts: TaskCardFacts = {
 *   ...{ title: "Names", task: "tokens", labels: ["O", "B-NAME"], config: albertPreset("tiny") },
 *   ...{ step: 100, command: "albert export", doLowerCase: true },
 * };
 * ```
 */
export type TaskCardFacts = {
  /** Name of the model. */
  readonly title: string;
  readonly task: "classify" | "pair" | "tokens";
  readonly labels: readonly string[];
  readonly config: AlbertConfig;
  /** Updates of the fine-tuning. */
  readonly step: number;
  /** The command line that made the folder. */
  readonly command: string;
  readonly doLowerCase: boolean;
  /** Language code, such as `en`. */
  readonly language?: string;
  /** Licence of the weights, such as `cc0-1.0`. */
  readonly licence?: string;
  /** Held-out metrics by name, with 95 % intervals in `intervals` by the same names. */
  readonly evaluation?: {
    readonly [name: string]: unknown;
    readonly intervals?: { readonly [name: string]: readonly [number, number] };
  };
  /** File name of the loss chart beside the card. */
  readonly chart?: string;
  /** The command lines of the training. */
  readonly trainedBy?: readonly string[];
} & Pick<ModelCardFacts, "data" | "hashes" | "tokenizer" | "keepAccents">;

const kinds = {
  classify: { tag: "text-classification", what: "gives a label to a text" },
  pair: { tag: "text-classification", what: "gives a label to a pair of texts" },
  tokens: { tag: "token-classification", what: "gives a tag to each word" },
} as const;

const digits = (value: number): string => value.toPrecision(4);

function metrics({ evaluation, chart }: TaskCardFacts): string {
  const picture = chart === undefined ? "" : `\n\n![loss over the steps of the run](${chart})`;
  if (evaluation === undefined) return `No held-out evaluation lies beside the checkpoint.${picture}`;
  const { intervals = {} } = evaluation;
  const names = [
    "accuracy",
    "macro_f1",
    "entity_precision",
    "entity_recall",
    "entity_f1",
    "majority",
    "loss",
    "examples",
  ];
  const rows = names.flatMap((name) => {
    const value = evaluation[name];
    if (typeof value !== "number") return [];
    return [[name, digits(value), intervals[name]?.map(digits).join(" to ") ?? ""]];
  });
  return "Held out from fine-tuning; intervals are 95 %, over examples; `majority` is the accuracy of always giving the " +
    `commonest label. All figures are in \`eval.json\`.\n\n${
      markdownTable(["metric", "value", "interval"], rows)
    }${picture}`;
}

/**
 * The text of the card of a fine-tuned model.
 *
 * @param facts What is known about the model.
 * @returns Markdown with the front matter that the hub reads.
 * @example
 * ```ts
 * import { albertPreset, taskCard } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const card = taskCard({
 *   ...{ title: "Names", task: "tokens", labels: ["O", "B-NAME"], config: albertPreset("tiny") },
 *   ...{ step: 100, command: "albert export", doLowerCase: true },
 * });
 * assert.match(card, /pipeline_tag: token-classification/);
 * ```
 */
export function taskCard(facts: TaskCardFacts): string {
  const { title, task, labels, config, step, command, doLowerCase, language, licence } = facts;
  const { tag, what } = kinds[task];
  const front = [
    ...(language === undefined ? [] : [`language: ${yaml(language)}`]),
    ...(licence === undefined ? [] : [`license: ${yaml(licence)}`]),
    "library_name: transformers",
    `pipeline_tag: ${tag}`,
    `model_name: ${JSON.stringify(title)}`,
    "tags:\n- albert\n- albert-guide",
  ].join("\n");
  const shape = Object.entries(config).map(([key, value]) => [key, JSON.stringify(value)]);
  const sections: readonly (readonly [string, string])[] = [
    [
      "",
      `An ALBERT that ${what}, fine-tuned for ${step} steps with albert-guide. Text ${
        doLowerCase ? "is lower-cased by the tokenizer" : "keeps its case"
      }.`,
    ],
    [
      "How to use it",
      `\`\`\`python\nfrom transformers import pipeline\n\nprint(pipeline("${tag}", ` +
      'model="path/to/this/folder")("some text"))\n```',
    ],
    ["Labels", markdownTable(["id", "label"], labels.map((label, id) => [String(id), label]))],
    ["Training data", dataPart(facts)],
    ["Tokenizer", tokenizerPart(facts)],
    ["Metrics", metrics(facts)],
    ["Architecture", markdownTable(["key", "value"], shape)],
    [
      "Limits",
      `Sequences have at most ${config.max_position_embeddings} pieces. The model repeats the views and mistakes of ` +
      "its texts and labels. Nobody has examined it for bias or for use in decisions about people.",
    ],
    ["Made by", `\`\`\`\n${[...facts.trainedBy ?? [], command].join("\n")}\n\`\`\``],
  ];
  const text = sections.map(([head, body]) =>
    head === "" ? `# ${title}\n\n${body}` : `## ${head}\n\n${body}`
  );
  return `---\n${front}\n---\n\n${text.join("\n\n")}\n`;
}
