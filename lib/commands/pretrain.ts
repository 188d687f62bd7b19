/**
 * `albert pretrain`, the reference's run_pretraining: records to a trained model, with checkpoints, resume, warm start
 * and held-out evaluation.
 */
import { join } from "node:path";
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { measurePeak } from "../engines/mod.ts";
import { writeFileAtomic } from "../formats/mod.ts";
import type { Engine, MemoryNeed } from "../tensor/mod.ts";
import {
  estimateCost,
  evaluate,
  type Metrics,
  pretrain as train,
  type PretrainControls,
  pretrainStages,
  readCheckpoint,
  type StepMetrics,
  type TrainingStage,
} from "../train/mod.ts";
import { sourceHash } from "./stages.ts";
import { describeTogether, joinOthers, requireSame, type Together } from "./together.ts";
import { type Command, command, type Context } from "./command.ts";
import { commandFile, commandLine, defaultsOf } from "./command_note.ts";
import { describeFirstSteps, describeSeconds, describeStages, openPace, type Pace, stepsOf } from "./pace.ts";
import { pretrainFlags } from "./pretrain_flags.ts";
import { preparationFile } from "./preparation.ts";
import { heldOut, type Opened, openExamples, openRun, openStage } from "./pretrain_inputs.ts";

export { describeSeconds } from "./pace.ts";
export { openExamples } from "./pretrain_inputs.ts";

/** One log line. */
export function describeStep(
  { step, loss, evaluation, learning_rate, gradient_norm, tokens_per_second, ...rest }: StepMetrics,
  { mfu, secondsLeft }: Pace = {},
): string {
  const held = evaluation === undefined ? "" : `, held-out ${evaluation.masked_lm_loss.toFixed(3)} ` +
    `([MASK] ${evaluation.masked_lm_mask_loss.toFixed(3)})`;
  return `step ${step}: loss ${loss.toFixed(3)}, MLM ${rest.masked_lm_loss.toFixed(3)} ` +
    `(accuracy ${rest.masked_lm_accuracy.toFixed(3)}; [MASK] alone ${
      rest.masked_lm_mask_loss.toFixed(3)
    }), ` +
    `SOP ${rest.sentence_order_loss.toFixed(3)} (accuracy ${rest.sentence_order_accuracy.toFixed(3)}), ` +
    `rate ${learning_rate.toPrecision(3)}, gradient norm ${gradient_norm.toFixed(2)}, ` +
    `${Math.round(tokens_per_second)} tokens/s` +
    (mfu === undefined ? "" : `, MFU ${(100 * mfu).toFixed(1)} %`) + held +
    (secondsLeft === undefined || secondsLeft <= 0 ? "" : `, ${describeSeconds(secondsLeft)} left`);
}

const bytes = (count: number): string =>
  count < 1e6
    ? `${(count / 1e3).toFixed(0)} kB`
    : count < 1e9
    ? `${(count / 1e6).toFixed(0)} MB`
    : `${(count / 1e9).toFixed(1)} GB`;

/** What the compiled step needs, against what is free. */
export function describeMemory(
  { peak, process, arguments: given, temporary, outputs, free }: MemoryNeed,
): string {
  return `memory, compiled: ${bytes(peak)} at the most, ${
    bytes(given)
  } of them for weights, moments and the batch, ` +
    `${bytes(temporary + outputs)} for activations and gradients, ${
      bytes(process)
    } for the engine's process; ` +
    `${bytes(free)} are free`;
}

/** The model, and what all steps have in common. */
function describeModel(config: AlbertConfig, runs: readonly PretrainingConfig[], engine: Engine): string[] {
  const devices = engine.devices().length;
  const costs = runs.map((run) => estimateCost(config, run, { loops: engine.loops }));
  const most = costs.reduce((a, b) => b.activationBytes > a.activationBytes ? b : a);
  const { parameters, total } = most;
  const [run] = runs as [PretrainingConfig];
  const parts = Object.entries(parameters).map(([part, n]) => `${part} ${n.toLocaleString("en")}`);
  const where = runs.length > 1 ? ` in stage ${costs.indexOf(most) + 1}` : "";
  return [
    `model: ${total.toLocaleString("en")} parameters (${parts.join(", ")})`,
    `memory: ${bytes(devices * most.stateBytes)} for weights, moments and gradients` +
    `${devices > 1 ? ` on ${devices} devices` : ""}, about ${
      bytes(most.activationBytes)
    } for activations${where}` +
    (run.remat ? " (recomputed)" : ""),
    `engine: ${engine.name} on ${engine.devices()[0]?.name ?? "its device"}` +
    `${devices > 1 ? ` as ${devices} devices, ${run.train_batch_size / devices} records each` : ""}, ` +
    `${run.compute_dtype}; seed ${run.seed}`,
  ];
}

