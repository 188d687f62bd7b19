/**
 * TensorFlow checkpoints of version 2 (tensor bundles): an `.index` of names and places, and raw values in shards
 * `.data-00000-of-00001`. Read and written without TensorFlow, so that Google's released models can be a start and ours can
 * go on there. Facts: TensorFlow's tensor_bundle.proto and tensor_bundle.cc, checkpoint_state.proto.
 */
import { Buffer } from "node:buffer";
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { openAtomic, writeFileAtomic } from "./atomic.ts";
import { maskedCrc32c } from "./crc32c.ts";
import { checkTensor, count, layouts } from "./elements.ts";
import { CorruptFileError } from "./errors.ts";
import { type ProtobufField, protobufWriter, readFields } from "./protobuf.ts";
import { fieldBytes, fieldFloat, fieldNumber } from "./protobuf_fields.ts";
import { readRange } from "./read_range.ts";
import type { SafetensorsTensor, SafetensorsType } from "./safetensors.ts";
import { compareBytes, readSortedTable, type TableEntry, writeSortedTable } from "./sorted_table.ts";

/**
 * One variable of a checkpoint, without its values.
 *
 * @example
 * ```ts
 * import type { TfVariable } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const describe = ({ name, shape }: TfVariable): string => `${name} [${shape.join(", ")}]`;
 * assert.equal(typeof describe, "function");
 * ```
 */
export type TfVariable = {
  readonly name: string;
  /** Its type by safetensors' name; undefined where this library has none, such as text. */
  readonly dtype: SafetensorsType | undefined;
  /** Sizes, outermost first; [] is a scalar. */
  readonly shape: readonly number[];
  /** Bytes of its values. */
  readonly bytes: number;
  /** The file that holds its values, counted from 0. */
  readonly shard: number;
  /** The variable is stored in parts (a partitioned variable), which are not read. */
  readonly partitioned: boolean;
};

/**
 * An opened checkpoint.
 *
 * @example
 * ```ts
 * import { readTfCheckpoint, type TfCheckpoint, writeTfCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const prefix = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.ckpt-7`;
 * writeTfCheckpoint(prefix, { global_step: { dtype: "I64", shape: [], data: BigInt64Array.of(7n) } });
 * const checkpoint: TfCheckpoint = readTfCheckpoint(prefix);
 * assert.deepEqual(checkpoint.variables.map(({ name }) => name), ["global_step"]);
 * ```
 */
export type TfCheckpoint = {
  /** Path without `.index`. */
  readonly prefix: string;
  /** In the order of their names' bytes. */
  readonly variables: readonly TfVariable[];
  /** The values of one variable, read from its file and verified. */
  readonly read: (name: string) => SafetensorsTensor;
};

// DataType numbers of types.proto.
const types: ReadonlyMap<number, SafetensorsType> = new Map<number, SafetensorsType>([
  [1, "F32"],
  [2, "F64"],
  [3, "I32"],
  [4, "U8"],
  [5, "I16"],
  [6, "I8"],
  [9, "I64"],
  [10, "BOOL"],
  [14, "BF16"],
  [17, "U16"],
  [19, "F16"],
  [22, "U32"],
  [23, "U64"],
]);
const numbers: ReadonlyMap<SafetensorsType, number> = new Map([...types].map(([n, type]) => [type, n]));

const indexOf = (prefix: string): string => `${prefix}.index`;
const shardOf = (prefix: string, shard: number, shards: number): string =>
  `${prefix}.data-${String(shard).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}`;

type Place = TfVariable & { readonly offset: number; readonly crc: number; readonly typeNumber: number };

/** Fields of a small message by number; of one that may stand once the last counts. */
function fieldsOf(bytes: Uint8Array, path: string): Map<number, ProtobufField[]> {
  const found = new Map<number, ProtobufField[]>();
  for (const field of readFields(bytes, { path })) {
    found.set(field.field, [...(found.get(field.field) ?? []), field]);
  }
  return found;
}

function readShape(bytes: Uint8Array, path: string): number[] {
  const fields = fieldsOf(bytes, path);
  if ((fields.get(3) ?? []).some((field) => fieldNumber(field) !== 0)) {
    throw new TypeError("its rank is unknown");
  }
  return (fields.get(2) ?? []).map((dim) => {
    const size = fieldsOf(fieldBytes(dim), path).get(1)?.at(-1);
    return size === undefined ? 0 : fieldNumber(size);
  });
}

