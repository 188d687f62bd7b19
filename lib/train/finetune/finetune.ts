/**
 * Fine-tuning from its start to its end. The loop, the checkpoints and the resume to the same bits are those of `pretrain`;
 * what is added is the head, the labels and the metrics of the task. A checkpoint keeps the tokenizer and `task.json`, so
 * that a folder is all that predicting needs.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AlbertConfig,
  type FinetuneConfig,
  parsePretrainingConfig,
  type PretrainingConfig,
} from "../../config/mod.ts";
import { CorruptFileError } from "../../formats/mod.ts";
import { findCheckpoint, type NamedValues, readVerified, type RunState, taskFile } from "../checkpoint.ts";
import { train } from "../pretrain.ts";
import type { PretrainControls, PretrainResult } from "../run_types.ts";
import {
  type Encoding,
  exampleArrays,
  labelList,
  refuseUnlabelled,
  refuseUnseen,
  splitLabelled,
} from "./examples.ts";
import { taskParameters } from "./head.ts";
import type { LabelledText } from "./labelled.ts";
import type { TaskMetrics } from "./metrics.ts";
import { taskObjective, type TaskStepMetrics } from "./objective.ts";
import { encodingOf, type FineTunedModel } from "./predict.ts";

/**
 * What a fine-tuning starts from and reads.
 *
 * @example
 * ```ts
 * import { albertPreset, type FinetuneOptions, initialParameters, parseFinetuneConfig } from "albert-guide";
 *
 * const config = albertPreset("tiny");
 * const options: FinetuneOptions = {
 *   model: { config, parameters: initialParameters(config, 1), tokenizer: new Uint8Array() },
 *   run: parseFinetuneConfig({ task: "classify" }),
 *   examples: [],
 * };
 * ```
 */
export type FinetuneOptions = {
  /** The pretrained model: weights by name, and the content of its SentencePiece model. */
  readonly model: {
    readonly config: AlbertConfig;
    readonly parameters: { readonly [name: string]: Float32Array };
    readonly tokenizer: Uint8Array;
    /** Where it came from, for messages and for the comparison on resume. */
    readonly path?: string;
  };
  readonly run: FinetuneConfig;
  /** Labelled examples. */
  readonly examples: readonly LabelledText[];
  /** Held-out examples; without them a share of the others is held out. */
  readonly evalExamples?: readonly LabelledText[];
  /** Lower-case the text, as pretraining did; default true. */
  readonly doLowerCase?: boolean;
  /** Keep the accents of the text, as pretraining did; default false. */
  readonly keepAccents?: boolean;
  /** Files that every checkpoint keeps, by name. */
  readonly attachments?: { readonly [name: string]: Uint8Array };
};

/**
 * How a fine-tuning ended.
 *
 * @example
 * ```ts
 * import type { FinetuneResult } from "albert-guide";
 *
 * const accuracy = ({ evaluation }: FinetuneResult): number => evaluation?.accuracy ?? NaN;
 * ```
 */
export type FinetuneResult = {
  /** The model at the end. */
  readonly model: FineTunedModel;
  /** Updates done in all. */
  readonly step: number;
  /** Held-out metrics at the end; undefined when nothing was held out. */
  readonly evaluation?: TaskMetrics;
  /** Log lines of this call. */
  readonly log: PretrainResult<TaskStepMetrics>["log"];
  /** The last checkpoint, when there is an output_dir. */
  readonly checkpoint?: string;
  /** The signal stopped it before its end. */
  readonly interrupted: boolean;
};

/**
 * How a fine-tuning is driven; the same as for `pretrain`.
 *
 * @example
 * ```ts
 * import { type FinetuneControls, referenceEngine } from "albert-guide";
 *
 * const controls: FinetuneControls = { engine: referenceEngine() };
 * ```
 */
export type FinetuneControls = PretrainControls<TaskStepMetrics>;

