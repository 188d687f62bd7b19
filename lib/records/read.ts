/**
 * Records as a trainer needs them: typed arrays of the lengths that the run was told. Regular records take a fast path
 * over the bytes; anything unusual (unpacked lists, repeated keys) goes through the general reader.
 */
import { CorruptFileError } from "../formats/mod.ts";
import { decodeExample, type Example } from "./example.ts";
import { readTfrecords } from "./tfrecord.ts";

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
 * @returns The records; each has its own arrays.
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
export async function* readRecords(
  paths: readonly string[],
  lengths: RecordLengths,
): AsyncGenerator<RecordArrays> {
  for (const path of paths) {
    for await (const { index, byte, data } of readTfrecords(path)) {
      yield readQuickly(data, lengths) ?? readSlowly(data, lengths, path, index, byte + 12);
    }
  }
}

type Lists = { [K in Key]?: RecordArrays[K] };

function lengthOf(key: Key, { maxSeqLength, maxPredictionsPerSeq }: RecordLengths): number {
  if (key === "next_sentence_labels") return 1;
  return SEQUENCE.includes(key) ? maxSeqLength : maxPredictionsPerSeq;
}

/** The regular layout, or undefined for whatever is not exactly that. */
function readQuickly(data: Uint8Array, lengths: RecordLengths): RecordArrays | undefined {
  const lists: Lists = {};
  let at = 0;
  const prefix = (tag: number): number => { // a length of one or two bytes behind the tag; -1 otherwise
    if (data[at] !== tag) return -1;
    const low = data[at + 1] ?? 255;
    if (low < 128) return at += 2, low;
    const high = data[at + 2] ?? 255;
    if (high < 128) return at += 3, (low & 127) + high * 128;
    const top = data[at + 3] ?? 255;
    if (top > 127) return -1;
    at += 4;
    return (low & 127) + (high & 127) * 128 + top * 16384;
  };
  const whole = prefix(0x0a);
  if (whole < 0 || at + whole !== data.length) return undefined;
  while (at < data.length) {
    const entry = prefix(0x0a);
    const entryEnd = at + entry;
    const keyLength = entry < 0 ? -1 : prefix(0x0a);
    const key = KEY_OF_LENGTH.get(keyLength);
    if (key === undefined || lists[key] !== undefined) return undefined;
    for (let i = 0; i < keyLength; i++) if (data[at + i] !== key.charCodeAt(i)) return undefined;
    at += keyLength;
    const floats = key === "masked_lm_weights";
    const count = lengthOf(key, lengths);
    if (prefix(0x12) !== entryEnd - at || prefix(floats ? 0x12 : 0x1a) !== entryEnd - at) return undefined;
    if (count > 0 && prefix(0x0a) !== entryEnd - at) return undefined;
    if (key === "masked_lm_weights") {
      if (entryEnd - at !== 4 * count) return undefined;
      lists[key] = new Float32Array(data.slice(at, entryEnd).buffer);
    } else {
      const list = readIntegers(data, at, entryEnd, count);
      if (list === undefined) return undefined;
      lists[key] = list;
    }
    at = entryEnd;
  }
  return complete(lists);
}

/** Non-negative varints of at most four bytes. */
function readIntegers(data: Uint8Array, at: number, end: number, count: number): Int32Array | undefined {
  const list = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let byte = data[at++] ?? 255;
    let value = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      if (shift > 21) return undefined;
      byte = data[at++] ?? 255;
      value |= (byte & 127) << shift;
    }
    list[i] = value;
  }
  return at === end ? list : undefined;
}

function complete(lists: Lists): RecordArrays | undefined {
  for (const key of KEYS) if (lists[key] === undefined && key !== "token_boundary") return undefined;
  return { token_boundary: undefined, ...lists } as RecordArrays;
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
  return complete(lists as Lists) ?? fail("it is incomplete");
}

function advice(key: Key, found: number): string {
  if (key === "next_sentence_labels") return "make the records again";
  if (SEQUENCE.includes(key)) return `set max_seq_length to ${found}, or make the records again`;
  return `set max_predictions_per_seq to ${found} (records made with do_permutation have twice the predictions), ` +
    "or make the records again";
}
