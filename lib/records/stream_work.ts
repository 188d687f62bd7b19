/**
 * The two kinds of work of `order: "stream"`: a part (blocks of text to a sorted part file) and an output (a range of keys
 * out of all part files to a TFRecord file). Both are generators that yield progress, so that one process can breathe
 * between steps and a worker can run them through.
 */
import { basename, dirname, join } from "node:path";
import { readdirSync } from "node:fs";
import { keyedBlock, type PieceTable, pieceTable } from "../tasks/mod.ts";
import type { RecordsConfig, RecordsTokenizer, ReportedFile } from "./config.ts";
import { instanceEncoder } from "./encode_instance.ts";
import { linesIn } from "./inputs.ts";
import { type LineEncoder, lineEncoder } from "./line_encoder.ts";
import { type Block, blockLines, type Scratch } from "./stream_plan.ts";
import {
  type PartCounts,
  type PartReader,
  partReader,
  partWriter,
  readBucket,
  type RunBuffer,
  runBuffer,
  SLOTS,
} from "./stream_runs.ts";
import { tfrecordWriter } from "./tfrecord.ts";

/** Blocks to make a part file of. */
export type PartTask = {
  readonly kind: "part";
  readonly path: string;
  readonly inputs: readonly string[];
  readonly blocks: readonly Block[];
};

/** A TFRecord file to write from the part files of a folder. */
export type OutputTask = {
  readonly kind: "output";
  readonly path: string;
  readonly folder: string;
  /** Slots of keys that belong to this file. */
  readonly from: number;
  readonly to: number;
  /** Bytes of part files that are in memory at a time. */
  readonly bucketBytes: number;
};

export type StreamTask = PartTask | OutputTask;

/** What all work shares. */
export type StreamSetting = {
  readonly config: RecordsConfig;
  readonly encoder: LineEncoder;
  readonly table: PieceTable;
  readonly run: RunBuffer;
  /** Text of a block while parts are made, records of a bucket while outputs are written. */
  readonly scratch: Scratch;
};

/** Makes the setting of a process. */
export function streamSetting(
  config: RecordsConfig,
  tokenizer: RecordsTokenizer,
  runBytes: number,
): StreamSetting {
  const { style = "sentencepiece" } = tokenizer;
  const table = pieceTable(tokenizer, { style, keepUnknown: false, word_starts: config.word_starts });
  const encoder = lineEncoder(tokenizer, table, { lower: config.do_lower_case });
  return { config, encoder, table, run: runBuffer(runBytes), scratch: { bytes: new Uint8Array(0) } };
}

/** Names of part files, sorted; temporary ones of a killed run are left out. */
export function partFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^part-\d+$/.test(name)).sort().map((name) =>
    join(folder, name)
  );
}

/** The low 32 bits of a seed, for the shuffle. */
const lowBits = (seed: number | bigint): number => Number(BigInt.asIntN(32, BigInt(seed)));

/** Runs a task; yields bytes or records done, returns what it made. */
export function streamSteps(
  setting: StreamSetting,
  task: StreamTask,
): Generator<number, PartCounts | ReportedFile> {
  return task.kind === "part" ? partSteps(setting, task) : outputSteps(task, setting);
}

function* partSteps(setting: StreamSetting, task: PartTask): Generator<number, PartCounts> {
  const { config, encoder, table, run, scratch } = setting;
  const encode = instanceEncoder(config, table);
  const writer = partWriter(task.path, { seed: lowBits(config.random_seed), run });
  const counts: PartCounts = {
    documents: 0,
    sentences: 0,
    pieces: 0,
    instances: 0,
    predictions: 0,
    next: 0,
    swapped: 0,
    random: 0,
    longSentences: 0,
  };
  try {
    for (const from of task.blocks) {
      const bytes = from.parts.reduce((sum, part) => sum + part.to - part.from, 0);
      const block = keyedBlock(table, config, from.firstDocument, { ...config, capacity: bytes >>> 1 });
      let lines = 0;
      for (const raw of blockLines(task.inputs, from, config.input_file_mode, scratch)) {
        for (const [start, end] of linesIn(raw)) {
          const pieces = encoder.line(raw.bytes, start, end, () => raw.decode(start, end));
          if (pieces < 0) block.endDocument();
          else block.numbers(encoder.numbers().subarray(0, pieces));
          if (pieces > config.max_seq_length - 3) counts.longSentences++;
          if ((++lines & 63) === 0) yield 0;
        }
      }
      counts.documents += block.documents();
      counts.sentences += block.sentences();
      counts.pieces += block.pieces();
      const steps = block.steps((instance, key) => {
        counts.instances++;
        counts.predictions += instance.count;
        counts[instance.pair]++;
        writer.add(key, encode(instance));
      });
      for (const _ of steps) yield 0;
      yield bytes;
    }
    writer.commit(counts);
  } catch (error) {
    writer.discard();
    throw error;
  } finally {
    writer.discard(); // a stopped generator leaves no temporary file; harmless after commit
  }
  return counts;
}

/** Groups of slots of about `bytes` each. */
function buckets(sizes: Float64Array, from: number, to: number, bytes: number): [number, number][] {
  const found: [number, number][] = [];
  for (let start = from; start < to;) {
    let end = start + 1;
    let sum = sizes[start] ?? 0;
    while (end < to && sum + (sizes[end] ?? 0) <= bytes) sum += sizes[end++] ?? 0;
    found.push([start, end]);
    start = end;
  }
  return found;
}

function* outputSteps(
  { path, folder, from, to, bucketBytes }: OutputTask,
  { config: { compression }, scratch }: StreamSetting,
): Generator<number, ReportedFile> {
  const readers: PartReader[] = partFiles(folder).map(partReader);
  const sizes = new Float64Array(SLOTS);
  for (const reader of readers) reader.addSizes(sizes);
  const writer = tfrecordWriter(path, { compression });
  try {
    for (const [start, end] of buckets(sizes, from, to, bucketBytes)) {
      const entries = readBucket(readers, start, end, scratch);
      for (const { data } of entries) writer.write(data);
      yield entries.length;
    }
    const sha256 = writer.commit();
    return { path, bytes: writer.bytes(), sha256, records: writer.records() };
  } finally {
    writer.discard();
  }
}

/** Name of an output of one shard of several, as TensorFlow names the parts of a set. */
export function shardName(
  path: string,
  { shard_count, shard_index }: Pick<RecordsConfig, "shard_count" | "shard_index">,
): string {
  if (shard_count === 1) return path;
  const number = (value: number): string => String(value).padStart(5, "0");
  return join(dirname(path), `${basename(path)}-${number(shard_index)}-of-${number(shard_count)}`);
}
