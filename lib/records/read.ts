/**
 * Records as a trainer needs them: typed arrays of the lengths that the run was told. Regular records take a fast path
 * over the bytes; anything unusual (unpacked lists, repeated keys) goes through the general reader.
 */
import { CorruptFileError } from "../formats/mod.ts";
import { decodeExample, type Example } from "./example.ts";
import { type ReadOptions, readTfrecordBlocks } from "./tfrecord_read.ts";

/**
 * One record as arrays, named as in the file.
 *
 * @example
 * ```ts
 * import type { RecordArrays } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const tokensOf = ({ input_mask }: RecordArrays): number => input_mask.reduce((sum, one) => sum + one, 0);
 * assert.equal(typeof tokensOf, "function");
 * ```
 */
export type RecordArrays = {
  /** `[max_seq_length]` ids, padded with 0. */
  readonly input_ids: Int32Array;
  /** `[max_seq_length]` 1 for a token, 0 for padding. */
  readonly input_mask: Int32Array;
  /** `[max_seq_length]` 0 for segment A, 1 for B. */
  readonly segment_ids: Int32Array;
  /** `[max_seq_length]` 1 where a word starts; undefined in records without it. */
  readonly token_boundary: Int32Array | undefined;
  /** `[max_predictions_per_seq]` positions to predict, padded with 0. */
  readonly masked_lm_positions: Int32Array;
  /** `[max_predictions_per_seq]` original ids, padded with 0. */
  readonly masked_lm_ids: Int32Array;
  /** `[max_predictions_per_seq]` 1 for a prediction, 0 for padding. */
  readonly masked_lm_weights: Float32Array;
  /** `[1]` 0 in order, 1 swapped or random. */
  readonly next_sentence_labels: Int32Array;
};

/**
 * Lengths that the records must have.
 *
 * @example
 * ```ts
 * import type { RecordLengths } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const lengths: RecordLengths = { maxSeqLength: 512, maxPredictionsPerSeq: 20 };
 * assert.equal(lengths.maxSeqLength, 512);
 * ```
 */
export type RecordLengths = {
  /** Tokens in a sequence (`max_seq_length`). */
  readonly maxSeqLength: number;
  /** Predictions of a sequence (`max_predictions_per_seq`; twice that for records made with `do_permutation`). */
  readonly maxPredictionsPerSeq: number;
};

type Key = keyof RecordArrays;
const SEQUENCE: readonly Key[] = ["input_ids", "input_mask", "segment_ids", "token_boundary"];
const KEYS: readonly Key[] = [
  ...SEQUENCE,
  "masked_lm_positions",
  "masked_lm_ids",
  "masked_lm_weights",
  "next_sentence_labels",
];
/** All names differ in length, so the length finds the name. */
const KEY_OF_LENGTH: ReadonlyMap<number, Key> = new Map(KEYS.map((key) => [key.length, key]));

/**
 * Reads records one after the other, file after file.
 *
 * @param paths TFRecord files, in the order wished.
 * @param lengths Lengths that every record must have.
 * @param options `onDamaged` skips damaged frames and is called for each, so that a caller can count; without it damage
 * is an error. `wanted` says by its number over all files which record is decoded; the others are passed over by their
 * headers, many times faster, and handed out as undefined, so that all can be counted.
 * @returns The records; each has its own arrays (views of one buffer).
 * @throws {CorruptFileError} When a record is damaged, lacks a feature, or has other lengths: the message names key,
 * record and file and says which flag to change.
 * @example
 * ```ts
 * import { encodeExample, readRecords, tfrecordWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.tfrecord`;
 * const writer = tfrecordWriter(path);
 * const int64 = (...values: number[]) => ({ type: "int64_list", values }) as const;
 * writer.write(encodeExample({
 *   input_ids: int64(2, 9, 3, 8, 3), input_mask: int64(1, 1, 1, 1, 1), segment_ids: int64(0, 0, 0, 1, 1),
 *   masked_lm_positions: int64(1), masked_lm_ids: int64(7), next_sentence_labels: int64(0),
 *   masked_lm_weights: { type: "float_list", values: [1] },
 * }));
 * writer.commit();
 * for await (const record of readRecords([path], { maxSeqLength: 5, maxPredictionsPerSeq: 1 })) {
 *   assert.deepEqual([...record.input_ids], [2, 9, 3, 8, 3]);
 * }
 * ```
 */
