/**
 * File formats and what they share: atomic writing, errors with a place.
 *
 * @module
 */
export * from "./atomic.ts";
export * from "./errors.ts";
export {
  fieldBytes,
  fieldFloat,
  fieldNumber,
  fieldString,
  fieldVarints,
  type ProtobufField,
  type ProtobufSource,
  type ProtobufWriter,
  protobufWriter,
  readFields,
  readVarint,
  type WireType,
  writeVarint,
} from "./protobuf.ts";
