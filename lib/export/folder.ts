/**
 * Folders that appear whole or not at all: they are filled under a temporary name beside, flushed, and renamed. A folder of
 * an earlier export is replaced; one that holds anything else is left alone.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { pid } from "node:process";

/** Names that an export may have left in a folder. */
const known =
  /^(README\.md|config\.json|model\.safetensors|tokenizer(_config)?\.json|special_tokens_map\.json|spiece\.model|eval\.json|loss\.svg|albert_config\.json|checkpoint|model\.ckpt-\d+\.(index|data-\d{5}-of-\d{5})|tf|onnx)$/;

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

/** Lets `fill` write into a temporary folder and gives it its name; after a failure the old folder stands as it was. */
export function writeFolder(path: string, fill: (temporary: string) => void): void {
  const final = resolve(path);
  refuseForeign(final);
  const beside = (ending: string): string => join(dirname(final), `${basename(final)}.${ending}-${pid}`);
  const [temporary, old] = [beside("tmp"), beside("old")];
  rmSync(temporary, { recursive: true, force: true });
  try {
    mkdirSync(temporary, { recursive: true });
    fill(temporary);
    if (existsSync(final)) renameSync(final, old);
    try {
      renameSync(temporary, final);
    } catch (error) {
      if (existsSync(old)) renameSync(old, final);
      throw error;
    }
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    const message = (error as Error).message.replaceAll(temporary, path);
    throw /^Cannot /.test(message)
      ? Object.assign(error as Error, { message })
      : new Error(`Cannot export to ${path}: ${message}`, { cause: error });
  }
  rmSync(old, { recursive: true, force: true });
}
