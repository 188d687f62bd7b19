/**
 * safetensors: named tensors in one file, a JSON header and then raw little-endian values. The writer makes the bytes
 * that the reference library makes; the reader trusts nothing: every rule of the format is checked before a value is
 * used. Source: the format description of huggingface/safetensors and the order its writer uses.
 */
import { checkTensor, compareNames, layouts } from "./elements.ts";
import { headerLength, maxHeader, parseHeader, refuser, tensorOf } from "./safetensors_header.ts";

/**
 * Element types this library writes and reads, in the order the reference writer sorts them; F16 and BF16 are Uint16Array of their bits.
 *
 * @example
 * ```ts
 * import { readSafetensors, type SafetensorsType, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const type: SafetensorsType = "I32";
 * const bytes = writeSafetensors({ ids: { dtype: type, shape: [2], data: Int32Array.of(1, 2) } });
 * assert.equal(readSafetensors(bytes).tensors["ids"]?.dtype, "I32");
 * ```
 */
export type SafetensorsType =
  | "U64"
  | "I64"
  | "F64"
  | "F32"
  | "U32"
  | "I32"
  | "BF16"
  | "F16"
  | "U16"
  | "I16"
  | "I8"
  | "U8"
  | "BOOL";

/**
 * Values of a tensor in memory.
 *
 * @example
 * ```ts
 * import type { SafetensorsData } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bits: SafetensorsData = Uint16Array.of(0x3f80); // 1 as bfloat16
 * assert.equal(bits.BYTES_PER_ELEMENT, 2);
 * ```
 */
export type SafetensorsData =
  | Float64Array
  | Float32Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Int16Array
  | Uint8Array
  | Int8Array
  | BigInt64Array
  | BigUint64Array;

/**
 * One tensor of a file.
 *
 * @example
 * ```ts
 * import type { SafetensorsTensor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bias: SafetensorsTensor = { dtype: "F32", shape: [2], data: Float32Array.of(0, 1) };
 * assert.equal(bias.data.length, 2);
 * ```
 */
export type SafetensorsTensor = {
  readonly dtype: SafetensorsType;
  /** Sizes, outermost first; [] is a scalar. */
  readonly shape: readonly number[];
  /** Row-major values. */
  readonly data: SafetensorsData;
};

/**
 * What a file holds.
 *
 * @example
 * ```ts
 * import { readSafetensors, type SafetensorsFile, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const file: SafetensorsFile = readSafetensors(writeSafetensors({}, { metadata: { format: "pt" } }));
 * assert.deepEqual(file.metadata, { format: "pt" });
 * ```
 */
export type SafetensorsFile = {
  readonly tensors: { readonly [name: string]: SafetensorsTensor };
  readonly metadata: { readonly [key: string]: string };
};

const order = Object.keys(layouts);

/**
 * The bytes of a safetensors file in pieces: the header, then the values of each tensor as views of its own memory, so
 * that a large file needs no second copy of it.
 *
 * @param tensors Tensors by name; `__metadata__` is no name.
 * @param options `metadata`: text by key, default `{ format: "pt" }`, which some readers demand.
 * @returns The pieces in the order of the file.
 * @throws {RangeError} When a shape does not fit its values or a name is reserved.
 * @throws {TypeError} When an array does not fit its dtype.
 * @example
 * ```ts
 * import { safetensorsPieces } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [, values] = safetensorsPieces({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * assert.deepEqual([...values ?? []], [0, 0, 128, 63, 0, 0, 0, 64]);
 * ```
 */
export function safetensorsPieces(
  tensors: { readonly [name: string]: SafetensorsTensor },
  { metadata = { format: "pt" } }: { readonly metadata?: { readonly [key: string]: string } } = {},
): Uint8Array[] {
  const sorted = Object.entries(tensors).sort(([nameA, a], [nameB, b]) =>
    order.indexOf(a.dtype) - order.indexOf(b.dtype) || compareNames(nameA, nameB)
  );
  let offset = 0;
  const parts = Object.keys(metadata).length === 0 ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  for (const [name, tensor] of sorted) {
    if (name === "__metadata__") {
      throw new RangeError("Cannot write tensor __metadata__: the name is reserved");
    }
    checkTensor(name, tensor);
    const end = offset + tensor.data.byteLength;
    const { dtype, shape } = tensor;
    parts.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > maxHeader) {
    throw new RangeError(`Cannot write safetensors: the header has ${length} bytes, at most ${maxHeader}`);
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  const values = sorted.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return [header, ...values];
}

/**
 * Writes tensors as one safetensors file.
 *
 * @param tensors Tensors by name; `__metadata__` is no name.
 * @param options `metadata`: text by key, default `{ format: "pt" }`, which some readers demand.
 * @returns The bytes of the file, those of the reference writer for the same tensors.
 * @throws {RangeError} When a shape does not fit its values or a name is reserved.
 * @throws {TypeError} When an array does not fit its dtype.
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = writeSafetensors({ w: { dtype: "F32", shape: [1, 2], data: Float32Array.of(1, 2) } });
 * assert.deepEqual(readSafetensors(bytes).tensors["w"]?.shape, [1, 2]);
 * ```
 */
export function writeSafetensors(
  tensors: { readonly [name: string]: SafetensorsTensor },
  options: { readonly metadata?: { readonly [key: string]: string } } = {},
): Uint8Array {
  const pieces = safetensorsPieces(tensors, options);
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/**
 * Reads safetensors. All rules of the format are checked: header size and form, no key twice, dtype times shape equals
 * bytes, no overlap, no hole, nothing left over.
 *
 * @param bytes The whole file.
 * @param options `path`: its name, for messages.
 * @returns Tensors by name, each with its own memory.
 * @throws {CorruptFileError} When a rule is broken; names the tensor and the byte.
 * @example
 * ```ts
 * import { CorruptFileError, readSafetensors, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = writeSafetensors({ w: { dtype: "F32", shape: [], data: Float32Array.of(5) } });
 * assert.equal(readSafetensors(bytes).tensors["w"]?.data[0], 5);
 * assert.throws(() => readSafetensors(bytes.slice(0, -1)), CorruptFileError);
 * ```
 */
export function readSafetensors(
  bytes: Uint8Array,
  { path = "file" }: { readonly path?: string } = {},
): SafetensorsFile {
  const refuse = refuser(path);
  const length = headerLength(bytes, bytes.length, refuse);
  const { entries, metadata } = parseHeader(bytes.subarray(8, 8 + length), bytes.length - 8 - length, refuse);
  // fromEntries defines own properties, so a tensor named __proto__ is only a name.
  const tensors = Object.fromEntries(entries.map((entry) => {
    // A copy also of a Buffer, whose own slice() is a view.
    const own = new Uint8Array(bytes.subarray(8 + length + entry.begin, 8 + length + entry.end));
    return [entry.name, tensorOf(entry, own)];
  }));
  return { metadata, tensors };
}
