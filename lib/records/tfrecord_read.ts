/**
 * Reading TFRecord files: streams the records and names the record and byte of any damage, or skips it when told to. Facts:
 * TensorFlow's `record_reader`.
 */
import { CorruptFileError, maskedCrc32c } from "../formats/mod.ts";
import { openSource, type RecordSource } from "./record_source.ts";

const HEADER = 12; // 8 bytes length, 4 bytes checksum of them
const FRAME = 16; // header and the 4 bytes checksum of the payload

/**
 * One record as it stands in a file.
 *
 * @example
 * ```ts
 * import type { TfRecord } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const record: TfRecord = { index: 0, byte: 0, data: Uint8Array.of(1) };
 * assert.equal(record.byte + 16 + record.data.length, 17); // where the next record starts
 * ```
 */
export type TfRecord = {
  /** Index in the file, from 0. */
  readonly index: number;
  /** Offset of the frame, in bytes. */
  readonly byte: number;
  /** The payload; stays valid after the next record is read. */
  readonly data: Uint8Array;
};

/**
 * What `readTfrecords` is told.
 *
 * @example
 * ```ts
 * import type { ReadOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * let lost = 0;
 * const options: ReadOptions = { onDamaged: () => lost++ };
 * assert.equal(typeof options.onDamaged, "function");
 * ```
 */
export type ReadOptions = {
  /** Offset of the frame to begin with, from `indexTfrecords`; default 0. A compressed file is unpacked up to there. */
  readonly byte?: number;
  /** Index of that record; default 0. */
  readonly record?: number;
  /** Records that start here or later are left out: a part of a file ends where the next begins. Default: none. */
  readonly end?: number;
  /** Records to pass over by their headers: they are handed out without data, which is not checked. Default: none. */
  readonly skip?: (record: number) => boolean;
  /** Called for each damaged place, which is then skipped up to the next whole frame; default: damage is an error. */
  readonly onDamaged?: (error: CorruptFileError) => void;
};

/**
 * Streams the records of a file; every checksum is checked before a record is handed out.
 *
 * @param path A TFRecord file, plain or compressed as a whole by gzip or zlib; the bytes tell.
 * @param options Where to begin and end, and what to do about damage.
 * @returns The records in order. Memory: one block of 1 MiB, or the largest record. Byte offsets are those of the
 * unpacked file.
 * @throws {CorruptFileError} At the first damaged or cut record: its index and byte are named.
 * @throws {Error} When the file cannot be opened.
 * @example
 * ```ts
 * import { CorruptFileError, readTfrecords } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/cut.tfrecord`;
 * writeFileSync(path, Uint8Array.of(3, 0, 0));
 * await assert.rejects(async () => {
 *   for await (const record of readTfrecords(path)) assert.fail(String(record.index));
 * }, CorruptFileError);
 * ```
 */
export async function* readTfrecords(path: string, options: ReadOptions = {}): AsyncGenerator<TfRecord> {
  for await (const records of readTfrecordBlocks(path, options)) {
    for (const record of records) yield record; // yield* would cost a second hop each
  }
}

/** At most so many records are read ahead of their use, out of what is in memory already. */
const blockRecords = 64;

/**
 * The records of a file as readTfrecords gives them, in arrays of those that are in memory: a hop of an async generator costs
 * as much as decoding a record.
 */
export async function* readTfrecordBlocks(
  path: string,
  { record = 0, byte: start = 0, end = Infinity, skip, onDamaged }: ReadOptions = {},
): AsyncGenerator<readonly TfRecord[]> {
  const source = await openSource(path);
  let block: TfRecord[] = [];
  try {
    await source.skipTo(start);
    for (let index = record; source.position() < end; index++) {
      let found: TfRecord | "end";
      try {
        const skipped = skip?.(index) === true;
        const ready = readyRecord(path, index, source, skipped);
        if (ready === undefined && block.length > 0) {
          yield block;
          block = [];
        }
        found = ready ?? await nextRecord(path, index, source, skipped);
      } catch (error) {
        if (block.length > 0) yield block;
        block = [];
        if (onDamaged === undefined || !(error instanceof CorruptFileError)) throw error;
        onDamaged(error);
        if (!await resume(source)) return;
        continue;
      }
      if (found === "end") break;
      block.push(found);
      if (block.length === blockRecords) {
        yield block;
        block = [];
      }
    }
    if (block.length > 0) yield block;
  } finally {
    await source.close();
  }
}

const noData = new Uint8Array(0);