/** What was decided before the first step, and why. */
export function describeRun(config: AlbertConfig, run: PretrainingConfig, engine: Engine): string[] {
  const { tokens, flops } = estimateCost(config, run);
  const [model, ...rest] = describeModel(config, [run], engine) as [string, ...string[]];
  return [
    model,
    `step: ${run.train_batch_size} records of ${run.max_seq_length} pieces` +
    (run.gradient_accumulation_steps === 1
      ? ""
      : `, ${run.gradient_accumulation_steps} batches accumulated`) +
    `, ${tokens.toLocaleString("en")} positions, ${(flops / 1e9).toPrecision(3)} GFLOP; ` +
    `${run.num_train_steps} steps, ${run.optimizer}, peak rate ${run.learning_rate}, warm-up ${run.num_warmup_steps}`,
    ...rest,
  ];
}

/** Measures the engine's fastest product, against which MFU is; another type would have another. */
const peakOf = async (runs: readonly PretrainingConfig[], engine: Engine): Promise<number | undefined> =>
  runs.some((run) => run.compute_dtype !== "float32") ? undefined : await measurePeak(engine);

/** What the engine's fastest product means for a run. */
function describePeak(config: AlbertConfig, runs: readonly PretrainingConfig[], peak: number): string {
  const steps = runs.reduce((sum, run) => sum + stepsOf(run), 0);
  const seconds = runs.reduce((sum, run) => sum + estimateCost(config, run).flops * stepsOf(run), 0) / peak;
  return `speed: products reach ${(peak / 1e9).toPrecision(3)} GFLOP/s here, so ${steps} steps take ` +
    `${describeSeconds(seconds)} at the least; MFU is measured against it, over the last lines`;
}

/** The lines of an evaluation as the reference writes them, in `eval_results.txt` too: names in order of the alphabet. */
function tellResults(
  metrics: Metrics & { readonly global_step: number },
  { output_dir }: PretrainingConfig,
  print: Context["print"],
): void {
  const lines = Object.entries(metrics).sort(([a], [b]) => a < b ? -1 : 1).map(([name, value]) =>
    `${name} = ${value}`
  );
  lines.forEach((line) => print(line));
  writeFileAtomic(join(output_dir, "eval_results.txt"), `${lines.join("\n")}\n`);
}

const onTraining =
  "evaluation: on the training records, as in the reference; --eval_input_file names held-out ones";

/** `--do_eval` without `--do_train`: the newest checkpoint, on held-out or else on the training records. */
async function evaluateOnly({ options, engine }: Opened, { print, signal }: Context): Promise<void> {
  const { path, config, parameters, state } = readCheckpoint(options.init_checkpoint || options.output_dir);
  if (options.eval_input_file === "") print(onTraining);
  print(`evaluation of ${path} on ${heldOut(options)}`);
  const metrics = await evaluate(parameters, config, openExamples(heldOut(options), options), {
    engine,
    batchSize: options.eval_batch_size,
    maxBatches: options.max_eval_steps,
    maskTokenId: options.mask_token_id,
    signal,
  });
  tellResults({ global_step: state.step, ...metrics }, options, print);
}

/** Numbers of steps that are allowed and hardly meant. */
function describeOddSteps(
  { num_train_steps, num_warmup_steps, stop_after_steps }: PretrainingConfig,
): string[] {
  return [
    ...(num_warmup_steps < num_train_steps ? [] : [
      `num_warmup_steps ${num_warmup_steps} is not below num_train_steps ${num_train_steps}: the run never leaves the warm-up`,
    ]),
    ...(stop_after_steps <= num_train_steps ? [] : [
      `stop_after_steps ${stop_after_steps} is above num_train_steps ${num_train_steps}, where the run ends`,
    ]),
  ];
}

/** What is said before the first step. */
async function tellRun(
  { config, options, engine }: Opened,
  stages: readonly TrainingStage[],
  measured: boolean,
  print: Context["print"],
): Promise<number | undefined> {
  const [first] = stages as [TrainingStage]; // without --stages there is one
  const runs = stages.map(({ run }) => run);
  const staged = options.stages !== "";
  for (const line of staged ? describeModel(config, runs, engine) : describeRun(config, first.run, engine)) {
    print(line);
  }
  const peak = measured ? await peakOf(runs, engine) : undefined;
  if (staged) describeStages(config, stages, peak).forEach((line) => print(line));
  runs.forEach((run, i) => {
    const where = staged ? ` of stage ${i + 1}` : "";
    for (const note of describeOddSteps(run)) print(`note: ${note}${where}`);
  });
  if (first.evalExamples !== undefined && first.run.eval_input_file === "") {
    print(onTraining);
  }
  if (peak !== undefined) print(describePeak(config, runs, peak));
  return peak;
}