function readPlace(name: string, value: Uint8Array, path: string): Place {
  const fields = fieldsOf(value, path);
  const number = (field: number): number => {
    const found = fields.get(field)?.at(-1);
    return found === undefined ? 0 : fieldNumber(found);
  };
  const shape = fields.get(2)?.at(-1);
  const crc = fields.get(6)?.at(-1);
  return {
    name,
    typeNumber: number(1),
    dtype: types.get(number(1)),
    shape: shape === undefined ? [] : readShape(fieldBytes(shape), path),
    shard: number(3),
    offset: number(4),
    bytes: number(5),
    crc: crc === undefined ? 0 : fixed32(crc),
    partitioned: (fields.get(7) ?? []).length > 0,
  };
}

function fixed32(field: ProtobufField): number {
  fieldFloat(field); // checks that it has four bytes
  const { buffer, byteOffset } = field.value as Uint8Array;
  return new DataView(buffer, byteOffset, 4).getUint32(0, true);
}

/** The number of shards, after a look at what else the header says. */
function readHeader(entry: TableEntry | undefined, path: string): number {
  const refuse = (reason: string): CorruptFileError =>
    new CorruptFileError(`Cannot read ${path}: ${reason}`, { path, byte: 0 });
  if (entry === undefined || entry.key.length > 0) throw refuse("it has no header entry");
  const fields = fieldsOf(entry.value, path);
  const number = (field: number): number => {
    const found = fields.get(field)?.at(-1);
    return found === undefined ? 0 : fieldNumber(found);
  };
  if (number(2) !== 0) {
    throw new RangeError(`Cannot read ${path}: its values are big-endian, only little-endian ones are read`);
  }
  const version = fields.get(3)?.at(-1);
  const least = version === undefined ? undefined : fieldsOf(fieldBytes(version), path).get(2)?.at(-1);
  if (least !== undefined && fieldNumber(least) > 1) {
    throw new RangeError(
      `Cannot read ${path}: it asks for a reader of version ${fieldNumber(least)}, this is 1`,
    );
  }
  if (number(1) < 1) throw refuse(`its header counts ${number(1)} shards`);
  return number(1);
}

/**
 * Opens a TensorFlow checkpoint; its index is read and verified whole, values are read one variable at a time.
 *
 * @param path The prefix (`model.ckpt-1000`), the `.index` file, or a folder, whose newest checkpoint is taken.
 * @returns Names, shapes, and a function that reads values.
 * @throws {CorruptFileError} When the index or values are damaged or cut; names the file and the byte.
 * @throws {RangeError} From `read`, when there is no such variable or it is partitioned.
 * @throws {TypeError} From `read`, when the variable's type is not known here.
 * @example
 * ```ts
 * import { readTfCheckpoint, writeTfCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * const gamma = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * writeTfCheckpoint(`${folder}/model.ckpt-1`, { "bert/embeddings/LayerNorm/gamma": gamma });
 * assert.deepEqual(readTfCheckpoint(folder).read("bert/embeddings/LayerNorm/gamma").data, gamma.data);
 * ```
 */
export function readTfCheckpoint(path: string): TfCheckpoint {
  const prefix = findTfCheckpoint(path);
  if (prefix === undefined) {
    throw new Error(
      `Cannot read a TensorFlow checkpoint: ${path} names none; give a prefix with an .index file`,
    );
  }
  const index = indexOf(prefix);
  const [header, ...entries] = readSortedTable(readFileSync(index), { path: index });
  const shards = readHeader(header, index);
  const decode = new TextDecoder();
  const places = new Map<string, Place>();
  for (const { key, value } of entries) {
    if (key[0] === 0) continue; // a part of a partitioned variable: such keys begin with an encoded 0
    const name = decode.decode(key);
    try {
      places.set(name, readPlace(name, value, index));
    } catch (error) {
      const reason = (error as Error).message.replace(/^Cannot read [^:]*: /, "");
      throw new CorruptFileError(`Cannot read ${index}: the entry of ${name} is broken: ${reason}`, {
        path: index,
      });
    }
  }
  checkOverlap([...places.values()], index);
  return {
    prefix,
    variables: [...places.values()].map(({ name, dtype, shape, bytes, shard, partitioned }) => ({
      name,
      dtype,
      shape,
      bytes,
      shard,
      partitioned,
    })),
    read: (name) => readTensor(places.get(name), { name, prefix, shards }),
  };
}

