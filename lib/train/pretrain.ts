/**
 * The loop of a run: warm start or resume, steps, log lines, held-out evaluation, checkpoints. Everything random follows
 * from seed, step and position, so a run that is stopped and started again ends with the same weights to the bit on the
 * same engine.
 */
import { setImmediate } from "node:timers";
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import type { OnProgress, Progress } from "../progress.ts";
import { deviceArray, type Engine } from "../tensor/mod.ts";
import { type Batch, readBatches, type TrainingExamples } from "./batches.ts";
import { saveCheckpoint } from "./checkpoint.ts";
import { checkIds, type Evaluator, makeEvaluator } from "./evaluate.ts";
import { lockFolder } from "./lock.ts";
import { learningRate } from "./optimizer.ts";
import { openMetrics, type Start, startOf } from "./start.ts";
import {
  type DeviceState,
  downloadAll,
  makeTrainStep,
  parameterTypes,
  stateTotals,
  type TrainStep,
  uploadAll,
} from "./step.ts";
import { type BatchArrays, batchArrays, type Metrics, metricsOf, totalsLength } from "./totals.ts";

/**
 * One log line: means over the steps since the line before, also a line of `metrics.jsonl`.
 *
 * @example
 * ```ts
 * import type { StepMetrics } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const point = ({ step, masked_lm_mask_loss }: StepMetrics) => ({ x: step, y: masked_lm_mask_loss });
 * assert.equal(typeof point, "function");
 * ```
 */
export type StepMetrics = Metrics & {
  /** Updates done. */
  readonly step: number;
  /** Rate of the last update. */
  readonly learning_rate: number;
  /** Mean 2-norm of the gradients before clipping: 1 to 1.5 on the plateau, above 2 when the model learns from context. */
  readonly gradient_norm: number;
  /** Positions per second, padding included, evaluation and saving left out. */
  readonly tokens_per_second: number;
  /** Held-out metrics, on the lines that have them. */
  readonly evaluation?: Metrics;
};

/**
 * What a run reads.
 *
 * @example
 * ```ts
 * import { albertPreset, parsePretrainingConfig, type PretrainOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: PretrainOptions = {
 *   config: albertPreset("guide"),
 *   run: parsePretrainingConfig({ train_batch_size: 16 }),
 *   examples: [],
 * };
 * assert.equal(options.run.train_batch_size, 16);
 * ```
 */
export type PretrainOptions = {
  /** The architecture. */
  readonly config: AlbertConfig;
  /** The run; `input_file` and `eval_input_file` are for the command line, which opens them. */
  readonly run: PretrainingConfig;
  /** Examples to train on. */
  readonly examples: TrainingExamples;
  /** Held-out examples; without them nothing is evaluated. */
  readonly evalExamples?: TrainingExamples;
  /** Files to keep in every checkpoint, such as the tokenizer: bytes by name. */
  readonly attachments?: { readonly [name: string]: Uint8Array };
};

/**
 * How a run is driven.
 *
 * @example
 * ```ts
 * import { type PretrainControls, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const losses: number[] = [];
 * const controls: PretrainControls = { engine: referenceEngine(), onStep: ({ loss }) => void losses.push(loss) };
 * assert.equal(controls.engine.name, "reference");
 * ```
 */