async function run(
  flags: { readonly [name: string]: unknown },
  _: readonly string[],
  context: Context,
): Promise<void> {
  const together = await joinOthers(context.print, context.signal);
  if (together === undefined) return await runHere(flags, context);
  const { world, speaks, controls: { signal } } = together;
  const quiet: Partial<Context> = speaks ? {} : { print: () => {}, onProgress: () => {} };
  try {
    if (speaks) context.print(describeTogether(together));
    await runHere(flags, { ...context, ...quiet, signal }, together);
    world.finalize();
  } catch (error) {
    // The others wait in a sum for this process: nothing but the end of all frees them.
    const reason = error instanceof Error ? error.message : String(error);
    context.print(`process ${world.rank} failed: ${reason}; all processes end, the last checkpoint stands`);
    await context.endProgress();
    await new Promise((resolve) => setTimeout(resolve, 200)); // so that the words get through the launcher
    world.abort(1);
    throw error;
  }
}

async function runHere(
  flags: { readonly [name: string]: unknown },
  context: Context,
  together?: Together,
): Promise<void> {
  const { print, onProgress, endProgress, signal } = context;
  const opened = await openRun(flags, print, together);
  const { config, options, engine, tokenizer } = opened;
  if (together !== undefined) requireSame(together.world, sameEverywhere(opened));
  if (!options.do_train) return await evaluateOnly(opened, context);
  const stages = opened.stages.map(openStage);
  let pace: ReturnType<typeof openPace> | undefined;
  const controls: PretrainControls = {
    engine,
    onProgress,
    signal,
    ...together?.controls,
    onNote: (note) => print(note),
    onMemory: (need) => print(describeMemory(need)),
    // Not before: what is refused is refused without a list of what would have been done.
    onStart: async ({ step, checkpoint }) => {
      if (pace !== undefined) return; // a later stage
      together?.keepTimes(options.output_dir);
      const peak = await tellRun(
        opened,
        stages,
        flags["measure_peak"] !== false && together === undefined,
        print,
      );
      pace = openPace(config, stages.map((stage) => stage.run), peak);
      if (step > 0) print(`going on from step ${step}: ${checkpoint}`);
    },
    onFirstSteps: (found) => {
      const line = describeFirstSteps(config, stages.map((stage) => stage.run), found);
      if (line !== undefined) print(line);
    },
    onStep: (metrics) => print(describeStep(metrics, pace?.(metrics))),
  };
  const attachments = {
    attachments: {
      ...commandFile(commandLine("pretrain", flags, defaultsOf(pretrainFlags()))),
      ...(tokenizer === undefined ? {} : { "tokenizer.model": tokenizer.bytes }),
      ...(opened.lowerCased === undefined
        ? {}
        : preparationFile({ doLowerCase: opened.lowerCased, keepAccents: false })),
    },
  };
  const result = options.stages === ""
    ? await train({ config, ...stages[0] as TrainingStage, ...attachments }, controls)
    : await pretrainStages({ config, stages, ...attachments }, controls);
  await endProgress();
  const early = result.stoppedEarlyAfter;
  const how = result.interrupted
    ? "interrupted"
    : early === undefined
    ? "finished"
    : `stopped early, best at step ${early},`;
  if (
    options.do_eval && !result.interrupted && result.evaluation !== undefined && together?.speaks !== false
  ) {
    tellResults({ global_step: result.step, ...result.evaluation }, options, print);
  }
  print(`${how} at step ${result.step}: ${result.checkpoint ?? join(options.output_dir)}`);
}

/** What every process of several must have in common. */
const sameEverywhere = ({ config, options, engine, stages }: Opened): Readonly<Record<string, string>> => ({
  "version of the library": sourceHash(),
  "architecture": JSON.stringify(config),
  "flags": JSON.stringify([options, stages.map(({ run }) => run)]),
  "records or tokenizer": JSON.stringify(stages.map(({ hashes }) => hashes)),
  "engine": engine.name,
});

/** The command. */
export const pretrain: Command = command({
  name: "pretrain",
  aliases: ["run_pretraining"],
  summary: "Train the model on records.",
  example:
    "deno task albert pretrain --input_file=build/train.tfrecord --output_dir=build/model --preset=guide " +
    "--max_seq_length=64 --max_predictions_per_seq=10 --train_batch_size=16 --num_train_steps=1000 --num_warmup_steps=100",
  flags: pretrainFlags(),
  run,
});
