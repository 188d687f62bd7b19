/**
 * One step after the other: what moves from step to step, how it comes to the device, how a step reads its batches. The
 * loop of a run and the search for the first number that is none both go through here, so they take the same steps.
 */
import { setImmediate } from "node:timers";
import type { PretrainingConfig } from "../config/mod.ts";
import { deviceArray, type Engine } from "../tensor/mod.ts";
import { type BatchOf, readBatches } from "./batches.ts";
import type { EarlyStop } from "./checkpoint.ts";
import type { HasLoss, ProgramArrays } from "./objective.ts";
import { learningRate } from "./optimizer.ts";
import type { RunOptions } from "./run_types.ts";
import type { StagePlace, Start } from "./start.ts";
import { type DeviceState, stateTotals, type TrainStep, typesOf, uploadAll } from "./step.ts";

/** What changes from step to step. */
export type Moving<M extends HasLoss = HasLoss> = {
  device: DeviceState;
  step: number;
  position: number;
  /** The step at which the schedule's clock stood at 0. */
  readonly firstStep: number;
  readonly stage: StagePlace | undefined;
  /** Engine and devices. */
  readonly computedOn: string;
  /** Steps whose sums are in the totals. */
  counted: number;
  /** Milliseconds spent in them during this call, and their number. */
  busy: number;
  timed: number;
  checkpoint: string | undefined;
  /** The step that was saved last, or is being saved. */
  saved: number;
  evaluation: M | undefined;
  early: EarlyStop | undefined;
  stopped: boolean;
  /** The step is done, but its log line and evaluation wait for the next run. */
  pending: boolean;
};

async function uploadState(
  start: Start,
  { objective }: RunOptions,
  engine: Engine,
): Promise<DeviceState> {
  const types = typesOf(objective.parameters);
  const { totalsLength } = objective;
  // Checkpoints of before the last sum was counted have good steps only.
  const totals = Float32Array.from(
    { length: stateTotals(objective) },
    (_, i) => start.totals[i] ?? (i === totalsLength + 1 ? start.stepsInTotals : 0),
  );
  return {
    parameters: await uploadAll(start.parameters, types, engine),
    m: await uploadAll(start.m, types, engine),
    v: await uploadAll(start.v, types, engine),
    totals: await deviceArray(totals, { engine }),
  };
}

/** Engine and devices in words: the same words compute the same bits. */
export const describeEngine = (engine: Engine): string =>
  `${engine.name} (${engine.devices().map(({ name }) => name).join(" + ")})`;

/** The beginning of a run on the device. */
export async function beginning<M extends HasLoss>(
  start: Start,
  stage: StagePlace | undefined,
  options: RunOptions<M>,
  engine: Engine,
): Promise<Moving<M>> {
  return {
    device: await uploadState(start, options, engine),
    step: start.step,
    position: start.position,
    firstStep: start.firstStep,
    stage,
    computedOn: describeEngine(engine),
    counted: start.stepsInTotals,
    busy: 0,
    timed: 0,
    checkpoint: start.checkpoint,
    saved: start.step,
    evaluation: undefined,
    early: start.earlyStop,
    stopped: false,
    pending: false,
  };
}

/** The batches of a run from a position on. */
export function batchesOf(
  { examples, run, objective }: RunOptions,
  position: number,
): AsyncGenerator<BatchOf<object>> {
  const batches = readBatches(examples, {
    batchSize: run.train_batch_size,
    repeat: true,
    shuffleBuffer: run.shuffle_buffer,
    seed: run.seed,
    position,
    ...(objective.arrays === undefined ? {} : { arrays: objective.arrays }),
  });
  return readAhead(batches);
}

/** Batches are read ahead until they are so many, or have so many values together. */
const ahead = { batches: 16, values: 1 << 18 };

/**
 * The same batches, read several at a time: between two steps of a small model reading one alone finds neither code nor
 * data in the processor's caches, and takes half as long again. What fails comes after the batches before it.
 */
