/**
 * TFRecord files: frames of length, checksum of the length, payload, checksum of the payload; no header, no footer.
 * The writer appears under its name only when committed, the reader streams and names the record and byte of any
 * damage. Facts: TensorFlow's `record_writer`/`record_reader`; uncompressed only.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { CorruptFileError, maskedCrc32c, openAtomic, putRecordFrame } from "../formats/mod.ts";

const HEADER = 12; // 8 bytes length, 4 bytes checksum of them
const FRAME = 16; // header and the 4 bytes checksum of the payload
const BLOCK = 1 << 20; // bytes read or written at a time

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
 * A TFRecord file under construction.
 *
 * @example
 * ```ts
 * import { tfrecordWriter } from "albert-guide";
 * import type { TfrecordWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const writer: TfrecordWriter = tfrecordWriter(`${mkdtempSync(`${tmpdir()}/albert-`)}/a.tfrecord`);
 * writer.write(Uint8Array.of(1, 2, 3));
 * assert.equal(writer.records(), 1);
 * writer.discard();
 * ```
 */
export type TfrecordWriter = {
  /** Final name. */
  readonly path: string;
  /** Appends a record. */
  readonly write: (data: Uint8Array) => void;
  /** Records so far. */
  readonly records: () => number;
  /** Bytes so far, frames included. */
  readonly bytes: () => number;
  /** Writes what is left, gives the file its name and returns the SHA-256 of its content in hex. */
  readonly commit: () => string;
  /** Removes the temporary file; harmless after `commit`. */
  readonly discard: () => void;
  /** Writes what is buffered and returns the SHA-256; no record may follow. `commit` calls it. */
  readonly finish: () => string;
};

/**
 * Starts a TFRecord file that appears under its name only when committed.
 *
 * @param path Final name; missing folders are made.
 * @returns The file under construction.
 * @throws {Error} When the file cannot be written or the device is full; from `write` and `commit` too.
 * @example
 * ```ts
 * import { readTfrecords, tfrecordWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.tfrecord`;
 * const writer = tfrecordWriter(path);
 * writer.write(new TextEncoder().encode("first"));
 * writer.write(new TextEncoder().encode("second"));
 * writer.commit();
 * const seen: string[] = [];
 * for await (const { data } of readTfrecords(path)) seen.push(new TextDecoder().decode(data));
 * assert.deepEqual(seen, ["first", "second"]);
 * ```
 */
export function tfrecordWriter(path: string): TfrecordWriter {
  const file = openAtomic(path);
  const hash = createHash("sha256");
  let buffer = new Uint8Array(BLOCK);
  let view = new DataView(buffer.buffer);
  let used = 0;
  let records = 0;
  let flushed = 0;
  let digest: string | undefined;
  const flush = (): void => {
    const block = buffer.subarray(0, used);
    file.write(block);
    hash.update(block);
    flushed += used;
    used = 0;
  };
  const finish = (): string => {
    if (digest === undefined) {
      flush();
      digest = hash.digest("hex");
    }
    return digest;
  };
  return {
    path,
    write: (data) => {
      if (digest !== undefined) throw new Error(`Cannot write ${path}: it is already finished`);
      const size = FRAME + data.length;
      if (used + size > buffer.length) {
        flush();
        if (size > buffer.length) {
          buffer = new Uint8Array(size);
          view = new DataView(buffer.buffer);
        }
      }
      used = putRecordFrame(buffer, view, used, data);
      records++;
    },
    records: () => records,
    bytes: () => flushed + used,
    finish,
    commit: () => {
      const sha256 = finish();
      file.commit();
      return sha256;
    },
    discard: file.discard,
  };
}

/**
 * Streams the records of a file; every checksum is checked before a record is handed out.
 *
 * @param path An uncompressed TFRecord file.
 * @returns The records in order. Memory: one block of 1 MiB, or the largest record.
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
export async function* readTfrecords(path: string): AsyncGenerator<TfRecord> {
  const handle = await open(path, "r").catch((error: unknown) => {
    throw openError(path, error);
  });
  try {
    const { size } = await handle.stat();
    let block = new Uint8Array(0);
    let base = 0; // offset of the block in the file
    let at = 0; // offset in the block
    const need = async (count: number): Promise<void> => {
      if (block.length - at >= count) return;
      const kept = block.subarray(at);
      const wanted = Math.min(Math.max(BLOCK, count), size - base - at);
      const grown = new Uint8Array(wanted);
      grown.set(kept);
      let filled = kept.length;
      while (filled < wanted) {
        const { bytesRead } = await handle.read(grown, filled, wanted - filled, base + at + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      base += at;
      at = 0;
      block = grown.subarray(0, filled);
    };
    for (let index = 0; base + at < size; index++) {
      const byte = base + at;
      if (byte + HEADER > size) throw cut(path, index, byte, size, HEADER, "header");
      if (block.length - at < HEADER) await need(HEADER);
      const length = recordLength(path, index, byte, block, at);
      if (byte + FRAME + length > size) throw cut(path, index, byte, size, FRAME + length, "record");
      if (block.length - at < FRAME + length) await need(FRAME + length);
      if (block.length - at < FRAME + length) {
        throw cut(path, index, byte, base + block.length, FRAME + length, "record");
      }
      const start = at + HEADER;
      checkSum(path, index, block, start, start + length, "data", byte + HEADER + length);
      yield { index, byte, data: block.subarray(start, start + length) };
      at = start + length + 4;
    }
  } finally {
    await handle.close();
  }
}

function recordLength(path: string, index: number, byte: number, block: Uint8Array, at: number): number {
  if (index === 0 && block[at] === 0x1f && block[at + 1] === 0x8b) {
    throw new CorruptFileError(
      `Cannot read record 0 of ${path}: the file is gzip-compressed at byte 0; unpack it first (gunzip)`,
      { path, record: 0, byte: 0 },
    );
  }
  checkSum(path, index, block, at, at + 8, "length", byte + 8);
  const view = new DataView(block.buffer, block.byteOffset + at, 8);
  return view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
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

function openError(path: string, cause: unknown): Error {
  const { code } = cause as { code?: string };
  const reason = code === "ENOENT"
    ? "there is no such file"
    : code === "EACCES"
    ? "no permission to read it"
    : String(cause);
  return new Error(`Cannot read ${path}: ${reason}`, { cause });
}
