/**
 * Compression of record files as they are written. The synchronous functions of `node:zlib` pack whole buffers only, so
 * each block is deflated by itself up to a byte border, and the blocks stand one behind the other in one gzip (RFC 1952) or
 * zlib (RFC 1950) stream, which any reader takes.
 */
import { Buffer } from "node:buffer";
import { constants, deflateRawSync } from "node:zlib";

/**
 * How a record file is packed.
 *
 * @example
 * ```ts
 * import type { RecordCompression } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const packed: RecordCompression = "gzip";
 * assert.equal(packed, "gzip");
 * ```
 */
export type RecordCompression = "none" | "gzip" | "zlib";

/** Packs blocks; `end` gives what closes the stream. */
export type BlockCompressor = {
  readonly block: (bytes: Uint8Array) => Uint8Array;
  readonly end: () => Uint8Array;
};

let crcTable: Int32Array | undefined;

/** CRC-32 of gzip (IEEE), continued. */
function crc32(bytes: Uint8Array, before: number): number {
  const table = crcTable ??= Int32Array.from({ length: 256 }, (_, byte) => {
    for (let bit = 0; bit < 8; bit++) byte = (byte >>> 1) ^ ((byte & 1) === 0 ? 0 : 0xedb88320);
    return byte;
  });
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0);
  return ~crc;
}

/** Adler-32 of zlib, continued. */
function adler32(bytes: Uint8Array, before: number): number {
  let a = before & 0xffff;
  let b = before >>> 16;
  for (let from = 0; from < bytes.length; from += 3800) { // sums stay below 2^31 for that long
    const to = Math.min(bytes.length, from + 3800);
    for (let i = from; i < to; i++) b += a += bytes[i] ?? 0;
    a %= 65521;
    b %= 65521;
  }
  return (b << 16 | a) >>> 0;
}

/** Starts a stream. */
export function blockCompressor(compression: RecordCompression): BlockCompressor {
  if (compression === "none") return { block: (bytes) => bytes, end: () => new Uint8Array(0) };
  const gzip = compression === "gzip";
  let begun = false;
  let sum = gzip ? 0 : 1;
  let size = 0;
  const head = (): Uint8Array => {
    if (begun) return new Uint8Array(0);
    begun = true;
    return gzip ? Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255) : Uint8Array.of(0x78, 0x9c);
  };
  const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
  return {
    block: (bytes) => {
      sum = gzip ? crc32(bytes, sum) : adler32(bytes, sum);
      size = (size + bytes.length) % 2 ** 32;
      return join(head(), deflateRawSync(bytes, { finishFlush: constants.Z_FULL_FLUSH }));
    },
    end: () => {
      const last = new DataView(new ArrayBuffer(gzip ? 10 : 6));
      last.setUint16(0, 0x0300); // an empty final block
      last.setUint32(2, sum, gzip);
      if (gzip) last.setUint32(6, size, true);
      return join(head(), new Uint8Array(last.buffer));
    },
  };
}
