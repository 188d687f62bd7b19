/**
 * Training from raw files to `<prefix>.model` and `<prefix>.vocab`, the way spm_train is called.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { CorruptFileError, openAtomic } from "../formats/mod.ts";
import type { OnProgress } from "../progress.ts";
import { TsvError } from "./corpus.ts";
import type { UnigramOptions } from "./options.ts";
import { makePace } from "./pace.ts";
import { splitList } from "./resolve_options.ts";
import { sampleLines } from "./sample.ts";
import { type TrainingReport, trainUnigram } from "./trainer.ts";
import { decodeUtf8, firstBadByte } from "./utf8.ts";

/**
 * Flags of spm_train with both file names required.
 *
 * @example
 * ```ts
 * import type { UnigramFileOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: UnigramFileOptions = { input: ["a.txt", "b.txt"], model_prefix: "tokenizer", vocab_size: 4000 };
 * assert.equal(options.input.length, 2);
 * ```
 */
export type UnigramFileOptions = UnigramOptions & {
  /** Raw files: an array, or names with commas between. */
  readonly input: string | readonly string[];
  /** Output name without suffix. */
  readonly model_prefix: string;
  /**
   * What bytes that are no UTF-8 do: `"error"` stops and names the place, `"replace"` makes each of them U+FFFD as
   * spm_train does. Default `"error"`.
   */
  readonly invalid_utf8?: "error" | "replace";
  /**
   * Train on so many sentences, drawn over all files by a rule that does not depend on how the text is cut into files or on
   * their order: those whose hashes with `sample_seed` are smallest, in that order. Ours; 0, the default: all of them.
   */
  readonly sample_size?: number;
  /** Seed of that draw; default 0. */
  readonly sample_seed?: number;
};

/**
 * Where the files are, and what was done.
 *
 * @example
 * ```ts
 * import type { TrainedFiles } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const suffix = (files: Pick<TrainedFiles, "model">) => files.model.split(".").pop();
 * assert.equal(suffix({ model: "tokenizer.model" }), "model");
 * ```
 */
export type TrainedFiles = {
  /** Name of the `.model` file. */
  readonly model: string;
  /** Name of the `.vocab` file. */
  readonly vocab: string;
  /** What was done. */
  readonly report: TrainingReport;
};

/**
 * Trains a unigram tokenizer on raw files and writes both files; they appear only when both are complete.
 *
 * @param options Flags of spm_train; `input` and `model_prefix` are stored in the model as given.
 * @returns Names of the files and the report.
 * @throws {CorruptFileError} When an input is not UTF-8; the message names file, line and byte.
 * @throws {RangeError} When flags contradict each other, or the text cannot give `vocab_size` pieces.
 * @example
 * ```ts
 * import { loadSentencePiece, trainUnigramFiles } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * writeFileSync(`${folder}/raw.txt`, "the sea is wide\nthe land is dry\n".repeat(20));
 * const files = await trainUnigramFiles({
 *   input: `${folder}/raw.txt`,
 *   model_prefix: `${folder}/tokenizer`,
 *   vocab_size: 16,
 *   normalization_rule_name: "identity",
 * });
 * assert.equal(loadSentencePiece(readFileSync(files.model)).size, 16);
 * assert.equal(readFileSync(files.vocab, "utf8").split("\n").length, 17);
 * ```
 */
export async function trainUnigramFiles(options: UnigramFileOptions): Promise<TrainedFiles> {
  const { invalid_utf8 = "error", sample_size = 0, sample_seed = 0, ...flags } = options;
  const input = typeof flags.input === "string" ? splitList(flags.input) : flags.input;
  if (input.length === 0) throw new TypeError("Cannot train the tokenizer: input names no file");
  if (flags.model_prefix === "") throw new TypeError("Cannot train the tokenizer: model_prefix is empty");
  if (!Number.isSafeInteger(sample_size) || sample_size < 0 || !Number.isSafeInteger(sample_seed)) {
    throw new RangeError(
      `Cannot train the tokenizer: sample_size is ${sample_size}, sample_seed ${sample_seed}, expected a whole number of ` +
        "sentences (0: all) and a whole number",
    );
  }
  const place = { done: 0, total: input.reduce((sum, path) => sum + sizeOf(path), 0) };
  const before: number[] = []; // lines before each file
  const read = allLines(input, invalid_utf8, {
    before,
    bytes: (count) => {
      const done = place.done += count;
      if (sample_size === 0 || done > place.total) return;
      flags.onProgress?.({ stage: "tokenizer: sample", done, total: place.total, unit: "bytes" });
    },
  });
  const pace = makePace(flags.signal);
  const lines = sample_size === 0
    ? read
    : await sampleLines(read, { size: sample_size, seed: sample_seed, pace });
  const all = { ...flags, input, ...inBytes(flags.onProgress, place) };
  const trained = await trainUnigram(lines, all).catch((error: unknown) => {
    if (!(error instanceof TsvError) || sample_size > 0) throw error;
    const file = before.length - 1; // the one being read
    throw new TsvError(input[file] as string, error.line - (before[file] as number));
  });
  const names = { model: `${flags.model_prefix}.model`, vocab: `${flags.model_prefix}.vocab` };
  const vocab = openAtomic(names.vocab);
  try {
    vocab.write(new TextEncoder().encode(trained.vocab));
    const model = openAtomic(names.model);
    try {
      model.write(trained.model);
      vocab.commit();
      model.commit();
    } finally {
      model.discard();
    }
  } finally {
    vocab.discard();
  }
  return { ...names, report: trained.report };
}

