/**
 * FinetuneConfig: one fine-tuning. Names and defaults follow the reference's run_classifier.py where it has them; a flag, a
 * key and a field have the same name.
 */
import { type Field, readFields, refuse } from "./fields.ts";

/**
 * What a model is fine-tuned for: a label for a text, a label for a pair of texts, a tag for each word.
 *
 * @example
 * ```ts
 * import type { FinetuneTask } from "albert-guide";
 *
 * const tasks: readonly FinetuneTask[] = ["classify", "pair", "tokens"];
 * ```
 */
export type FinetuneTask = "classify" | "pair" | "tokens";

/**
 * A fine-tuning. Defaults in brackets; those marked R are the reference's.
 *
 * @example
 * ```ts
 * import { type FinetuneConfig, parseFinetuneConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config: FinetuneConfig = parseFinetuneConfig({ task: "classify", train_batch_size: 16 });
 * assert.equal(config.learning_rate, 0.00005);
 * ```
 */
export type FinetuneConfig = {
  /** What for; must be given. */
  readonly task: FinetuneTask;
  /** Where checkpoints and metrics go [""]. */
  readonly output_dir: string;
  /** Pieces per example; longer ones are cut [128] R. */
  readonly max_seq_length: number;
  /** Examples per step [32] R. */
  readonly train_batch_size: number;
  /** Examples per evaluation batch [64]. */
  readonly eval_batch_size: number;
  /** Rate the warm-up rises to; small models of the guide want some 0.001 [0.00005] R. */
  readonly learning_rate: number;
  /** Passes over the training examples [3] R. */
  readonly num_train_epochs: number;
  /** Share of the steps that the rate rises, then it falls linearly to 0 [0.1] R. */
  readonly warmup_proportion: number;
  /** Weight decay of kernels and tables [0.01] R. */
  readonly weight_decay_rate: number;
  /** Largest common 2-norm of the gradients, 0 for no limit [1] R. */
  readonly max_grad_norm: number;
  /** Dropout before the head [0.1] R. */
  readonly classifier_dropout_prob: number;
  /** Dropout inside the encoder; default that of the model. */
  readonly hidden_dropout_prob?: number;
  /** Dropout of attention; default that of the model. */
  readonly attention_probs_dropout_prob?: number;
  /** Begin with random weights instead of the model's, to see what pretraining was good for [false]. */
  readonly from_scratch: boolean;
  /** Seed of head, dropout, order and split [12345]. */
  readonly seed: number;
  /** Share of the examples held out when no file is given for it [0.1]. */
  readonly eval_share: number;
  /** Steps between log lines, 0 logs none [50]. */
  readonly log_every: number;
  /** Steps between held-out evaluations, 0 evaluates only at the end [0]. */
  readonly eval_every: number;
  /** Steps between checkpoints [1000] R. */
  readonly save_checkpoints_steps: number;
  /** Checkpoints kept, 0 keeps all [2]. */
  readonly keep_checkpoint_max: number;
  /** Go on in an output_dir though flags that change the result were changed [false]. */
  readonly allow_changed_flags: boolean;
};

const most = Number.MAX_SAFE_INTEGER;
const count = (value: number, min: number): Field => ({ kind: "int", min, max: most, default: value });
const number = (value: number): Field => ({ kind: "number", min: 0, default: value });
const share = (value: number): Field => ({ kind: "probability", default: value });
const off: Field = { kind: "boolean", default: false };

const table: Readonly<Record<keyof FinetuneConfig, Field>> = {
  task: { kind: "choice", choices: ["classify", "pair", "tokens"], required: true },
  output_dir: { kind: "text", default: "" },
  max_seq_length: count(128, 4),
  train_batch_size: count(32, 1),
  eval_batch_size: count(64, 1),
  learning_rate: number(0.00005),
  num_train_epochs: { kind: "number", min: 1e-9, default: 3 },
  warmup_proportion: share(0.1),
  weight_decay_rate: number(0.01),
  max_grad_norm: number(1),
  classifier_dropout_prob: share(0.1),
  hidden_dropout_prob: { kind: "probability" },
  attention_probs_dropout_prob: { kind: "probability" },
  from_scratch: off,
  seed: count(12345, 0),
  eval_share: share(0.1),
  log_every: count(50, 0),
  eval_every: count(0, 0),
  save_checkpoints_steps: count(1000, 1),
  keep_checkpoint_max: count(2, 0),
  allow_changed_flags: off,
};

/**
 * Checks the value of a fine-tuning and fills in defaults.
 *
 * @param value Flags by name, or what a JSON file held.
 * @returns The config.
 * @throws {TypeError} When a key is unknown or missing or a value has the wrong type; names every mistake.
 * @throws {RangeError} When values are only out of range; names every mistake.
 * @example
 * ```ts
 * import { parseFinetuneConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => parseFinetuneConfig({ task: "sort" }), /task must be one of "classify", "pair", "tokens"/);
 * ```
 */
export function parseFinetuneConfig(value: unknown): FinetuneConfig {
  const { values, mistakes } = readFields(value, table);
  refuse("the fine-tuning config", mistakes);
  return values as FinetuneConfig;
}
