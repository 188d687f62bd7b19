/**
 * A file that several threads write at once, each a range of its own. Like `openAtomic`, it takes its name only when it is
 * whole: until then the bytes stand in `<name>.tmp-<pid>`.
 */
import {
  closeSync,
  fdatasync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { pid } from "node:process";
import { promisify } from "node:util";
import { writeError } from "./atomic.ts";
import { CorruptFileError } from "./errors.ts";

/**
 * A file of known size under construction.
 *
 * @example
 * ```ts
 * import { openRange, openRanged } from "albert-guide";
 * import type { RangedFile } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.txt`;
 * const file: RangedFile = openRanged(path, 5);
 * for (const [at, text] of [[2, "cde"], [0, "ab"]] as const) {
 *   const range = openRange(file, at);
 *   range.write(new TextEncoder().encode(text));
 *   range.close();
 * }
 * await file.commit();
 * assert.equal(readFileSync(path, "utf8"), "abcde");
 * ```
 */
export type RangedFile = RangedPlace & {
  /** Fills bytes from an offset on; what no range has written yet reads as zeros. */
  readonly read: (at: number, bytes: Uint8Array) => void;
  /** Begins to bring what was written to the device, so that `commit` finds little left; returns at once. */
  readonly flush: () => void;
  /** Flushes to the device and renames to the final name. */
  readonly commit: () => Promise<void>;
  /** Closes and removes the temporary file; harmless after `commit`. */
  readonly discard: () => Promise<void>;
};

/**
 * Where such a file stands; other threads open ranges of it with this alone.
 *
 * @example
 * ```ts
 * import type { RangedPlace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const place: RangedPlace = { path: "a.txt", temporary: "a.txt.tmp-7" };
 * assert.ok(place.temporary.startsWith(place.path));
 * ```
 */
export type RangedPlace = {
  /** Final name. */
  readonly path: string;
  /** Name until then. */
  readonly temporary: string;
};

/**
 * One range: `write` appends to it.
 *
 * @example
 * ```ts
 * import type { RangeWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const put = (range: RangeWriter, byte: number): void => range.write(Uint8Array.of(byte));
 * assert.equal(typeof put, "function");
 * ```
 */
export type RangeWriter = {
  readonly write: (bytes: Uint8Array) => void;
  /** Closes the range; the bytes are the file's. */
  readonly close: () => void;
};

/**
 * Starts a file of `size` bytes that appears under its name only when it is committed. Missing folders are made.
 *
 * @param path Final name.
 * @param size Bytes of the whole file.
 * @returns The file, all zeros.
 * @throws {Error} When the folder cannot be made or written, or the device is full: the message names the file.
 * @example
 * ```ts
 * import { openRanged } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { existsSync, mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.bin`;
 * const file = openRanged(path, 3);
 * assert.equal(existsSync(path), false);
 * await file.discard();
 * assert.equal(existsSync(file.temporary), false);
 * ```
 */
export function openRanged(path: string, size: number): RangedFile {
  const temporary = `${path}.tmp-${pid}`;
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw writeError(path, error);
    }
  };
  let handle: number | undefined = attempt(() => {
    mkdirSync(dirname(path), { recursive: true });
    const opened = openSync(temporary, "w+");
    ftruncateSync(opened, size);
    return opened;
  });
  const opened = (): number => {
    if (handle === undefined) throw new Error(`Cannot finish ${path}: it is already closed`);
    return handle;
  };
  let flushing: Promise<void> | undefined;
  let lost: unknown; // a device tells of a failed flush once
  const discard = async (): Promise<void> => {
    await flushing;
    if (handle === undefined) return;
    closeSync(handle);
    handle = undefined;
    rmSync(temporary, { force: true });
  };
  return {
    path,
    temporary,
    read: (at, bytes) => {
      for (let done = 0; done < bytes.length;) {
        const count = readSync(opened(), bytes, done, bytes.length - done, at + done);
        if (count === 0) {
          throw new CorruptFileError(
            `Cannot read ${temporary}: it ends at byte ${at + done} of ${size}; run the same command again`,
            { path: temporary, byte: at + done },
          );
        }
        done += count;
      }
    },
    flush: () => {
      flushing ??= promisify(fdatasync)(opened()).catch((error) => void (lost = error)).finally(() => {
        flushing = undefined;
      });
    },
    commit: async () => {
      try {
        await flushing;
        if (lost !== undefined) throw lost;
        await promisify(fsync)(opened());
        renameSync(temporary, path);
      } catch (error) {
        throw writeError(path, error);
      }
      closeSync(opened());
      handle = undefined;
    },
    discard,
  };
}

/**
 * Opens a range of a file that `openRanged` started, in the same thread or another.
 *
 * @param place The file.
 * @param at Offset of the range's first byte.
 * @returns The range.
 * @throws {Error} When the file is gone or the device is full, from `write` too: the message names the file.
 * @example
 * ```ts
 * import { openRange, openRanged } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const file = openRanged(`${mkdtempSync(`${tmpdir()}/albert-`)}/a.bin`, 2);
 * const range = openRange(file, 1);
 * range.write(Uint8Array.of(7));
 * range.close();
 * const bytes = new Uint8Array(2);
 * file.read(0, bytes);
 * assert.deepEqual([...bytes], [0, 7]);
 * await file.discard();
 * ```
 */
export function openRange({ path, temporary }: RangedPlace, at: number): RangeWriter {
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw writeError(path, error);
    }
  };
  const handle = attempt(() => openSync(temporary, "r+"));
  let place = at;
  return {
    write: (bytes) => {
      attempt(() => {
        for (let done = 0; done < bytes.length;) {
          const count = writeSync(handle, bytes, done, bytes.length - done, place);
          done += count;
          place += count;
        }
      });
    },
    close: () => closeSync(handle),
  };
}