export function readRecords(
  paths: readonly string[],
  lengths: RecordLengths,
  options?: Pick<ReadOptions, "onDamaged">,
): AsyncGenerator<RecordArrays>;
export function readRecords(
  paths: readonly string[],
  lengths: RecordLengths,
  options: { readonly wanted: ((record: number) => boolean) | undefined },
): AsyncGenerator<RecordArrays | undefined>;
export async function* readRecords(
  paths: readonly string[],
  lengths: RecordLengths,
  { onDamaged, wanted }: Pick<ReadOptions, "onDamaged"> & {
    readonly wanted?: ((record: number) => boolean) | undefined;
  } = {},
): AsyncGenerator<RecordArrays | undefined> {
  let before = 0; // records of the files before
  for (const path of paths) {
    const skip = wanted && ((index: number): boolean => !wanted(before + index));
    const options = { ...(onDamaged && { onDamaged }), ...(skip && { skip }) };
    let count = 0;
    for await (const records of readTfrecordBlocks(path, options)) {
      for (const { index, byte, data } of records) {
        count = index + 1;
        yield data.length === 0 && skip?.(index) === true
          ? undefined
          : recordArrays(data, lengths, path, index, byte);
      }
    }
    before += count;
  }
}

/** The arrays of a payload; errors name its file, record and byte. */
export function recordArrays(
  data: Uint8Array,
  lengths: RecordLengths,
  path: string,
  record: number,
  byte: number,
): RecordArrays {
  return readQuickly(data, lengths) ?? readSlowly(data, lengths, path, record, byte + 12);
}

function lengthOf(key: Key, { maxSeqLength, maxPredictionsPerSeq }: RecordLengths): number {
  if (key === "next_sentence_labels") return 1;
  return SEQUENCE.includes(key) ? maxSeqLength : maxPredictionsPerSeq;
}

/** Empty arrays for one record, views of one buffer: one allocation is several times faster than eight. */
function emptyRecord({ maxSeqLength, maxPredictionsPerSeq }: RecordLengths): RecordArrays {
  const buffer = new ArrayBuffer(4 * (4 * maxSeqLength + 3 * maxPredictionsPerSeq + 1));
  let at = 0;
  const take = (length: number): Int32Array => {
    const view = new Int32Array(buffer, at, length);
    at += 4 * length;
    return view;
  };
  return {
    input_ids: take(maxSeqLength),
    input_mask: take(maxSeqLength),
    segment_ids: take(maxSeqLength),
    token_boundary: take(maxSeqLength),
    masked_lm_positions: take(maxPredictionsPerSeq),
    masked_lm_ids: take(maxPredictionsPerSeq),
    masked_lm_weights: new Float32Array(buffer, take(maxPredictionsPerSeq).byteOffset, maxPredictionsPerSeq),
    next_sentence_labels: take(1),
  };
}

