/**
 * The protobuf wire format, as much of it as the project's files need: varints, 32- and 64-bit values, and
 * length-delimited fields. Records, tokenizer models, TF checkpoint indexes and ONNX files are all made of these.
 * Facts: the Protocol Buffers encoding document (tags, varints, packed lists, two's complement for negative int64).
 */
import { CorruptFileError } from "./errors.ts";

/**
 * Wire types by number: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. The two group types are refused.
 *
 * @example
 * ```ts
 * import { protobufWriter, readFields } from "albert-guide";
 * import type { WireType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const delimited: WireType = 2;
 * const [field] = readFields(protobufWriter().string(1, "a").finish());
 * assert.equal(field?.wireType, delimited);
 * ```
 */
export type WireType = 0 | 1 | 2 | 5;

/**
 * One field as it stands in the bytes. `value` is a number for a varint that a double holds exactly (read as a
 * signed 64-bit integer), a bigint for a larger one, and the raw bytes for the other wire types.
 *
 * @example
 * ```ts
 * import { protobufWriter, readFields } from "albert-guide";
 * import type { ProtobufField } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const fields: ProtobufField[] = [...readFields(protobufWriter().varint(3, 300).finish())];
 * assert.deepEqual(fields, [{ field: 3, wireType: 0, value: 300, start: 0, valueStart: 1, end: 3 }]);
 * ```
 */
export type ProtobufField = {
  /** Field number, from 1. */
  readonly field: number;
  /** How the value is laid out. */
  readonly wireType: WireType;
  /** Number or bigint for wire type 0, bytes (a view, not a copy) otherwise. */
  readonly value: number | bigint | Uint8Array;
  /** Offset of the tag, in bytes. */
  readonly start: number;
  /** Offset of the value's content, after a length prefix if there is one. */
  readonly valueStart: number;
  /** Offset just behind the value. */
  readonly end: number;
};

/**
 * Where the bytes come from, for error messages.
 *
 * @example
 * ```ts
 * import { readFields } from "albert-guide";
 * import type { ProtobufSource } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const source: ProtobufSource = { path: "a.model", offset: 100 };
 * assert.throws(() => [...readFields(Uint8Array.of(0x0a, 5), source)], /a\.model.*byte 101/);
 * ```
 */
export type ProtobufSource = {
  /** File the bytes were read from; default `"protobuf message"`. */
  readonly path?: string;
  /** Offset of the first byte in that file, in bytes; default 0. */
  readonly offset?: number;
};

/**
 * Builds one message. Every method appends a field and returns the writer.
 *
 * @example
 * ```ts
 * import { protobufWriter } from "albert-guide";
 * import type { ProtobufWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const writer: ProtobufWriter = protobufWriter();
 * assert.deepEqual([...writer.varint(1, 1).finish()], [8, 1]);
 * ```
 */
export type ProtobufWriter = {
  /** int32, int64, uint, enum; a negative number becomes its ten-byte two's complement. */
  readonly varint: (field: number, value: number | bigint) => ProtobufWriter;
  /** bool as 0 or 1. */
  readonly bool: (field: number, value: boolean) => ProtobufWriter;
  /** float: four bytes, little-endian. */
  readonly float: (field: number, value: number) => ProtobufWriter;
  /** double: eight bytes, little-endian. */
  readonly double: (field: number, value: number) => ProtobufWriter;
  /** fixed32: four bytes, little-endian, unsigned. */
  readonly fixed32: (field: number, value: number) => ProtobufWriter;
  /** bytes. */
  readonly bytes: (field: number, value: Uint8Array) => ProtobufWriter;
  /** string as UTF-8. */
  readonly string: (field: number, value: string) => ProtobufWriter;
  /** Nested message, filled by the callback. */
  readonly message: (field: number, fill: (writer: ProtobufWriter) => void) => ProtobufWriter;
  /** Packed repeated varints. */
  readonly packedVarints: (field: number, values: Iterable<number | bigint>) => ProtobufWriter;
  /** Packed repeated floats. */
  readonly packedFloats: (field: number, values: ArrayLike<number>) => ProtobufWriter;
  /** The bytes written so far, as a copy. */
  readonly finish: () => Uint8Array;
};

