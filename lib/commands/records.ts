/**
 * `albert records`, the reference's create_pretraining_data: raw files and a tokenizer to TFRecord files.
 */
import { createHash } from "node:crypto";
import process from "node:process";
import {
  createRecords,
  finishRecords,
  RECORDS_DEFAULTS,
  type RecordsConfig,
  type RecordsReport,
  type RecordsTokenizer,
  shardOf,
} from "../records/mod.ts";
import {
  loadSentencePiece,
  loadWordPiece,
  parseVocabulary,
  type SpmVersion,
  type WordPieceTokenizer,
} from "../tokenizer/mod.ts";
import { type Command, command, UsageError } from "./command.ts";
import { readInput } from "./files.ts";

const R = RECORDS_DEFAULTS;
const source = "reference";

type Choices = Pick<
  RecordsConfig,
  "word_starts" | "mask_budget" | "single_sentence" | "order" | "compression" | "input_file_mode"
>;

/** Reads the tokenizer that the flags name. */
export function openTokenizer(
  { spm_model_file, vocab_file, do_lower_case, spm_version = "0.2.2" }: {
    readonly spm_model_file?: string | undefined;
    readonly vocab_file?: string | undefined;
    readonly do_lower_case: boolean;
    readonly spm_version?: SpmVersion;
  },
): { readonly tokenizer: RecordsTokenizer; readonly sha256: string } {
  const path = spm_model_file ?? vocab_file;
  if (path === undefined) {
    throw new UsageError("Cannot make records: give --spm_model_file, or --vocab_file for WordPiece");
  }
  const bytes = readInput(path, "tokenizer");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const tokenizer = spm_model_file === undefined
    ? wordPieceOf(bytes, path, do_lower_case)
    : loadSentencePiece(bytes, { path, spm_version });
  return { tokenizer, sha256 };
}

function wordPieceOf(bytes: Uint8Array, path: string, lower: boolean): WordPieceTokenizer {
  const { kind } = parseVocabulary(bytes, { path });
  if (kind === "vocab.txt") {
    return loadWordPiece(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), { lower });
  }
  throw new UsageError(
    `Cannot make records: --vocab_file=${path} is a SentencePiece ${kind} file, not a WordPiece vocab.txt; ` +
      "give the model by --spm_model_file",
  );
}

/** A seed as Python's generator takes it. */
function seedOf(text: string): bigint {
  if (/^[+-]?\d+$/.test(text)) return BigInt(text);
  throw new UsageError(`Cannot read --random_seed=${text}: it must be a whole number`);
}

/** One line about the records that were made. */
export function describeRecords({ documents, sentences, instances, pairs, outputs }: RecordsReport): string {
  const share = ((pairs.swapped + pairs.random) / Math.max(1, instances) * 100).toFixed(0);
  return `${outputs.map(({ path }) => path).join(", ")}: ${instances} records from ${sentences} sentences ` +
    `of ${documents} documents, ${share} % labelled 1 (${pairs.swapped} swapped, ${pairs.random} random)`;
}

/** An unknown piece has the id of another one, or none. */
function hasPiece({ idOf, pieceOf }: RecordsTokenizer, piece: string): boolean {
  const id = idOf(piece);
  return id >= 0 && pieceOf(id) === piece;
}