export type PretrainControls = {
  /** The engine to run on. */
  readonly engine: Engine;
  /** Called with every log line. */
  readonly onStep?: (metrics: StepMetrics) => void | Promise<void>;
  /** Called a few times a second. */
  readonly onProgress?: OnProgress;
  /** Stops after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
};

/**
 * How a run ended.
 *
 * @example
 * ```ts
 * import type { PretrainResult } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const finished = ({ interrupted }: PretrainResult): boolean => !interrupted;
 * assert.equal(typeof finished, "function");
 * ```
 */
export type PretrainResult = {
  /** Updates done in all, those before a resume included. */
  readonly step: number;
  /** Weights by name. */
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Log lines of this call. */
  readonly log: readonly StepMetrics[];
  /** The last held-out metrics of this call. */
  readonly evaluation?: Metrics;
  /** The last checkpoint, when there is an output_dir. */
  readonly checkpoint?: string;
  /** The signal stopped the run before its end. */
  readonly interrupted: boolean;
};

function checkBatch(batch: Batch, { config, run }: PretrainOptions): void {
  const S = batch.input_ids.length / batch.size;
  const P = batch.masked_lm_ids.length / batch.size;
  if (S !== run.max_seq_length || P !== run.max_predictions_per_seq) {
    throw new RangeError(
      `Cannot train: the records have ${S} pieces and ${P} predictions, max_seq_length is ${run.max_seq_length} ` +
        `and max_predictions_per_seq is ${run.max_predictions_per_seq}`,
    );
  }
  checkIds(batch, config);
}

const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Trains ALBERT on masked pieces and sentence order.
 *
 * An `output_dir` that already holds a checkpoint is continued; `init_checkpoint` gives only weights, with fresh moments
 * from step 0 on. A kill loses at most `save_checkpoints_steps` steps.
 *
 * @param options Architecture, run, examples.
 * @param controls Engine, callbacks, signal.
 * @returns Weights, log lines, the last held-out metrics.
 * @throws {RangeError} When records do not fit the run, or a checkpoint does not fit the architecture.
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
    return await trainLocked(options, controls);
  } finally {
    unlock();
  }
}

async function trainLocked(options: PretrainOptions, controls: PretrainControls): Promise<PretrainResult> {
  const { config, run, examples, evalExamples } = options;
  const { engine } = controls;
  const start = startOf(config, run);
  const trainStep = await makeTrainStep(config, run, engine);
  const evaluator = evalExamples === undefined ? undefined : makeEvaluator(config, evalExamples, {
    engine,
    batchSize: run.eval_batch_size,
    maxBatches: run.max_eval_steps,
    maskTokenId: run.mask_token_id,
  });
  const batches = readBatches(examples, {
    batchSize: run.train_batch_size,
    repeat: true,
    shuffleBuffer: run.shuffle_buffer,
    seed: run.seed,
    position: start.position,
  });
  try {
    return await runSteps(options, controls, { start, trainStep, evaluator, batches });
  } finally {
    await batches.return(undefined);
    trainStep.dispose();
    evaluator?.dispose();
  }
}

async function uploadState(start: Start, config: AlbertConfig, engine: Engine): Promise<DeviceState> {
  const types = parameterTypes(config);
  const totals = Float32Array.from({ length: stateTotals }, (_, i) => start.totals[i] ?? 0);
  return {
    parameters: await uploadAll(start.parameters, types, engine),
    m: await uploadAll(start.m, types, engine),
    v: await uploadAll(start.v, types, engine),
    totals: await deviceArray(totals, { engine }),
  };
}

type Machinery = {
  readonly start: Start;
  readonly trainStep: TrainStep;
  readonly evaluator: Evaluator | undefined;
  readonly batches: AsyncGenerator<Batch>;
};

/** What changes from step to step. */
type Moving = {
  device: DeviceState;
  step: number;
  position: number;
  /** Steps whose sums are in the totals. */
  counted: number;
  /** Milliseconds spent in them during this call, and their number. */
  busy: number;
  timed: number;
  checkpoint: string | undefined;
  evaluation: Metrics | undefined;
};