const sha256 = (...parts: readonly (string | Uint8Array)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");

function refuseMisfit(
  { config, tokenizer }: FinetuneOptions["model"],
  { tokenizer: pieces }: Encoding,
  run: FinetuneConfig,
): void {
  const size = (pieces as { readonly size?: number }).size;
  if (size !== config.vocab_size) {
    throw new RangeError(
      `Cannot fine-tune: the tokenizer has ${size} pieces and the model ${config.vocab_size}; ` +
        "give the tokenizer that made the model's records",
    );
  }
  const absent = ["[CLS]", "[SEP]"].find((piece) => pieces.pieceOf(pieces.idOf(piece)) !== piece);
  if (absent !== undefined || tokenizer.length === 0) {
    throw new RangeError(`Cannot fine-tune: the tokenizer has no piece ${absent}, which every text needs`);
  }
  if (run.max_seq_length > config.max_position_embeddings) {
    throw new RangeError(
      `Cannot fine-tune at max_seq_length ${run.max_seq_length}: the model has ${config.max_position_embeddings} positions`,
    );
  }
}

/** Both sides, checked, and the labels of the training one. */
function sides({ examples, evalExamples, run }: FinetuneOptions) {
  const { train, heldOut } = evalExamples === undefined
    ? splitLabelled(examples, run.eval_share, run.seed)
    : { train: examples, heldOut: evalExamples };
  if (train.length === 0) throw new RangeError("Cannot fine-tune: there is no training example");
  for (const side of [train, heldOut]) refuseUnlabelled(side, run.task);
  const labels = labelList(train);
  if (labels.length < 2) {
    throw new RangeError(
      `Cannot fine-tune: every training example has the label ${labels[0]}; at least two are needed`,
    );
  }
  refuseUnseen(heldOut, labels);
  return { train, heldOut, labels };
}

/** The run as the machinery of pretraining takes it. */
function machineryRun(run: FinetuneConfig, examples: number, path: string): PretrainingConfig {
  const steps = Math.max(1, Math.round(examples * run.num_train_epochs / run.train_batch_size));
  return parsePretrainingConfig({
    output_dir: run.output_dir,
    init_checkpoint: path,
    max_seq_length: run.max_seq_length,
    max_predictions_per_seq: 1, // of pretraining; nothing here reads it
    train_batch_size: run.train_batch_size,
    eval_batch_size: run.eval_batch_size,
    optimizer: "adamw",
    learning_rate: run.learning_rate,
    num_train_steps: steps,
    num_warmup_steps: Math.floor(steps * run.warmup_proportion),
    weight_decay_rate: run.weight_decay_rate,
    max_grad_norm: run.max_grad_norm,
    seed: run.seed,
    shuffle_buffer: examples,
    log_every: run.log_every,
    eval_every: run.eval_every,
    save_checkpoints_steps: run.save_checkpoints_steps,
    keep_checkpoint_max: run.keep_checkpoint_max,
    allow_changed_flags: run.allow_changed_flags,
  });
}

/** What `task.json` says. */
type TaskNote = Pick<FineTunedModel, "task" | "labels"> & {
  readonly max_seq_length: number;
  readonly do_lower_case: boolean;
  readonly keep_accents?: boolean;
  readonly classifier_dropout_prob: number;
};

/**
 * Fine-tunes a pretrained model for labels of texts or pairs, or for tags of words: AdamW, linear warm-up and decay, a fresh
 * head. An `output_dir` that already holds a checkpoint is continued, to the same bits as without the stop.
 *
 * @param options Model, run, examples.
 * @param controls Engine, callbacks, signal.
 * @returns The model, log lines, held-out metrics.
 * @throws {TypeError} When an example lacks what the task needs.
 * @throws {RangeError} When there are fewer than two labels, a held-out label is not among those of training, the tokenizer
 * does not fit the model, a checkpoint's flags differ, or the loss is no number any more.
 * @throws {CorruptFileError} When a checkpoint is damaged.
 * @example
 * ```ts
 * import { albertPreset, finetune, initialParameters, parseFinetuneConfig } from "albert-guide";
 * import { referenceEngine, serializeModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const control = (piece: string) => ({ piece, score: 0, type: "control" }) as const;
 * const word = (piece: string) => ({ piece, score: -1, type: "normal" }) as const;
 * const unknown = { piece: "<unk>", score: 0, type: "unknown" } as const;
 * const pieces = [control("<pad>"), unknown, control("[CLS]"), control("[SEP]"), word("▁day"), word("▁night")];
 * const config = albertPreset("tiny", { vocab_size: pieces.length });
 * const examples = [{ text: "day", label: "light" }, { text: "night", label: "dark" }];
 * const { model, evaluation } = await finetune({
 *   model: { config, parameters: initialParameters(config, 1), tokenizer: serializeModel({ pieces }) },
 *   run: parseFinetuneConfig({
 *     ...{ task: "classify", max_seq_length: 4, train_batch_size: 2 },
 *     ...{ num_train_epochs: 40, learning_rate: 0.002, classifier_dropout_prob: 0 },
 *   }),
 *   examples,
 *   evalExamples: examples,
 * }, { engine: referenceEngine() });
 * assert.deepEqual([model.labels, evaluation?.accuracy], [["dark", "light"], 1]);
 * ```
 */
export async function finetune(
  options: FinetuneOptions,
  controls: FinetuneControls,
): Promise<FinetuneResult> {
  const { model: given, run, doLowerCase = true, keepAccents = false } = options;
  const { train: texts, heldOut, labels } = sides(options);
  const encoding = encodingOf(given.tokenizer, doLowerCase, keepAccents);
  refuseMisfit(given, encoding, run);
  const config = { ...given.config, ...dropouts(run) };
  const { path = "" } = given;
  const examples = texts.map((text) =>
    exampleArrays(text, encoding, { task: run.task, labels, length: run.max_seq_length })
  );
  const note: TaskNote = {
    task: run.task,
    labels,
    max_seq_length: run.max_seq_length,
    do_lower_case: doLowerCase,
    ...(keepAccents ? { keep_accents: true } : {}), // absent as in notes of before, whose hash must stay
    classifier_dropout_prob: run.classifier_dropout_prob,
  };
  const noteText = `${JSON.stringify(note, null, 2)}\n`;
  const { step, parameters, evaluation, log, checkpoint, interrupted } = await train({
    config,
    run: machineryRun(run, texts.length, path),
    examples,
    objective: taskObjective({
      ...{ config, run, labels, encoding, evalExamples: heldOut },
      pretrained: { parameters: given.parameters, path: path || "the given model" },
    }),
    attachments: {
      ...options.attachments,
      "tokenizer.model": given.tokenizer,
      [taskFile]: new TextEncoder().encode(noteText),
    },
    hashes: {
      tokenizer: sha256(given.tokenizer),
      "training examples": sha256(JSON.stringify(texts)),
      "task, labels and start": sha256(noteText, String(run.from_scratch)),
    },
  }, controls);
  return {
    model: {
      ...{ config, parameters, tokenizer: given.tokenizer, task: run.task, labels, doLowerCase },
      ...(keepAccents ? { keepAccents } : {}),
      maxSeqLength: run.max_seq_length,
      classifierDropout: run.classifier_dropout_prob,
    },
    ...{ step, log, interrupted },
    ...(evaluation === undefined ? {} : { evaluation: evaluation as TaskMetrics }), // the evaluator gives all of it
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

function dropouts(
  { hidden_dropout_prob, attention_probs_dropout_prob }: FinetuneConfig,
): Partial<Pick<AlbertConfig, "hidden_dropout_prob" | "attention_probs_dropout_prob">> {
  return {
    ...(hidden_dropout_prob === undefined ? {} : { hidden_dropout_prob }),
    ...(attention_probs_dropout_prob === undefined ? {} : { attention_probs_dropout_prob }),
  };
}

/**
 * Reads a fine-tuned model from a checkpoint of `finetune`.
 *
 * @param path A `step-…` folder, or an output_dir, whose newest checkpoint is taken.
 * @returns The model with its tokenizer and labels, its folder, the updates done, and SHA-256 of what it was made from.
 * @throws {CorruptFileError} When anything is damaged or missing.
 * @throws {TypeError} When the checkpoint is not fine-tuned.
 * @throws {Error} When there is no checkpoint.
 * @example
 * ```ts
 * import { readFineTuned } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.throws(() => readFineTuned(mkdtempSync(`${tmpdir()}/albert-`)), /there is no checkpoint/);
 * ```
 */
export function readFineTuned(
  path: string,
): FineTunedModel & {
  readonly path: string;
  readonly step: number;
  readonly hashes: NonNullable<RunState["hashes"]>;
} {
  const folder = findCheckpoint(path);
  const { note, tokenizer } = readNote(folder);
  const { config, parameters, state } = readVerified(
    folder,
    (config) => taskParameters(config, { task: note.task, labels: note.labels.length }),
  );
  return {
    ...{
      config,
      parameters: parameters as NamedValues,
      tokenizer,
      path: folder,
      step: state.step,
      hashes: state.hashes ?? {},
    },
    task: note.task,
    labels: note.labels,
    maxSeqLength: note.max_seq_length,
    doLowerCase: note.do_lower_case,
    ...(note.keep_accents === true ? { keepAccents: true } : {}),
    classifierDropout: note.classifier_dropout_prob,
  };
}

/**
 * Whether a path names a fine-tuned checkpoint.
 *
 * @param path A `step-…` folder, or an output_dir, whose newest checkpoint is taken.
 * @returns False for one of pretraining.
 * @throws {CorruptFileError} When anything is damaged or missing.
 * @throws {Error} When there is no checkpoint.
 * @example
 * ```ts
 * import { albertPreset, initialParameters, isFineTuned, saveWeights } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const config = albertPreset("tiny", { vocab_size: 10 });
 * const path = saveWeights(mkdtempSync(`${tmpdir()}/albert-`), { config, parameters: initialParameters(config, 1) });
 * assert.equal(isFineTuned(path), false);
 * ```
 */
export const isFineTuned = (path: string): boolean => existsSync(join(findCheckpoint(path), taskFile));

function readNote(folder: string): { readonly note: TaskNote; readonly tokenizer: Uint8Array } {
  const file = join(folder, taskFile);
  try {
    const note = JSON.parse(readFileSync(file, "utf8")) as TaskNote;
    return { note, tokenizer: new Uint8Array(readFileSync(join(folder, "tokenizer.model"))) };
  } catch (error) {
    if ((error as { readonly code?: string }).code === "ENOENT") {
      throw new TypeError(
        `Cannot use ${folder} as a fine-tuned model: it has no ${taskFile}, albert finetune makes one`,
      );
    }
    throw new CorruptFileError(`Cannot use ${file}: ${(error as Error).message}`, { path: file });
  }
}
