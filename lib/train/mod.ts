/**
 * Training: batches, optimizers, schedule, the loop, checkpoints, metrics, evaluation.
 *
 * @module
 */
export { accelerators } from "./accelerators.ts";
export type { Accelerator } from "./accelerators.ts";
export { baselines } from "./baselines.ts";
export type { BaselineOptions, Baselines } from "./baselines.ts";
export { readBatches } from "./batches.ts";
export type { Batch, BatchOptions, TrainingExample, TrainingExamples } from "./batches.ts";
export { latestCheckpoint, readCheckpoint } from "./checkpoint.ts";
export type { Checkpoint, RunState } from "./checkpoint.ts";
export { estimateCost } from "./cost.ts";
export type { RunCost } from "./cost.ts";
export { evaluate } from "./evaluate.ts";
export type { EvaluateOptions } from "./evaluate.ts";
export type { MetricBand } from "./bands.ts";
export { compareRecords, evaluateInDetail } from "./evaluate_detail.ts";
export type { DetailedEvaluateOptions, DetailedMetrics, RecordSums } from "./evaluate_detail.ts";
export { fillMask } from "./fill_mask.ts";
export type { FillMaskOptions } from "./fill_mask.ts";
export * from "./finetune/mod.ts";
export { initialParameters } from "./initial.ts";
export { readInitialWeights } from "./initial_weights.ts";
export type { InitialWeights } from "./initial_weights.ts";
export { bestPieces, maskedInput } from "./masked_input.ts";
export type { FilledPiece, MaskedInput, MaskedOptions, PieceTokenizer } from "./masked_input.ts";
export { measureRate } from "./measure_rate.ts";
export { mistakes } from "./mistakes.ts";
export type { Mistake, Mistakes, MistakesOptions } from "./mistakes.ts";
export { adamw, clipByGlobalNorm, lamb, learningRate } from "./optimizer.ts";
export type { Moments, Schedule, Updated, UpdateOptions } from "./optimizer.ts";
export { planRun, rateOfDevice } from "./plan.ts";
export type { Plan, PlanOptions, TrainingRate } from "./plan.ts";
export { pretrain } from "./pretrain.ts";
export type { PretrainControls, PretrainOptions, PretrainResult, StepMetrics } from "./run_types.ts";
export * from "./search/mod.ts";
export { pretrainStages } from "./stages.ts";
export type { StagesOptions, TrainingStage } from "./stages.ts";
export type { Metrics } from "./totals.ts";
export { trustRatios } from "./trust_ratio.ts";
export { saveWeights } from "./weights_checkpoint.ts";
