/**
 * A Hugging Face ALBERT folder read back: `config.json`, `model.safetensors` (also in parts), and the tokenizer from
 * `spiece.model`, or from `tokenizer.json` where that is missing.
 */
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AlbertConfig } from "../config/mod.ts";
import { CorruptFileError, openSafetensors } from "../formats/mod.ts";
import { type Piece, type PieceType, serializeModel } from "../tokenizer/mod.ts";
import { readHuggingFaceConfig } from "./hf_config.ts";
import { fromHuggingFaceWeights, type ShapedValues } from "./names.ts";

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
  /** Weights of the architecture that the folder lacks, such as a head. */
  readonly missing: readonly string[];
  /** Names of the folder that are no weight of it. */
  readonly unexpected: readonly string[];
  /** What a user should know, a line each. */
  readonly notes: readonly string[];
};

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") {
      throw new Error(`Cannot read the Hugging Face folder: there is no ${path}`);
    }
    throw new CorruptFileError(`Cannot read ${path}: it is no JSON (${(error as Error).message})`, { path });
  }
}

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

function readWeights(folder: string): Record<string, ShapedValues> {
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

type TokenizerJson = {
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
  readonly normalizer?: { readonly normalizers?: readonly { readonly [key: string]: unknown }[] };
  readonly model?: {
    readonly type?: string;
    readonly unk_id?: number;
    readonly vocab?: readonly (readonly [string, number])[];
  };
};

/** A SentencePiece model out of `tokenizer.json`: its pieces, their kinds, and the table of characters. */
function modelOf(path: string): Uint8Array {
  const { model, added_tokens = [], normalizer } = readJson(path) as TokenizerJson;
  const { type, unk_id, vocab } = model ?? {};
  if (type !== "Unigram" || vocab === undefined) {
    throw new TypeError(`Cannot use ${path}: its model is ${type ?? "unknown"}, ALBERT's is Unigram`);
  }
  const special = new Set(added_tokens.filter((token) => token.special === true).map(({ id }) => id));
  const pieces = vocab.map(([piece, score], id): Piece => {
    const kind: PieceType = id === unk_id
      ? "unknown"
      : special.has(id)
      ? "control"
      : score === 0
      ? "user_defined"
      : "normal";
    return { piece, score, type: kind };
  });
  const charsmap = normalizer?.normalizers?.find((entry) => entry["type"] === "Precompiled")
    ?.["precompiled_charsmap"];
  const spec = typeof charsmap === "string"
    ? { name: "custom", precompiled_charsmap: new Uint8Array(Buffer.from(charsmap, "base64")) }
    : { name: "identity" };
  return serializeModel({
    pieces,
    trainer_spec: {
      model_type: 1,
      vocab_size: pieces.length,
      unk_id: unk_id ?? 1,
      bos_id: -1,
      eos_id: -1,
      pad_id: 0,
    },
    normalizer_spec: {
      ...spec,
      add_dummy_prefix: true,
      remove_extra_whitespaces: true,
      escape_whitespaces: true,
    },
  });
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
 * assert.throws(() => readHuggingFace(mkdtempSync(`${tmpdir()}/albert-`)), /there is no .*config\.json/);
 * ```
 */
export function readHuggingFace(folder: string): HuggingFaceModel {
  const path = join(folder, "config.json");
  const { config, notes } = readHuggingFaceConfig(readJson(path), path);
  const spiece = join(folder, "spiece.model");
  const json = join(folder, "tokenizer.json");
  if (!existsSync(spiece) && !existsSync(json)) {
    throw new Error(`Cannot read ${folder}: there is no tokenizer, neither spiece.model nor tokenizer.json`);
  }
  const tokenizer = existsSync(spiece) ? new Uint8Array(readFileSync(spiece)) : modelOf(json);
  try {
    return { config, tokenizer, notes, ...fromHuggingFaceWeights(readWeights(folder), config) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(error.message.replace("Cannot take the weights:", `Cannot read ${folder}:`));
  }
}