/** The command. */
export const records: Command = command({
  name: "records",
  aliases: ["create_pretraining_data"],
  summary: "Make training records (TFRecord) from raw files and a tokenizer.",
  example: "deno task albert records --input_file=build/raw.txt --output_file=build/train.tfrecord " +
    "--spm_model_file=build/tokenizer.model --max_seq_length=64 --max_predictions_per_seq=10 --dupe_factor=2",
  flags: {
    input_file: { kind: "string", required: true, help: "raw files: paths or globs by comma" },
    output_file: {
      kind: "string",
      required: true,
      help: "TFRecord files by comma; records go to them in turn",
    },
    spm_model_file: { kind: "string", help: "SentencePiece model", source },
    vocab_file: {
      kind: "string",
      help: "WordPiece vocabulary, used when there is no SentencePiece model",
      source,
    },
    spm_version: {
      kind: "string",
      choices: ["0.1.97", "0.2.0", "0.2.2"],
      default: "0.2.2",
      help:
        "the sentencepiece that the reference runs with: 0.2.2 and later order pieces of equal score otherwise",
    },
    input_file_mode: {
      kind: "string",
      choices: ["r", "rb"],
      default: R.input_file_mode,
      help: "rb drops invalid UTF-8 where r stops; WordPiece only",
      source,
    },
    do_lower_case: { kind: "boolean", default: R.do_lower_case, help: "lower-case the text", source },
    do_whole_word_mask: {
      kind: "boolean",
      default: R.do_whole_word_mask,
      help: "mask all pieces of a word",
      source,
    },
    do_permutation: {
      kind: "boolean",
      default: R.do_permutation,
      help: "also exchange pieces and predict them",
      source,
    },
    favor_shorter_ngram: {
      kind: "boolean",
      default: R.favor_shorter_ngram,
      help: "short n-grams are likelier",
      source,
    },
    random_next_sentence: {
      kind: "boolean",
      default: R.random_next_sentence,
      help: "true: segment B may be random (BERT's task); false: A and B may be swapped",
      source,
    },
    max_seq_length: {
      kind: "int",
      default: R.max_seq_length,
      help: "pieces per record, specials counted",
      source,
    },
    ngram: { kind: "int", default: R.ngram, help: "longest n-gram masked together, words", source },
    max_predictions_per_seq: {
      kind: "int",
      default: R.max_predictions_per_seq,
      help: "most masked pieces per record",
      source,
    },
    random_seed: {
      kind: "string",
      default: String(R.random_seed),
      help: "seed of Python's generator, a whole number of any size",
      source,
    },
    numpy_seed: {
      kind: "int",
      default: R.numpy_seed,
      help: "seed of NumPy's generator, which the reference leaves unseeded",
    },
    derive_numpy_seed: {
      kind: "boolean",
      default: R.derive_numpy_seed,
      help: "take NumPy's seed from --random_seed instead of --numpy_seed",
    },
    word_starts: {
      kind: "string",
      choices: ["reference", "unicode"],
      default: R.word_starts,
      help: "unicode: pieces with digits or letters of any script continue a word too",
    },
    mask_budget: {
      kind: "string",
      choices: ["reference", "prob"],
      default: R.mask_budget,
      help: "prob: max_predictions_per_seq follows --masked_lm_prob and --max_seq_length",
    },
    single_sentence: {
      kind: "string",
      choices: ["random", "split", "skip"],
      default: R.single_sentence,
      help: "chunks of one sentence: B of another document as if swapped; cut in two; left out",
    },
    order: {
      kind: "string",
      choices: ["reference", "stream"],
      default: R.order,
      help:
        "reference: the corpus and all records stay in memory, in compact form, some 2 bytes per byte of text; stream: " +
        "memory does not grow with the corpus, workers, shards, goes on after a kill; keyed draws",
    },
    workers: {
      kind: "int",
      default: 1,
      help:
        "threads of --order=stream, some 45 MB each (65 MB with 30,000 pieces), as many as stay under 512 MB together; " +
        "they share the text and every output",
    },
    shard_index: {
      kind: "int",
      help: "part of the corpus to make, from 0; Slurm, Kubernetes or MPI tell it",
    },
    shard_count: { kind: "int", help: "number of parts; Slurm or MPI tell it" },
    finish: {
      kind: "boolean",
      default: false,
      help:
        "check the shards that --shard_count tasks made with the same flags, and merge them into one set with one manifest",
    },
    block_bytes: {
      kind: "int",
      default: R.block_bytes,
      help: "bytes of text among which random partners are drawn with --order=stream",
    },
    compression: {
      kind: "string",
      choices: ["none", "gzip", "zlib"],
      default: R.compression,
      help: "packing of the outputs; the reference's trainer reads none",
    },
    overwrite: {
      kind: "boolean",
      default: false,
      help: "replace output files that hold no records, drop unfinished work of another run",
    },
    dupe_factor: {
      kind: "int",
      default: R.dupe_factor,
      help: "passes over the text, each masked anew",
      source,
    },
    masked_lm_prob: {
      kind: "float",
      default: R.masked_lm_prob,
      help: "share of the pieces that is masked",
      source,
    },
    short_seq_prob: {
      kind: "float",
      default: R.short_seq_prob,
      help: "share of documents cut to a shorter length",
      source,
    },
  },
  run: async (flags, _, { print, onProgress, endProgress, signal }) => {
    const random_seed = seedOf(flags.random_seed);
    const { tokenizer, sha256 } = openTokenizer({ ...flags, spm_version: flags.spm_version as SpmVersion });
    const { spm_model_file, vocab_file, spm_version: _version, shard_index, shard_count, finish, ...given } =
      flags;
    const config = given as typeof given & Choices; // parseArguments allows no other words
    const shard = finish && shard_count !== undefined
      ? { shard_index: 0, shard_count } // it is none of the tasks
      : config.order === "stream"
      ? shardOf(process.env, { shard_index, shard_count })
      : { shard_index: shard_index ?? 0, shard_count: shard_count ?? 1 };
    const warned: string[] = [];
    const make = finish ? finishRecords : createRecords;
    const report = await make({
      ...config,
      random_seed,
      shard_index: shard.shard_index,
      shard_count: shard.shard_count,
      tokenizer,
      tokenizer_sha256: sha256,
      tokenizer_file: spm_model_file ?? vocab_file ?? "",
    }, { onProgress, signal, onWarning: (line) => void warned.push(line) });
    await endProgress();
    for (const line of warned) print(`note: ${line}`);
    print(describeRecords(report));
    if (spm_model_file !== undefined && !hasPiece(tokenizer, "<pad>")) {
      print(
        `note: ${spm_model_file} has no piece <pad>; export needs one, so a model of these records stays here`,
      );
    }
  },
});
