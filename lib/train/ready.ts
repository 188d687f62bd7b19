/**
 * The step of a run made ready, with what a person should know meanwhile: that compiling goes on, where it takes long,
 * and which flags would do, where the step does not fit into memory.
 */
import type { PretrainingConfig } from "../config/mod.ts";
import type { Progress } from "../progress.ts";
import type { PretrainControls, RunOptions } from "./run_types.ts";
import { makeTrainStep, type TrainStep } from "./step.ts";

/** Milliseconds between two words about a compilation, and before the first one. */
const between = 1000;

/** The flags with which about the given share of a batch is computed at a time; undefined when a record is too much. */
function smallerFlags(run: PretrainingConfig, fits: number): string | undefined {
  const { train_batch_size, gradient_accumulation_steps, remat } = run;
  const batch = Math.floor(train_batch_size * fits);
  if (batch === 0) return remat ? undefined : "--remat may do";
  const parts = Math.ceil(train_batch_size * gradient_accumulation_steps / batch);
  return `--train_batch_size=${batch} --gradient_accumulation_steps=${parts} would do, about, for as many records a step` +
    (remat ? "" : "; so may --remat");
}

/** An engine's refusal with the flags to change; other errors as they are. */
function inFlags(error: unknown, run: PretrainingConfig): unknown {
  const { fits } = error as { readonly fits?: unknown };
  if (!(error instanceof Error) || typeof fits !== "number") return error;
  const flags = smallerFlags(run, fits);
  return flags === undefined ? error : new RangeError(`${error.message}: ${flags}`, { cause: error });
}

/**
 * Makes the step of a run. While an engine compiles for longer than a second, progress says so every second.
 *
 * @param at Where the run stands, for the reports.
 * @throws {RangeError} When an engine finds that it does not fit into memory.
 */
export async function readyStep(
  { run, objective }: Pick<RunOptions, "run" | "objective">,
  { engine, onProgress }: Pick<PretrainControls, "engine" | "onProgress">,
  at: Pick<Progress, "done" | "total">,
): Promise<TrainStep> {
  const began = performance.now();
  const timer = setInterval(() => {
    const note = `compiling, ${Math.round((performance.now() - began) / 1000)} s`;
    onProgress?.({ stage: objective.stage, ...at, unit: "steps", note });
  }, between);
  try {
    return await makeTrainStep(objective, run, engine);
  } catch (error) {
    throw inFlags(error, run);
  } finally {
    clearInterval(timer);
  }
}
