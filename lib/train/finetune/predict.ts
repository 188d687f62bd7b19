/**
 * What a fine-tuned model says about texts: the scores of every label, and from them guesses and probabilities.
 */
import type { AlbertConfig, FinetuneTask } from "../../config/mod.ts";
import type { OnProgress } from "../../progress.ts";
import { preprocessText } from "../../text/mod.ts";
import type { Engine } from "../../tensor/mod.ts";
import { loadSentencePiece } from "../../tokenizer/mod.ts";
import { type ByLength, openByLength, tellTexts } from "../by_length.ts";
import type { NamedValues } from "../checkpoint.ts";
import { type NamedArrays, typesOf, uploadAll } from "../step.ts";
import { encodeText, type Encoding, refuseOther } from "./examples.ts";
import { type HeadShape, taskLogits, taskParameters } from "./head.ts";
import type { LabelledText } from "./labelled.ts";
import { type Judged, type TaskMetrics, taskMetrics } from "./metrics.ts";

/**
 * A fine-tuned model.
 *
 * @example
 * ```ts
 * import type { FineTunedModel } from "albert-guide";
 *
 * const isBinary = ({ labels }: FineTunedModel): boolean => labels.length === 2;
 * ```
 */
export type FineTunedModel = {
  readonly config: AlbertConfig;
  /** Weights by name; `output_weights` and `output_bias` are the head. */
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Content of the SentencePiece model. */
  readonly tokenizer: Uint8Array;
  readonly task: FinetuneTask;
  /** Labels in the order of the scores. */
  readonly labels: readonly string[];
  /** Longest sequence of the training, in pieces. */
  readonly maxSeqLength: number;
  /** Text was lower-cased. */
  readonly doLowerCase: boolean;
  /** Text kept its accents; default false. */
  readonly keepAccents?: boolean;
  /** Dropout before the head. */
  readonly classifierDropout: number;
};

/**
 * What a model says about one text.
 *
 * @example
 * ```ts
 * import type { LabelPrediction } from "albert-guide";
 *
 * const sure = ({ probabilities }: LabelPrediction): boolean => Math.max(...probabilities) > 0.9;
 * ```
 */
export type LabelPrediction = {
  /** The likeliest label; undefined for words. */
  readonly label?: string;
  /** For words: the likeliest tag of each; `O`, or else the first label, where a word was cut off. */
  readonly tags?: readonly string[];
  /** Probability of each label, in the order of the model's labels; for words those of every word in turn. */
  readonly probabilities: readonly number[];
  /** The scores they come from. */
  readonly logits: readonly number[];
};

/** Pieces of texts as a model's training saw them. */
export function encodingOf(
  tokenizer: Uint8Array,
  doLowerCase: boolean,
  keepAccents: boolean = false,
): Encoding {
  return {
    tokenizer: loadSentencePiece(tokenizer),
    prepare: (text) => preprocessText(text, { lower: doLowerCase, keepAccents }),
  };
}

/** The scores of a model's labels for texts of any lengths. */
export function openScores(
  config: AlbertConfig,
  shape: HeadShape,
  { engine, batchSize, longest }: {
    readonly engine: Engine;
    readonly batchSize: number;
    readonly longest: number;
  },
): ByLength {
  return openByLength({
    engine,
    batchSize,
    longest,
    weights: taskParameters(config, shape),
    compute: (parameters, inputs) => taskLogits(parameters, inputs, config, { task: shape.task, rate: 0 }),
  });
}

/** Scores of every decision of a text: one, or one a word, where a cut word has none. */
function decisions(
  scores: Float32Array,
  places: readonly number[] | undefined,
  C: number,
): (Float32Array | undefined)[] {
  return (places ?? [0]).map((place) => place < 0 ? undefined : scores.subarray(place * C, (place + 1) * C));
}

const best = (scores: ArrayLike<number>): number => {
  let found = 0;
  for (let i = 1; i < scores.length; i++) if ((scores[i] ?? 0) > (scores[found] ?? 0)) found = i;
  return found;
};

/** Probabilities of scores, and the logarithm of what they are divided by. */
function softmaxOf(scores: ArrayLike<number>): { readonly shares: number[]; readonly log: number } {
  const top = scores[best(scores)] ?? 0;
  const raised = Array.from(scores, (score) => Math.exp(score - top));
  const sum = raised.reduce((all, each) => all + each, 0);
  return { shares: raised.map((each) => each / sum), log: top + Math.log(sum) };
}