/**
 * Starts an empty message.
 *
 * @returns A writer; call `finish` for the bytes.
 * @throws {RangeError} From its methods, when a field number or a value does not fit its type.
 * @example
 * ```ts
 * import { protobufWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = protobufWriter().string(1, "hi").message(2, (inner) => inner.varint(1, -1)).finish();
 * assert.deepEqual([...bytes.subarray(0, 6)], [0x0a, 2, 0x68, 0x69, 0x12, 11]);
 * assert.equal(bytes.length, 17); // a negative int64 takes ten bytes
 * ```
 */
export function protobufWriter(): ProtobufWriter {
  let buffer = new Uint8Array(64);
  let view = new DataView(buffer.buffer);
  let length = 0;
  const reserve = (extra: number): void => {
    if (length + extra <= buffer.length) return;
    const grown = new Uint8Array(Math.max(buffer.length * 2, length + extra));
    grown.set(buffer.subarray(0, length));
    buffer = grown;
    view = new DataView(grown.buffer);
  };
  const putVarint = (value: number | bigint): void => {
    reserve(10);
    length = writeVarint(buffer, length, value);
  };
  const tag = (field: number, wireType: WireType): void => {
    if (!Number.isInteger(field) || field < 1 || field > 536870911) {
      throw new RangeError(`Cannot write a protobuf field: its number is ${field}, expected 1 to 536870911`);
    }
    putVarint(field * 8 + wireType);
  };
  const bytes = (field: number, value: Uint8Array): ProtobufWriter => {
    tag(field, 2);
    putVarint(value.length);
    reserve(value.length);
    buffer.set(value, length);
    length += value.length;
    return writer;
  };
  const fixed = (field: number, wireType: 1 | 5, put: (at: number) => void): ProtobufWriter => {
    tag(field, wireType);
    const size = wireType === 1 ? 8 : 4;
    reserve(size);
    put(length);
    length += size;
    return writer;
  };
  const writer: ProtobufWriter = {
    varint: (field, value) => {
      tag(field, 0);
      putVarint(value);
      return writer;
    },
    bool: (field, value) => writer.varint(field, value ? 1 : 0),
    float: (field, value) => fixed(field, 5, (at) => view.setFloat32(at, value, true)),
    double: (field, value) => fixed(field, 1, (at) => view.setFloat64(at, value, true)),
    fixed32: (field, value) => fixed(field, 5, (at) => view.setUint32(at, value, true)),
    bytes,
    string: (field, value) => bytes(field, new TextEncoder().encode(value)),
    message: (field, fill) => {
      const inner = protobufWriter();
      fill(inner);
      return bytes(field, inner.finish());
    },
    packedVarints: (field, values) => bytes(field, packVarints(values)),
    packedFloats: (field, values) => bytes(field, packFloats(values)),
    finish: () => buffer.slice(0, length),
  };
  return writer;
}

function packVarints(values: Iterable<number | bigint>): Uint8Array {
  const parts: number[] = [];
  const scratch = new Uint8Array(10);
  for (const value of values) {
    const size = writeVarint(scratch, 0, value);
    for (let i = 0; i < size; i++) parts.push(scratch[i] ?? 0);
  }
  return Uint8Array.from(parts);
}

function packFloats(values: ArrayLike<number>): Uint8Array {
  const packed = new DataView(new ArrayBuffer(values.length * 4));
  for (let i = 0; i < values.length; i++) packed.setFloat32(i * 4, values[i] ?? 0, true);
  return new Uint8Array(packed.buffer);
}

/**
 * Writes one varint into bytes that are already there.
 *
 * @param target Bytes to write into; ten must be free from `at`.
 * @param at Offset of the first byte.
 * @param value A whole number; a negative one takes ten bytes.
 * @returns The offset behind the varint.
 * @throws {RangeError} When the value is no whole number or needs more than 64 bits.
 * @example
 * ```ts
 * import { writeVarint } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = new Uint8Array(10);
 * assert.equal(writeVarint(bytes, 0, 300), 2);
 * assert.deepEqual([...bytes.subarray(0, 2)], [0xac, 0x02]);
 * ```
 */
