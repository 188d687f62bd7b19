/**
 * Held-out metrics: the reference's four, and loss and accuracy on `[MASK]` positions only. Unlike the reference, which
 * evaluates on its training files and drops the last batch, every example of the source counts.
 *
 * Records do not say whether a label 1 is a swapped pair or a random one, so an accuracy on true pairs alone cannot be
 * derived from them.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { pretrainingLoss } from "../model/mod.ts";
import {
  add,
  allReduce,
  compile,
  type DeviceArray,
  deviceArray,
  type Engine,
  type TensorType,
} from "../tensor/mod.ts";
import { type Batch, readBatches, type TrainingExamples } from "./batches.ts";
import { type NamedArrays, parameterTypes, uploadAll } from "./step.ts";
import {
  batchArrays,
  batchTotals,
  batchTypes,
  type Metrics,
  metricsOf,
  modelInputs,
  totalsLength,
} from "./totals.ts";

/**
 * Options of an evaluation.
 *
 * @example
 * ```ts
 * import { type EvaluateOptions, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: EvaluateOptions = { engine: referenceEngine(), maxBatches: 10 };
 * assert.equal(options.engine.name, "reference");
 * ```
 */
export type EvaluateOptions = {
  /** The engine to run on. */
  readonly engine: Engine;
  /** Examples per batch, default 64. */
  readonly batchSize?: number;
  /** Most batches, default all. */
  readonly maxBatches?: number;
  /** Id of the piece [MASK], default 4. */
  readonly maskTokenId?: number;
  /** Stops between batches. */
  readonly signal?: AbortSignal;
};

/** An evaluation that is compiled at its first batch and can be repeated. */
export type Evaluator = {
  readonly run: (parameters: NamedArrays) => Promise<Metrics>;
  readonly dispose: () => void;
};

/** Makes a repeatable evaluation of weights on the device. */
export function makeEvaluator(
  config: AlbertConfig,
  examples: TrainingExamples,
  { engine, batchSize = 64, maxBatches = Infinity, maskTokenId = 4, signal }: EvaluateOptions,
): Evaluator {
  const totalsType: TensorType = { dtype: "float32", shape: [totalsLength] };
  const devices = engine.devices().length;
  const shared = batchSize % devices === 0; // else every device evaluates the whole batch
  const build = (S: number, P: number) =>
    compile(
      ({ parameters, batch, totals }) => {
        const sums = batchTotals(pretrainingLoss(parameters, modelInputs(batch), config), batch);
        return { totals: add(totals, shared ? allReduce(sums) : sums) };
      },
      { parameters: parameterTypes(config), batch: batchTypes(batchSize, S, P), totals: totalsType },
      {
        engine,
        donate: ["totals"],
        split: shared ? ["batch"] : [],
      },
    );
  let program: Awaited<ReturnType<typeof build>> | undefined;
  const run = async (parameters: NamedArrays): Promise<Metrics> => {
    let totals: DeviceArray = await deviceArray(new Float32Array(totalsLength), { engine });
    let batches = 0;
    for await (const batch of readBatches(examples, { batchSize })) {
      if (batches++ >= maxBatches) break;
      signal?.throwIfAborted();
      checkIds(batch, config);
      program ??= await build(batch.input_ids.length / batch.size, batch.masked_lm_ids.length / batch.size);
      const arrays = batchArrays(batch, maskTokenId, batchSize);
      ({ totals } = await program.run({ parameters, batch: arrays, totals }));
    }
    const metrics = metricsOf(await totals.data());
    totals.dispose();
    if (batches === 0) throw new RangeError("Cannot evaluate: the source holds no example");
    return metrics;
  };
  return { run, dispose: () => program?.dispose() };
}

/** Refuses ids that are no rows of the tables; a lookup would quietly take the last row. */
export function checkIds(
  { input_ids, masked_lm_ids, masked_lm_positions, size }: Batch,
  config: AlbertConfig,
): void {
  const length = input_ids.length / size;
  const limit = (values: Int32Array, most: number, what: string): void => {
    for (const value of values) {
      if (value < 0 || value >= most) {
        throw new RangeError(`Cannot use a record: ${what} holds ${value}, it must be 0 to ${most - 1}`);
      }
    }
  };
  limit(input_ids, config.vocab_size, "input_ids");
  limit(masked_lm_ids, config.vocab_size, "masked_lm_ids");
  limit(masked_lm_positions, length, "masked_lm_positions");
}

/**
 * Evaluates weights on held-out examples.
 *
 * @param parameters Weights by name, as in a checkpoint.
 * @param config The architecture.
 * @param examples Held-out examples.
 * @param options Engine, batch size, limit.
 * @returns The metrics; losses in nats.
 * @throws {RangeError} When there is no example or an id is outside the vocabulary.
 * @example
 * ```ts
 * import { albertPreset, evaluate, initialParameters, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const metrics = await evaluate(initialParameters(config, 1), config, [{
 *   input_ids: Int32Array.of(2, 4, 3, 8, 3),
 *   input_mask: Int32Array.of(1, 1, 1, 1, 1),
 *   segment_ids: Int32Array.of(0, 0, 0, 1, 1),
 *   masked_lm_positions: Int32Array.of(1),
 *   masked_lm_ids: Int32Array.of(9),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * }], { engine: referenceEngine(), batchSize: 2 });
 * assert.equal(metrics.predictions, 1);
 * ```
 */
export async function evaluate(
  parameters: { readonly [name: string]: Float32Array },
  config: AlbertConfig,
  examples: TrainingExamples,
  options: EvaluateOptions,
): Promise<Metrics> {
  const evaluator = makeEvaluator(config, examples, options);
  const uploaded = await uploadAll(parameters, parameterTypes(config), options.engine);
  try {
    return await evaluator.run(uploaded);
  } finally {
    Object.values(uploaded).forEach((array) => array.dispose());
    evaluator.dispose();
  }
}
