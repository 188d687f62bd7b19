/**
 * `tf.train.Example`: a map from names to lists of integers, floats or bytes. Written with sorted keys, because the
 * order of a protobuf map is free and sorted is what its deterministic mode gives; read in any order, packed or not,
 * a repeated key's last value counting. Facts: `tensorflow/core/example/{example,feature}.proto`.
 */
import {
  CorruptFileError,
  fieldBytes,
  fieldString,
  fieldVarints,
  readFields,
  writeVarint,
} from "../formats/mod.ts";
import type { ProtobufField } from "../formats/mod.ts";

/**
 * One list of an Example. `"unset"` is a feature that names no list, which protobuf allows.
 *
 * @example
 * ```ts
 * import type { Feature } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const label: Feature = { type: "int64_list", values: [1] };
 * assert.equal(label.values.length, 1);
 * ```
 */
export type Feature =
  | { readonly type: "int64_list"; readonly values: ArrayLike<number | bigint> }
  | { readonly type: "float_list"; readonly values: ArrayLike<number> }
  | { readonly type: "bytes_list"; readonly values: readonly Uint8Array[] }
  | { readonly type: "unset"; readonly values: readonly never[] };

/**
 * Features by name.
 *
 * @example
 * ```ts
 * import type { Example } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const example: Example = { next_sentence_labels: { type: "int64_list", values: [1] } };
 * assert.deepEqual(Object.keys(example), ["next_sentence_labels"]);
 * ```
 */
export type Example = Readonly<Record<string, Feature>>;

/** Names in the order in which they are written, with their bytes. */
export type EncodedKeys = readonly { readonly key: string; readonly bytes: Uint8Array }[];

/** Keys sorted by their UTF-8 bytes. */
export function encodeKeys(keys: readonly string[]): EncodedKeys {
  const encoder = new TextEncoder();
  const encoded = keys.map((key) => ({ key, bytes: encoder.encode(key) }));
  return encoded.sort((a, b) => compareBytes(a.bytes, b.bytes));
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/**
 * Serializes an Example: keys sorted, lists packed.
 *
 * @param example Features by name; integers beyond 2^53 as bigint.
 * @returns The message, the payload of one record.
 * @throws {RangeError} When a value is not a whole number of 64 bits in an int64 list.
 * @example
 * ```ts
 * import { decodeExample, encodeExample } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeExample({ b: { type: "float_list", values: [0.5] }, a: { type: "int64_list", values: [-1] } });
 * assert.deepEqual(Object.keys(decodeExample(bytes)), ["a", "b"]);
 * ```
 */
export function encodeExample(example: Example): Uint8Array {
  const keys = encodeKeys(Object.keys(example));
  const size = exampleSize(keys, example);
  const bytes = new Uint8Array(size + 10); // room for the last varint's scratch
  writeExample(keys, example, size, bytes, 0);
  return bytes.subarray(0, size);
}

const varintSize = (value: number | bigint): number => {
  if (value < 0) return 10;
  if (value < 128) return 1;
  if (value < 16384) return 2;
  if (value < 2097152) return 3;
  if (value < 268435456) return 4;
  return Math.ceil(BigInt(value).toString(2).length / 7);
};
const delimited = (size: number): number => 1 + varintSize(size) + size;

/** Bytes inside the list's packed field, or of all its byte strings with their tags. */
function bodySize(feature: Feature): number {
  const { type, values } = feature;
  if (type === "float_list") return 4 * values.length;
  let size = 0;
  if (type === "int64_list") { for (let i = 0; i < values.length; i++) size += varintSize(values[i] ?? 0); }
  else for (const value of values) size += delimited((value as Uint8Array).length);
  return size;
}

const listSize = (feature: Feature, body: number): number =>
  feature.type === "bytes_list" ? body : feature.values.length === 0 ? 0 : delimited(body);
const featureSize = (feature: Feature, body: number): number =>
  feature.type === "unset" ? 0 : delimited(listSize(feature, body));

function entriesSize(keys: EncodedKeys, example: Example): number {
  let size = 0;
  for (const { key, bytes } of keys) {
    const feature = example[key];
    if (feature === undefined) continue;
    size += delimited(delimited(bytes.length) + delimited(featureSize(feature, bodySize(feature))));
  }
  return size;
}

/** Bytes of the whole message. */
export function exampleSize(keys: EncodedKeys, example: Example): number {
  return delimited(entriesSize(keys, example));
}

/** Writes the message at `at`; ten bytes more than `size` must be free there. Returns the offset behind it. */
export function writeExample(
  keys: EncodedKeys,
  example: Example,
  size: number,
  target: Uint8Array,
  at: number,
): number {
  const view = new DataView(target.buffer, target.byteOffset);
  let inner = size - 2; // the size of the features: the size less tag and prefix
  while (delimited(inner) > size) inner--;
  target[at++] = 0x0a;
  at = writeVarint(target, at, inner);
  for (const { key, bytes } of keys) {
    const feature = example[key];
    if (feature === undefined) continue;
    const body = bodySize(feature);
    const whole = featureSize(feature, body);
    target[at++] = 0x0a;
    at = writeVarint(target, at, delimited(bytes.length) + delimited(whole));
    target[at++] = 0x0a;
    at = writeVarint(target, at, bytes.length);
    target.set(bytes, at);
    at += bytes.length;
    target[at++] = 0x12;
    at = writeVarint(target, at, whole);
    at = writeFeature(feature, body, target, view, at);
  }
  return at;
}

const LIST_TAGS = { bytes_list: 0x0a, float_list: 0x12, int64_list: 0x1a } as const;

function writeFeature(
  feature: Feature,
  body: number,
  target: Uint8Array,
  view: DataView,
  at: number,
): number {
  if (feature.type === "unset") return at;
  target[at++] = LIST_TAGS[feature.type];
  at = writeVarint(target, at, listSize(feature, body));
  if (feature.type === "bytes_list") {
    for (const value of feature.values) {
      target[at++] = 0x0a;
      at = writeVarint(target, at, value.length);
      target.set(value, at);
      at += value.length;
    }
    return at;
  }
  const { values } = feature;
  if (values.length === 0) return at;
  target[at++] = 0x0a;
  at = writeVarint(target, at, body);
  if (feature.type === "float_list") {
    for (let i = 0; i < values.length; i++, at += 4) view.setFloat32(at, Number(values[i]), true);
    return at;
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value >= 0 && value < 128) target[at++] = Number(value);
    else at = writeVarint(target, at, value);
  }
  return at;
}

