/**
 * Files that are either whole or absent: bytes go to `<name>.tmp-<pid>` in the same folder, are flushed to the
 * device, and only then take the final name. An interrupted run leaves no file that looks finished.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { pid } from "node:process";

const MOST = 2 ** 30; // one call of Node writes less than 2^31 bytes

/**
 * A file under construction: `write` appends, `commit` gives it its name, `discard` removes it.
 *
 * @example
 * ```ts
 * import { openAtomic } from "albert-guide";
 * import type { AtomicFile } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { existsSync, mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.bin`;
 * const file: AtomicFile = openAtomic(path);
 * file.write(Uint8Array.of(1, 2, 3));
 * assert.equal(existsSync(path), false);
 * file.commit();
 * assert.equal(existsSync(path), true);
 * ```
 */
export type AtomicFile = {
  /** Final name. */
  readonly path: string;
  /** Appends bytes. */
  readonly write: (bytes: Uint8Array) => void;
  /**
   * Flushes to the device and renames to the final name. Without `flush` the file survives the end of the process but not
   * of the machine: for what can be made again.
   */
  readonly commit: (options?: { readonly flush?: boolean }) => void;
  /** Closes and removes the temporary file; harmless after `commit`. */
  readonly discard: () => void;
};

/**
 * Opens a file that appears under its name only when it is complete. Missing folders are made.
 *
 * @param path Final name.
 * @returns The file under construction.
 * @throws {Error} When the folder cannot be made or written, or the device is full: the message names the file.
 * @example
 * ```ts
 * import { openAtomic } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/deep/a.txt`;
 * const file = openAtomic(path);
 * file.write(new TextEncoder().encode("whole"));
 * file.commit();
 * assert.equal(readFileSync(path, "utf8"), "whole");
 * ```
 */
export function openAtomic(path: string): AtomicFile {
  const temporary = `${path}.tmp-${pid}`;
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw writeError(path, error);
    }
  };
  if (attempt(() => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)) {
    throw new Error(`Cannot write ${path}: a folder has that name, choose another one`);
  }
  let handle: number | undefined = attempt(() => {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(temporary, "w");
  });
  const close = (): void => {
    if (handle !== undefined) closeSync(handle);
    handle = undefined;
  };
  const discard = (): void => {
    if (handle === undefined) return;
    close();
    rmSync(temporary, { force: true });
  };
  return {
    path,
    write: (bytes) => {
      if (handle === undefined) throw new Error(`Cannot write ${path}: it is already closed`);
      const open = handle;
      try {
        for (let at = 0; at < bytes.length;) {
          at += writeSync(open, bytes, at, Math.min(bytes.length - at, MOST));
        }
      } catch (error) {
        discard();
        throw writeError(path, error);
      }
    },
    commit: ({ flush = true } = {}) => {
      if (handle === undefined) throw new Error(`Cannot finish ${path}: it is already closed`);
      const open = handle;
      if (flush) attempt(() => fsyncSync(open));
      close();
      try {
        renameSync(temporary, path);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw writeError(path, error);
      }
    },
    discard,
  };
}

/**
 * Writes a whole file atomically: readers see the old content or the new, never a part.
 *
 * @param path Final name; missing folders are made.
 * @param content Bytes, or text that is written as UTF-8.
 * @throws {Error} When the folder cannot be written or the device is full; nothing is left behind.
 * @example
 * ```ts
 * import { writeFileAtomic } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/state.json`;
 * writeFileAtomic(path, "{}\n");
 * assert.equal(readFileSync(path, "utf8"), "{}\n");
 * ```
 */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  const file = openAtomic(path);
  file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
  file.commit();
}

/** The error of a file that could not be written, in a user's words. */
export function writeError(path: string, cause: unknown): Error {
  const code = (cause as { code?: string }).code;
  const reason = code === "ENOSPC"
    ? "no space left on the device: free some and run the same command again"
    : code === "EACCES" || code === "EPERM" || code === "EROFS"
    ? "no permission to write there: choose another folder"
    : code === "ENOTDIR" || code === "EEXIST"
    ? "a file is where a folder is needed"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new Error(`Cannot write ${path}: ${reason}`, { cause });
}
