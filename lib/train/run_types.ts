/**
 * What a run reads, how it is driven and how it ends: the types around `pretrain`.
 */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import type { OnProgress } from "../progress.ts";
import type { Engine, MemoryNeed } from "../tensor/mod.ts";
import type { Examples, TrainingExamples } from "./batches.ts";
import type { FirstSteps } from "./first_steps.ts";
import type { HasLoss, Objective } from "./objective.ts";
import type { Metrics } from "./totals.ts";

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
export type StepMetrics<M extends HasLoss = Metrics> = M & {
  /** Updates done. */
  readonly step: number;
  /** In a schedule of stages: which one, from 1. */
  readonly stage?: number;
  /** Rate of the last update. */
  readonly learning_rate: number;
  /** Mean 2-norm of the gradients before clipping: 1 to 1.5 on the plateau, above 2 when the model learns from context. */
  readonly gradient_norm: number;
  /** Positions per second, padding included, evaluation and saving left out. */
  readonly tokens_per_second: number;
  /** Held-out metrics, on the lines that have them. */
  readonly evaluation?: M;
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
  /** SHA-256 of what the run is made from, such as `tokenizer` and `records`: kept in every checkpoint, compared on resume. */
  readonly hashes?: { readonly [name: string]: string };
};

/** Any run as the machinery takes it. */
export type RunOptions<M extends HasLoss = HasLoss> =
  & Omit<PretrainOptions, "examples" | "evalExamples">
  & {
    readonly examples: Examples<object>;
    readonly objective: Objective<M>;
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
export type PretrainControls<M extends HasLoss = Metrics> = {
  /** The engine to run on. */
  readonly engine: Engine;
  /** Called once the folder is locked and the start is found, before anything is computed; in a schedule for every stage. */
  readonly onStart?: (
    at: { readonly step: number; readonly checkpoint: string | undefined },
  ) => void | Promise<void>;
  /** Called when the step is compiled, before the first one, on engines that know what it needs. */
  readonly onMemory?: (memory: MemoryNeed) => void;
  /** Called once, when a few steps were taken and two seconds of them have passed; in a schedule for every stage. */
  readonly onFirstSteps?: (found: FirstSteps) => void;
  /** Called with every log line. */
  readonly onStep?: (metrics: StepMetrics<M>) => void | Promise<void>;
  /** Called a few times a second. */
  readonly onProgress?: OnProgress;
  /** Called with what the user should know, such as a damaged checkpoint that is passed over. */
  readonly onNote?: (note: string) => void;
  /** Stops after the current step, with a checkpoint; an accumulated step that would take long is dropped. */
  readonly signal?: AbortSignal;
  /**
   * How this process takes part in a run of several, whose engine is `mpiEngine`: only the writer locks the folder and
   * writes checkpoints and logs, all read where to start, and steps are never dropped halfway, since all must stop at the
   * same one. Default: a process alone.
   */
  readonly together?: { readonly writes: boolean };
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
export type PretrainResult<M extends HasLoss = Metrics> = {
  /** Updates done in all, those before a resume included. */
  readonly step: number;
  /** Weights by name. */
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Log lines of this call. */
  readonly log: readonly StepMetrics<M>[];
  /** The last held-out metrics of this call. */
  readonly evaluation?: M;
  /** The last checkpoint, when there is an output_dir. */
  readonly checkpoint?: string;
  /** The signal stopped the run before its end. */
  readonly interrupted: boolean;
  /** `early_stop` ended the run: the step of the best held-out evaluation. */
  readonly stoppedEarlyAfter?: number;
};
