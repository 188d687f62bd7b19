/**
 * PretrainingConfig: one training run. Flag names and defaults are those of the reference's run_pretraining.py; this
 * project's own fields stand below them. A flag, a JSON key and a field have the same name.
 */
import { type Field, type Mistake, readFields, refuse, sortedJson } from "./fields.ts";

/**
 * A pretraining run. Defaults in brackets; those marked R are the reference's.
 *
 * @example
 * ```ts
 * import { parsePretrainingConfig, type PretrainingConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config: PretrainingConfig = parsePretrainingConfig({ input_file: "a.tfrecord", output_dir: "out" });
 * assert.equal(config.learning_rate, 0.00176);
 * ```
 */
export type PretrainingConfig = {
  /** Architecture file, JSON or YAML [""]. */
  readonly albert_config_file: string;
  /** Records to train on: comma list of paths or globs [""]. */
  readonly input_file: string;
  /** Where checkpoints and metrics go [""]. */
  readonly output_dir: string;
  /** Checkpoint whose weights start the run, a warm start [""] R. */
  readonly init_checkpoint: string;
  /** Pieces per record [512] R. */
  readonly max_seq_length: number;
  /** Masked pieces per record [20] R. */
  readonly max_predictions_per_seq: number;
  /** Train [true] R. */
  readonly do_train: boolean;
  /** Evaluate at the end [false] R. */
  readonly do_eval: boolean;
  /** Records per step [4096] R. */
  readonly train_batch_size: number;
  /** Records per evaluation batch [64] R. */
  readonly eval_batch_size: number;
  /** Update rule [lamb] R. */
  readonly optimizer: "lamb" | "adamw";
  /** Rate the warm-up rises to, per step [0.00176] R. */
  readonly learning_rate: number;
  /** Exponent of the decay; 1 is linear [1] R. */
  readonly poly_power: number;
  /** Steps of the run and of the decay [125000] R. */
  readonly num_train_steps: number;
  /** Steps of the warm-up [3125] R. */
  readonly num_warmup_steps: number;
  /** Step at which the warm-up begins [0] R. */
  readonly start_warmup_step: number;
  /** Steps between checkpoints [5000] R. */
  readonly save_checkpoints_steps: number;
  /** Checkpoints kept, 0 keeps all [5] R. */
  readonly keep_checkpoint_max: number;
  /** Most batches of one evaluation [100] R. */
  readonly max_eval_steps: number;
  /** Warm start every group from group 0 [false] R. */
  readonly init_from_group0: boolean;
  /** Held-out records: comma list of paths or globs; the reference evaluates on its training files [""]. */
  readonly eval_input_file: string;
  /** `auto`, `reference`, `tfjs`, `tfjs-cpu`, `tfjs-wasm`, `tfjs-webgpu`, `tfjs-node`, `xla` ... ["auto"]. */
  readonly engine: string;
  /** Device of the engine, "" takes its first [""]. */
  readonly device: string;
  /** Seed of fresh weights, dropout and the order of records [12345]. */
  readonly seed: number;
  /** Type of the encoder's products; weights, softmax, norms and losses stay float32 ["float32"]. */
  readonly compute_dtype: "float32" | "bfloat16";
  /** Batches whose gradients are averaged before one update [1]. */
  readonly gradient_accumulation_steps: number;
  /** Compute a layer again in the backward pass instead of storing it [false]. */
  readonly remat: boolean;
  /** Weight decay of kernels and tables [0.01], fixed in the reference. */
  readonly weight_decay_rate: number;
  /** Largest common 2-norm of the gradients, beyond it they are scaled down; 0 never scales [1], fixed in the reference. */
  readonly max_grad_norm: number;
  /** Held-out evaluations without a lower loss on [MASK] after which the run stops, 0 never stops early [0]. */
  readonly early_stop: number;
  /** When a loss is no number, take the steps since the last good checkpoint again to name the value where it began,
   * however long that takes; what takes up to two minutes is done in any case [false]. */
  readonly find_nan: boolean;
  /** Go on in an output_dir though flags that change the result were changed [false]. */
  readonly allow_changed_flags: boolean;
  /** Records in the shuffle buffer, 0 or 1 keeps the order of the files [100] R. */
  readonly shuffle_buffer: number;
  /** Steps between log lines, 0 logs none [100]. */
  readonly log_every: number;
  /** Steps between held-out evaluations, 0 evaluates only at the end [0]. */
  readonly eval_every: number;
  /** Steps after which this run stops though the schedule goes on, 0 runs to its end [0]. */
  readonly stop_after_steps: number;
  /** File with a list of stages, JSON or YAML; each gives the flags in which it differs from the run [""]. */
  readonly stages: string;
  /** Id of the piece [MASK], for losses on masked positions only [4]. */
  readonly mask_token_id: number;
};

const count = (value: number, min: number = 1): Field => ({
  kind: "int",
  min,
  max: Number.MAX_SAFE_INTEGER,
  default: value,
});
const text = (value: string = ""): Field => ({ kind: "text", default: value });