async function runSteps(
  options: PretrainOptions,
  { engine, onStep, onProgress, signal }: PretrainControls,
  { start, trainStep, evaluator, batches }: Machinery,
): Promise<PretrainResult> {
  const { config, run } = options;
  const target = Math.min(run.num_train_steps, run.stop_after_steps || Infinity);
  const now: Moving = {
    device: await uploadState(start, config, engine),
    step: start.step,
    position: start.position,
    counted: start.stepsInTotals,
    busy: 0,
    timed: 0,
    checkpoint: start.checkpoint,
    evaluation: undefined,
  };
  const log: StepMetrics[] = [];
  const writeLine = openMetrics(run.output_dir, start.step);
  const due = (every: number, last: boolean): boolean => last || (every > 0 && now.step % every === 0);
  let [breathed, reported] = [performance.now(), 0];
  let last = now.step >= target || signal?.aborted === true;
  while (!last) {
    await oneStep(options, now, trainStep, batches);
    last = now.step >= target || signal?.aborted === true;
    const evaluated = evaluator !== undefined && due(run.eval_every, last);
    if (evaluated) now.evaluation = await evaluator.run(now.device.parameters);
    if (due(run.log_every, last) || evaluated) {
      const line = await logLine(options, now, engine, evaluated);
      log.push(line);
      writeLine(line);
      await onStep?.(line);
    }
    if (run.output_dir !== "" && due(run.save_checkpoints_steps, last)) await save(options, now);
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
  if (log.length === 0 && evaluator !== undefined) {
    now.evaluation = await evaluator.run(now.device.parameters);
  }
  const parameters = await downloadAll(now.device.parameters);
  release(now.device);
  return {
    step: now.step,
    parameters,
    log,
    ...(now.evaluation === undefined ? {} : { evaluation: now.evaluation }),
    ...(now.checkpoint === undefined ? {} : { checkpoint: now.checkpoint }),
    interrupted: now.step < target,
  };
}

function progress({ step }: Moving, total: number, log: readonly StepMetrics[]): Progress {
  const line = log[log.length - 1];
  const note = line === undefined ? {} : { note: `loss ${line.loss.toFixed(2)}` };
  return { stage: "pretrain", done: step, total, unit: "steps", ...note };
}

async function oneStep(
  options: PretrainOptions,
  now: Moving,
  trainStep: TrainStep,
  batches: AsyncGenerator<Batch>,
): Promise<void> {
  const { run } = options;
  const began = performance.now();
  const parts: BatchArrays[] = [];
  while (parts.length < run.gradient_accumulation_steps) {
    const { value } = await batches.next();
    const batch = value as Batch; // the source repeats for ever
    checkBatch(batch, options);
    parts.push(batchArrays(batch, run.mask_token_id));
    now.position = batch.position;
  }
  now.device = await trainStep.run(now.device, parts, {
    step: now.step,
    learningRate: learningRate(now.step, run),
  });
  now.step++;
  now.counted++;
  now.timed++;
  now.busy += performance.now() - began;
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
  const metrics = metricsOf(totals);
  if (!Number.isFinite(metrics.loss)) {
    throw new RangeError(
      `Cannot go on after step ${now.step}: the loss is ${metrics.loss}; lower learning_rate and start again ` +
        "from the last checkpoint",
    );
  }
  now.device.totals.dispose();
  now.device = { ...now.device, totals: await deviceArray(new Float32Array(stateTotals), { engine }) };
  const tokens = now.timed * run.train_batch_size * run.gradient_accumulation_steps * run.max_seq_length;
  const line: StepMetrics = {
    step: now.step,
    ...metrics,
    learning_rate: learningRate(now.step - 1, run),
    gradient_norm: (totals[totalsLength] ?? NaN) / now.counted,
    tokens_per_second: Math.round(tokens / Math.max(now.busy, 1e-3) * 1000),
    ...(evaluated && now.evaluation !== undefined ? { evaluation: now.evaluation } : {}),
  };
  now.counted = now.timed = now.busy = 0;
  return line;
}

async function save({ config, run, attachments }: PretrainOptions, now: Moving): Promise<void> {
  const { parameters, m, v, totals } = now.device;
  now.checkpoint = saveCheckpoint(run.output_dir, {
    config,
    parameters: await downloadAll(parameters),
    m: await downloadAll(m),
    v: await downloadAll(v),
    state: {
      step: now.step,
      position: now.position,
      totals: Array.from(await totals.data()),
      steps_in_totals: now.counted,
      run,
    },
  }, { keep: run.keep_checkpoint_max, ...(attachments === undefined ? {} : { attachments }) });
}

function release({ parameters, m, v, totals }: DeviceState): void {
  for (const group of [parameters, m, v]) Object.values(group).forEach((array) => array.dispose());
  totals.dispose();
}
