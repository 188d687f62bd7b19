/**
 * Writing TFRecord files: frames of length, checksum of the length, payload, checksum of the payload; no header, no
 * footer. A file appears under its name only when committed. Facts: TensorFlow's `record_writer`; compression wraps the
 * whole file.
 */
import { createHash } from "node:crypto";
import { openAtomic, putRecordFrame } from "../formats/mod.ts";
import { blockCompressor, type RecordCompression } from "./compression.ts";

/** Bytes of a frame around its payload: 12 in front of it, 4 behind. */
export const FRAME = 16;
const BLOCK = 1 << 20; // bytes written at a time

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
  /** Bytes so far, frames included; with compression those on the device, complete behind `finish`. */
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
 * @param options `compression` of the whole file, as TensorFlow's options name it: `"none"` (default, what the reference's
 * trainer reads), `"gzip"` or `"zlib"`.
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
export function tfrecordWriter(
  path: string,
  { compression = "none" }: { readonly compression?: RecordCompression } = {},
): TfrecordWriter {
  const compressor = blockCompressor(compression);
  const file = openAtomic(path);
  const hash = createHash("sha256");
  let flushed = 0;
  let digest: string | undefined;
  const put = (bytes: Uint8Array): void => {
    file.write(bytes);
    hash.update(bytes);
    flushed += bytes.length;
  };
  const frames = recordFrames((bytes) => put(compressor.block(bytes)));
  const finish = (): string => {
    if (digest === undefined) {
      frames.flush();
      put(compressor.end());
      digest = hash.digest("hex");
    }
    return digest;
  };
  return {
    path,
    write: (data) => {
      if (digest !== undefined) throw new Error(`Cannot write ${path}: it is already finished`);
      frames.write(data);
    },
    records: frames.records,
    bytes: () => flushed + frames.waiting(),
    finish,
    commit: () => {
      const sha256 = finish();
      file.commit();
      return sha256;
    },
    discard: file.discard,
  };
}

/** Records on their way into their frames. */
export type RecordFrames = {
  readonly write: (data: Uint8Array) => void;
  /** Puts what is buffered. */
  readonly flush: () => void;
  /** Records so far. */
  readonly records: () => number;
  /** Bytes that are buffered. */
  readonly waiting: () => number;
};

/** Frames records and puts them a mebibyte at a time; the bytes that `put` gets are overwritten after it returns. */
export function recordFrames(put: (bytes: Uint8Array) => void): RecordFrames {
  let buffer = new Uint8Array(BLOCK);
  let view = new DataView(buffer.buffer);
  let used = 0;
  let records = 0;
  const flush = (): void => {
    if (used > 0) put(buffer.subarray(0, used));
    used = 0;
  };
  return {
    write: (data) => {
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
    flush,
    records: () => records,
    waiting: () => used,
  };
}