export async function* readAhead<Batch extends object>(source: AsyncGenerator<Batch>): AsyncGenerator<Batch> {
  try {
    for (let over = false; !over;) {
      const read: Batch[] = [];
      let failure: { readonly error: unknown } | undefined;
      for (let values = 0; !over && read.length < ahead.batches && values < ahead.values;) {
        try {
          const { done, value } = await source.next();
          if (done === true) over = true;
          else {
            read.push(value);
            for (const array of Object.values(value)) values += (array as { length?: number }).length ?? 0;
          }
        } catch (error) {
          [failure, over] = [{ error }, true];
        }
      }
      yield* read;
      if (failure !== undefined) throw failure.error;
    }
  } finally {
    await source.return(undefined);
  }
}

/** Lets signals, timers and messages be heard. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Milliseconds that an accumulated step may still take when a stop is asked for; a longer one is dropped. */
const patience = 3000;

/** A stop was asked for in the middle of a step that would still take long. */
class StepDropped extends Error {}

/** Looks at the signal between the batches of a step; throws when the step is to be dropped. */
function stopWatch(signal: AbortSignal, total: number): (done: number, began: number) => Promise<void> {
  let breathed = performance.now();
  return async (done, began) => {
    if (performance.now() - breathed > 50) {
      await breathe();
      breathed = performance.now();
    }
    if (!signal.aborted) return;
    // Both reading and computing tell how long the rest of them takes.
    if ((performance.now() - began) / done * (total - done) > patience) throw new StepDropped();
  };
}

/** Reads what one step takes. */
export async function readStep(
  options: RunOptions,
  batches: AsyncGenerator<BatchOf<object>>,
  between: (done: number) => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly parts: ProgramArrays[]; readonly position: number }> {
  const { run, objective } = options;
  const parts: ProgramArrays[] = [];
  let position = 0;
  while (parts.length < run.gradient_accumulation_steps) {
    const { value } = await batches.next();
    const batch = value as BatchOf<object>; // the source repeats for ever
    parts.push(objective.batchArrays(batch));
    position = batch.position;
    if (run.gradient_accumulation_steps > 1) await between(parts.length);
  }
  return { parts, position };
}

/**
 * One update. With several batches to a step, a signal is looked at between them: false says that the step was dropped, and
 * that everything but the batches stands where it stood before.
 */
export async function oneStep(
  options: RunOptions,
  now: Moving,
  trainStep: TrainStep,
  batches: AsyncGenerator<BatchOf<object>>,
  signal?: AbortSignal,
): Promise<boolean> {
  const began = performance.now();
  const look = signal && stopWatch(signal, options.run.gradient_accumulation_steps);
  try {
    const { parts, position } = await readStep(options, batches, look && ((done) => look(done, began)));
    const computing = performance.now();
    now.device = await trainStep.run(now.device, parts, {
      step: now.step,
      learningRate: rateOf(now, options.run),
      ...(look === undefined ? {} : { between: (done) => look(done, computing) }),
    });
    now.position = position;
  } catch (error) {
    if (error instanceof StepDropped) return false;
    throw error;
  }
  now.step++;
  now.counted++;
  now.timed++;
  now.busy += performance.now() - began;
  return true;
}

/** The run with the folder that this process writes to: none for one of several that does not write. */
export const written = <Run extends Pick<PretrainingConfig, "output_dir">>(
  run: Run,
  { together }: { readonly together?: { readonly writes: boolean } },
): Run => together?.writes === false ? { ...run, output_dir: "" } : run;

/** The rate of the next step. */
export const rateOf = (
  { step, firstStep }: Pick<Moving, "step" | "firstStep">,
  run: PretrainingConfig,
): number => learningRate(step - firstStep, run);

/** Frees what is on the device. */
export function release({ parameters, m, v, totals }: DeviceState): void {
  for (const group of [parameters, m, v]) Object.values(group).forEach((array) => array.dispose());
  totals.dispose();
}
