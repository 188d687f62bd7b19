/**
 * The loop between the start and the end of a run: steps, and after them what is due: held-out evaluation, log line,
 * checkpoint, progress, and a look at whether a stop is asked for.
 */
import { albertConfigToJson, type PretrainingConfig } from "../config/mod.ts";
import type { Progress } from "../progress.ts";
import { deviceArray, type Engine } from "../tensor/mod.ts";
import type { BatchOf } from "./batches.ts";
import { type EarlyStop, packCheckpoint, type RunState } from "./checkpoint.ts";
import { watchFirstSteps } from "./first_steps.ts";
import type { RunLog, TrainerState } from "./log.ts";
import { NotFinite, refuseBadWeights } from "./not_finite.ts";
import type { HasLoss, Objective, RepeatedEvaluation } from "./objective.ts";
import type { PretrainControls, RunOptions, StepMetrics } from "./run_types.ts";
import type { Saver } from "./saver.ts";
import { hashOf, type StagePlace, type Start } from "./start.ts";
import { downloadAll, stateTotals, type TrainStep } from "./step.ts";
import { breathe, type Moving, oneStep, rateOf, written } from "./stepping.ts";

/** What a run works with. */
export type Machinery<M extends HasLoss = HasLoss> = {
  readonly start: Start;
  readonly stage: StagePlace | undefined;
  readonly trainStep: TrainStep;
  readonly evaluator: RepeatedEvaluation<M> | undefined;
  readonly batches: AsyncGenerator<BatchOf<object>>;
};

/** The step at which a run ends. */
export const targetOf = (
  { num_train_steps, stop_after_steps }: PretrainingConfig,
  { firstStep }: Pick<Moving, "firstStep">,
): number => firstStep + Math.min(num_train_steps, stop_after_steps || Infinity);

/** Where a run stands, for its file. */
export function stateOf(now: Moving, run: PretrainingConfig, status: TrainerState["status"]): TrainerState {
  return {
    status,
    global_step: now.step,
    max_steps: targetOf(run, now),
    latest_checkpoint: now.checkpoint ?? null,
    early_stop: now.early ?? null,
  };
}

/** What a run gives while it goes. */
export type Outputs<M extends HasLoss = HasLoss> = {
  readonly now: Moving<M>;
  readonly files: RunLog;
  readonly log: StepMetrics<M>[];
  readonly saver: Saver;
};

const due = (every: number, step: number): boolean => every > 0 && step % every === 0;

/** Steps until the run ends or is stopped. */
export async function loop<M extends HasLoss>(
  options: RunOptions<M>,
  controls: PretrainControls<M>,
  { start, trainStep, evaluator, batches }: Machinery<M>,
  { now, files, log, saver }: Outputs<M>,
): Promise<void> {
  const { run } = options;
  const { onStep, onProgress, onFirstSteps, signal, together } = controls;
  const saves = written(run, controls).output_dir !== "";
  const measure = onFirstSteps && watchFirstSteps(onFirstSteps);
  const target = targetOf(run, now);
  let [breathed, reported] = [performance.now(), 0];
  let open = start.pending; // the step is done, what follows it is not
  let last = (now.step >= target && !open) || now.stopped || signal?.aborted === true;
  while (!last) {
    if (
      !open && !await oneStep(options, now, trainStep, batches, together === undefined ? signal : undefined)
    ) {
      if (saves && now.step !== now.saved) await save(options, now, saver, true);
      return; // the step is dropped
    }
    if (!open) await measure?.(now.step, () => now.device.totals.data());
    saver.check();
    const asked = signal?.aborted === true && !open; // to stop here
    last = now.step >= target || asked;
    const evaluating = evaluator !== undefined && (now.step >= target || due(run.eval_every, now.step));
    const logging = now.step >= target || evaluating || due(run.log_every, now.step);
    // Who asks to stop does not wait for an evaluation: the next run makes up for it, so that its curve has no gap.
    now.pending = asked && logging;
    const best = evaluating && !asked && await evaluateNow(now, options, evaluator);
    last ||= now.stopped;
    if ((logging || now.stopped) && !asked) {
      const line = await logLine(options, now, controls.engine, evaluating);
      log.push(line);
      files.line(line);
      files.state(stateOf(now, run, "running"));
      await onStep?.(line);
    }
    if (saves && !open && (last || best || due(run.save_checkpoints_steps, now.step))) {
      files.flush();
      await save(options, now, saver, last);
    }
    open = false;
    const time = performance.now();
    if (time - reported > 200 || last) {
      reported = time;
      onProgress?.(progress(options.objective.stage, now, target, log));
    }
    if (time - breathed > 100 || last) {
      await breathe();
      breathed = performance.now();
    }
  }
}

