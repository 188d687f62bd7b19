/**
 * Fine-tuning: labelled examples, the head, the run, what the result says about texts.
 *
 * @module
 */
export { finetune, isFineTuned, readFineTuned } from "./finetune.ts";
export type { FinetuneControls, FinetuneOptions, FinetuneResult } from "./finetune.ts";
export { splitLabelled } from "./examples.ts";
export { taskParameters } from "./head.ts";
export type { HeadShape } from "./head.ts";
export { readLabelled } from "./labelled.ts";
export type { LabelledText } from "./labelled.ts";
export type { LabelScore, TaskMetrics } from "./metrics.ts";
export { tagNames } from "./names.ts";
export { predictLabels } from "./predict.ts";
export type { FineTunedModel, LabelPrediction } from "./predict.ts";
