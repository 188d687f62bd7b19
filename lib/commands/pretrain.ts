/**
 * `albert pretrain`, the reference's run_pretraining: records to a trained model, with checkpoints, resume, warm start
 * and held-out evaluation.
 */
import { join } from "node:path";
import {
  type AlbertConfig,
  albertPreset,
  parsePretrainingConfig,
  type PretrainingConfig,
  readAlbertConfig,
} from "../config/mod.ts";
import { openEngine } from "../engines/mod.ts";
import { albertParameters } from "../model/mod.ts";
import { expandPatterns, readRecords } from "../records/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import { pretrain as train, type StepMetrics, type TrainingExamples } from "../train/mod.ts";
import { type Command, command, type Context, type Flag, type Flags, UsageError } from "./command.ts";
import { readInput } from "./files.ts";

const helps: Readonly<Partial<Record<keyof PretrainingConfig, string>>> = {
  albert_config_file: "architecture, JSON or YAML",
  input_file: "records: paths or globs by comma",
  output_dir: "checkpoints and metrics.jsonl go there; a run found there is continued",
  init_checkpoint: "start from these weights (moments and step start fresh)",
  max_seq_length: "pieces per record",
  max_predictions_per_seq: "masked pieces per record",
  do_train: "train",
  do_eval: "evaluate on --eval_input_file at the end",
  train_batch_size: "records per step",
  eval_batch_size: "records per evaluation batch",
  optimizer: "update rule, lamb or adamw",
  learning_rate: "peak rate",
  poly_power: "exponent of the decay",
  num_train_steps: "steps of the run and of the decay",
  num_warmup_steps: "steps of the warm-up",
  start_warmup_step: "step at which the warm-up begins",
  save_checkpoints_steps: "steps between checkpoints",
  keep_checkpoint_max: "checkpoints kept, 0 for all",
  max_eval_steps: "most batches of one evaluation",
  init_from_group0: "start every group from group 0",
  eval_input_file: "held-out records (the reference evaluates on its training files)",
  engine: "auto, reference, tfjs, tfjs-wasm, tfjs-cpu, tfjs-webgpu",
  device: "device of the engine, empty for its first",
  seed: "seed of weights, dropout and order",
  compute_dtype: "type of the products: float32 or bfloat16",
  gradient_accumulation_steps: "batches whose gradients are averaged before one update",
  remat: "compute layers again in the backward pass",
  weight_decay_rate: "weight decay of kernels and tables",
  shuffle_buffer: "records in the shuffle buffer",
  log_every: "steps between log lines",
  eval_every: "steps between held-out evaluations, 0 for the end only",
  stop_after_steps: "stop here though the schedule goes on, 0 for its end",
  mask_token_id: "id of [MASK]",
};

const ours = new Set<string>(
  [
    "eval_input_file",
    "engine",
    "device",
    "seed",
    "compute_dtype",
    "gradient_accumulation_steps",
    "remat",
    "log_every",
  ]
    .concat(["weight_decay_rate", "shuffle_buffer", "eval_every", "stop_after_steps", "mask_token_id"]),
);

function flagsOf(): Flags {
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
      ...(value === "" ? {} : { default: value }),
      help: helps[name as keyof PretrainingConfig] ?? name,
      ...(ours.has(name) ? {} : { source: "reference" }),
    }];
  });
  return Object.fromEntries([
    ...rows,
    ["preset", {
      kind: "string",
      help: "an architecture by name instead of --albert_config_file: tiny, small, guide, base, ...",
    }],
    ["spm_model_file", {
      kind: "string",
      help: "the tokenizer, kept in every checkpoint so that fill-mask finds it",
    }],
  ]);
}

/** Examples of record files, as training reads them. */
export function openExamples(
  input: string,
  { max_seq_length, max_predictions_per_seq }: Pick<
    PretrainingConfig,
    "max_seq_length" | "max_predictions_per_seq"
  >,
): TrainingExamples {
  const paths = expandPatterns(input);
  return () =>
    readRecords(paths, { maxSeqLength: max_seq_length, maxPredictionsPerSeq: max_predictions_per_seq });
}

