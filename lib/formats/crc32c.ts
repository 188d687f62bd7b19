/**
 * CRC-32C, the checksum of TFRecord and event files: Castagnoli's polynomial, reflected 0x82F63B78, 16 bytes a step from 16
 * tables. `node:zlib` has another polynomial. Facts: RFC 3720 appendix B.4; the mask is TensorFlow's.
 */

let tables: Int32Array | undefined;

const STEP = 16; // bytes
/** Below so many bytes a view of 32-bit words costs more than it saves. */
const SHORT = 64;

/** 16 tables of 256 entries; table k advances a byte by k + 1 zero bytes. */
function makeTables(): Int32Array {
  const made = new Int32Array(STEP * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0x82f63b78);
    made[byte] = crc;
  }
  for (let at = 256; at < made.length; at++) {
    const last = made[at - 256] ?? 0;
    made[at] = (last >>> 8) ^ (made[last & 255] ?? 0);
  }
  return made;
}

/** Advances a checksum by whole steps of little-endian words. */
function sumWords(crc: number, words: Int32Array, t: Int32Array): number {
  for (let i = 0; i < words.length; i += 4) {
    const a = crc ^ words[i]!; // in range: the length is a multiple of 4
    const b = words[i + 1]!; // in range, as the next two
    const c = words[i + 2]!; // in range
    const d = words[i + 3]!; // in range
    // Each index is below 256 by its mask or shift, behind the start of one of the 16 tables.
    crc = t[3840 + (a & 255)]! ^ t[3584 + (a >>> 8 & 255)]! ^ t[3328 + (a >>> 16 & 255)]! ^ // in range
      t[3072 + (a >>> 24)]! ^ t[2816 + (b & 255)]! ^ t[2560 + (b >>> 8 & 255)]! ^ // in range
      t[2304 + (b >>> 16 & 255)]! ^ t[2048 + (b >>> 24)]! ^ t[1792 + (c & 255)]! ^ // in range
      t[1536 + (c >>> 8 & 255)]! ^ t[1280 + (c >>> 16 & 255)]! ^ t[1024 + (c >>> 24)]! ^ // in range
      t[768 + (d & 255)]! ^ t[512 + (d >>> 8 & 255)]! ^ t[256 + (d >>> 16 & 255)]! ^ t[d >>> 24]!; // in range
  }
  return crc;
}

/** Advances a checksum byte by byte. */
function sumBytes(crc: number, bytes: Uint8Array, start: number, end: number, t: Int32Array): number {
  for (let at = start; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0);
  return crc;
}

/**
 * CRC-32C of bytes.
 *
 * @param bytes What to sum.
 * @param start First byte; default 0.
 * @param end Byte behind the last; default the length.
 * @returns The checksum, 0 to 2^32 - 1.
 * @example
 * ```ts
 * import { crc32c } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
 * ```
 */
export function crc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number {
  const t = tables ??= makeTables();
  if (end - start < SHORT) return ~sumBytes(-1, bytes, start, end, t) >>> 0;
  const first = start + (-(bytes.byteOffset + start) & 3); // words stand at multiples of four
  const steps = Math.floor((end - first) / STEP);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + first, 4 * steps);
  const crc = sumWords(sumBytes(-1, bytes, start, first, t), words, t);
  return ~sumBytes(crc, bytes, first + STEP * steps, end, t) >>> 0;
}

/**
 * The masked CRC-32C that TFRecord files store: rotated right by 15 bits, plus 0xA282EAD8.
 *
 * @param bytes What to sum.
 * @param start First byte; default 0.
 * @param end Byte behind the last; default the length.
 * @returns The masked checksum, 0 to 2^32 - 1.
 * @example
 * ```ts
 * import { maskedCrc32c } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(maskedCrc32c(new TextEncoder().encode("123456789")), 0xc78ab0e5);
 * ```
 */
export function maskedCrc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number {
  const crc = crc32c(bytes, start, end);
  return ((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0;
}
