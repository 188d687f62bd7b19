/**
 * ALBERT: config to parameters to encoder to heads to losses.
 *
 * @module
 */
export { albertEncoder, type EncoderInputs, type EncoderOptions, type EncoderOutputs } from "./encoder.ts";
export type { NamedTensors } from "./encoder.ts";
export { maskedLmLogits, pretrainingLoss, sentenceOrderLogits } from "./heads.ts";
export type { PretrainingInputs, PretrainingOutputs } from "./heads.ts";
export { albertParameters, type ParameterSpec } from "./parameters.ts";
