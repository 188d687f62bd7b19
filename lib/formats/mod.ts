/**
 * File formats and what they share: atomic writing, errors with a place.
 *
 * @module
 */
export { type AtomicFile, openAtomic, writeFileAtomic } from "./atomic.ts";
export * from "./crc32c.ts";
export * from "./errors.ts";
export * from "./json.ts";
export * from "./leftovers.ts";
export * from "./not_finite.ts";
export { serializeOnnx } from "./onnx.ts";
export type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor, OnnxType, OnnxValue } from "./onnx.ts";
export * from "./onnx_read.ts";
export * from "./protobuf.ts";
export * from "./protobuf_fields.ts";
export * from "./ranged.ts";
export * from "./record_frame.ts";
export * from "./safetensors.ts";
export * from "./safetensors_open.ts";
export * from "./safetensors_write.ts";
export * from "./take.ts";
export * from "./tensorboard.ts";
export * from "./tf_checkpoint.ts";
