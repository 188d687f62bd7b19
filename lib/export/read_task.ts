/**
 * A fine-tuned Hugging Face folder read back: the model as `readHuggingFace` reads it, with the head and the labels of its
 * class. What is read is `classifier.*` of AlbertForSequenceClassification and AlbertForTokenClassification.
 */
import { join } from "node:path";
import type { AlbertConfig, FinetuneTask } from "../config/mod.ts";
import { firstNotFinite, readJsonFile } from "../formats/mod.ts";
import { readHuggingFace, readWeights } from "./read.ts";

/**
 * A fine-tuned model as a Hugging Face folder holds it.
 *
 * @example
 * ```ts
 * import type { HuggingFaceTask } from "albert-guide";
 *
 * const isTagger = ({ task }: HuggingFaceTask): boolean => task === "tokens";
 * ```
 */
export type HuggingFaceTask = {
  readonly config: AlbertConfig;
  /** Weights by TensorFlow name; `output_weights` and `output_bias` are the head. */
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Content of a SentencePiece model. */
  readonly tokenizer: Uint8Array;
  readonly task: FinetuneTask;
  /** Labels in the order of the scores. */
  readonly labels: readonly string[];
  readonly maxSeqLength: number;
  readonly doLowerCase: boolean;
  /** Only where its text kept its accents. */
  readonly keepAccents?: boolean;
  readonly classifierDropout: number;
};

/**
 * Reads a fine-tuned ALBERT folder of Hugging Face.
 *
 * @param folder A folder with `config.json`, safetensors and a tokenizer. Its config says `finetuning_task` when it was
 * exported here; a folder from elsewhere is taken for `classify`, or `tokens` by its class.
 * @returns The model, ready for `predictLabels`.
 * @throws {TypeError} When its class has no head of labels.
 * @throws {RangeError} When head and labels disagree in number, or a weight of the encoder is missing.
 * @throws {CorruptFileError} When a file is damaged.
 * @throws {Error} When a file is missing.
 * @example
 * ```ts
 * import { readHuggingFaceTask } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.throws(() => readHuggingFaceTask(mkdtempSync(`${tmpdir()}/albert-`)), /config\.json: there is no such file/);
 * ```
 */
export function readHuggingFaceTask(folder: string): HuggingFaceTask {
  const { config, parameters, tokenizer, missing, doLowerCase, keepAccents } = readHuggingFace(folder);
  const file = join(folder, "config.json");
  const given = readJsonFile(file) as Readonly<Record<string, unknown>>;
  const classes = given["architectures"];
  const architecture: unknown = Array.isArray(classes) ? classes[0] : classes;
  const tokens = architecture === "AlbertForTokenClassification";
  const { "classifier.weight": weight, "classifier.bias": bias } = readWeights(folder);
  if (
    (!tokens && architecture !== "AlbertForSequenceClassification") || weight === undefined ||
    bias === undefined
  ) {
    throw new TypeError(
      `Cannot use ${folder} as a fine-tuned model: its class is ${
        architecture ?? "not told"
      }, which gives no labels`,
    );
  }
  const id2label = (given["id2label"] ?? {}) as Readonly<Record<string, unknown>>;
  const labels = Array.from({ length: bias.data.length }, (_, id) => String(id2label[id] ?? `LABEL_${id}`));
  const needed = missing.find((name) => !(tokens ? /^(cls|bert\/pooler)\// : /^cls\//).test(name));
  if (needed !== undefined || weight.shape.join() !== `${labels.length},${config.hidden_size}`) {
    throw new RangeError(
      `Cannot use ${folder}: ${
        needed === undefined ? "its head fits neither labels nor hidden_size" : `it has no weight ${needed}`
      }`,
    );
  }
  for (const [name, { data }] of Object.entries({ "classifier.weight": weight, "classifier.bias": bias })) {
    const bad = firstNotFinite(data);
    if (bad >= 0) throw new RangeError(`Cannot use ${folder}: ${name} holds ${data[bad]} at place ${bad}`);
  }
  const own = given["finetuning_task"];
  return {
    ...{ config, tokenizer, labels },
    parameters: { ...parameters, output_weights: weight.data, output_bias: bias.data },
    task: tokens ? "tokens" : own === "pair" ? "pair" : "classify",
    maxSeqLength: config.max_position_embeddings,
    doLowerCase,
    ...(keepAccents ? { keepAccents } : {}),
    classifierDropout: typeof given["classifier_dropout_prob"] === "number"
      ? given["classifier_dropout_prob"]
      : 0.1,
  };
}
