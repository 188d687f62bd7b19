/**
 * Folders that appear whole or not at all: they are filled under a temporary name beside, flushed, and renamed. A folder of
 * an earlier export is replaced; one that holds anything else is left alone.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { pid } from "node:process";
import { isAlive } from "../formats/mod.ts";

/** Names that an export may have left in a folder. */
const known =
  /^(README\.md|config\.json|model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?|tokenizer(_config)?\.json|special_tokens_map\.json|spiece\.model|eval\.json|loss\.svg|albert_config\.json|checkpoint|model\.ckpt-\d+\.(index|data-\d{5}-of-\d{5})|tf|onnx)$/;

function refuseForeign(path: string): void {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    throw new Error(`Cannot export to ${path}: a file has that name, choose another output_dir`);
  }
  const foreign = readdirSync(path).find((name) => !known.test(name));
  if (foreign !== undefined) {
    throw new Error(
      `Cannot export to ${path}: it holds ${foreign}, which is no part of an export; choose an empty folder or a new one`,
    );
  }
}

const reasons: { readonly [code: string]: string } = {
  ENOTDIR: "a file is where a folder is needed",
  EEXIST: "a file is where a folder is needed",
  EACCES: "no permission to write there: choose another folder",
  EPERM: "no permission to write there: choose another folder",
  EROFS: "the device cannot be written to: choose another folder",
  ENOSPC: "no space left on the device: free some and run the same command again",
};

/**
 * Removes what a killed export left beside the folder. One that was killed between its two renames has set the earlier
 * export aside: it gets its name back.
 */
function recover(final: string): void {
  const parent = dirname(final);
  if (statSync(parent, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(`${basename(final)}.`)) continue;
    const [, ending, id] = /^\.(tmp|old)-(\d+)$/.exec(name.slice(basename(final).length)) ?? [];
    if (id === undefined || isAlive(Number(id))) continue;
    if (ending === "old" && !existsSync(final)) renameSync(join(parent, name), final);
    else rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/** Lets `fill` write into a temporary folder and gives it its name; after a failure the old folder stands as it was. */
export function writeFolder(path: string, fill: (temporary: string) => void): void {
  const final = resolve(path);
  recover(final);
  refuseForeign(final);
  const beside = (ending: string): string => join(dirname(final), `${basename(final)}.${ending}-${pid}`);
  const [temporary, old] = [beside("tmp"), beside("old")];
  let made = false;
  try {
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    made = true;
    fill(temporary);
    if (existsSync(final)) renameSync(final, old);
    try {
      renameSync(temporary, final);
    } catch (error) {
      if (existsSync(old)) renameSync(old, final);
      throw error;
    }
  } catch (error) {
    if (made) rmSync(temporary, { recursive: true, force: true });
    const { code = "", message } = error as { readonly code?: string; readonly message: string };
    const plain = message.replaceAll(temporary, path);
    if (/^Cannot /.test(plain)) throw Object.assign(error as Error, { message: plain });
    throw new Error(`Cannot export to ${path}: ${reasons[code] ?? plain}`, { cause: error });
  }
  rmSync(old, { recursive: true, force: true });
}
