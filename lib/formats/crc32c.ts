/**
 * CRC-32C, the checksum of TFRecord and event files: Castagnoli's polynomial, reflected 0x82F63B78, eight bytes a step from
 * eight tables. `node:zlib` has another polynomial. Facts: RFC 3720 appendix B.4; the mask is TensorFlow's.
 */

let tables: Int32Array | undefined;

/** Eight tables of 256 entries; table k advances a byte by k + 1 zero bytes. */
function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
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
  let crc = -1;
  let at = start;
  for (const last = end - 7; at < last; at += 8) {
    const low = crc ^
      (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24); // in range: at + 7 < end
    crc = t[1792 + (low & 255)]! ^ // in range: masked to a byte
      t[1536 + (low >>> 8 & 255)]! ^ // in range: masked to a byte
      t[1280 + (low >>> 16 & 255)]! ^ // in range: masked to a byte
      t[1024 + (low >>> 24)]! ^ // in range: 8 bits are left
      t[768 + bytes[at + 4]!]! ^ // in range: at + 7 < end
      t[512 + bytes[at + 5]!]! ^ // in range: at + 7 < end
      t[256 + bytes[at + 6]!]! ^ // in range: at + 7 < end
      t[bytes[at + 7]!]!; // in range: at + 7 < end
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0);
  return ~crc >>> 0;
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
