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
  readStages,
  type StageConfig,
} from "../config/mod.ts";
import { measurePeak } from "../engines/mod.ts";
import { expandPatterns, indexTfrecords, readRecords } from "../records/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import {
  estimateCost,
  evaluate,
  pretrain as train,
  type PretrainControls,
  pretrainStages,
  readCheckpoint,
  type StepMetrics,
  type TrainingExamples,
  type TrainingStage,
} from "../train/mod.ts";
import { type Command, command, type Context, type Flag, type Flags, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { readInput } from "./files.ts";
import { describeStages, openPace, type Pace, stepsOf } from "./pace.ts";
import { checkRecords, type RecordHashes, type TokenizerFile, unvouched } from "./records_manifest.ts";

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
  stop_after_steps: "stop here though the schedule goes on, 0 for its end",
  stages: "JSON or YAML list of stages, each the flags in which it differs (input_file, max_seq_length, " +
    "train_batch_size, learning_rate, num_train_steps, ...) and moments: fresh or carried",
  mask_token_id: "id of [MASK]",
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
  ...["eval_every", "stop_after_steps", "stages", "mask_token_id"],
]);

/** Flags that only the reference's TPU estimator reads: they are taken, with a word, and change nothing. */
const tpuFlags: Flags = Object.fromEntries(
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
      help: "an architecture by name instead of --albert_config_file: tiny, small, guide, base, ...",
    }],
    ["plugin", engineFlags.plugin],
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

/** Seconds as a person says them. */
export function describeSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** One log line. */
export function describeStep(
  { step, masked_lm_loss, masked_lm_mask_loss, masked_lm_accuracy, sentence_order_accuracy, ...rest }:
    StepMetrics,
  { mfu, secondsLeft }: Pace = {},
): string {
  const held = rest.evaluation === undefined
    ? ""
    : `, held-out ${rest.evaluation.masked_lm_loss.toFixed(3)} ` +
      `([MASK] ${rest.evaluation.masked_lm_mask_loss.toFixed(3)})`;
  return `step ${step}: MLM ${masked_lm_loss.toFixed(3)} ([MASK] ${masked_lm_mask_loss.toFixed(3)}, ` +
    `accuracy ${masked_lm_accuracy.toFixed(3)}), SOP ${sentence_order_accuracy.toFixed(3)}, ` +
    `rate ${rest.learning_rate.toPrecision(3)}, gradient norm ${rest.gradient_norm.toFixed(2)}, ` +
    `${Math.round(rest.tokens_per_second)} tokens/s` +
    (mfu === undefined ? "" : `, MFU ${(100 * mfu).toFixed(1)} %`) + held +
    (secondsLeft === undefined || secondsLeft <= 0 ? "" : `, ${describeSeconds(secondsLeft)} left`);
}

const bytes = (count: number): string =>
  count < 1e9 ? `${(count / 1e6).toFixed(0)} MB` : `${(count / 1e9).toFixed(1)} GB`;