export function writeVarint(target: Uint8Array, at: number, value: number | bigint): number {
  if (typeof value === "bigint" || value < 0 || !Number.isSafeInteger(value)) {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      throw new RangeError(`Cannot write ${value} as a protobuf integer: expected a whole number below 2^53`);
    }
    let rest = BigInt(value);
    if (rest < -0x8000000000000000n || rest > 0xffffffffffffffffn) {
      throw new RangeError(`Cannot write ${value} as a protobuf integer: it needs more than 64 bits`);
    }
    rest = BigInt.asUintN(64, rest);
    while (rest > 127n) {
      target[at++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    target[at++] = Number(rest);
    return at;
  }
  let rest = value;
  while (rest > 0x7fffffff) {
    target[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  while (rest > 127) {
    target[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/**
 * Walks over the fields of a message, in the order in which they stand.
 *
 * @param bytes One serialized message.
 * @param source Where the bytes come from, named in errors.
 * @returns Each field once; a nested message is given as bytes, to be read in turn.
 * @throws {CorruptFileError} When a tag, a varint or a length runs over the end, or a wire type is unknown.
 * @example
 * ```ts
 * import { fieldNumber, fieldString, protobufWriter, readFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = protobufWriter().varint(1, 7).string(2, "seven").finish();
 * const [seven, name] = [...readFields(bytes)];
 * assert.equal(seven && fieldNumber(seven), 7);
 * assert.equal(name && fieldString(name), "seven");
 * ```
 */
export function* readFields(bytes: Uint8Array, source: ProtobufSource = {}): Generator<ProtobufField> {
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const tag = readVarint(bytes, at, source);
    at = tag.end;
    const key = Number(BigInt.asUintN(64, BigInt(tag.value)));
    const field = Math.floor(key / 8);
    const wireType = key % 8;
    if (field < 1 || field > 536870911) {
      throw broken(`field number ${field} is not in 1 to 536870911`, start, source);
    }
    if (wireType === 0) {
      const { value, end } = readVarint(bytes, at, source);
      yield { field, wireType, value, start, valueStart: at, end };
      at = end;
      continue;
    }
    let size = wireType === 1 ? 8 : 4;
    if (wireType === 2) {
      const prefix = readVarint(bytes, at, source);
      const left = bytes.length - prefix.end;
      if (prefix.value < 0 || prefix.value > left) {
        const length = BigInt.asUintN(64, BigInt(prefix.value));
        throw broken(`field ${field} claims ${length} bytes, ${left} are left`, at, source);
      }
      size = Number(prefix.value);
      at = prefix.end;
    } else if (wireType !== 1 && wireType !== 5) {
      throw broken(`field ${field} has wire type ${wireType}, expected 0, 1, 2 or 5`, start, source);
    }
    if (at + size > bytes.length) {
      throw broken(`field ${field} needs ${size} bytes, ${bytes.length - at} are left`, at, source);
    }
    yield { field, wireType, value: bytes.subarray(at, at + size), start, valueStart: at, end: at + size };
    at += size;
  }
}

/**
 * Reads one varint as a signed 64-bit integer.
 *
 * @param bytes The message.
 * @param at Offset of the varint, in bytes.
 * @param source Where the bytes come from, named in errors.
 * @returns The value (a number when exact, a bigint otherwise) and the offset behind it.
 * @throws {CorruptFileError} When the bytes end inside the varint or it has more than 64 bits.
 * @example
 * ```ts
 * import { readVarint } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(readVarint(Uint8Array.of(0xac, 0x02), 0), { value: 300, end: 2 });
 * ```
 */
export function readVarint(
  bytes: Uint8Array,
  at: number,
  source: ProtobufSource = {},
): { readonly value: number | bigint; readonly end: number } {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw broken("the message ends inside a varint", at + i, source);
    if (i < 7) {
      value += (byte & 127) * scale; // 7 x 7 = 49 bits: exact
      scale *= 128;
      if (byte < 128) return { value, end: at + i + 1 };
    } else if (byte < 128) {
      let exact = 0n;
      for (let j = i; j >= 0; j--) exact = exact << 7n | BigInt((bytes[at + j] ?? 0) & 127);
      if (i === 9 && byte > 1) throw broken("a varint has more than 64 bits", at, source);
      exact = BigInt.asIntN(64, exact);
      const rounded = Number(exact);
      return { value: Number.isSafeInteger(rounded) ? rounded : exact, end: at + i + 1 };
    }
  }
  throw broken("a varint is longer than ten bytes", at, source);
}

function broken(reason: string, at: number, source: ProtobufSource): CorruptFileError {
  const { path = "protobuf message", offset = 0 } = source;
  return new CorruptFileError(`Cannot read ${path}: ${reason} at byte ${offset + at}`, {
    path,
    byte: offset + at,
  });
}
