/**
 * A run from its start to its end: warm start or resume, the loop of steps, and how it ends or fails. Everything random
 * follows from seed, step and position, so a run that is stopped and started again ends with the same weights to the bit
 * on the same engine.
 */
import { CorruptFileError } from "../formats/mod.ts";
import type { NamedValues } from "./checkpoint.ts";
import { type FailedRun, locateNaN } from "./find_nan.ts";
import { lockFor } from "./lock.ts";
import { openLog, type RunLog } from "./log.ts";
import { isOver, loop, type Machinery, saveAfter, stateOf, targetOf } from "./loop.ts";
import { NotFinite } from "./not_finite.ts";
import type { HasLoss } from "./objective.ts";
import { withPretraining } from "./pretraining_objective.ts";
import { readyStep } from "./ready.ts";
import type {
  PretrainControls,
  PretrainOptions,
  PretrainResult,
  RunOptions,
  StepMetrics,
} from "./run_types.ts";
import { openSaver } from "./saver.ts";
import { type StagePlace, startOf } from "./start.ts";
import { downloadAll } from "./step.ts";
import { batchesOf, beginning, describeEngine, type Moving, release, written } from "./stepping.ts";
import type { Metrics } from "./totals.ts";

/**
 * Trains ALBERT on masked pieces and sentence order.
 *
 * An `output_dir` that already holds a checkpoint is continued; `init_checkpoint` gives only weights, with fresh moments
 * from step 0 on. A kill loses at most `save_checkpoints_steps` steps. With `early_stop` the checkpoint of the best
 * held-out evaluation is kept too. A loss or gradient norm that is no number stops the run and is never saved.
 *
 * @param options Architecture, run, examples.
 * @param controls Engine, callbacks, signal.
 * @returns Weights, log lines, the last held-out metrics.
 * @throws {RangeError} When records do not fit the run, a checkpoint does not fit the architecture, a flag that changes the
 * result differs from the checkpoint's, or the loss is no number any more.
 * @throws {CorruptFileError} When a checkpoint is damaged.
 * @example
 * ```ts
 * import { albertPreset, parsePretrainingConfig, pretrain, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const example = {
 *   input_ids: Int32Array.of(2, 4, 3, 8, 3),
 *   input_mask: Int32Array.of(1, 1, 1, 1, 1),
 *   segment_ids: Int32Array.of(0, 0, 0, 1, 1),
 *   masked_lm_positions: Int32Array.of(1),
 *   masked_lm_ids: Int32Array.of(9),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * };
 * const run = parsePretrainingConfig({
 *   max_seq_length: 5,
 *   max_predictions_per_seq: 1,
 *   train_batch_size: 1,
 *   num_train_steps: 3,
 *   num_warmup_steps: 0,
 *   log_every: 1,
 * });
 * const config = albertPreset("tiny", { vocab_size: 10 });
 * const { log } = await pretrain({ config, run, examples: [example] }, { engine: referenceEngine() });
 * assert.ok(log[2]!.loss < log[0]!.loss); // ! one line per step
 * ```
 */
export async function pretrain(
  options: PretrainOptions,
  controls: PretrainControls,
): Promise<PretrainResult> {
  return await train(withPretraining(options), controls);
}

/** Any run, in a folder of its own. */
export async function train<M extends HasLoss>(
  options: RunOptions<M>,
  controls: PretrainControls<M>,
): Promise<PretrainResult<M>> {
  const unlock = lockFor(options.run, controls);
  try {
    return (await trainLocked(options, controls)).result;
  } finally {
    unlock();
  }
}

/** How a run ended, with the moments that a next stage may carry on. */
export type Ended<M extends HasLoss = Metrics> = {
  readonly result: PretrainResult<M>;
  readonly m: NamedValues;
  readonly v: NamedValues;
};

/** The run, or one stage of a schedule, in a folder that is locked already. */
export async function trainLocked<M extends HasLoss>(
  options: RunOptions<M>,
  controls: PretrainControls<M>,
  stage?: StagePlace,
): Promise<Ended<M>> {
  const { run, objective } = options;
  const { engine } = controls;
  const evaluator = objective.evaluator(engine);
  if (run.early_stop > 0 && evaluator === undefined) {
    throw new TypeError("Cannot stop early: there are no held-out examples; give --eval_input_file");
  }
  const start = startOf(options, stage);
  if (start.passedOver !== undefined) {
    controls.onNote?.(`${start.passedOver}; going on from the one before it, ${start.checkpoint}`);
  }
  if (start.warmStart !== undefined) controls.onNote?.(start.warmStart);
  const on = describeEngine(engine);
  if (start.computedOn !== undefined && start.computedOn !== on) {
    controls.onNote?.(
      `${start.checkpoint} was computed on ${start.computedOn}, this run goes on with ${on}: ` +
        "the same weights, moments and order of data, but sums in another order, so later digits differ",
    );
  }
  await controls.onStart?.({ step: start.step, checkpoint: start.checkpoint });
  const trainStep = await readyStep(options, controls, { done: start.step, total: targetOf(run, start) });
  if (trainStep.memory !== undefined) controls.onMemory?.(trainStep.memory);
  const batches = batchesOf(options, start.position);
  try {
    return await runSteps(options, controls, { start, stage, trainStep, evaluator, batches });
  } finally {
    await batches.return(undefined);
    trainStep.dispose();
    evaluator?.dispose();
  }
}

