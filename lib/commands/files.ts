/**
 * Reading the files that flags name, with an error that says what to do.
 */
import { readFileSync, statSync } from "node:fs";
import { openAtomic } from "../formats/mod.ts";

/** The bytes of a file; `what` says what it should have been. */
export function readInput(path: string, what: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    const reason = code === "ENOENT"
      ? "there is no such file: check the name"
      : code === "EISDIR"
      ? "it is a folder"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new Error(`Cannot read the ${what} ${path}: ${reason}`, { cause });
  }
}

/** Refuses a name that is no file, before long work begins. */
export function checkFile(path: string, what: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new Error(`Cannot read the ${what} ${path || '""'}: there is no such file: check the name`);
  }
  if (found.isDirectory()) {
    throw new Error(`Cannot read the ${what} ${path}: it is a folder, name the files in it`);
  }
}

/** Refuses a name that cannot be written, before long work begins; leaves nothing behind but the folder it needs. */
export function checkWritable(path: string): void {
  const beside = `${path}.try`; // not the name that the work itself takes until it is done
  try {
    openAtomic(beside).discard();
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(beside, path);
    throw error;
  }
}