/** The length of the record at the position of the source, once its header is in memory. */
function lengthAt(path: string, index: number, source: RecordSource): number {
  const byte = source.position();
  const head = source.view();
  checkSum(path, index, head, 0, 8, "length", byte + 8);
  const view = new DataView(head.buffer, head.byteOffset, 8);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  const { size } = source;
  if (size !== undefined && byte + FRAME + length > size) {
    throw cut(path, index, byte, size, FRAME + length, "record");
  }
  return length;
}

/** Takes the record of a length that is in memory; the source moves on only when its checksum is right. */
function take(path: string, index: number, source: RecordSource, length: number, skip: boolean): TfRecord {
  const byte = source.position();
  const block = source.view();
  if (!skip) checkSum(path, index, block, HEADER, HEADER + length, "data", byte + HEADER + length);
  source.advance(FRAME + length);
  return { index, byte, data: skip ? noData : block.subarray(HEADER, HEADER + length) };
}

/** The record at the position of the source if all of it is in memory. */
function readyRecord(path: string, index: number, source: RecordSource, skip: boolean): TfRecord | undefined {
  if (source.available() < HEADER) return undefined;
  const length = lengthAt(path, index, source);
  return source.available() < FRAME + length ? undefined : take(path, index, source, length, skip);
}

/** The record at the position of the source, which is moved behind it only when its checksums are right. */
async function nextRecord(
  path: string,
  index: number,
  source: RecordSource,
  skip: boolean,
): Promise<TfRecord | "end"> {
  const byte = source.position();
  const ready = await source.need(HEADER, { path, index });
  if (ready === 0) return "end";
  if (ready < HEADER) throw cut(path, index, byte, byte + ready, HEADER, "header");
  const length = lengthAt(path, index, source);
  if (skip && source.size !== undefined) {
    await source.skipTo(byte + FRAME + length);
    return { index, byte, data: noData };
  }
  const got = await source.need(FRAME + length, { path, index });
  if (got < FRAME + length) throw cut(path, index, byte, byte + got, FRAME + length, "record");
  return take(path, index, source, length, skip);
}

/** Moves to the next frame behind damage: the next place where eight bytes are followed by their checksum. */
async function resume(source: RecordSource): Promise<boolean> {
  for (;;) {
    source.advance(1);
    while (source.available() >= HEADER) {
      const bytes = source.view();
      const stored = new DataView(bytes.buffer, bytes.byteOffset + 8, 4).getUint32(0, true);
      if (stored === maskedCrc32c(bytes, 0, 8)) return true;
      source.advance(1);
    }
    const got = await source.need(HEADER, undefined);
    if (got < HEADER) return false;
    source.retreat(1); // the loop moves on by one
  }
}

/**
 * Offsets of the records of a file, for reading it from any of them.
 *
 * @param path A TFRecord file.
 * @returns Where each record starts in the unpacked file, in bytes.
 * @throws {CorruptFileError} At the first damaged record.
 * @example
 * ```ts
 * import { indexTfrecords, readTfrecords, tfrecordWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.tfrecord`;
 * const writer = tfrecordWriter(path, { compression: "gzip" });
 * for (let i = 0; i < 5; i++) writer.write(Uint8Array.of(i));
 * writer.commit();
 * const index = await indexTfrecords(path);
 * assert.deepEqual([...index], [0, 17, 34, 51, 68]);
 * for await (const { data } of readTfrecords(path, { record: 3, byte: index[3] ?? 0, end: index[4] ?? 0 })) {
 *   assert.deepEqual([...data], [3]);
 * }
 * ```
 */
export async function indexTfrecords(path: string): Promise<Float64Array> {
  const offsets: number[] = [];
  for await (const { byte } of readTfrecords(path)) offsets.push(byte);
  return Float64Array.from(offsets);
}

function checkSum(
  path: string,
  record: number,
  block: Uint8Array,
  from: number,
  to: number,
  what: "length" | "data",
  byte: number,
): void {
  const stored = new DataView(block.buffer, block.byteOffset + to, 4).getUint32(0, true);
  const expected = maskedCrc32c(block, from, to);
  if (stored === expected) return;
  const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
  const advice = record === 0 && what === "length"
    ? "is it a TFRecord file?"
    : "the file is damaged: copy it again or make the records again";
  throw new CorruptFileError(
    `Cannot read record ${record} of ${path}: ${what} checksum is ${hex(stored)}, expected ${
      hex(expected)
    } at byte ${byte}; ${advice}`,
    { path, record, byte },
  );
}

function cut(
  path: string,
  record: number,
  byte: number,
  size: number,
  needed: number,
  what: string,
): CorruptFileError {
  return new CorruptFileError(
    `Cannot read record ${record} of ${path}: the ${what} that starts at byte ${byte} needs ${needed} bytes, ` +
      `but the file ends at byte ${size}; it was cut: copy it again or make the records again`,
    { path, record, byte: size },
  );
}
