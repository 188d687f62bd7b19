/**
 * The command line that made a model, kept beside its weights as `command.txt`: a model card must tell it exactly, and the
 * settings of a run name neither the preset nor the tokenizer.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Flags } from "./command.ts";

const fileName = "command.txt";

/** A command line with these flags; those that have their default are left out. */
export function commandLine(
  name: string,
  values: { readonly [flag: string]: unknown },
  defaults: { readonly [flag: string]: unknown },
): string {
  const given = Object.entries(values).filter(([flag, value]) =>
    value !== undefined && value !== "" && value !== defaults[flag]
  );
  const quoted = (text: string): string =>
    /^[\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const written = (flag: string, value: unknown): string =>
    value === true ? `--${flag}` : value === false ? `--no${flag}` : quoted(`--${flag}=${String(value)}`);
  return [`albert ${name}`, ...given.map(([flag, value]) => written(flag, value))].join(" ");
}

/** The defaults of a command's flags. */
export const defaultsOf = (flags: Flags): { readonly [flag: string]: unknown } =>
  Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, "default" in flag ? flag.default : undefined]),
  );

/** The file for a checkpoint's attachments. */
export function commandFile(line: string): { readonly [name: string]: Uint8Array } {
  return { [fileName]: new TextEncoder().encode(`${line}\n`) };
}

/** The command line that a checkpoint keeps, if it does. */
export function readCommand(checkpoint: string): string | undefined {
  const path = join(checkpoint, fileName);
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}
