/**
 * A schedule in stages: short sequences, then longer ones, batch and rate together, in one output folder with one
 * metrics file. Each stage starts from the weights of the one before, with its moments or fresh ones, and its own clock
 * for warm-up and decay; the step in names and lines goes on. Where a killed run goes on is told by its newest checkpoint.
 */
import type { AlbertConfig, StageConfig } from "../config/mod.ts";
import type { TrainingExamples } from "./batches.ts";
import { type FinishedStage, latestCheckpoint, readCheckpoint, type RunState } from "./checkpoint.ts";
import { lockFor } from "./lock.ts";
import { trainLocked } from "./pretrain.ts";
import { withPretraining } from "./pretraining_objective.ts";
import type { PretrainControls, PretrainResult, StepMetrics } from "./run_types.ts";
import { refuseChanges, type StagePlace } from "./start.ts";

/**
 * One stage: how it runs and what it reads.
 *
 * @example
 * ```ts
 * import { parseStages, type TrainingStage } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const stages: TrainingStage[] = parseStages([{ max_seq_length: 32 }]).map((stage) => ({ ...stage, examples: [] }));
 * assert.equal(stages[0]?.run.max_seq_length, 32);
 * ```
 */
export type TrainingStage = StageConfig & {
  /** Examples to train on. */
  readonly examples: TrainingExamples;
  /** Held-out examples. */
  readonly evalExamples?: TrainingExamples;
  /** SHA-256 of what the stage is made from, compared on resume. */
  readonly hashes?: { readonly [name: string]: string };
};

/**
 * What a schedule reads.
 *
 * @example
 * ```ts
 * import { albertPreset, type StagesOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: StagesOptions = { config: albertPreset("tiny"), stages: [] };
 * assert.equal(options.stages.length, 0);
 * ```
 */
export type StagesOptions = {
  /** The architecture, the same in all stages; its position table must hold the longest. */
  readonly config: AlbertConfig;
  /** The stages in order. */
  readonly stages: readonly TrainingStage[];
  /** Files to keep in every checkpoint. */
  readonly attachments?: { readonly [name: string]: Uint8Array };
};

/** Checks the stages that a folder has finished against those that are asked for. */
function refuseOtherStages(stages: readonly TrainingStage[], state: RunState, path: string): void {
  const { number, before, moments } = state.stage ?? { number: 0, before: [], moments: "fresh" };
  const refuse = (reason: string): never => {
    throw new RangeError(`Cannot go on from ${path}: ${reason}; choose another output_dir`);
  };
  if (number === 0) refuse("it is of a run without stages");
  if (number > stages.length) refuse(`it is in stage ${number}, now there are ${stages.length} stages`);
  const done = [...before, { run: state.run, moments, ...(state.hashes && { hashes: state.hashes }) }];
  done.forEach((was, i) => {
    const now = stages[i] as TrainingStage; // number <= stages.length
    const name = `${path}, stage ${i + 1}`;
    refuseChanges(now, was, name);
    if (i > 0 && was.moments !== now.moments && !now.run.allow_changed_flags) {
      refuse(`the moments of stage ${i + 1} were ${was.moments} and are ${now.moments}`);
    }
  });
}

/** The number of the stage to begin with: the one of the newest checkpoint, which may have no steps left. */
function beginning(stages: readonly TrainingStage[], folder: string): number {
  const path = folder === "" ? undefined : latestCheckpoint(folder);
  if (path === undefined) return 1;
  const { state } = readCheckpoint(path);
  refuseOtherStages(stages, state, path);
  return state.stage?.number ?? 1;
}

/**
 * Trains through stages. A run found in the folder is continued, also across the border of a stage, to the same bits.
 *
 * @param options Architecture and stages; `output_dir`, seed and the like are those of the first stage's run.
 * @param controls Engine, callbacks, signal.
 * @returns How it ended; the log lines of this call carry their `stage`.
 * @throws {RangeError} When there is no stage, a finished or running one was changed, or as `pretrain` throws.
 * @throws {CorruptFileError} When a checkpoint is damaged.
 * @example
 * ```ts
 * import { albertPreset, parseStages, pretrainStages, referenceEngine } from "albert-guide";
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
 * const run = { max_seq_length: 5, max_predictions_per_seq: 1, train_batch_size: 1, num_warmup_steps: 0, log_every: 1 };
 * const stages = parseStages([{ num_train_steps: 2 }, { num_train_steps: 1, moments: "carried" }], { run })
 *   .map((stage) => ({ ...stage, examples: [example] }));
 * const { log } = await pretrainStages({ config: albertPreset("tiny", { vocab_size: 10 }), stages }, {
 *   engine: referenceEngine(),
 * });
 * assert.deepEqual(log.map(({ step, stage }) => [step, stage]), [[1, 1], [2, 1], [3, 2]]);
 * ```
 */
export async function pretrainStages(
  options: StagesOptions,
  controls: PretrainControls,
): Promise<PretrainResult> {
  const first = options.stages[0];
  if (first === undefined) throw new RangeError("Cannot train in stages: there is none; give at least one");
  const folder = first.run.output_dir;
  const unlock = lockFor(first.run, controls);
  try {
    // A warm start is for the first stage; the others have one before them.
    const stages = options.stages.map(({ run, ...stage }, i) => ({
      ...stage,
      run: { ...run, output_dir: folder, init_checkpoint: i === 0 ? run.init_checkpoint : "" },
    }));
    return await runStages({ ...options, stages }, controls, folder);
  } finally {
    unlock();
  }
}

async function runStages(
  { config, stages, attachments }: StagesOptions,
  controls: PretrainControls,
  folder: string,
): Promise<PretrainResult> {
  let from: StagePlace["from"];
  const log: StepMetrics[] = [];
  for (let number = beginning(stages, folder);; number++) {
    const { run, moments, ...data } = stages[number - 1] as TrainingStage; // number <= stages.length
    const place: StagePlace = {
      number,
      moments,
      before: stages.slice(0, number - 1).map(finishedStage),
      ...(from === undefined ? {} : { from }),
    };
    const options = { config, run, ...data, ...(attachments === undefined ? {} : { attachments }) };
    const { result, m, v } = await trainLocked(withPretraining(options), controls, place);
    log.push(...result.log);
    if (result.interrupted || number === stages.length || controls.signal?.aborted === true) {
      return { ...result, log, interrupted: result.interrupted || number < stages.length };
    }
    from = { parameters: result.parameters, m, v, step: result.step, checkpoint: result.checkpoint };
  }
}

const finishedStage = ({ run, moments, hashes }: TrainingStage): FinishedStage => ({
  run,
  moments,
  ...(hashes === undefined ? {} : { hashes }),
});