/** Refuses an index whose variables share bytes of a shard. */
function checkOverlap(places: readonly Place[], path: string): void {
  const sorted = places.filter(({ bytes, partitioned }) => bytes > 0 && !partitioned).sort((a, b) =>
    a.shard - b.shard || a.offset - b.offset
  );
  const at = sorted.findIndex(({ shard, offset }, i) => {
    const before = sorted[i - 1];
    return before?.shard === shard && before.offset + before.bytes > offset;
  });
  const [one, two] = [sorted[at - 1], sorted[at]];
  if (one === undefined || two === undefined) return;
  throw new CorruptFileError(
    `Cannot read ${path}: ${two.name} overlaps ${one.name} at byte ${two.offset} of shard ${two.shard}`,
    { path, byte: two.offset },
  );
}

function readTensor(
  place: Place | undefined,
  { name, prefix, shards }: { readonly name: string; readonly prefix: string; readonly shards: number },
): SafetensorsTensor {
  const file = shardOf(prefix, place?.shard ?? 0, shards);
  const refuse = (reason: string, byte: number): CorruptFileError =>
    new CorruptFileError(`Cannot read ${name} from ${file}: ${reason} (byte ${byte})`, { path: file, byte });
  if (place === undefined) {
    throw new RangeError(`Cannot read ${name} from ${prefix}: there is no such variable`);
  }
  const { dtype, shape, offset, bytes, crc, shard, partitioned } = place;
  if (partitioned) {
    throw new RangeError(
      `Cannot read ${name} from ${prefix}: it is stored in parts; save it without a partitioner in TensorFlow first`,
    );
  }
  if (dtype === undefined) {
    const what = place.typeNumber === 7 ? "text" : `of TensorFlow's type number ${place.typeNumber}`;
    throw new TypeError(`Cannot read ${name} from ${prefix}: its values are ${what}, only numbers are read`);
  }
  if (shape.some((size) => size < 0)) throw refuse(`[${shape.join(", ")}] is no shape`, offset);
  const wanted = count(shape) * layouts[dtype].bytes;
  if (bytes !== wanted) {
    throw refuse(`its entry has ${bytes} bytes, ${dtype} [${shape.join(", ")}] needs ${wanted}`, offset);
  }
  if (shard < 0 || shard >= shards) throw refuse(`its entry names shard ${shard} of ${shards}`, offset);
  if (!existsSync(file)) throw refuse("the file is missing", 0);
  const values = readValues(file, offset, bytes, refuse);
  const found = maskedCrc32c(values);
  if (found !== crc) {
    const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
    throw refuse(`the checksum of its values is ${hex(found)}, expected ${hex(crc)}`, offset);
  }
  return { dtype, shape, data: layouts[dtype].view(values.buffer as ArrayBuffer, 0, count(shape)) };
}

function readValues(
  path: string,
  offset: number,
  length: number,
  refuse: (reason: string, byte: number) => Error,
): Uint8Array {
  const handle = openSync(path, "r");
  try {
    const { size } = fstatSync(handle);
    if (offset < 0 || offset + length > size) {
      throw refuse(`its values end at byte ${offset + length}, the file has ${size}`, size);
    }
    return readRange(handle, offset, length, refuse);
  } finally {
    closeSync(handle);
  }
}

/** Protobuf's text form: bytes beyond ASCII may stand as octal numbers, quotes and backslashes behind a backslash. */
function unescaped(text: string): string {
  const bytes = Buffer.from(text).toString("latin1")
    .replace(
      /\\([0-7]{1,3}|.)/g,
      (_, code: string) => /^\d/.test(code) ? String.fromCharCode(parseInt(code, 8)) : code,
    );
  return Buffer.from(bytes, "latin1").toString();
}

/**
 * The prefix of the TensorFlow checkpoint that a path names.
 *
 * @param path A prefix, an `.index` file, or a folder: the one its `checkpoint` file names as newest, else the only one.
 * @returns The prefix, or undefined when the path names no TensorFlow checkpoint.
 * @throws {Error} When a folder holds several and no `checkpoint` file, or that file names one that is not there.
 * @example
 * ```ts
 * import { findTfCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.equal(findTfCheckpoint(mkdtempSync(`${tmpdir()}/albert-`)), undefined);
 * ```
 */
