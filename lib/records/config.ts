/**
 * What `createRecords` takes and gives. Names and defaults of the flags are those of `create_pretraining_data.py`;
 * `numpy_seed` is ours, because the reference never seeds NumPy and so never repeats itself.
 */
import { pythonRandom } from "../random.ts";
import type { RecordCompression } from "./compression.ts";
import {
  checkedTasks,
  generators,
  type SentencePieces,
  TASKS_DEFAULTS,
  type TasksConfig,
  type TaskVocabulary,
} from "../tasks/mod.ts";
import type { SpmVersion, WordCertainty } from "../tokenizer/mod.ts";

/**
 * The tokenizer that records are made with; what `loadSentencePiece` and `loadWordPiece` return satisfies it.
 *
 * @example
 * ```ts
 * import type { RecordsTokenizer } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"];
 * const tokenizer: RecordsTokenizer = {
 *   size: pieces.length,
 *   idOf: (piece) => pieces.includes(piece) ? pieces.indexOf(piece) : 1,
 *   pieceOf: (id) => pieces[id] ?? "<unk>",
 *   encode: (text) => text.split(" ").map((word) => `▁${word}`),
 * };
 * assert.deepEqual(tokenizer.encode("a").map(tokenizer.idOf), [5]);
 * ```
 */
export type RecordsTokenizer = TaskVocabulary & {
  /** Pieces of a cleaned sentence (of a stripped line, for WordPiece). */
  readonly encode: SentencePieces;
  /** Which rules apply: ALBERT's cleaning and digit-comma rule, or WordPiece's. Default `"sentencepiece"`. */
  readonly style?: "sentencepiece" | "wordpiece";
  /** When the pieces of a word are the same among others, so that each word needs to be encoded once; optional, for speed. */
  readonly certainty?: (word: string) => WordCertainty | undefined;
  /** Whose choice between segmentations of equal score it follows; worker threads load theirs alike. Default `"0.2.0"`. */
  readonly spm_version?: SpmVersion;
};

/**
 * The flags of record creation.
 *
 * @example
 * ```ts
 * import { RECORDS_DEFAULTS } from "albert-guide";
 * import type { RecordsConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config: RecordsConfig = { ...RECORDS_DEFAULTS, input_file: "raw/*.txt", output_file: "a.tfrecord,b.tfrecord" };
 * assert.equal(config.random_seed, 12345);
 * ```
 */
export type RecordsConfig = TasksConfig & {
  /** Raw files: patterns with `*`, `?`, `[...]`, separated by commas; sorted inside a pattern. */
  readonly input_file: string;
  /**
   * How raw files are decoded: `"r"` (default) stops at invalid UTF-8, `"rb"` drops the invalid bytes. The latter is for
   * WordPiece alone: the reference dies of it with a SentencePiece model.
   */
  readonly input_file_mode: "r" | "rb";
  /** TFRecord files, separated by commas; instances go to them in turn. */
  readonly output_file: string;
  /** Lower-case the text (SentencePiece only; a WordPiece tokenizer was told when it was loaded). Default true. */
  readonly do_lower_case: boolean;
  /** Seed of Python's generator. Default 12345. */
  readonly random_seed: number | bigint;
  /** Seed of NumPy's generator, which draws n-gram lengths; 0 to 2^32 - 1. Default 12345; the reference has none. */
  readonly numpy_seed: number;
  /**
   * Take NumPy's seed from `random_seed` (its first 32 bits, the stream itself does not move) instead of `numpy_seed`, so
   * that one number names the run. Default false. On the
   * KJV corpus and on the German one the n-gram lengths are others, and no count, share or rate of the records changes in
   * four digits.
   */
  readonly derive_numpy_seed: boolean;
  /** Number of runs that share a corpus, each for its part of the documents and with less memory; ours. Default 1. */
  readonly shard_count: number;
  /** Which part this run makes, from 0: documents are dealt out in turn, the seeds are raised by it. Default 0. */
  readonly shard_index: number;
  /**
   * `"reference"` (default): the original's records in its order, with corpus and instances in memory. `"stream"`: any size
   * of corpus in bounded memory; draws are keyed by seed, document and pass, and the order is a random one of all
   * records, so the set of records does not depend on workers or shards. A random partner comes from the same block.
   */
  readonly order: "reference" | "stream";
  /** Bytes of text in a block of `order: "stream"`, at least; part of what decides the records. Default 1 MiB. */
  readonly block_bytes: number;
  /** Packing of the outputs: `"none"` (default; what the reference's trainer reads), `"gzip"` or `"zlib"`. */
  readonly compression: RecordCompression;
};

/**
 * The reference's defaults, without the two file names.
 *
 * @example
 * ```ts
 * import { RECORDS_DEFAULTS } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([RECORDS_DEFAULTS.max_seq_length, RECORDS_DEFAULTS.dupe_factor], [512, 40]);
 * ```
 */