/** The fields by name, with their ranges and defaults. */
export const pretrainingFields: Readonly<Record<keyof PretrainingConfig, Field>> = {
  albert_config_file: text(),
  input_file: text(),
  output_dir: text(),
  init_checkpoint: text(),
  max_seq_length: count(512, 4),
  max_predictions_per_seq: count(20),
  do_train: { kind: "boolean", default: true },
  do_eval: { kind: "boolean", default: false },
  train_batch_size: count(4096),
  eval_batch_size: count(64),
  optimizer: { kind: "choice", choices: ["lamb", "adamw"], default: "lamb" },
  learning_rate: { kind: "number", min: 0, default: 0.00176 },
  poly_power: { kind: "number", min: 0, default: 1 },
  num_train_steps: count(125000),
  num_warmup_steps: count(3125, 0),
  start_warmup_step: count(0, 0),
  save_checkpoints_steps: count(5000),
  keep_checkpoint_max: count(5, 0),
  max_eval_steps: count(100),
  init_from_group0: { kind: "boolean", default: false },
  eval_input_file: text(),
  engine: text("auto"),
  device: text(),
  seed: count(12345, 0),
  compute_dtype: { kind: "choice", choices: ["float32", "bfloat16"], default: "float32" },
  gradient_accumulation_steps: count(1),
  remat: { kind: "boolean", default: false },
  weight_decay_rate: { kind: "number", min: 0, default: 0.01 },
  max_grad_norm: { kind: "number", min: 0, default: 1 },
  early_stop: count(0, 0),
  find_nan: { kind: "boolean", default: false },
  allow_changed_flags: { kind: "boolean", default: false },
  shuffle_buffer: count(100, 0),
  log_every: count(100, 0),
  eval_every: count(0, 0),
  stop_after_steps: count(0, 0),
  stages: text(),
  mask_token_id: count(4, 0),
};

// Flags of the reference that only its TPU estimator or its unreleased code read, with the value that changes nothing.
const ignored: Readonly<Record<string, Field>> = {
  use_tpu: { kind: "boolean" },
  iterations_per_loop: { kind: "int" },
  num_tpu_cores: { kind: "int" },
  tpu_name: { kind: "text" },
  tpu_zone: { kind: "text" },
  gcp_project: { kind: "text" },
  master: { kind: "text" },
  masked_lm_budget: { kind: "number" },
};

function contradictions(values: Record<string, unknown>): Mistake[] {
  const mistakes: Mistake[] = [];
  const refuseIf = (condition: boolean, message: string): void => {
    if (condition) mistakes.push({ kind: "range", text: message });
  };
  refuseIf(values["use_tpu"] === true, 'use_tpu must be false: choose engine "xla" and device "tpu" instead');
  refuseIf(
    typeof values["masked_lm_budget"] === "number" && values["masked_lm_budget"] !== 0,
    "masked_lm_budget must be 0: the reference never released what computes it",
  );
  refuseIf(values["do_train"] === false && values["do_eval"] === false, "do_train or do_eval must be true");
  refuseIf(
    Number(values["start_warmup_step"]) > 0 && Number(values["num_warmup_steps"]) === 0,
    "start_warmup_step must be 0 when num_warmup_steps is 0",
  );
  refuseIf(
    Number(values["max_predictions_per_seq"]) > Number(values["max_seq_length"]),
    `max_predictions_per_seq must be at most max_seq_length, they are ${values["max_predictions_per_seq"]} ` +
      `and ${values["max_seq_length"]}`,
  );
  refuseIf(
    Number(values["early_stop"]) > 0 && Number(values["eval_every"]) === 0,
    "eval_every must be at least 1 when early_stop is given: it counts held-out evaluations",
  );
  for (const key of Object.keys(ignored)) delete values[key];
  return mistakes;
}

/**
 * Checks the value of a pretraining config and fills in defaults. The reference's TPU flags are read and dropped.
 *
 * @param value What a JSON or YAML file held, or flags by name.
 * @param options `path`: the file, for messages.
 * @returns The config.
 * @throws {TypeError} When a key is unknown or a value has the wrong type; names every mistake.
 * @throws {RangeError} When values are only out of range or contradict each other; names every mistake.
 * @example
 * ```ts
 * import { parsePretrainingConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(parsePretrainingConfig({ train_batch_size: 16 }).optimizer, "lamb");
 * assert.throws(() => parsePretrainingConfig({ train_batch_size: 0 }), /train_batch_size must be at least 1/);
 * ```
 */
export function parsePretrainingConfig(
  value: unknown,
  { path }: { readonly path?: string } = {},
): PretrainingConfig {
  const { values, mistakes } = readFields(value, { ...pretrainingFields, ...ignored });
  refuse(path === undefined ? "the pretraining config" : `the pretraining config ${path}`, [
    ...mistakes,
    ...contradictions(values),
  ]);
  return values as PretrainingConfig;
}

/**
 * The config as JSON: keys sorted, indented by 2, a newline at the end.
 *
 * @param config Any config.
 * @returns JSON text.
 * @example
 * ```ts
 * import { parsePretrainingConfig, pretrainingConfigToJson } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = parsePretrainingConfig({ seed: 7 });
 * assert.deepEqual(parsePretrainingConfig(JSON.parse(pretrainingConfigToJson(config))), config);
 * ```
 */
export function pretrainingConfigToJson(config: PretrainingConfig): string {
  return sortedJson(config);
}
