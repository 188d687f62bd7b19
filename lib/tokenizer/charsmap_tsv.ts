/**
 * Rewriting rules of the user's own, from a file as spm_train reads it: on each line the characters to replace and what
 * they become, as hexadecimal code points parted by blanks, the two parts parted by a tab; no second part deletes, and
 * whatever stands behind a further tab is a comment. Where a key stands twice the last line counts.
 */
import { readFileSync } from "node:fs";
import { CorruptFileError } from "../formats/mod.ts";
import type { Rules } from "./charsmap_rules.ts";

/**
 * Reads a file of rules.
 *
 * @param path The file.
 * @throws {CorruptFileError} Naming the line that is no rule; spm_train ends without a word there.
 * @throws {Error} When the file cannot be read.
 */
export function readRules(path: string): Rules {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const missing = (error as { code?: string }).code === "ENOENT";
    const reason = missing ? "there is no such file" : (error as Error).message;
    throw new Error(`Cannot read the normalization rules of ${path}: ${reason}`, { cause: error });
  }
  const rules: Rules = new Map();
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  lines.forEach((line, k) => {
    const [key = "", value = ""] = line.replace(/\r$/, "").split("\t");
    const refuse = (reason: string): CorruptFileError =>
      new CorruptFileError(
        `Cannot read the normalization rules of ${path}: line ${
          k + 1
        } ${reason}; a rule is hexadecimal code points, ` +
          "a tab, and the code points they become, for example 61<tab>62",
        { path, record: k + 1 },
      );
    const from = characters(key, refuse);
    if (from === "") throw refuse("has nothing to replace");
    rules.set(from, characters(value, refuse));
  });
  if (rules.size === 0) {
    throw new CorruptFileError(`Cannot read the normalization rules of ${path}: it has none`, { path });
  }
  return rules;
}

function characters(list: string, refuse: (reason: string) => Error): string {
  return list.split(" ").filter((part) => part !== "").map((part) => {
    const cp = /^(?:U\+)?[0-9a-f]{1,6}$/i.test(part) ? parseInt(part.replace(/^U\+/i, ""), 16) : -1;
    if (cp <= 0 || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
      throw refuse(`has ${JSON.stringify(part)}`);
    }
    return String.fromCodePoint(cp);
  }).join("");
}
