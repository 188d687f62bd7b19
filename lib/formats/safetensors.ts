/**
 * safetensors: named tensors in one file, a JSON header and then raw little-endian values. The writer makes the bytes
 * that the reference library makes; the reader trusts nothing: every rule of the format is checked before a value is
 * used. Source: the format description of huggingface/safetensors and the order its writer uses.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { checkTensor, compareNames, count, layouts } from "./elements.ts";
import { CorruptFileError } from "./errors.ts";

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
  | "U8"
  | "I8"
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

const maxHeader = 100_000_000;

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

type Refuse = (reason: string, byte: number) => CorruptFileError;
const refuser = (path: string): Refuse => (reason, byte) =>
  new CorruptFileError(`Cannot read safetensors ${path}: ${reason} (byte ${byte})`, { path, byte });

/** A scanner for duplicate keys, which JSON.parse drops silently: keys of the top object and of each entry. */
function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (const token of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g)) {
    const text = token[0];
    if (text === "{") open.push(new Set());
    else if (text === "}") open.pop();
    else if (token[1] !== undefined) {
      const key = JSON.parse(text.slice(0, text.lastIndexOf('"') + 1)) as string;
      const keys = open[open.length - 1];
      if (keys?.has(key) === true) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

type Entry = {
  readonly name: string;
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
};

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(name: string, value: unknown, refuse: Refuse): Entry {
  const bad = (reason: string): CorruptFileError => refuse(`tensor ${name} ${reason}`, 8);
  if (typeof value !== "object" || value === null) throw bad("has no entry of dtype, shape and data_offsets");
  const { dtype, shape, data_offsets: offsets, ...rest } = value as Readonly<Record<string, unknown>>;
  const surplus = Object.keys(rest)[0];
  if (surplus !== undefined) throw bad(`has the unknown key ${surplus}`);
  if (typeof dtype !== "string" || !order.includes(dtype)) {
    throw bad(`has the unknown dtype ${String(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) throw bad("has no shape of whole numbers");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw bad("has no pair of data_offsets");
  }
  const [begin, end] = offsets as [number, number];
  if (end < begin) throw bad(`ends at ${end}, before its begin ${begin}`);
  const bytes = count(shape as number[]) * layouts[dtype as SafetensorsType].bytes;
  if (!Number.isSafeInteger(bytes)) throw bad("has a shape too large to count");
  if (end - begin !== bytes) {
    throw bad(`has ${end - begin} bytes, ${dtype} [${shape.join(", ")}] needs ${bytes}`);
  }
  return { name, dtype: dtype as SafetensorsType, shape: shape as number[], begin, end };
}

type Header = { readonly entries: readonly Entry[]; readonly metadata: Record<string, string> };

function parseHeader(bytes: Uint8Array, buffer: number, refuse: Refuse): Header {
  let json: string;
  let header: unknown;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse("the header is no UTF-8", 8);
  }
  if (!json.startsWith("{")) throw refuse("the header does not start with {", 8);
  try {
    header = JSON.parse(json);
  } catch (error) {
    throw refuse(`the header is no JSON: ${(error as Error).message}`, 8);
  }
  const twice = duplicateKey(json);
  if (twice !== undefined) throw refuse(`the key ${twice} stands twice in the header`, 8);
  const { __metadata__: metadata = {}, ...tensors } = header as Readonly<Record<string, unknown>>;
  if (
    typeof metadata !== "object" || metadata === null || Array.isArray(metadata) ||
    !Object.values(metadata).every((value) => typeof value === "string")
  ) throw refuse("__metadata__ is no map of text to text", 8);
  const entries = Object.entries(tensors).map(([name, value]) => readEntry(name, value, refuse))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  const start = 8 + bytes.length;
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin < at) throw refuse(`tensor ${name} overlaps the one before it`, start + begin);
    if (begin > at) throw refuse(`${begin - at} bytes before tensor ${name} belong to no tensor`, start + at);
    at = end;
  }
  if (at > buffer) {
    throw refuse(`the tensors need ${at} bytes, the file ends after ${buffer}`, start + buffer);
  }
  if (at < buffer) throw refuse(`${buffer - at} bytes at the end belong to no tensor`, start + at);
  return { entries, metadata: metadata as Record<string, string> };
}

/** The length of the header, checked against the size of the file. */
function headerLength(first: Uint8Array, size: number, refuse: Refuse): number {
  if (size < 8) throw refuse(`the file has ${size} bytes, a header length takes 8`, 0);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeader)) throw refuse(`the header has ${length} bytes, at most ${maxHeader}`, 0);
  if (length > BigInt(size - 8)) {
    throw refuse(`the header has ${length} bytes, the file only ${size - 8} more`, 0);
  }
  if (length < 2n) throw refuse("the header is empty", 0);
  return Number(length);
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
  return {
    metadata,
    // A copy also of a Buffer, whose own slice() is a view.
    tensors: collect(
      entries,
      ({ begin, end }) => new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end)),
    ),
  };
}

function collect(
  entries: readonly Entry[],
  bytesOf: (entry: Entry) => Uint8Array,
): Record<string, SafetensorsTensor> {
  // fromEntries defines own properties, so a tensor named __proto__ is only a name.
  return Object.fromEntries(entries.map((entry) => {
    const { name, dtype, shape } = entry;
    const own = bytesOf(entry);
    const data = layouts[dtype].view(own.buffer as ArrayBuffer, own.byteOffset, count(shape));
    return [name, { dtype, shape, data }];
  }));
}

/**
 * Reads a safetensors file, tensor by tensor, so that memory holds each value once.
 *
 * @param path The file.
 * @returns Tensors by name.
 * @throws {CorruptFileError} When a rule of the format is broken.
 * @throws {Error} When the file cannot be opened.
 * @example
 * ```ts
 * import { readSafetensorsFile, writeFileAtomic, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.safetensors`;
 * writeFileAtomic(path, writeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * assert.deepEqual(readSafetensorsFile(path).tensors["w"]?.data, Float32Array.of(1, 2));
 * ```
 */
export function readSafetensorsFile(path: string): SafetensorsFile {
  const refuse = refuser(path);
  const handle = openSync(path, "r");
  const read = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const got = readSync(handle, bytes, done, length - done, at + done);
      if (got === 0) throw refuse("the file became shorter while it was read", at + done);
      done += got;
    }
    return bytes;
  };
  try {
    const { size } = fstatSync(handle);
    const length = headerLength(read(0, Math.min(8, size)), size, refuse);
    const { entries, metadata } = parseHeader(read(8, length), size - 8 - length, refuse);
    return {
      metadata,
      tensors: collect(entries, ({ begin, end }) => read(8 + length + begin, end - begin)),
    };
  } finally {
    closeSync(handle);
  }
}
