/**
 * The frame around a record: length, checksum of the length, payload, checksum of the payload. TFRecord files and
 * TensorBoard's event files are such frames one after the other. Facts: TensorFlow's `record_writer`.
 */
import { maskedCrc32c } from "./crc32c.ts";

const HEADER = 12; // 8 bytes length, 4 bytes checksum of them
const FRAME = 16; // header and the 4 bytes checksum of the payload

/**
 * Puts one payload into its frame, as it stands in a TFRecord file.
 *
 * @param data The payload.
 * @returns 16 bytes more: length, checksum, payload, checksum.
 * @example
 * ```ts
 * import { frameRecord } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...frameRecord(new Uint8Array(0)).subarray(0, 12)], [0, 0, 0, 0, 0, 0, 0, 0, 0x29, 3, 0x98, 7]);
 * ```
 */
export function frameRecord(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME + data.length);
  putRecordFrame(frame, new DataView(frame.buffer), 0, data);
  return frame;
}

/**
 * Writes a payload in its frame into bytes that are already there.
 *
 * @param target Bytes to write into; 16 more than the payload must be free from `at`.
 * @param view A view of the same bytes.
 * @param at Offset of the frame.
 * @param data The payload.
 * @returns The offset behind the frame.
 * @example
 * ```ts
 * import { frameRecord, putRecordFrame } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const target = new Uint8Array(19);
 * assert.equal(putRecordFrame(target, new DataView(target.buffer), 0, Uint8Array.of(1, 2, 3)), 19);
 * assert.deepEqual(target, frameRecord(Uint8Array.of(1, 2, 3)));
 * ```
 */
export function putRecordFrame(target: Uint8Array, view: DataView, at: number, data: Uint8Array): number {
  view.setUint32(at, data.length >>> 0, true);
  view.setUint32(at + 4, Math.floor(data.length / 2 ** 32), true);
  view.setUint32(at + 8, maskedCrc32c(target, at, at + 8), true);
  target.set(data, at + HEADER);
  const end = at + HEADER + data.length;
  view.setUint32(end, maskedCrc32c(target, at + HEADER, end), true);
  return end + 4;
}