/** Evaluates weights on labelled texts. */
export async function evaluateTask(
  scores: ByLength,
  parameters: NamedArrays,
  examples: readonly LabelledText[],
  { encoding, task, labels, length, signal }: {
    readonly encoding: Encoding;
    readonly task: FinetuneTask;
    readonly labels: readonly string[];
    readonly length: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<TaskMetrics> {
  const encoded = examples.map((example) => encodeText(example, encoding, length));
  const found = await scores.run(parameters, encoded, { signal });
  const judged = examples.map((example, i): Judged => {
    const truth = (example.tags ?? [example.label ?? ""]).map((label) => labels.indexOf(label));
    let loss = 0;
    const parts = decisions(found[i] as Float32Array, encoded[i]?.places, labels.length); // one for each text
    const guess = parts.map((part, word) => {
      if (part === undefined) return -1;
      loss += softmaxOf(part).log - (part[truth[word] ?? 0] ?? NaN);
      return best(part);
    });
    return { truth, guess, loss };
  });
  return taskMetrics(judged, labels, task === "tokens");
}

/**
 * Labels texts with a fine-tuned model.
 *
 * @param texts Texts, pairs or words, as the model's task needs them; labels in them are not looked at.
 * @param model The model.
 * @param options `engine`; `batchSize`, default 64; `signal`; `onProgress` counts texts.
 * @returns A prediction for each text, in their order.
 * @throws {TypeError} When a text has not what the task needs.
 * @example
 * ```ts
 * import { albertPreset, finetune, initialParameters, parseFinetuneConfig, predictLabels } from "albert-guide";
 * import { referenceEngine, serializeModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const control = (piece: string) => ({ piece, score: 0, type: "control" }) as const;
 * const word = (piece: string) => ({ piece, score: -1, type: "normal" }) as const;
 * const unknown = { piece: "<unk>", score: 0, type: "unknown" } as const;
 * const pieces = [control("<pad>"), unknown, control("[CLS]"), control("[SEP]"), word("▁day"), word("▁night")];
 * const config = albertPreset("tiny", { vocab_size: pieces.length });
 * const { model } = await finetune({
 *   model: { config, parameters: initialParameters(config, 1), tokenizer: serializeModel({ pieces }) },
 *   run: parseFinetuneConfig({
 *     ...{ task: "classify", max_seq_length: 4, train_batch_size: 2 },
 *     ...{ num_train_epochs: 40, learning_rate: 0.002, classifier_dropout_prob: 0 },
 *   }),
 *   examples: [{ text: "day", label: "light" }, { text: "night", label: "dark" }],
 * }, { engine: referenceEngine() });
 * const [day] = await predictLabels([{ text: "day" }], model, { engine: referenceEngine() });
 * assert.equal(day?.label, "light");
 * ```
 */
export async function predictLabels(
  texts: readonly LabelledText[],
  model: FineTunedModel,
  { engine, batchSize = 64, signal, onProgress }: {
    readonly engine: Engine;
    readonly batchSize?: number;
    readonly signal?: AbortSignal;
    readonly onProgress?: OnProgress;
  },
): Promise<LabelPrediction[]> {
  const { config, parameters, task, labels, maxSeqLength } = model;
  texts.forEach((text, i) => refuseOther(text, task, `Cannot predict for text ${i + 1}`));
  const encoding = encodingOf(model.tokenizer, model.doLowerCase, model.keepAccents);
  const encoded = texts.map((text) => encodeText(text, encoding, maxSeqLength));
  const shape = { task, labels: labels.length };
  const scores = openScores(config, shape, { engine, batchSize, longest: maxSeqLength });
  const uploaded = await uploadAll(parameters as NamedValues, typesOf(taskParameters(config, shape)), engine);
  try {
    const watch = { signal, onProgress: tellTexts(onProgress, "predict", texts.length) };
    const found = await scores.run(uploaded, encoded, watch);
    const outside = labels.includes("O") ? "O" : labels[0] as string; // a model has labels
    return found.map((values, i) => {
      const parts = decisions(values, encoded[i]?.places, labels.length);
      const names = parts.map((part) => part === undefined ? outside : labels[best(part)] as string);
      return {
        ...(task === "tokens" ? { tags: names } : { label: names[0] as string }),
        probabilities: parts.flatMap((part) =>
          part === undefined ? labels.map(() => NaN) : softmaxOf(part).shares
        ),
        logits: parts.flatMap((part) => part === undefined ? labels.map(() => NaN) : [...part]),
      };
    });
  } finally {
    Object.values(uploaded).forEach((array) => array.dispose());
    scores.dispose();
  }
}
