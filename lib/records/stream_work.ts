/**
 * The kinds of work of `order: "stream"`: a part (blocks of text to a sorted part file), an output (a range of keys out of
 * all part files to a TFRecord file) and a segment (a range of bytes of such a file, for threads that share one). All are
 * generators that yield progress, so that one process can breathe between steps and a worker can run them through.
 */
import { basename, dirname, join } from "node:path";
import { existsSync, readdirSync } from "node:fs";
import { openAtomic, openRange, type RangedPlace } from "../formats/mod.ts";
import { keyedBlock, type PassRange, type PieceTable, pieceTable } from "../tasks/mod.ts";
import type { RecordsConfig, RecordsTokenizer, ReportedFile } from "./config.ts";
import { type InstanceEncoder, instanceEncoder } from "./encode_instance.ts";
import { linesIn } from "./inputs.ts";
import { type LineEncoder, lineEncoder } from "./line_encoder.ts";
import { type InstancePacking, instancePacking } from "./packed_instance.ts";
import { type Block, blockLines, type Scratch } from "./stream_plan.ts";
import {
  keysOf,
  noCounts,
  type PartCounts,
  partReader,
  partWriter,
  readBucket,
  type RunBuffer,
  runBuffer,
} from "./stream_runs.ts";
import { FRAME, recordFrames, tfrecordWriter } from "./tfrecord.ts";

/** Blocks to make a part file of. */
export type PartTask = {
  readonly kind: "part";
  readonly path: string;
  readonly inputs: readonly string[];
  readonly blocks: readonly Block[];
  /** Passes of the blocks that belong to this part. */
  readonly passes: PassRange;
};

/** Ranges of slots, each to be read into memory at once, in their order. */
export type Buckets = readonly (readonly [from: number, to: number])[];

/** A TFRecord file to write from the part files of a folder. */
export type OutputTask = {
  readonly kind: "output";
  readonly path: string;
  readonly folder: string;
  /** How many part files the folder holds. */
  readonly parts: number;
  readonly buckets: Buckets;
  /** Whether the keys of its records are written beside it, for `finishRecords`. */
  readonly keys: boolean;
};

/** A range of a TFRecord file without compression, to write from the part files of a folder. */
export type SegmentTask = RangedPlace & {
  readonly kind: "segment";
  readonly folder: string;
  readonly parts: number;
  readonly buckets: Buckets;
  /** Where it begins in the file. */
  readonly at: number;
  /** Whether the keys of its records are wanted. */
  readonly keys: boolean;
};

/** What a segment made. */
export type SegmentMade = { readonly records: number; readonly keys: readonly Uint8Array[] };

export type StreamTask = PartTask | OutputTask | SegmentTask;

/** What a task made: a part file, a TFRecord file, or a segment of one. */
export type StreamResult = PartCounts | ReportedFile | SegmentMade;

/** The file of keys beside an output of one shard of several. */
export const keysFile = (path: string): string => `${path}.keys`;

/** What all work shares. */
export type StreamSetting = {
  readonly config: RecordsConfig;
  readonly encoder: LineEncoder;
  readonly table: PieceTable;
  readonly packing: InstancePacking;
  /** For instances out of the packing. */
  readonly example: InstanceEncoder;
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
  return {
    config,
    encoder,
    table,
    packing: instancePacking(config, table),
    example: instanceEncoder(config),
    run: runBuffer(runBytes),
    scratch: { bytes: new Uint8Array(0) },
  };
}

/** Names of part files, of which there must be so many: a process that does the same work removes them when it is done. */
export function partFiles(folder: string, count: number): string[] {
  const names = existsSync(folder)
    ? readdirSync(folder).filter((name) => /^part-\d+$/.test(name)).sort()
    : [];
  if (names.length === count) return names.map((name) => join(folder, name));
  throw new Error(
    `Cannot write records: ${folder} holds ${names.length} of ${count} parts; another process has finished the same work, ` +
      "or somebody removed them: run the same command again",
  );
}

/** The low 32 bits of a seed, for the shuffle. */
const lowBits = (seed: number | bigint): number => Number(BigInt.asIntN(32, BigInt(seed)));

/** Runs a task; yields bytes or records done, returns what it made. */
export function streamSteps(
  setting: StreamSetting,
  task: StreamTask,
): Generator<number, StreamResult> {
  if (task.kind === "part") return partSteps(setting, task);
  return task.kind === "output" ? outputSteps(task, setting) : segmentSteps(task, setting);
}

function* partSteps(setting: StreamSetting, task: PartTask): Generator<number, PartCounts> {
  const { config, encoder, table, packing, run, scratch } = setting;
  const { passes } = task;
  const first = passes.from === 0; // the part that counts what all passes have in common
  const { sizeOf } = instanceEncoder(config, table);
  const writer = partWriter(task.path, { seed: lowBits(config.random_seed), run });
  const counts = noCounts();
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
          if (first && pieces > config.max_seq_length - 3) counts.longSentences++;
          if ((++lines & 63) === 0) yield 0;
        }
      }
      if (first) {
        counts.documents += block.documents();
        counts.sentences += block.sentences();
        counts.pieces += block.pieces();
      }
      const steps = block.steps((instance, key) => {
        counts.instances++;
        counts.predictions += instance.count;
        counts[instance.pair]++;
        writer.add(key, packing.pack(instance), FRAME + sizeOf(instance));
      }, passes);
      for (const _ of steps) yield 0;
      yield bytes * (passes.to - passes.from);
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

function* outputSteps(
  { path, folder, parts, buckets, keys }: OutputTask,
  { config: { compression }, packing, example, scratch }: StreamSetting,
): Generator<number, ReportedFile> {
  const readers = partFiles(folder, parts).map(partReader);
  const writer = tfrecordWriter(path, { compression });
  const keyFile = keys ? openAtomic(keysFile(path)) : undefined;
  try {
    for (const [start, end] of buckets) {
      const entries = readBucket(readers, start, end, scratch);
      for (const { data } of entries) writer.write(example.encode(packing.unpack(data)));
      keyFile?.write(keysOf(entries));
      yield entries.length;
    }
    keyFile?.commit();
    const sha256 = writer.commit();
    return { path, bytes: writer.bytes(), sha256, records: writer.records() };
  } finally {
    writer.discard();
    keyFile?.discard();
  }
}

function* segmentSteps(
  task: SegmentTask,
  { packing, example, scratch }: StreamSetting,
): Generator<number, SegmentMade> {
  const keys: Uint8Array[] = [];
  const readers = partFiles(task.folder, task.parts).map(partReader);
  const range = openRange(task, task.at);
  try {
    const frames = recordFrames(range.write);
    for (const [start, end] of task.buckets) {
      const entries = readBucket(readers, start, end, scratch);
      for (const { data } of entries) frames.write(example.encode(packing.unpack(data)));
      if (task.keys) keys.push(keysOf(entries));
      yield entries.length;
    }
    frames.flush();
    return { records: frames.records(), keys };
  } finally {
    range.close();
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