/** The regular layout with all features, or all but token_boundary; undefined for whatever is not exactly that. */
function readQuickly(data: Uint8Array, lengths: RecordLengths): RecordArrays | undefined {
  const record = emptyRecord(lengths);
  let seen = 0;
  let at = 0;
  const prefix = (tag: number): number => { // a length of one to three bytes behind the tag; -1 otherwise
    if (data[at] !== tag) return -1;
    let length = 0;
    for (let i = 1; i < 4; i++) {
      const byte = data[at + i] ?? 255;
      length |= (byte & 127) << 7 * (i - 1);
      if (byte > 127) continue;
      at += i + 1;
      return length;
    }
    return -1;
  };
  const whole = prefix(0x0a);
  if (whole < 0 || at + whole !== data.length) return undefined;
  while (at < data.length) {
    const entry = prefix(0x0a);
    const entryEnd = at + entry;
    const keyLength = entry < 0 ? -1 : prefix(0x0a);
    const key = KEY_OF_LENGTH.get(keyLength);
    if (key === undefined || !hasName(data, at, key)) return undefined;
    seen |= 1 << KEYS.indexOf(key); // a repeated key overwrites: the last value counts
    at += keyLength;
    const list = record[key];
    if (list === undefined) return undefined;
    const tag = key === "masked_lm_weights" ? 0x12 : 0x1a;
    if (prefix(0x12) !== entryEnd - at || prefix(tag) !== entryEnd - at) return undefined;
    if (list.length > 0 && prefix(0x0a) !== entryEnd - at) return undefined;
    if (entryEnd > data.length) return undefined;
    const fits = list instanceof Float32Array
      ? readFloats(data, at, entryEnd, list)
      : readIntegers(data, at, entryEnd, list);
    if (!fits) return undefined;
    at = entryEnd;
  }
  const missing = ~seen & (1 << KEYS.length) - 1;
  if (missing === 0) return record;
  return missing === 1 << KEYS.indexOf("token_boundary")
    ? { ...record, token_boundary: undefined }
    : undefined;
}

function hasName(data: Uint8Array, at: number, key: string): boolean {
  for (let i = 0; i < key.length; i++) if (data[at + i] !== key.charCodeAt(i)) return false;
  return true;
}

function readFloats(data: Uint8Array, at: number, end: number, list: Float32Array): boolean {
  if (end - at !== 4 * list.length) return false;
  const view = new DataView(data.buffer, data.byteOffset + at, end - at);
  for (let i = 0; i < list.length; i++) list[i] = view.getFloat32(4 * i, true);
  return true;
}

/** Non-negative varints of at most four bytes. */
function readIntegers(data: Uint8Array, at: number, end: number, list: Int32Array): boolean {
  for (let i = 0; i < list.length; i++) {
    let byte = data[at++] ?? 255;
    let value = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      if (shift > 21) return false;
      byte = data[at++] ?? 255;
      value |= (byte & 127) << shift;
    }
    list[i] = value;
  }
  return at === end;
}

/** The general way, with an error for everything that does not fit. */
function readSlowly(
  data: Uint8Array,
  lengths: RecordLengths,
  path: string,
  record: number,
  byte: number,
): RecordArrays {
  const example: Example = decodeExample(data, { path, record, offset: byte });
  const fail = (reason: string): never => {
    throw new CorruptFileError(`Cannot use record ${record} of ${path}: ${reason}`, { path, record, byte });
  };
  const lists: Record<string, Int32Array | Float32Array> = {};
  for (const key of KEYS) {
    const feature = example[key];
    const wished = key === "masked_lm_weights" ? "float_list" : "int64_list";
    const count = lengthOf(key, lengths);
    if (feature === undefined) {
      if (key === "token_boundary") continue;
      return fail(
        `it has no ${key} (it has ${Object.keys(example).join(", ") || "nothing"}); make the records again`,
      );
    }
    const { values } = feature;
    if (feature.type !== wished && values.length > 0) {
      fail(`${key} is a ${feature.type}, expected a ${wished}`);
    }
    if (values.length !== count) {
      fail(`${key} has ${values.length} values, expected ${count}; ${advice(key, values.length)}`);
    }
    if (wished === "float_list") lists[key] = Float32Array.from(values as ArrayLike<number>);
    else {
      lists[key] = Int32Array.from(values as ArrayLike<number>, (value) => {
        if (Number(value) !== (Number(value) | 0)) fail(`${key} holds ${value}, expected at most 2147483647`);
        return Number(value);
      });
    }
  }
  return { token_boundary: undefined, ...lists } as RecordArrays; // every key but token_boundary is there
}

function advice(key: Key, found: number): string {
  if (key === "next_sentence_labels") return "make the records again";
  if (SEQUENCE.includes(key)) return `set max_seq_length to ${found}, or make the records again`;
  return `set max_predictions_per_seq to ${found} (records made with do_permutation have twice the predictions), ` +
    "or make the records again";
}
