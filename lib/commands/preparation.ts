/**
 * What happened to the text of a model before it was cut into pieces, kept beside its weights as `preparation.json`: who
 * exports or asks a model need not remember whether it was made with capitals.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJsonFile } from "../formats/mod.ts";

/** How text is prepared. */
export type TextPreparation = { readonly doLowerCase: boolean; readonly keepAccents: boolean };

const fileName = "preparation.json";

/** The end of a flag's help, before the last default. */
export const preparationHelp: string = "default what the checkpoint keeps, else";

/** The file for a checkpoint's attachments. */
export function preparationFile(
  { doLowerCase, keepAccents }: TextPreparation,
): { readonly [name: string]: Uint8Array } {
  const text = JSON.stringify({ do_lower_case: doLowerCase, keep_accents: keepAccents }, null, 2);
  return { [fileName]: new TextEncoder().encode(`${text}\n`) };
}

/**
 * The preparation of a checkpoint's text: what flags say, else the file of the checkpoint, else the reference's (lower-cased,
 * without accents).
 */
export function readPreparation(
  checkpoint: string,
  flags: { readonly do_lower_case?: boolean | undefined; readonly keep_accents?: boolean | undefined } = {},
): TextPreparation {
  const path = join(checkpoint, fileName);
  let kept: { readonly do_lower_case?: unknown; readonly keep_accents?: unknown } = {};
  if (existsSync(path)) {
    kept = (readJsonFile(path) ?? {}) as typeof kept;
  }
  return {
    doLowerCase: flags.do_lower_case ?? kept.do_lower_case !== false,
    keepAccents: flags.keep_accents ?? kept.keep_accents === true,
  };
}
