/**
 * What a user names as input, turned into files: paths, folders, globs, comma lists, `-` for standard input. Order is the order given;
 * inside a folder or a pattern it is by name, so that the same input always gives the same raw file.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { readError, STDIN } from "./lines.ts";

/** What is taken from a folder; a file named directly, or by a pattern, is taken whatever its ending. */
const KNOWN = /\.(txt|text|md|jsonl|ndjson|json|parquet)(\.gz|\.zst)?$/i;

/**
 * Files behind a list of inputs.
 *
 * @throws {Error} When a name or pattern matches nothing: the message names it.
 */
export function expandInputs(inputs: string | readonly string[]): string[] {
  const files: string[] = [];
  for (const input of typeof inputs === "string" ? [inputs] : inputs) {
    const names = input !== STDIN && kindOf(input) ? [input] : splitList(input);
    for (const name of names) files.push(...expand(name));
  }
  if (files.length === 0) throw new RangeError("Cannot read documents: the input names no file");
  if (files.indexOf(STDIN) !== files.lastIndexOf(STDIN)) {
    throw new RangeError("Cannot read documents: standard input (-) can be read only once");
  }
  return files;
}

function expand(name: string): string[] {
  if (name === STDIN) return [STDIN];
  const kind = kindOf(name);
  if (kind === "file") return [name];
  if (kind === "folder") {
    const files = walk(name).filter((file) => KNOWN.test(file));
    if (files.length > 0) return files;
    throw new Error(
      `Cannot read ${name}: the folder has no .txt, .md, .jsonl or .parquet file (also .gz, .zst); name the files by a pattern`,
    );
  }
  if (!/[*?[{]/.test(name)) throw readError(name, missing(name));
  const files = [...new Set(braces(name).flatMap((pattern) => glob(pattern)))].sort(byName);
  if (files.length > 0) return files;
  throw new Error(`Cannot read ${name}: the pattern matches no file; quote it if the shell changed it`);
}

function kindOf(path: string): "file" | "folder" | undefined {
  try {
    return statSync(path).isDirectory() ? "folder" : "file";
  } catch {
    return undefined;
  }
}

function missing(path: string): unknown {
  try {
    return statSync(path) && new Error(`Cannot read ${path}`);
  } catch (error) {
    return error;
  }
}

/** All files below a folder, sorted by path; names that start with a dot are left out. */
function walk(folder: string): string[] {
  const entries = listFolder(folder).filter((name) => !name.startsWith("."));
  return entries.flatMap((name) => {
    const path = join(folder, name);
    return kindOf(path) === "folder" ? walk(path) : [path];
  });
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort(byName);
  } catch (error) {
    throw readError(folder, error);
  }
}

/** By code unit: the same on every machine, whatever its locale. */
function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Splits at commas outside braces. */
function splitList(list: string): string[] {
  return (list.match(/(?:\{[^}]*\}|[^,])+/g) ?? []).map((name) => name.trim()).filter((name) => name !== "");
}

/** `a{b,c}` -> `ab`, `ac`. */
function braces(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/.exec(pattern);
  if (!match) return [pattern];
  const [, before = "", options = "", after = ""] = match;
  return options.split(",").flatMap((option) => braces(before + option + after));
}

function glob(pattern: string): string[] {
  const parts = pattern.split("/");
  const absolute = parts[0] === "";
  let places = [absolute ? "/" : ""];
  for (const [index, part] of parts.entries()) {
    if (part === "" || part === ".") continue;
    const last = index === parts.length - 1;
    if (part === "**") {
      places = places.flatMap((place) => last ? walk(place || ".") : [place, ...subfolders(place)]);
      continue;
    }
    const wild = /[*?[]/.test(part);
    const rule = globRule(part);
    places = places.flatMap((place) =>
      wild
        ? list(place).filter((name) => rule.test(name)).map((name) => join(place, name))
        : [join(place, part)]
    );
  }
  return places.filter((place) => kindOf(place) === "file");
}

function list(place: string): string[] {
  return kindOf(place || ".") === "folder" ? listFolder(place || ".") : [];
}

function subfolders(place: string): string[] {
  return list(place).filter((name) => !name.startsWith(".")).map((name) => join(place, name))
    .filter((path) => kindOf(path) === "folder").flatMap((path) => [path, ...subfolders(path)]);
}

/** One path part as a regular expression; `*` and `?` do not match a leading dot. */
function globRule(part: string): RegExp {
  const body = part.replace(/\[!?[^\]]+\]|[.+^${}()|\\*?[\]]/g, (found) => {
    if (found === "*") return ".*";
    if (found === "?") return ".";
    if (found.length === 1) return `\\${found}`;
    return found.startsWith("[!") ? `[^${found.slice(2)}` : found;
  });
  return new RegExp(`^${/^[*?]/.test(part) ? "(?!\\.)" : ""}${body}$`, "su");
}