/**
 * Where an Example comes from, for error messages.
 *
 * @example
 * ```ts
 * import { decodeExample } from "albert-guide";
 * import type { ExampleSource } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const source: ExampleSource = { path: "a.tfrecord", record: 17, offset: 5312 };
 * assert.throws(() => decodeExample(Uint8Array.of(0x0a, 9), source), /record 17 of a\.tfrecord.*byte 5313/);
 * ```
 */
export type ExampleSource = {
  /** File; default `"an Example"`. */
  readonly path?: string;
  /** Index of the record in it, from 0. */
  readonly record?: number;
  /** Offset of the message in the file, in bytes; default 0. */
  readonly offset?: number;
};

/**
 * Reads a serialized Example.
 *
 * @param bytes The message.
 * @param source Where it comes from, named in errors.
 * @returns Features by name; integers as numbers, those beyond 2^53 as bigint.
 * @throws {CorruptFileError} When the bytes are no Example; names record and byte.
 * @example
 * ```ts
 * import { decodeExample, encodeExample } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeExample({ input_ids: { type: "int64_list", values: Int32Array.of(2, 300, 3) } });
 * assert.deepEqual(decodeExample(bytes), { input_ids: { type: "int64_list", values: [2, 300, 3] } });
 * ```
 */
export function decodeExample(bytes: Uint8Array, source: ExampleSource = {}): Example {
  const { path = "an Example", record, offset = 0 } = source;
  const example: Record<string, Feature> = Object.create(null);
  const walk = (message: Uint8Array, at: number): Generator<ProtobufField> =>
    readFields(message, { offset: at });
  const wrong = (at: number, reason: string): never => {
    const what = record === undefined ? path : `record ${record} of ${path}`;
    const place = { path, byte: at, ...(record === undefined ? {} : { record }) };
    throw new CorruptFileError(`Cannot read ${what}: ${reason} at byte ${at}`, place);
  };
  const nested = (field: ProtobufField, at: number): Uint8Array =>
    field.wireType === 2 ? fieldBytes(field) : wrong(at + field.start, `field ${field.field} is no message`);
  try {
    for (const features of walk(bytes, offset)) {
      if (features.field !== 1) continue;
      const featuresAt = offset + features.valueStart;
      for (const entry of walk(nested(features, offset), featuresAt)) {
        if (entry.field !== 1) continue;
        let key = "";
        const read = featureReader();
        const entryAt = featuresAt + entry.valueStart;
        for (const part of walk(nested(entry, featuresAt), entryAt)) {
          if (part.field === 1) nested(part, entryAt), key = fieldString(part);
          else if (part.field === 2) {
            const partAt = entryAt + part.valueStart;
            for (const list of walk(nested(part, entryAt), partAt)) {
              if (list.field > 3) continue;
              read.begin(list.field);
              const listAt = partAt + list.valueStart;
              for (const values of walk(nested(list, partAt), listAt)) {
                if (values.field === 1 && !read.values(values)) {
                  wrong(listAt + values.start, "a list is malformed");
                }
              }
            }
          }
        }
        example[key] = read.feature();
      }
    }
  } catch (error) {
    if (!(error instanceof CorruptFileError) || error.place.path === path) throw error;
    const reason = /: (.*) at byte \d+$/.exec(error.message)?.[1] ?? error.message;
    wrong(error.place.byte ?? offset, reason);
  }
  return { ...example };
}

/** Collects the lists of one feature; a list of another type replaces what came before (a protobuf oneof). */
function featureReader(): {
  begin: (field: number) => void;
  values: (field: ProtobufField) => boolean;
  feature: () => Feature;
} {
  let kind = 0;
  let bytes: Uint8Array[] = [];
  let numbers: (number | bigint)[] = [];
  const push = (value: number | bigint): void => void numbers.push(value);
  const floats = (value: Uint8Array): boolean => {
    if (value.length % 4 !== 0) return false;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    for (let at = 0; at < value.length; at += 4) push(view.getFloat32(at, true));
    return true;
  };
  return {
    begin: (field) => {
      if (field !== kind) [kind, bytes, numbers] = [field, [], []];
    },
    values: (field) => {
      const { wireType, value } = field;
      if (kind === 1) {
        if (wireType !== 2 || !(value instanceof Uint8Array)) return false;
        bytes.push(value);
        return true;
      }
      if (kind === 2) return value instanceof Uint8Array && wireType !== 1 && floats(value);
      if (wireType !== 0 && wireType !== 2) return false;
      try {
        fieldVarints(field).forEach(push);
      } catch {
        return false;
      }
      return true;
    },
    feature: () => {
      if (kind === 1) return { type: "bytes_list", values: bytes };
      if (kind === 2) return { type: "float_list", values: numbers as number[] };
      return kind === 3 ? { type: "int64_list", values: numbers } : { type: "unset", values: [] };
    },
  };
}
