/** Reading configs from files: JSON, or YAML when the name says so. JSON is YAML's subset, its errors are clearer. */
import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { parseJson } from "../formats/mod.ts";
import { type AlbertConfig, parseAlbertConfig } from "./albert.ts";
import { parsePretrainingConfig, type PretrainingConfig } from "./pretraining.ts";

/** What a JSON or YAML file holds. */
export function readValue(path: string): unknown {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const reason = (error as { code?: string }).code === "ENOENT" ? "there is no such file" : String(error);
    throw new Error(`Cannot read the config ${path}: ${reason}`, { cause: error });
  }
  try {
    if (!/\.ya?ml$/i.test(path)) return parseJson(bytes, { path, what: `the config ${path}` });
    return parseYaml(new TextDecoder().decode(bytes));
  } catch (error) {
    const [reason = ""] = (error as Error).message.split("\n"); // the lines behind it show the place as a picture
    const said = reason.startsWith("Cannot ") ? reason : `Cannot read the config ${path}: ${reason}`;
    throw new SyntaxError(said, { cause: error });
  }
}

/**
 * Reads an architecture file.
 *
 * @param path JSON, or YAML when the name ends in .yaml or .yml.
 * @returns The config, checked, with defaults.
 * @throws {SyntaxError} When the text is no JSON or YAML.
 * @throws {TypeError} When keys or types are wrong; names every mistake.
 * @throws {RangeError} When values are out of range; names every mistake.
 * @example
 * ```ts
 * import { readAlbertConfig, writeFileAtomic } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/albert.yaml`;
 * writeFileAtomic(path, "vocab_size: 1000\nhidden_size: 64\nnum_attention_heads: 4\n");
 * assert.equal(readAlbertConfig(path).hidden_size, 64);
 * ```
 */
export function readAlbertConfig(path: string): AlbertConfig {
  return parseAlbertConfig(readValue(path), { path });
}

/**
 * Reads the file of a pretraining run.
 *
 * @param path JSON, or YAML when the name ends in .yaml or .yml.
 * @returns The config, checked, with defaults.
 * @throws {SyntaxError} When the text is no JSON or YAML.
 * @throws {TypeError} When keys or types are wrong; names every mistake.
 * @throws {RangeError} When values are out of range; names every mistake.
 * @example
 * ```ts
 * import { readPretrainingConfig, writeFileAtomic } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/run.json`;
 * writeFileAtomic(path, '{"train_batch_size": 16}');
 * assert.equal(readPretrainingConfig(path).train_batch_size, 16);
 * ```
 */
export function readPretrainingConfig(path: string): PretrainingConfig {
  return parsePretrainingConfig(readValue(path), { path });
}
