/**
 * The ONNX files of an export under the names by which transformers.js asks for them: `dtype` "fp32", "fp16" and "q8".
 */
import { join } from "node:path";
import { openAtomic, serializeOnnx } from "../../formats/mod.ts";
import type { OnnxWeights } from "./build.ts";
import { onnxModel, type OnnxOptions } from "./model.ts";

/**
 * Which ONNX files are written.
 *
 * @example
 * ```ts
 * import type { OnnxFiles } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const forBrowsers: OnnxFiles = { weights: ["int8"], outputs: ["logits"] };
 * assert.deepEqual(forBrowsers.weights, ["int8"]);
 * ```
 */
export type OnnxFiles = Omit<OnnxOptions, "weights"> & {
  /** One file each, default all three. */
  readonly weights?: readonly OnnxWeights[];
};

const names: { readonly [Weights in OnnxWeights]: string } = {
  fp32: "model.onnx",
  fp16: "model_fp16.onnx",
  int8: "model_quantized.onnx",
};

/** Writes one file for each kind of weights. */
export function writeOnnxFiles(
  folder: string,
  model: Parameters<typeof onnxModel>[0],
  { weights = ["fp32", "fp16", "int8"], ...options }: OnnxFiles = {},
): void {
  for (const kind of weights) {
    const pieces = serializeOnnx(onnxModel(model, { ...options, weights: kind }));
    const file = openAtomic(join(folder, names[kind]));
    pieces.forEach(file.write);
    file.commit();
  }
}