export const RECORDS_DEFAULTS: Omit<RecordsConfig, "input_file" | "output_file"> = {
  ...TASKS_DEFAULTS,
  input_file_mode: "r",
  do_lower_case: true,
  random_seed: 12345,
  numpy_seed: 12345,
  derive_numpy_seed: false,
  shard_count: 1,
  shard_index: 0,
  order: "reference",
  block_bytes: 1 << 20,
  compression: "none",
};

/**
 * Flags with the tokenizer; flags left out have the reference's defaults.
 *
 * @example
 * ```ts
 * import type { RecordsOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const flags: Omit<RecordsOptions, "tokenizer"> = { input_file: "raw.txt", output_file: "a.tfrecord", ngram: 1 };
 * assert.equal(flags.ngram, 1);
 * ```
 */
export type RecordsOptions = Partial<RecordsConfig> & Pick<RecordsConfig, "input_file" | "output_file"> & {
  /** The loaded tokenizer. */
  readonly tokenizer: RecordsTokenizer;
  /** SHA-256 of the tokenizer's model file in hex, for the manifest; default none. */
  readonly tokenizer_sha256?: string;
  /** The tokenizer's file, which worker threads load like `tokenizer`; needed for more than one worker. */
  readonly tokenizer_file?: string;
  /** Threads of `order: "stream"`; default 1, in the calling thread. The records do not depend on it. */
  readonly workers?: number;
  /** Replace output files that are no TFRecord files, and drop what another run left half done. Default false. */
  readonly overwrite?: boolean;
};

/**
 * A file of the report.
 *
 * @example
 * ```ts
 * import type { ReportedFile } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const file: ReportedFile = { path: "a.tfrecord", bytes: 3178, sha256: "00", records: 1 };
 * assert.equal(file.records, 1);
 * ```
 */
export type ReportedFile = {
  /** As it was named. */
  readonly path: string;
  /** Size in bytes. */
  readonly bytes: number;
  /** SHA-256 of the content, in hex. */
  readonly sha256: string;
  /** Records in it; only for outputs. */
  readonly records?: number;
};

/**
 * What was made; the manifest holds the same.
 *
 * @example
 * ```ts
 * import type { RecordsReport } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shareOfOnes = ({ pairs, instances }: RecordsReport): number => (pairs.swapped + pairs.random) / instances;
 * assert.equal(typeof shareOfOnes, "function");
 * ```
 */
export type RecordsReport = {
  /** Documents with at least one sentence. */
  readonly documents: number;
  /** Sentences with at least one piece. */
  readonly sentences: number;
  /** Pieces of all sentences. */
  readonly pieces: number;
  /** Records written, over all files. */
  readonly instances: number;
  /** Records by the origin of segment B: next is label 0, swapped and random are label 1. */
  readonly pairs: { readonly next: number; readonly swapped: number; readonly random: number };
  /** Tokens to predict, over all records. */
  readonly predictions: number;
  /** The raw files, in the order read. */
  readonly inputs: readonly ReportedFile[];
  /** The TFRecord files. */
  readonly outputs: readonly ReportedFile[];
  /** Path of the manifest. */
  readonly manifest: string;
};

/** The flags as they act: checked, with the seed and the number of predictions that options derive. */
export function resolveRecords(config: RecordsConfig): RecordsConfig {
  const { max_predictions_per_seq } = checkedTasks("create records", config);
  const { derive_numpy_seed, random_seed, shard_count, shard_index, order, block_bytes } = config;
  const whole = Number.isSafeInteger(shard_count) && Number.isSafeInteger(shard_index);
  if (!whole || shard_count < 1 || shard_index < 0 || shard_index >= shard_count) {
    throw new RangeError(
      `Cannot create records: shard_index is ${shard_index} of shard_count ${shard_count}, ` +
        "expected a whole number from 0 to shard_count - 1",
    );
  }
  if (config.input_file_mode !== "r" && config.input_file_mode !== "rb") {
    throw new RangeError(
      `Cannot create records: input_file_mode is ${config.input_file_mode}, expected r or rb`,
    );
  }
  if (order !== "reference" && order !== "stream") {
    throw new RangeError(`Cannot create records: order is ${order}, expected reference or stream`);
  }
  if (!["none", "gzip", "zlib"].includes(config.compression)) {
    throw new RangeError(
      `Cannot create records: compression is ${config.compression}, expected none, gzip or zlib`,
    );
  }
  if (!Number.isSafeInteger(block_bytes) || block_bytes < 1 || block_bytes > 1 << 26) {
    throw new RangeError(`Cannot create records: block_bytes is ${block_bytes}, expected 1 to ${1 << 26}`);
  }
  const numpy_seed = derive_numpy_seed ? pythonRandom(random_seed).getrandbits(32) : config.numpy_seed;
  generators(random_seed, numpy_seed); // throws when one of them is no seed
  return { ...config, max_predictions_per_seq, numpy_seed };
}