async function runSteps<M extends HasLoss>(
  options: RunOptions<M>,
  controls: PretrainControls<M>,
  machinery: Machinery<M>,
): Promise<Ended<M>> {
  const { run } = options;
  const { start, stage, evaluator } = machinery;
  const now = await beginning(start, stage, options, controls.engine);
  now.stopped = isOver(now.early, run);
  const files = openLog(written(run, controls), start.pending ? start.step - 1 : start.step);
  const saver = openSaver((path) => now.checkpoint = path);
  const log: StepMetrics<M>[] = [];
  const began = performance.now();
  try {
    await tellingStop(
      options,
      controls,
      () => loop(options, controls, machinery, { now, files, log, saver }),
    );
    if (log.length === 0 && evaluator !== undefined && controls.signal?.aborted !== true) {
      now.evaluation = await evaluator.run(now.device.parameters);
    }
  } catch (error) {
    // Damaged records end the run between two steps: what was learned so far is kept.
    if (error instanceof CorruptFileError) await saveAfter(options, controls, now, saver);
    await saver.close(); // so that the newest checkpoint is known
    release(now.device);
    const secondsPerStep = (performance.now() - began) / 1000 / Math.max(now.step - start.step, 1);
    const told = error instanceof NotFinite
      ? await advice(options, controls, machinery, error, { checkpoint: now.checkpoint, secondsPerStep })
      : error;
    try {
      const reason = told instanceof Error ? told.message : String(told);
      const at = error instanceof NotFinite ? { global_step: error.step } : {}; // it may be seen later
      files.state({ ...stateOf(now, run, "failed"), ...at, error: reason });
    } catch {
      // The reason itself may be a full disk; it counts more than the note about it.
    }
    throw told;
  }
  await saver.close();
  saver.check(); // a run that drops its last step has not waited for the save before it
  return await ended(options, now, files, log);
}

/** Says at once that a stop was heard, while the work is not done yet. */
async function tellingStop(
  { run }: Pick<RunOptions, "run">,
  { signal, onNote }: Pick<PretrainControls, "signal" | "onNote">,
  work: () => Promise<void>,
): Promise<void> {
  const rest = run.gradient_accumulation_steps === 1
    ? ""
    : ", or without it if it takes more than a few seconds";
  const tell = (): void => onNote?.(`stopping after this step${rest}`);
  signal?.addEventListener("abort", tell, { once: true });
  try {
    await work();
  } finally {
    signal?.removeEventListener("abort", tell);
  }
}

/** The error of a run whose numbers are none any more: where that began, and what to do. */
async function advice(
  options: RunOptions,
  controls: Pick<PretrainControls, "engine" | "signal" | "onProgress">,
  { stage, trainStep }: Machinery,
  error: NotFinite,
  { checkpoint, secondsPerStep }: Pick<FailedRun, "checkpoint" | "secondsPerStep">,
): Promise<RangeError> {
  let found = "";
  try {
    found = await locateNaN(options, controls, error, { stage, trainStep, checkpoint, secondsPerStep });
  } catch (cause) {
    found = `; where it began could not be found (${cause instanceof Error ? cause.message : String(cause)})`;
  }
  return error.advise(checkpoint, found);
}

async function ended<M extends HasLoss>(
  { run }: RunOptions<M>,
  now: Moving<M>,
  files: RunLog,
  log: readonly StepMetrics<M>[],
): Promise<Ended<M>> {
  const interrupted = (now.step < targetOf(run, now) || now.pending) && !now.stopped;
  files.state(stateOf(now, run, interrupted ? "interrupted" : now.stopped ? "stopped early" : "finished"));
  const [parameters, m, v] = [
    await downloadAll(now.device.parameters),
    await downloadAll(now.device.m),
    await downloadAll(now.device.v),
  ];
  release(now.device);
  const result: PretrainResult<M> = {
    step: now.step,
    parameters,
    log,
    ...(now.evaluation === undefined ? {} : { evaluation: now.evaluation }),
    ...(now.checkpoint === undefined ? {} : { checkpoint: now.checkpoint }),
    interrupted,
    ...(now.stopped && now.early !== undefined ? { stoppedEarlyAfter: now.early.best_step } : {}),
  };
  return { result, m, v };
}
