/**
 * Typed access to the fields that `readFields` yields: the caller knows from the message's definition what a field
 * holds, these functions check that the bytes agree. Facts: the Protocol Buffers encoding document.
 */
import { type ProtobufField, readVarint } from "./protobuf.ts";

/**
 * The integer in a varint field.
 *
 * @param field A field of wire type 0.
 * @returns Its value as a number.
 * @throws {TypeError} When the field is not a varint.
 * @throws {RangeError} When a double cannot hold the value.
 * @example
 * ```ts
 * import { fieldNumber, protobufWriter, readFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * for (const field of readFields(protobufWriter().varint(1, -5).finish())) assert.equal(fieldNumber(field), -5);
 * ```
 */
export function fieldNumber(field: ProtobufField): number {
  if (field.value instanceof Uint8Array) throw wrongWireType(field, "varint (0)");
  if (typeof field.value === "bigint") {
    throw new RangeError(`Cannot read field ${field.field}: ${field.value} is beyond 2^53`);
  }
  return field.value;
}

/**
 * The content of a length-delimited field: bytes, a nested message or a packed list.
 *
 * @param field A field of wire type 2.
 * @returns A view of the bytes.
 * @throws {TypeError} When the field has another wire type.
 * @example
 * ```ts
 * import { fieldBytes, protobufWriter, readFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [field] = readFields(protobufWriter().bytes(1, Uint8Array.of(1, 2)).finish());
 * assert.deepEqual(field && [...fieldBytes(field)], [1, 2]);
 * ```
 */
export function fieldBytes(field: ProtobufField): Uint8Array {
  if (field.wireType !== 2 || !(field.value instanceof Uint8Array)) {
    throw wrongWireType(field, "length-delimited (2)");
  }
  return field.value;
}

/**
 * The integers of a repeated field, whether the writer packed them or not.
 *
 * @param field A field of wire type 2 (packed) or 0 (one value).
 * @returns The values of this occurrence of the field.
 * @throws {TypeError} When the field has another wire type.
 * @throws {CorruptFileError} When the list ends inside a varint.
 * @example
 * ```ts
 * import { fieldVarints, protobufWriter, readFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [field] = readFields(protobufWriter().packedVarints(1, [3, 270]).finish());
 * assert.deepEqual(field && fieldVarints(field), [3, 270]);
 * ```
 */
export function fieldVarints(field: ProtobufField): (number | bigint)[] {
  if (!(field.value instanceof Uint8Array)) return [field.value];
  const bytes = fieldBytes(field);
  const values: (number | bigint)[] = [];
  for (let at = 0; at < bytes.length;) {
    const { value, end } = readVarint(bytes, at);
    values.push(value);
    at = end;
  }
  return values;
}

/**
 * The text of a string field.
 *
 * @param field A field of wire type 2.
 * @returns The decoded text; invalid UTF-8 becomes U+FFFD.
 * @throws {TypeError} When the field has another wire type.
 * @example
 * ```ts
 * import { fieldString, protobufWriter, readFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [field] = readFields(protobufWriter().string(1, "▁the").finish());
 * assert.equal(field && fieldString(field), "▁the");
 * ```
 */
export function fieldString(field: ProtobufField): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(fieldBytes(field));
}

/**
 * The number in a float or double field.
 *
 * @param field A field of wire type 5 (float) or 1 (double).
 * @returns Its value.
 * @throws {TypeError} When the field has another wire type.
 * @example
 * ```ts
 * import { fieldFloat, protobufWriter, readFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [field] = readFields(protobufWriter().float(2, -1.5).finish());
 * assert.equal(field && fieldFloat(field), -1.5);
 * ```
 */
export function fieldFloat(field: ProtobufField): number {
  const { value, wireType } = field;
  if (!(value instanceof Uint8Array) || wireType === 2) throw wrongWireType(field, "float (5) or double (1)");
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return wireType === 5 ? view.getFloat32(0, true) : view.getFloat64(0, true);
}

function wrongWireType(field: ProtobufField, wished: string): TypeError {
  return new TypeError(
    `Cannot read field ${field.field} at byte ${field.start}: wire type is ${field.wireType}, expected ${wished}`,
  );
}
