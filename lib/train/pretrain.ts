/**
 * The loop of a run: warm start or resume, steps, log lines, held-out evaluation, checkpoints. Everything random follows
 * from seed, step and position, so a run that is stopped and started again ends with the same weights to the bit on the
 * same engine.
 */
import { albertConfigToJson, type PretrainingConfig } from "../config/mod.ts";
import { CorruptFileError } from "../formats/mod.ts";
import type { Progress } from "../progress.ts";
import { deviceArray, type Engine } from "../tensor/mod.ts";
import type { Batch } from "./batches.ts";
import { type EarlyStop, type NamedValues, packCheckpoint, type RunState } from "./checkpoint.ts";
import { type Evaluator, makeEvaluator } from "./evaluate.ts";
import { type FailedRun, locateNaN } from "./find_nan.ts";
import { lockFolder } from "./lock.ts";
import { NotFinite, refuseBadWeights } from "./not_finite.ts";
import { openLog, type RunLog, type TrainerState } from "./log.ts";
import type { PretrainControls, PretrainOptions, PretrainResult, StepMetrics } from "./run_types.ts";
import { openSaver, type Saver } from "./saver.ts";
import { hashOf, type StagePlace, type Start, startOf } from "./start.ts";
import { downloadAll, makeTrainStep, stateTotals, type TrainStep } from "./step.ts";
import { batchesOf, beginning, breathe, type Moving, oneStep, rateOf, release } from "./stepping.ts";
import { metricsOf, totalsLength } from "./totals.ts";

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
  const { run } = options;
  const unlock = run.output_dir === "" ? () => {} : lockFolder(run.output_dir);
  try {
    return (await trainLocked(options, controls)).result;
  } finally {
    unlock();
  }
}

/** How a run ended, with the moments that a next stage may carry on. */
export type Ended = {
  readonly result: PretrainResult;
  readonly m: NamedValues;
  readonly v: NamedValues;
};

/** The run, or one stage of a schedule, in a folder that is locked already. */
export async function trainLocked(
  options: PretrainOptions,
  controls: PretrainControls,
  stage?: StagePlace,
): Promise<Ended> {
  const { config, run, evalExamples } = options;
  const { engine } = controls;
  if (run.early_stop > 0 && evalExamples === undefined) {
    throw new TypeError("Cannot stop early: there are no held-out examples; give --eval_input_file");
  }
  const start = startOf(options, stage);
  if (start.passedOver !== undefined) {
    controls.onNote?.(`${start.passedOver}; going on from the one before it, ${start.checkpoint}`);
  }
  if (start.warmStart !== undefined) controls.onNote?.(start.warmStart);
  await controls.onStart?.({ step: start.step, checkpoint: start.checkpoint });
  const trainStep = await makeTrainStep(config, run, engine);
  if (trainStep.memory !== undefined) controls.onMemory?.(trainStep.memory);
  const evaluator = evalExamples === undefined ? undefined : makeEvaluator(config, evalExamples, {
    engine,
    batchSize: run.eval_batch_size,
    maxBatches: run.max_eval_steps,
    maskTokenId: run.mask_token_id,
  });
  const batches = batchesOf(options, start.position);
  try {
    return await runSteps(options, controls, { start, stage, trainStep, evaluator, batches });
  } finally {
    await batches.return(undefined);
    trainStep.dispose();
    evaluator?.dispose();
  }
}

type Machinery = {
  readonly start: Start;
  readonly stage: StagePlace | undefined;
  readonly trainStep: TrainStep;
  readonly evaluator: Evaluator | undefined;
  readonly batches: AsyncGenerator<Batch>;
};

const due = (every: number, step: number): boolean => every > 0 && step % every === 0;

