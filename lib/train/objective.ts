/**
 * What a run learns, as its machinery sees it: weights, the arrays of a batch, a loss, sums and the metrics made of them.
 * Step, loop, checkpoints, resume and the search for the first NaN know an objective by this type only; pretraining is
 * one, each kind of fine-tuning another.
 */
import type { EncoderOptions, NamedTensors, ParameterSpec } from "../model/mod.ts";
import type { Engine, Tensor, TensorType } from "../tensor/mod.ts";
import type { BatchOf } from "./batches.ts";
import type { NamedValues } from "./checkpoint.ts";
import type { NamedArrays } from "./step.ts";

/** The least that metrics hold: the loss in nats, by which a run notices that its numbers are none any more. */
export type HasLoss = { readonly loss: number };

/** The arrays of a batch as a program takes them, by name. */
export type ProgramArrays = { readonly [name: string]: Int32Array | Float32Array };

/** The same inside a program. */
export type ProgramTensors = { readonly [name: string]: Tensor };

/** A held-out evaluation that can be repeated. */
export type RepeatedEvaluation<M> = {
  readonly run: (parameters: NamedArrays) => Promise<M>;
  readonly dispose: () => void;
};

/** What a run learns. `M` are its metrics. */
export type Objective<M extends HasLoss = HasLoss> = {
  /** The stage's name in progress. */
  readonly stage: string;
  /** Every weight, in the order of the checkpoint. */
  readonly parameters: readonly ParameterSpec[];
  /** The weights of step 0, and a line about where they come from. */
  initial(): { readonly parameters: NamedValues; readonly note?: string };
  /** Names of the arrays of an example, where they are not those of a pretraining record. */
  readonly arrays?: readonly string[];
  /** Types of the arrays of a training batch. */
  readonly batchTypes: { readonly [name: string]: TensorType };
  /** The arrays of a batch; throws when its records do not fit the run. */
  batchArrays(batch: BatchOf<object>): ProgramArrays;
  /** The loss of a batch, a scalar, and its sums, float32 [totalsLength]. */
  loss(
    parameters: NamedTensors,
    batch: ProgramTensors,
    options: EncoderOptions,
  ): { readonly loss: Tensor; readonly totals: Tensor };
  /** How many sums there are. */
  readonly totalsLength: number;
  /** Metrics from sums. */
  metricsOf(totals: ArrayLike<number>): M;
  /** What an early stop watches in a held-out evaluation; lower is better. */
  watched(evaluation: M): number;
  /** Makes the held-out evaluation; undefined when there are no held-out examples. */
  evaluator(engine: Engine): RepeatedEvaluation<M> | undefined;
};
