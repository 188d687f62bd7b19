/**
 * The sha256 of a plugin's file: it tells one build from another, and a whole file from a damaged one. An installed plugin
 * has its sum in a note beside it, `plugin.so.json`, so that 200 MB are read only where the note cannot be believed.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { pluginKind } from "./plugin.ts";

/** The sha256 of a file of some 200 MB, read in pieces. */
export function fileSha256(path: string): string {
  const hash = createHash("sha256");
  const piece = new Uint8Array(1 << 22);
  const file = openSync(path, "r");
  try {
    for (let count = -1; count !== 0;) {
      count = readSync(file, piece, 0, piece.length, null);
      hash.update(piece.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

/** What the installation noted: the sum, and whether the file has kept its size and was not written since. */
function noted(path: string): { readonly sha256: string; readonly fresh: boolean } | undefined {
  const note = `${path}.json`;
  try {
    const { sha256, bytes } = JSON.parse(readFileSync(note, "utf8")) as { sha256?: string; bytes?: number };
    if (typeof sha256 !== "string") return undefined;
    const { size, mtimeMs } = statSync(path);
    return { sha256, fresh: size === bytes && mtimeMs <= statSync(note).mtimeMs };
  } catch {
    return undefined; // Not installed by this library.
  }
}

/** What tells this plugin from another build: a verified install carries its sum, others are summed up. */
export function pluginSum(path: string): string {
  const known = noted(path);
  return known?.fresh === true ? known.sha256 : fileSha256(path);
}

/** What to say of an installed file that is not what was installed; empty when it is, or was not installed here. */
export function damageOf(path: string): string {
  const known = noted(path);
  try {
    if (known === undefined || fileSha256(path) === known.sha256) return "";
  } catch {
    return "";
  }
  return `the plugin ${path} is damaged: install it again with --install=${pluginKind(path)}`;
}
