/**
 * A Hugging Face ALBERT folder read back: `config.json`, `model.safetensors` (also in parts), and the tokenizer from
 * `spiece.model`, or from `tokenizer.json` where that is missing.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AlbertConfig } from "../config/mod.ts";
import { openSafetensors, readJsonFile } from "../formats/mod.ts";
import { readHuggingFaceConfig } from "./hf_config.ts";
import { fromHuggingFaceWeights, type ShapedValues } from "./names.ts";
import { readTokenizer } from "./read_tokenizer.ts";

/**
 * What a Hugging Face folder holds.
 *
 * @example
 * ```ts
 * import type { HuggingFaceModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const whole = ({ missing }: HuggingFaceModel): boolean => missing.length === 0;
 * assert.equal(typeof whole, "function");
 * ```
 */
export type HuggingFaceModel = {
  readonly config: AlbertConfig;
  /** Weights by TensorFlow name. */
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Content of a SentencePiece model. */
  readonly tokenizer: Uint8Array;
  /** Its text is lower-cased. */
  readonly doLowerCase: boolean;
  /** Its text keeps its accents. */
  readonly keepAccents: boolean;
  /** Weights of the architecture that the folder lacks, such as a head. */
  readonly missing: readonly string[];
  /** Names of the folder that are no weight of it. */
  readonly unexpected: readonly string[];
  /** What a user should know, a line each. */
  readonly notes: readonly string[];
};

/** The file with the weights, or the index of those in parts. */
function weightFile(folder: string): string {
  const found = ["model.safetensors", "model.safetensors.index.json"].map((name) => join(folder, name)).find(
    existsSync,
  );
  if (found !== undefined) return found;
  const old = existsSync(join(folder, "pytorch_model.bin"))
    ? "; pytorch_model.bin is not read: save the model with safe_serialization in transformers"
    : "";
  throw new Error(`Cannot read ${folder}: there is no model.safetensors${old}`);
}

/** Every float32 tensor of the folder, by its name there. */
export function readWeights(folder: string): Record<string, ShapedValues> {
  const { tensors, read } = openSafetensors(weightFile(folder));
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([name, { dtype, shape, file }]) => {
      if (dtype === "BF16" || dtype === "F16" || dtype === "F64") {
        throw new TypeError(
          `Cannot use ${file}: tensor ${name} is ${dtype}; save the model in float32 first`,
        );
      }
      // Whole numbers are buffers, not weights.
      return dtype === "F32" ? [[name, { shape, data: read(name).data as Float32Array }]] : [];
    }),
  );
}

/**
 * Reads an ALBERT folder of Hugging Face.
 *
 * @param folder A folder with `config.json`, safetensors and a tokenizer.
 * @returns Config, weights by TensorFlow name, tokenizer, and what did not meet.
 * @throws {TypeError} When it is no ALBERT, or weights are no float32.
 * @throws {RangeError} When sizes disagree, or the config has no equal here.
 * @throws {CorruptFileError} When a file is damaged.
 * @throws {Error} When a file is missing.
 * @example
 * ```ts
 * import { readHuggingFace } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.throws(() => readHuggingFace(mkdtempSync(`${tmpdir()}/albert-`)), /config\.json: there is no such file/);
 * ```
 */
export function readHuggingFace(folder: string): HuggingFaceModel {
  const path = join(folder, "config.json");
  const { config, notes } = readHuggingFaceConfig(readJsonFile(path), path);
  const { pieces, notes: onPieces, ...tokenizer } = readTokenizer(folder);
  if (pieces > config.vocab_size) {
    throw new RangeError(
      `Cannot read ${folder}: its tokenizer has ${pieces} pieces and ${path} a vocab_size of ${config.vocab_size}; ` +
        "the folder mixes two models",
    );
  }
  const all = [...notes, ...onPieces];
  if (pieces < config.vocab_size) {
    all.push(
      `${folder}: ${config.vocab_size - pieces} of ${config.vocab_size} rows have no piece in its tokenizer`,
    );
  }
  try {
    return { config, ...tokenizer, notes: all, ...fromHuggingFaceWeights(readWeights(folder), config) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(error.message.replace("Cannot take the weights:", `Cannot read ${folder}:`));
  }
}
