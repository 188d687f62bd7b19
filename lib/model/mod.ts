/**
 * ALBERT: config to parameters to encoder to heads to losses.
 *
 * @module
 */
export { albertEncoder } from "./encoder.ts";
export type { EncoderInputs, EncoderOptions, EncoderOutputs, NamedTensors } from "./encoder.ts";
export { maskedLmLogits, pretrainingLoss, sentenceOrderLogits } from "./heads.ts";
export type { PretrainingInputs, PretrainingOutputs } from "./heads.ts";
export { albertParameters, initialParameters } from "./parameters.ts";
export type { ParameterSpec } from "./parameters.ts";