/** Whether an early stop ends the run. */
export const isOver = (early: EarlyStop | undefined, { early_stop }: PretrainingConfig): boolean =>
  early_stop > 0 && early !== undefined && early.waited >= early_stop;

/** Evaluates, and counts for the early stop; only evaluations that are due count, so that a resume changes nothing. */
async function evaluateNow<M extends HasLoss>(
  now: Moving<M>,
  { run, objective }: RunOptions<M>,
  evaluator: RepeatedEvaluation<M>,
): Promise<boolean> {
  now.evaluation = await evaluator.run(now.device.parameters);
  if (run.early_stop === 0 || !due(run.eval_every, now.step)) return false;
  const loss = objective.watched(now.evaluation);
  const better = now.early === undefined || loss < now.early.best_loss;
  now.early = better || now.early === undefined
    ? { best_loss: loss, best_step: now.step, waited: 0 }
    : { ...now.early, waited: now.early.waited + 1 };
  now.stopped = isOver(now.early, run);
  return better;
}

function progress(
  stage: string,
  { step }: Moving,
  total: number,
  log: readonly StepMetrics<HasLoss>[],
): Progress {
  const line = log[log.length - 1];
  const note = line === undefined ? {} : { note: `loss ${line.loss.toFixed(2)}` };
  return { stage, done: step, total, unit: "steps", ...note };
}

/** Means since the line before; the sums start again. */
async function logLine<M extends HasLoss>(
  { run, objective }: RunOptions<M>,
  now: Moving<M>,
  engine: Engine,
  evaluated: boolean,
): Promise<StepMetrics<M>> {
  const began = performance.now();
  const totals = await now.device.totals.data(); // waits for the steps that are still running
  now.busy += performance.now() - began;
  refuseNaN(totals, now, objective);
  const metrics = objective.metricsOf(totals);
  now.device.totals.dispose();
  now.device = {
    ...now.device,
    totals: await deviceArray(new Float32Array(stateTotals(objective)), { engine }),
  };
  const tokens = now.timed * run.train_batch_size * run.gradient_accumulation_steps * run.max_seq_length;
  const line: StepMetrics<M> = {
    step: now.step,
    ...(now.stage === undefined ? {} : { stage: now.stage.number }),
    ...metrics,
    learning_rate: rateOf({ ...now, step: now.step - 1 }, run),
    gradient_norm: (totals[objective.totalsLength] ?? NaN) / now.counted,
    tokens_per_second: Math.round(tokens / Math.max(now.busy, 1e-3) * 1000),
    ...(evaluated && now.evaluation !== undefined ? { evaluation: now.evaluation } : {}),
  };
  now.counted = now.timed = now.busy = 0;
  return line;
}

/** Stops a run whose sums are no numbers any more and names the step at which that began. */
function refuseNaN(
  totals: ArrayLike<number>,
  now: Moving,
  { metricsOf, totalsLength }: Pick<Objective, "metricsOf" | "totalsLength">,
): void {
  const { loss } = metricsOf(totals);
  const norm = totals[totalsLength] ?? NaN;
  const good = totals[totalsLength + 1] ?? NaN;
  if (Number.isFinite(loss) && Number.isFinite(norm) && good >= now.counted) return;
  const step = now.step - now.counted + Math.min(good, now.counted - 1) + 1;
  const what = Number.isFinite(loss) ? `gradient norm is ${norm}` : `loss is ${loss}`;
  throw new NotFinite(step, what, now.stage?.number);
}

/** Copies the run from the device and hands it to the saver; with `last` it is written when this returns. */
export async function save(
  { config, run, attachments, hashes, objective }: RunOptions,
  now: Moving,
  saver: Saver,
  last: boolean,
): Promise<void> {
  const { totals } = now.device;
  const sums = Array.from(await totals.data());
  if (now.counted > 0) refuseNaN(sums, now, objective);
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
    computed_on: now.computedOn,
    ...(now.stage === undefined ? {} : { stage: stageState(now.stage, now.firstStep) }),
    ...(now.early === undefined ? {} : { early_stop: now.early }),
    ...(now.pending ? { pending: true } : {}),
  };
  const packed = packCheckpoint(run.output_dir, { config, parameters, m, v, state }, {
    keep: run.keep_checkpoint_max,
    weights: objective.parameters,
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

/** Saves a run that an error of its input ended; the error itself counts more than whether that works. */
export async function saveAfter(
  options: RunOptions,
  controls: Pick<PretrainControls, "onNote" | "together">,
  now: Moving,
  saver: Saver,
): Promise<void> {
  if (written(options.run, controls).output_dir === "" || now.step === now.saved) return;
  try {
    await save(options, now, saver, true);
    controls.onNote?.(`step ${now.step} is saved: ${now.checkpoint}`);
  } catch {
    // The checkpoint before it stays.
  }
}
