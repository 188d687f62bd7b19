/**
 * Pretraining as an objective: masked pieces and sentence order on records, from fresh weights or a warm start.
 */
import { albertParameters, pretrainingLoss } from "../model/mod.ts";
import type { Batch } from "./batches.ts";
import { checkIds, makeEvaluator } from "./evaluate.ts";
import { initialParameters } from "./initial.ts";
import { readInitialWeights } from "./initial_weights.ts";
import type { Objective } from "./objective.ts";
import type { PretrainOptions, RunOptions } from "./run_types.ts";
import {
  batchArrays,
  batchTotals,
  type BatchTypes,
  batchTypes,
  type Metrics,
  metricsOf,
  modelInputs,
  totalsLength,
} from "./totals.ts";

/** What the objective needs of a run. */
type Given = Pick<PretrainOptions, "config" | "run" | "evalExamples">;

function checkBatch(batch: Batch, { config, run }: Given): void {
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

/**
 * Puts weights of another run under the names of this one and says which. A table with more rows keeps its own rows behind
 * the given ones.
 */
function warmStart({ config, run }: Given, fresh: Record<string, Float32Array>): string {
  const fromGroup0 = run.init_from_group0;
  const { parameters, path, missing, unexpected } = readInitialWeights(run.init_checkpoint, config, {
    fromGroup0,
  });
  for (const [name, own] of Object.entries(fresh)) {
    const given = parameters[fromGroup0 ? name.replace(/\/group_\d+\//, "/group_0/") : name];
    if (given !== undefined) own.set(given);
  }
  return `start: ${Object.keys(fresh).length - missing.length} weights of ${path}` +
    (missing.length === 0 ? "" : `; fresh, as it lacks them: ${missing.join(", ")}`) +
    (unexpected.length === 0 ? "" : `; left aside: ${unexpected.join(", ")}`);
}

/** The objective of a pretraining run. */
export function pretrainingObjective(given: Given): Objective<Metrics> {
  const { config, run, evalExamples } = given;
  return {
    stage: "pretrain",
    parameters: albertParameters(config),
    initial: () => {
      const parameters = initialParameters(config, run.seed);
      return run.init_checkpoint === "" ? { parameters } : { parameters, note: warmStart(given, parameters) };
    },
    batchTypes: batchTypes(run.train_batch_size, run.max_seq_length, run.max_predictions_per_seq),
    batchArrays: (batch: Batch) => {
      checkBatch(batch, given);
      return batchArrays(batch, run.mask_token_id);
    },
    loss: (parameters, arrays, options) => {
      const batch = arrays as { readonly [Name in keyof BatchTypes]: typeof arrays[string] };
      const out = pretrainingLoss(parameters, modelInputs(batch), config, options);
      return { loss: out.loss, totals: batchTotals(out, batch) };
    },
    totalsLength,
    metricsOf,
    watched: ({ masked_lm_mask_loss }) => masked_lm_mask_loss,
    evaluator: (engine) =>
      evalExamples === undefined ? undefined : makeEvaluator(config, evalExamples, {
        engine,
        batchSize: run.eval_batch_size,
        maxBatches: run.max_eval_steps,
        maskTokenId: run.mask_token_id,
      }),
  };
}

/** A pretraining run as the machinery takes it. */
export const withPretraining = (options: PretrainOptions): RunOptions<Metrics> => ({
  ...options,
  objective: pretrainingObjective(options),
});