export function findTfCheckpoint(path: string): string | undefined {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info?.isDirectory() !== true) {
    const prefix = path.replace(/\.index$|\.data-\d{5}-of-\d{5}$|\.meta$/, "");
    return existsSync(indexOf(prefix)) ? prefix : undefined;
  }
  const state = join(path, "checkpoint");
  if (existsSync(state)) {
    const named = /^\s*model_checkpoint_path:\s*"((?:[^"\\\n]|\\.)*)"/m.exec(readFileSync(state, "utf8"))
      ?.[1];
    if (named !== undefined) {
      const name = unescaped(named);
      // An absolute path of another machine still means the file beside.
      const places = [isAbsolute(name) ? name : join(path, name), join(path, basename(name))];
      const found = places.find((prefix) => existsSync(indexOf(prefix)));
      if (found !== undefined) return found;
      throw new Error(`Cannot open ${state}: it names ${name}, and there is no ${indexOf(name)}`);
    }
  }
  const all = readdirSync(path).filter((name) => name.endsWith(".index")).sort();
  if (all.length > 1) {
    throw new Error(`Cannot choose a checkpoint in ${path}: it holds ${all.join(", ")}; name one of them`);
  }
  return all[0] === undefined ? undefined : join(path, all[0].replace(/\.index$/, ""));
}

/**
 * Writes a TensorFlow checkpoint: shards first, the index last, so that a reader sees it whole or not at all.
 *
 * @param prefix Path without ending, such as `model.ckpt-1000`; missing folders are made.
 * @param tensors Values by variable name.
 * @param options `shards`: files for the values, default 1; `state`: also write the text file `checkpoint` that names this
 * one as the newest, default true.
 * @throws {TypeError} When an array does not fit its type.
 * @throws {RangeError} When a shape does not fit its values, a name is empty or `shards` is no number of files.
 * @example
 * ```ts
 * import { readTfCheckpoint, writeTfCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const prefix = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.ckpt-3`;
 * writeTfCheckpoint(prefix, { "cls/seq_relationship/output_bias": { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * assert.equal(readTfCheckpoint(prefix).variables[0]?.bytes, 8);
 * ```
 */
export function writeTfCheckpoint(
  prefix: string,
  tensors: { readonly [name: string]: SafetensorsTensor },
  { shards = 1, state = true }: { readonly shards?: number; readonly state?: boolean } = {},
): void {
  if (!Number.isSafeInteger(shards) || shards < 1 || shards > 99_999) {
    throw new RangeError(`Cannot write ${prefix}: ${shards} is no number of shards from 1 to 99999`);
  }
  const encode = new TextEncoder();
  const named = Object.entries(tensors).map(([name, tensor]) => ({ name, key: encode.encode(name), tensor }))
    .sort((a, b) => compareBytes(a.key, b.key));
  for (const { name, tensor } of named) {
    if (name === "") throw new RangeError(`Cannot write ${prefix}: a variable has no name`);
    checkTensor(name, tensor);
  }
  const header = protobufWriter().varint(1, shards).message(3, (version) => version.varint(1, 1)).finish();
  const entries: TableEntry[] = [{ key: new Uint8Array(0), value: header }];
  const share = Math.ceil(named.length / shards);
  for (let shard = 0; shard < shards; shard++) {
    const file = openAtomic(shardOf(prefix, shard, shards));
    let offset = 0;
    for (const { key, tensor } of named.slice(shard * share, (shard + 1) * share)) {
      const { buffer, byteOffset, byteLength } = tensor.data;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      file.write(bytes);
      entries.push({
        key,
        value: entryOf(tensor, { shard, offset, crc: maskedCrc32c(bytes), bytes: byteLength }),
      });
      offset += byteLength;
    }
    file.commit();
  }
  writeFileAtomic(indexOf(prefix), writeSortedTable(entries));
  if (!state) return;
  const name = JSON.stringify(basename(prefix));
  writeFileAtomic(
    join(dirname(prefix), "checkpoint"),
    `model_checkpoint_path: ${name}\nall_model_checkpoint_paths: ${name}\n`,
  );
}

/** A BundleEntryProto; fields that are 0 are left out, the shape never. */
function entryOf(
  { dtype, shape }: SafetensorsTensor,
  place: { readonly shard: number; readonly offset: number; readonly bytes: number; readonly crc: number },
): Uint8Array {
  const entry = protobufWriter().varint(1, numbers.get(dtype) ?? 0);
  entry.message(2, (message) => {
    for (const size of shape) {
      message.message(2, (dim) => {
        if (size !== 0) dim.varint(1, size);
      });
    }
  });
  if (place.shard !== 0) entry.varint(3, place.shard);
  if (place.offset !== 0) entry.varint(4, place.offset);
  if (place.bytes !== 0) entry.varint(5, place.bytes);
  return entry.fixed32(6, place.crc).finish();
}