/** One log line. */
export function describeStep(
  { step, masked_lm_loss, masked_lm_mask_loss, masked_lm_accuracy, sentence_order_accuracy, ...rest }:
    StepMetrics,
): string {
  const held = rest.evaluation === undefined
    ? ""
    : `, held-out ${rest.evaluation.masked_lm_loss.toFixed(3)} ` +
      `([MASK] ${rest.evaluation.masked_lm_mask_loss.toFixed(3)})`;
  return `step ${step}: MLM ${masked_lm_loss.toFixed(3)} ([MASK] ${masked_lm_mask_loss.toFixed(3)}, ` +
    `accuracy ${masked_lm_accuracy.toFixed(3)}), SOP ${sentence_order_accuracy.toFixed(3)}, ` +
    `rate ${rest.learning_rate.toPrecision(3)}, gradient norm ${rest.gradient_norm.toFixed(2)}, ` +
    `${Math.round(rest.tokens_per_second)} tokens/s${held}`;
}

/** What was decided before the first step, and why. */
export function describeRun(config: AlbertConfig, run: PretrainingConfig, engine: Engine): string[] {
  const parts = new Map<string, number>();
  for (const { name, shape } of albertParameters(config)) {
    const part = name.startsWith("cls/") ? "heads" : name.split("/")[1] ?? name;
    parts.set(part, (parts.get(part) ?? 0) + shape.reduce((product, size) => product * size, 1));
  }
  const total = [...parts.values()].reduce((sum, count) => sum + count, 0);
  const tokens = run.train_batch_size * run.max_seq_length * run.gradient_accumulation_steps;
  return [
    `model: ${total.toLocaleString("en")} parameters (${
      [...parts].map(([part, n]) => `${part} ${n.toLocaleString("en")}`).join(", ")
    })`,
    `step: ${run.train_batch_size} records of ${run.max_seq_length} pieces, ${
      tokens.toLocaleString("en")
    } positions; ` +
    `${run.num_train_steps} steps, ${run.optimizer}, peak rate ${run.learning_rate}, warm-up ${run.num_warmup_steps}`,
    `engine: ${engine.name} on ${
      engine.devices()[0]?.name ?? "its device"
    }, ${run.compute_dtype}; seed ${run.seed}`,
  ];
}

function architecture(
  flags: { readonly preset?: unknown; readonly albert_config_file?: unknown },
): AlbertConfig {
  if (typeof flags.albert_config_file === "string") return readAlbertConfig(flags.albert_config_file);
  if (typeof flags.preset === "string") return albertPreset(flags.preset as "base");
  throw new UsageError("Cannot run pretrain: give --albert_config_file or --preset");
}

async function run(
  { preset, spm_model_file, ...flags }: { readonly [name: string]: unknown },
  _: readonly string[],
  { print, onProgress, endProgress, signal }: Context,
): Promise<void> {
  const config = architecture({ preset, albert_config_file: flags["albert_config_file"] });
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const options = parsePretrainingConfig(given);
  if (options.input_file === "") throw new UsageError("Cannot run pretrain: --input_file must be given");
  if (options.output_dir === "") throw new UsageError("Cannot run pretrain: --output_dir must be given");
  const engine = await openEngine(options.engine);
  for (const line of describeRun(config, options, engine)) print(line);
  const result = await train({
    config,
    run: options,
    examples: openExamples(options.input_file, options),
    ...(options.eval_input_file === ""
      ? {}
      : { evalExamples: openExamples(options.eval_input_file, options) }),
    ...(typeof spm_model_file === "string"
      ? { attachments: { "tokenizer.model": readInput(spm_model_file, "tokenizer") } }
      : {}),
  }, {
    engine,
    onProgress,
    signal,
    onStep: async (metrics) => {
      await endProgress();
      print(describeStep(metrics));
    },
  });
  await endProgress();
  print(
    `${result.interrupted ? "interrupted at" : "finished at"} step ${result.step}: ${
      result.checkpoint ?? join(options.output_dir)
    }`,
  );
}

/** The command. */
export const pretrain: Command = command({
  name: "pretrain",
  aliases: ["run_pretraining"],
  summary: "Train the model on records.",
  example:
    "deno task albert pretrain --input_file=build/train.tfrecord --output_dir=build/model --preset=guide " +
    "--max_seq_length=64 --max_predictions_per_seq=10 --train_batch_size=16 --num_train_steps=1000 --num_warmup_steps=100",
  flags: flagsOf(),
  run,
});
