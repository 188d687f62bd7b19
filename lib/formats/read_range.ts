/**
 * A range of an open file, whole or an error. Not part of the public door.
 */
import { readSync } from "node:fs";

const MOST = 2 ** 30; // one call of Node reads less than 2^31 bytes

/** Reads `length` bytes from `at`; `refuse` makes the error of a file that ends before. */
export function readRange(
  handle: number,
  at: number,
  length: number,
  refuse: (reason: string, byte: number) => Error,
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const got = readSync(handle, bytes, done, Math.min(length - done, MOST), at + done);
    if (got === 0) throw refuse("the file became shorter while it was read", at + done);
    done += got;
  }
  return bytes;
}
