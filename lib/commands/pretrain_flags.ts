/** The flags of `albert pretrain`: those of the reference by name, default and meaning, and those of this project. */
import { parsePretrainingConfig, type PretrainingConfig } from "../config/mod.ts";
import type { Flag, Flags } from "./command.ts";
import { engineFlags } from "./engine.ts";

const helps: Readonly<Partial<Record<keyof PretrainingConfig, string>>> = {
  albert_config_file: "architecture, JSON or YAML",
  input_file: "records: paths or globs by comma",
  output_dir: "checkpoints and metrics.jsonl go there; a run found there is continued",
  init_checkpoint: "start from these weights (moments and step start fresh)",
  max_seq_length: "pieces per record",
  max_predictions_per_seq: "masked pieces per record",
  do_train: "train",
  do_eval: "evaluate on --eval_input_file, else on --input_file, at the end or alone, into eval_results.txt",
  train_batch_size: "records per step",
  eval_batch_size: "records per evaluation batch",
  optimizer: "update rule, lamb or adamw",
  learning_rate: "peak rate",
  poly_power: "exponent of the decay",
  num_train_steps: "steps of the run and of the decay",
  num_warmup_steps: "steps of the warm-up",
  start_warmup_step:
    "step at which the warm-up begins; the steps before it take rates below 0, as in the reference",
  save_checkpoints_steps: "steps between checkpoints",
  keep_checkpoint_max: "checkpoints kept, 0 for all",
  max_eval_steps: "most batches of one evaluation",
  init_from_group0: "start every group from group 0",
  eval_input_file: "held-out records (the reference evaluates on its training files)",
  engine: engineFlags.engine.help,
  device: "device of the engine, empty for its first",
  seed: "seed of weights, dropout and order",
  compute_dtype: "type of the products: float32 or bfloat16",
  gradient_accumulation_steps: "batches whose gradients are averaged before one update",
  remat: "compute layers again in the backward pass",
  weight_decay_rate: "weight decay of kernels and tables",
  shuffle_buffer: "records in the shuffle buffer",
  log_every: "steps between log lines",
  eval_every: "steps between held-out evaluations, 0 for the end only",
  max_grad_norm: "largest common 2-norm of the gradients, 0 for no limit; 1 in the reference",
  early_stop: "held-out evaluations without a lower [MASK] loss before the run stops, 0 for never",
  allow_changed_flags: "go on though flags that change the result differ from those of the checkpoint",
  find_nan:
    "when a loss is no number, take the steps since the last good checkpoint again to name the value where it " +
    "began, even if that takes more than two minutes",
  stop_after_steps: "stop here though the schedule goes on, 0 for its end",
  stages: "JSON or YAML list of stages, each the flags in which it differs (input_file, max_seq_length, " +
    "train_batch_size, learning_rate, num_train_steps, ...) and moments: fresh or carried",
  mask_token_id: "id of [MASK], else that of --spm_model_file, else 4; held against the records",
};

const ours = new Set<string>([
  ...["eval_input_file", "engine", "device", "seed", "compute_dtype", "gradient_accumulation_steps", "remat"],
  ...[
    "log_every",
    "weight_decay_rate",
    "max_grad_norm",
    "early_stop",
    "allow_changed_flags",
    "shuffle_buffer",
  ],
  ...["eval_every", "stop_after_steps", "stages", "find_nan", "mask_token_id"],
]);

/** Flags that only the reference's TPU estimator reads: they are taken, with a word, and change nothing. */
export const tpuFlags: Flags = Object.fromEntries(
  ([
    ["use_tpu", "boolean"],
    ["iterations_per_loop", "int"],
    ["num_tpu_cores", "int"],
    ["tpu_name", "string"],
    ["tpu_zone", "string"],
    ["gcp_project", "string"],
    ["master", "string"],
  ] as const).map((
    [name, kind],
  ) => [name, { kind, help: "of the TPU estimator: read and left aside", source: "reference" }]),
);

/** All flags of the command. */
export function pretrainFlags(): Flags {
  const rows = Object.entries(parsePretrainingConfig({})).map(([name, value]): [string, Flag] => {
    const kind = typeof value === "boolean"
      ? "boolean"
      : typeof value === "string"
      ? "string"
      : ["learning_rate", "poly_power", "weight_decay_rate", "max_grad_norm"].includes(name)
      ? "float"
      : "int";
    return [name, {
      kind,
      ...(value === "" || name === "mask_token_id" ? {} : { default: value }), // a tokenizer tells the id
      help: helps[name as keyof PretrainingConfig] ?? name,
      ...(ours.has(name) ? {} : { source: "reference" }),
    }];
  });
  return Object.fromEntries([
    ...rows,
    ...Object.entries(tpuFlags),
    ["masked_lm_budget", {
      kind: "float",
      help: "must be 0: what reads it was never released",
      source: "reference",
    }],
    ["measure_peak", {
      kind: "boolean",
      default: true,
      help: "measure the engine's fastest product first, about a second, for MFU",
    }],
    ["preset", {
      kind: "string",
      help:
        "an architecture by name instead of --albert_config_file: tiny, guide, small; base, large, xlarge, " +
        "xxlarge as released in version 2, or base_v1 and so on, with the dropout of version 1",
    }],
    ["plugin", engineFlags.plugin],
    ["devices", {
      kind: "int",
      default: 1,
      help: "devices of the xla engine that share every batch; a processor counts as any number of them",
    }],
    ["spm_model_file", {
      kind: "string",
      help: "the tokenizer, kept in every checkpoint so that fill-mask finds it",
    }],
  ]);
}