/** What was decided before the first step, and why. */
export function describeRun(config: AlbertConfig, run: PretrainingConfig, engine: Engine): string[] {
  const { parameters, total, tokens, flops, stateBytes, activationBytes } = estimateCost(config, run);
  const parts = Object.entries(parameters).map(([part, n]) => `${part} ${n.toLocaleString("en")}`);
  return [
    `model: ${total.toLocaleString("en")} parameters (${parts.join(", ")})`,
    `step: ${run.train_batch_size} records of ${run.max_seq_length} pieces` +
    (run.gradient_accumulation_steps === 1
      ? ""
      : `, ${run.gradient_accumulation_steps} batches accumulated`) +
    `, ${tokens.toLocaleString("en")} positions, ${(flops / 1e9).toPrecision(3)} GFLOP; ` +
    `${run.num_train_steps} steps, ${run.optimizer}, peak rate ${run.learning_rate}, warm-up ${run.num_warmup_steps}`,
    `memory: ${bytes(stateBytes)} for weights, moments and gradients, about ${
      bytes(activationBytes)
    } for activations` +
    (run.remat ? " (recomputed)" : ""),
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

/** Prints what the engine's fastest product means for this run, and returns it. */
async function tellPeak(
  config: AlbertConfig,
  runs: readonly PretrainingConfig[],
  engine: Engine,
  print: Context["print"],
): Promise<number | undefined> {
  if (runs.some((run) => run.compute_dtype !== "float32")) return undefined; // another product would be the peak
  const peak = await measurePeak(engine);
  const steps = runs.reduce((sum, run) => sum + stepsOf(run), 0);
  const seconds = runs.reduce((sum, run) => sum + estimateCost(config, run).flops * stepsOf(run), 0) / peak;
  print(
    `speed: products reach ${(peak / 1e9).toPrecision(3)} GFLOP/s here, so ${steps} steps take ` +
      `${describeSeconds(seconds)} at the least; MFU is measured against it`,
  );
  return peak;
}

type Opened = {
  readonly config: AlbertConfig;
  readonly options: PretrainingConfig;
  readonly engine: Engine;
  readonly tokenizer: TokenizerFile | undefined;
  /** One, or those of the schedule. */
  readonly stages: readonly (StageConfig & { readonly hashes: RecordHashes })[];
};

async function open(flags: { readonly [name: string]: unknown }, print: Context["print"]): Promise<Opened> {
  const { preset, spm_model_file, plugin, measure_peak: _, ...rest } = flags;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  for (const name of Object.keys(tpuFlags)) {
    if (given[name] === undefined) continue;
    print(
      `--${name} is left aside: it speaks to the reference's TPU estimator; here --engine and --device choose`,
    );
    delete given[name];
  }
  const config = architecture({ preset, albert_config_file: given["albert_config_file"] });
  const options = parsePretrainingConfig(given);
  const runs = options.stages === ""
    ? [{ moments: "fresh" as const, run: options }]
    : readStages(options.stages, { run: options });
  for (const { run } of runs) {
    if (run.input_file === "" && (run.do_train || run.eval_input_file === "")) {
      throw new UsageError("Cannot run pretrain: --input_file must be given");
    }
  }
  if (options.output_dir === "") throw new UsageError("Cannot run pretrain: --output_dir must be given");
  const tokenizer = typeof spm_model_file === "string"
    ? { path: spm_model_file, bytes: readInput(spm_model_file, "tokenizer") }
    : undefined;
  const stages: Opened["stages"][number][] = [];
  for (const stage of runs) {
    stages.push({ ...stage, hashes: await checkInputs(stage.run, config, tokenizer) });
  }
  const tokenizers = new Set(stages.flatMap(({ hashes }) => hashes.tokenizer ?? []));
  if (tokenizers.size > 1) {
    throw new RangeError(
      `Cannot train in the stages ${options.stages}: their records were made with ${tokenizers.size} tokenizers; ` +
        "make them again with one",
    );
  }
  const engine = await openWished({ engine: options.engine, plugin }, print);
  checkDevice(options.device, engine);
  return { config, options, engine, tokenizer, stages };
}

/** Holds the records of a run against it, before its first step. */
async function checkInputs(
  run: PretrainingConfig,
  { vocab_size, max_position_embeddings }: AlbertConfig,
  tokenizer: TokenizerFile | undefined,
): Promise<RecordHashes> {
  if (run.max_seq_length > max_position_embeddings) {
    throw new RangeError(
      `Cannot train at max_seq_length ${run.max_seq_length}: the architecture has max_position_embeddings ` +
        `${max_position_embeddings}; give it at least as many, from the first stage on`,
    );
  }
  const files = [run.input_file, run.eval_input_file].filter((list) => list !== "");
  const wishes = { ...run, vocabSize: vocab_size, tokenizer };
  const all = checkRecords(files.flatMap(expandPatterns), wishes); // both, so that they share a tokenizer
  for (const path of unvouched(files.flatMap(expandPatterns))) await indexTfrecords(path); // damage is told now, not in an hour
  const training = run.input_file === "" ? {} : checkRecords(expandPatterns(run.input_file), wishes);
  return {
    ...(all.tokenizer === undefined ? {} : { tokenizer: all.tokenizer }),
    ...(training.records === undefined ? {} : { records: training.records }),
  };
}

/** A run takes the engine's first device; another one cannot be chosen yet, and is not quietly replaced. */
function checkDevice(device: string, engine: Engine): void {
  const names = engine.devices().map(({ name }) => name);
  if (device === "" || device === names[0]) return;
  throw new RangeError(
    `Cannot run on --device=${device}: the engine ${engine.name} runs on ${names[0] ?? "its own device"}` +
      (names.length > 1 ? ` and cannot be told to take another of ${names.join(", ")}` : "") +
      "; leave the flag out, or choose another --engine",
  );
}

/** `--do_eval` without `--do_train`: the newest checkpoint, on held-out or else on the training records. */
async function evaluateOnly({ options, engine }: Opened, { print, signal }: Context): Promise<void> {
  const { config, parameters, state } = readCheckpoint(options.init_checkpoint || options.output_dir);
  const metrics = await evaluate(parameters, config, openExamples(heldOut(options), options), {
    engine,
    batchSize: options.eval_batch_size,
    maxBatches: options.max_eval_steps,
    maskTokenId: options.mask_token_id,
    signal,
  });
  print(JSON.stringify({ global_step: state.step, ...metrics }, undefined, 2));
}

/** Records to evaluate on: the held-out ones, or with --do_eval the training ones, as the reference does. */
const heldOut = ({ do_eval, eval_input_file, input_file }: PretrainingConfig): string =>
  eval_input_file !== "" ? eval_input_file : do_eval ? input_file : "";

async function run(
  flags: { readonly [name: string]: unknown },
  _: readonly string[],
  context: Context,
): Promise<void> {
  const { print, onProgress, endProgress, signal } = context;
  const opened = await open(flags, print);
  const { config, options, engine, tokenizer } = opened;
  if (!options.do_train) return await evaluateOnly(opened, context);
  const stages = opened.stages.map(openStage);
  const [first] = stages as [TrainingStage]; // without --stages there is one
  for (const line of describeRun(config, first.run, engine)) print(line);
  if (options.stages !== "") describeStages(config, stages).forEach((line) => print(line));
  if (first.evalExamples !== undefined && first.run.eval_input_file === "") {
    print("evaluation: on the training records, as in the reference; --eval_input_file names held-out ones");
  }
  const runs = stages.map(({ run }) => run);
  const peak = flags["measure_peak"] === false ? undefined : await tellPeak(config, runs, engine, print);
  const pace = openPace(config, runs, peak);
  const attachments = tokenizer === undefined ? {} : { attachments: { "tokenizer.model": tokenizer.bytes } };
  const controls: PretrainControls = {
    engine,
    onProgress,
    signal,
    onStep: (metrics) => print(describeStep(metrics, pace(metrics))),
  };
  const result = options.stages === ""
    ? await train({ config, ...first, ...attachments }, controls)
    : await pretrainStages({ config, stages, ...attachments }, controls);
  await endProgress();
  const early = result.stoppedEarlyAfter;
  const how = result.interrupted
    ? "interrupted"
    : early === undefined
    ? "finished"
    : `stopped early, best at step ${early},`;
  print(`${how} at step ${result.step}: ${result.checkpoint ?? join(options.output_dir)}`);
}

/** A stage with its records opened. */
function openStage({ hashes, ...stage }: Opened["stages"][number]): TrainingStage {
  const { run } = stage;
  const evaluated = heldOut(run);
  return {
    ...stage,
    examples: openExamples(run.input_file, run),
    ...(evaluated === "" ? {} : { evalExamples: openExamples(evaluated, run) }),
    hashes,
  };
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