async function runSteps(
  options: PretrainOptions,
  controls: PretrainControls,
  machinery: Machinery,
): Promise<Ended> {
  const { run } = options;
  const { start, stage, evaluator } = machinery;
  const now = await beginning(start, stage, options, controls.engine);
  now.stopped = isOver(now.early, run);
  const files = openLog(run, start.pending ? start.step - 1 : start.step);
  const saver = openSaver((path) => now.checkpoint = path);
  const log: StepMetrics[] = [];
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
  { run }: PretrainOptions,
  { signal, onNote }: PretrainControls,
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

/** Saves a run that an error of its input ended; the error itself counts more than whether that works. */
async function saveAfter(
  options: PretrainOptions,
  { onNote }: PretrainControls,
  now: Moving,
  saver: Saver,
): Promise<void> {
  if (options.run.output_dir === "" || now.step === now.saved) return;
  try {
    await save(options, now, saver, true);
    onNote?.(`step ${now.step} is saved: ${now.checkpoint}`);
  } catch {
    // The checkpoint before it stays.
  }
}

/** The error of a run whose numbers are none any more: where that began, and what to do. */
async function advice(
  options: PretrainOptions,
  controls: PretrainControls,
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

async function ended(
  { run }: PretrainOptions,
  now: Moving,
  files: RunLog,
  log: readonly StepMetrics[],
): Promise<Ended> {
  const interrupted = (now.step < targetOf(run, now) || now.pending) && !now.stopped;
  files.state(stateOf(now, run, interrupted ? "interrupted" : now.stopped ? "stopped early" : "finished"));
  const [parameters, m, v] = [
    await downloadAll(now.device.parameters),
    await downloadAll(now.device.m),
    await downloadAll(now.device.v),
  ];
  release(now.device);
  const result: PretrainResult = {
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

const targetOf = (
  { num_train_steps, stop_after_steps }: PretrainingConfig,
  { firstStep }: Pick<Moving, "firstStep">,
): number => firstStep + Math.min(num_train_steps, stop_after_steps || Infinity);

function stateOf(now: Moving, run: PretrainingConfig, status: TrainerState["status"]): TrainerState {
  return {
    status,
    global_step: now.step,
    max_steps: targetOf(run, now),
    latest_checkpoint: now.checkpoint ?? null,
    early_stop: now.early ?? null,
  };
}

type Outputs = {
  readonly now: Moving;
  readonly files: RunLog;
  readonly log: StepMetrics[];
  readonly saver: Saver;
};

async function loop(
  options: PretrainOptions,
  controls: PretrainControls,
  { start, trainStep, evaluator, batches }: Machinery,
  { now, files, log, saver }: Outputs,
): Promise<void> {
  const { run } = options;
  const { onStep, onProgress, signal } = controls;
  const target = targetOf(run, now);
  let [breathed, reported] = [performance.now(), 0];
  let open = start.pending; // the step is done, what follows it is not
  let last = (now.step >= target && !open) || now.stopped || signal?.aborted === true;
  while (!last) {
    if (!open && !await oneStep(options, now, trainStep, batches, signal)) {
      if (run.output_dir !== "" && now.step !== now.saved) await save(options, now, saver, true);
      return; // the step is dropped
    }
    saver.check();
    const asked = signal?.aborted === true && !open; // to stop here
    last = now.step >= target || asked;
    const evaluating = evaluator !== undefined && (now.step >= target || due(run.eval_every, now.step));
    const logging = now.step >= target || evaluating || due(run.log_every, now.step);
    // Who asks to stop does not wait for an evaluation: the next run makes up for it, so that its curve has no gap.
    now.pending = asked && logging;
    const best = evaluating && !asked && await evaluateNow(now, run, evaluator);
    last ||= now.stopped;
    if ((logging || now.stopped) && !asked) {
      const line = await logLine(options, now, controls.engine, evaluating);
      log.push(line);
      files.line(line);
      files.state(stateOf(now, run, "running"));
      await onStep?.(line);
    }
    if (run.output_dir !== "" && !open && (last || best || due(run.save_checkpoints_steps, now.step))) {
      await save(options, now, saver, last);
    }
    open = false;
    const time = performance.now();
    if (time - reported > 200 || last) {
      reported = time;
      onProgress?.(progress(now, target, log));
    }
    if (time - breathed > 50 || last) {
      await breathe();
      breathed = performance.now();
    }
  }
}

const isOver = (early: EarlyStop | undefined, { early_stop }: PretrainingConfig): boolean =>
  early_stop > 0 && early !== undefined && early.waited >= early_stop;

/** Evaluates, and counts for the early stop; only evaluations that are due count, so that a resume changes nothing. */
async function evaluateNow(now: Moving, run: PretrainingConfig, evaluator: Evaluator): Promise<boolean> {
  now.evaluation = await evaluator.run(now.device.parameters);
  if (run.early_stop === 0 || !due(run.eval_every, now.step)) return false;
  const loss = now.evaluation.masked_lm_mask_loss;
  const better = now.early === undefined || loss < now.early.best_loss;
  now.early = better || now.early === undefined
    ? { best_loss: loss, best_step: now.step, waited: 0 }
    : { ...now.early, waited: now.early.waited + 1 };
  now.stopped = isOver(now.early, run);
  return better;
}

function progress({ step }: Moving, total: number, log: readonly StepMetrics[]): Progress {
  const line = log[log.length - 1];
  const note = line === undefined ? {} : { note: `loss ${line.loss.toFixed(2)}` };
  return { stage: "pretrain", done: step, total, unit: "steps", ...note };
}

/** Means since the line before; the sums start again. */
async function logLine(
  { run }: PretrainOptions,
  now: Moving,
  engine: Engine,
  evaluated: boolean,
): Promise<StepMetrics> {
  const began = performance.now();
  const totals = await now.device.totals.data(); // waits for the steps that are still running
  now.busy += performance.now() - began;
  refuseNaN(totals, now);
  const metrics = metricsOf(totals);
  now.device.totals.dispose();
  now.device = { ...now.device, totals: await deviceArray(new Float32Array(stateTotals), { engine }) };
  const tokens = now.timed * run.train_batch_size * run.gradient_accumulation_steps * run.max_seq_length;
  const line: StepMetrics = {
    step: now.step,
    ...(now.stage === undefined ? {} : { stage: now.stage.number }),
    ...metrics,
    learning_rate: rateOf({ ...now, step: now.step - 1 }, run),
    gradient_norm: (totals[totalsLength] ?? NaN) / now.counted,
    tokens_per_second: Math.round(tokens / Math.max(now.busy, 1e-3) * 1000),
    ...(evaluated && now.evaluation !== undefined ? { evaluation: now.evaluation } : {}),
  };
  now.counted = now.timed = now.busy = 0;
  return line;
}

/** Stops a run whose sums are no numbers any more and names the step at which that began. */
function refuseNaN(totals: ArrayLike<number>, now: Moving): void {
  const { loss } = metricsOf(totals);
  const norm = totals[totalsLength] ?? NaN;
  const good = totals[totalsLength + 1] ?? NaN;
  if (Number.isFinite(loss) && Number.isFinite(norm) && good >= now.counted) return;
  const step = now.step - now.counted + Math.min(good, now.counted - 1) + 1;
  const what = Number.isFinite(loss) ? `gradient norm is ${norm}` : `loss is ${loss}`;
  throw new NotFinite(step, what, now.stage?.number);
}

/** Copies the run from the device and hands it to the saver; with `last` it is written when this returns. */
async function save(
  { config, run, attachments, hashes }: PretrainOptions,
  now: Moving,
  saver: Saver,
  last: boolean,
): Promise<void> {
  const { totals } = now.device;
  const sums = Array.from(await totals.data());
  if (now.counted > 0) refuseNaN(sums, now);
  const [parameters, m, v] = [
    await downloadAll(now.device.parameters),
    await downloadAll(now.device.m),
    await downloadAll(now.device.v),
  ];
  refuseBadWeights({ weight: parameters, "first moment of": m, "second moment of": v }, now);
  const state: RunState = {
    step: now.step,
    position: now.position,
    totals: sums,
    steps_in_totals: now.counted,
    run,
    hashes: { ...hashes, config: hashOf(albertConfigToJson(config)) },
    ...(now.stage === undefined ? {} : { stage: stageState(now.stage, now.firstStep) }),
    ...(now.early === undefined ? {} : { early_stop: now.early }),
    ...(now.pending ? { pending: true } : {}),
  };
  const packed = packCheckpoint(run.output_dir, { config, parameters, m, v, state }, {
    keep: run.keep_checkpoint_max,
    ...(now.early === undefined ? {} : { protect: [now.early.best_step] }),
    ...(attachments === undefined ? {} : { attachments }),
  });
  await saver.save(packed, { last });
  now.saved = now.step;
}

const stageState = (
  { number, moments, before }: StagePlace,
  first_step: number,
): NonNullable<RunState["stage"]> => ({ number, first_step, moments, before });
