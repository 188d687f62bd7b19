/**
 * The manifest of a run: counts, flags, and hashes of inputs, tokenizer and outputs. It is written last, so it vouches for
 * files that are whole.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CorruptFileError } from "../formats/mod.ts";
import { madeHere, type RecordsMaker } from "./made_by.ts";
import type { RecordsConfig, RecordsReport, RecordsTokenizer, ReportedFile } from "./config.ts";

/**
 * SHA-256 over the pieces of a tokenizer in id order: how a manifest names a tokenizer.
 *
 * @param tokenizer A loaded tokenizer.
 * @returns The hash in hex.
 * @example
 * ```ts
 * import { piecesHash } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "▁a"];
 * const tokenizer = { size: 2, idOf: (p: string) => pieces.indexOf(p), pieceOf: (id: number) => pieces[id] ?? "" };
 * assert.match(piecesHash(tokenizer), /^[0-9a-f]{64}$/);
 * ```
 */
export function piecesHash(tokenizer: Pick<RecordsTokenizer, "size" | "pieceOf">): string {
  const hash = createHash("sha256");
  for (let id = 0; id < tokenizer.size; id++) hash.update(`${tokenizer.pieceOf(id)}\n`);
  return hash.digest("hex");
}

/** The flags as JSON: a seed beyond 2^53 is a text. */
export function plainFlags(config: RecordsConfig): Record<string, unknown> {
  const safe = Number(config.random_seed);
  return { ...config, random_seed: Number.isSafeInteger(safe) ? safe : String(config.random_seed) };
}

/** The manifest's text. */
export function manifestOf(
  report: RecordsReport,
  config: RecordsConfig,
  tokenizer: RecordsTokenizer,
  { model_sha256, run_sha256 }: {
    readonly model_sha256?: string | undefined;
    readonly run_sha256?: string | undefined;
  } = {},
): string {
  const { manifest: _, inputs, outputs, ...counts } = report;
  const manifest = {
    format: "albert-guide records",
    version: 1,
    ...(run_sha256 === undefined ? {} : { run_sha256 }),
    ...(config.shard_count > 1 ? { made_by: madeHere() } : {}),
    counts,
    flags: plainFlags(config),
    tokenizer: {
      style: tokenizer.style ?? "sentencepiece",
      ...(tokenizer.spm_version === undefined ? {} : { spm_version: tokenizer.spm_version }),
      size: tokenizer.size,
      pieces_sha256: piecesHash(tokenizer),
      model_sha256: model_sha256 ?? null,
    },
    inputs,
    outputs,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * What a manifest says.
 *
 * @example
 * ```ts
 * import type { RecordsManifest } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const lengthOf = ({ flags }: RecordsManifest): unknown => flags["max_seq_length"];
 * assert.equal(typeof lengthOf, "function");
 * ```
 */
export type RecordsManifest = {
  /** Counts of the report. */
  readonly counts: Readonly<Record<string, unknown>>;
  /** Flags as they acted. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Style, size and hashes of the tokenizer. */
  readonly tokenizer: Readonly<Record<string, unknown>>;
  /** Raw files. */
  readonly inputs: readonly ReportedFile[];
  /** TFRecord files. */
  readonly outputs: readonly ReportedFile[];
  /** Hash of everything that decides the result; only of runs with `order: "stream"`. */
  readonly run_sha256?: string;
  /** What made the records, as far as it can change them; only of shards. */
  readonly made_by?: RecordsMaker;
};

/**
 * Reads the manifest of a run.
 *
 * @param path Path of `<first output>.manifest.json`.
 * @returns What it says.
 * @throws {CorruptFileError} When the file is no such manifest.
 * @throws {Error} When it cannot be read.
 * @example
 * ```ts
 * import { readManifest } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.manifest.json`;
 * writeFileSync(path, "{}");
 * assert.throws(() => readManifest(path), /it is no manifest of records/);
 * ```
 */
export function readManifest(path: string): RecordsManifest {
  const text = readFileSync(path, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const found = value as RecordsManifest & { readonly format?: unknown } | null | undefined;
  if (found?.format === "albert-guide records" && Array.isArray(found.outputs)) return found;
  throw new CorruptFileError(`Cannot read ${path}: it is no manifest of records; make the records again`, {
    path,
  });
}

/**
 * Compares the outputs of a run with its manifest, sizes first, then the SHA-256 of each.
 *
 * @param path Path of the manifest; an output that is not where it was is looked for beside it.
 * @param options `file`: compare this file alone, wherever the run wrote it; default all outputs.
 * @returns One line for each output that differs; none when all are whole.
 * @throws {Error} When the manifest cannot be read.
 * @example
 * ```ts
 * import { checkManifest } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * const outputs = [{ path: `${folder}/a`, bytes: 1, sha256: "00", records: 1 }];
 * writeFileSync(`${folder}/a.manifest.json`, JSON.stringify({ format: "albert-guide records", outputs }));
 * assert.match(checkManifest(`${folder}/a.manifest.json`)[0] ?? "", /a: it is missing/);
 * ```
 */
export function checkManifest(path: string, { file: only }: { readonly file?: string } = {}): string[] {
  return readManifest(path).outputs.flatMap(({ path: named, bytes, sha256 }) => {
    if (only !== undefined && basename(only) !== basename(named)) return [];
    const file = only ?? (isThere(named) ? named : join(dirname(path), basename(named)));
    if (!isThere(file)) return [`${named}: it is missing`];
    const { size } = statSync(file);
    if (size !== bytes) return [`${file}: it has ${size} bytes, its manifest says ${bytes}`];
    return fileHash(file) === sha256
      ? []
      : [`${file}: its content is not what its manifest says (sha256 differs)`];
  });
}

function isThere(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function fileHash(path: string): string {
  const hash = createHash("sha256");
  const block = new Uint8Array(1 << 20);
  const handle = openSync(path, "r");
  try {
    for (let count = -1; count !== 0;) {
      count = readSync(handle, block, 0, block.length, null);
      hash.update(block.subarray(0, count));
    }
  } finally {
    closeSync(handle);
  }
  return hash.digest("hex");
}