/** Size of a file; 0 where it has none, as a pipe, or cannot be read, which is told later. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** How far the reading is, in bytes of the files instead of lines: so its end can be foreseen. */
function inBytes(
  onProgress: OnProgress | undefined,
  place: { readonly done: number; readonly total: number },
): Pick<UnigramOptions, "onProgress"> {
  if (onProgress === undefined || place.total === 0) return {};
  return {
    onProgress: (progress) => {
      if (progress.unit !== "sentences") return onProgress(progress);
      const total = Math.max(place.total, place.done); // a file may grow meanwhile
      onProgress({ ...progress, done: place.done, total, unit: "bytes", note: `${progress.done} sentences` });
    },
  };
}

function* allLines(
  paths: readonly string[],
  invalid: "error" | "replace",
  { bytes, before }: { readonly bytes: (count: number) => void; readonly before: number[] },
): Generator<string> {
  let count = 0;
  for (const path of paths) {
    before.push(count);
    for (const line of fileLines(path, invalid, bytes)) {
      count++;
      yield line;
    }
  }
}

/** Lines of one file, split at LF only; a last line without LF counts. */
function* fileLines(
  path: string,
  invalid: "error" | "replace",
  onBytes: (bytes: number) => void,
): Generator<string> {
  const naming = <Result>(read: () => Result): Result => {
    try {
      return read();
    } catch (error) {
      const code = (error as { code?: string }).code;
      const reason = code === "ENOENT" ? "there is no such file" : (error as Error).message;
      throw new Error(`Cannot train the tokenizer on ${path}: ${reason}`, { cause: error });
    }
  };
  const handle = naming(() => openSync(path, "r"));
  try {
    let pending = new Uint8Array(0);
    let done = 0; // bytes before `pending`
    let line = 1;
    const block = new Uint8Array(1 << 18);
    for (;;) {
      const got = naming(() => readSync(handle, block, 0, block.length, null));
      onBytes(got);
      const bytes = new Uint8Array(pending.length + got);
      bytes.set(pending);
      bytes.set(block.subarray(0, got), pending.length);
      const end = got === 0 ? bytes.length : bytes.lastIndexOf(0x0a) + 1;
      const lines = decodeLines(bytes.subarray(0, end), { path, byte: done, line }, invalid).split("\n");
      const last = lines.pop();
      yield* lines;
      if (got === 0) {
        if (last !== undefined && last !== "") yield last;
        return;
      }
      line += lines.length;
      pending = bytes.slice(end);
      done += end;
    }
  } finally {
    closeSync(handle);
  }
}

function decodeLines(
  bytes: Uint8Array,
  place: { path: string; byte: number; line: number },
  invalid: "error" | "replace",
): string {
  // A lone surrogate tells the normalizer of a bad byte: it becomes U+FFFD, which the rules do not touch.
  if (invalid === "replace") return decodeUtf8(bytes, "\udc80");
  const bad = badByte(bytes);
  if (bad < 0) return decodeUtf8(bytes, "");
  let line = place.line;
  for (let k = 0; k < bad; k++) if (bytes[k] === 0x0a) line++;
  const byte = place.byte + bad;
  throw new CorruptFileError(
    `Cannot train the tokenizer on ${place.path}: line ${line} is not UTF-8 at byte ${byte}; ` +
      'convert the file, or set invalid_utf8 to "replace"',
    { path: place.path, record: line, byte },
  );
}

/** The engine's own check is faster than ours; ours says where. */
function badByte(bytes: Uint8Array): number {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return -1;
  } catch {
    return firstBadByte(bytes);
  }
}
