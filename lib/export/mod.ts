/**
 * Models for other programs: Hugging Face folders, ONNX models and TensorFlow checkpoints, written and read back.
 *
 * @module
 */
export { exportModel } from "./export.ts";
export type { ExportedModel, ExportFormat, ExportOptions } from "./export.ts";
export { modelCard } from "./model_card.ts";
export type { ModelCardFacts } from "./model_card.ts";
export { huggingFaceWeights } from "./names.ts";
export type { OnnxWeights } from "./onnx/build.ts";
export type { OnnxFiles } from "./onnx/files.ts";
export { onnxModel } from "./onnx/model.ts";
export type { OnnxOptions, OnnxOutput } from "./onnx/model.ts";
export { readHuggingFace } from "./read.ts";
export type { HuggingFaceModel } from "./read.ts";
export { readHuggingFaceTask } from "./read_task.ts";
export type { HuggingFaceTask } from "./read_task.ts";
export { taskCard } from "./task_card.ts";
export type { TaskCardFacts } from "./task_card.ts";
