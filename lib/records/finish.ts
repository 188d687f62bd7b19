/**
 * The end of records that several tasks made: all shards are checked, then merged by the keys of their records into the
 * outputs and the one manifest that a single run would have written, byte for byte. Shards stand in the order of the keys, so
 * the merge reads each once from its beginning to its end, whatever their size.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { removeLeftovers, writeFileAtomic } from "../formats/mod.ts";
import {
  RECORDS_DEFAULTS,
  type RecordsConfig,
  type RecordsOptions,
  type RecordsReport,
  resolveRecords,
} from "./config.ts";
import type { RecordsRun } from "./create.ts";
import {
  checkManifest,
  manifestOf,
  piecesHash,
  plainFlags,
  readManifest,
  type RecordsManifest,
} from "./manifest.ts";
import { madeHere } from "./made_by.ts";
import { breather, emptyCorpus, outputNames } from "./outputs.ts";
import { slotsOf } from "./stream_outputs.ts";
import { compareKeys, KEY, slotOf } from "./stream_runs.ts";
import { keysFile, shardName } from "./stream_work.ts";
import { type TfrecordWriter, tfrecordWriter } from "./tfrecord.ts";
import { readTfrecords } from "./tfrecord_read.ts";

const KEYS_READ = 1024; // keys read at a time

/** A shard whose files are whole. */
type Shard = { readonly outputs: readonly string[]; readonly manifest: RecordsManifest };

/**
 * Puts the records of all shards into their final order and files.
 *
 * @param options As for `createRecords` with `order: "stream"`; `shard_count` says how many shards there are, `shard_index`
 * does not matter.
 * @param run `onProgress` and `signal`; an interrupted finish begins again.
 * @returns The report of the whole.
 * @throws {Error} When shards are missing, damaged or of another run: all of them are named, with what to do.
 * @example
 * ```ts
 * import { createRecords, finishRecords, loadSentencePiece, trainUnigram } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const place = mkdtempSync(`${tmpdir()}/albert-`);
 * const lines = Array.from({ length: 60 }, (_, i) => i % 6 === 5 ? "" : `line ${i} of a small book`);
 * writeFileSync(`${place}/raw.txt`, lines.join("\n"));
 * const special = { pad_id: 0, unk_id: 1, bos_id: -1, eos_id: -1, control_symbols: "[CLS],[SEP],[MASK]" };
 * const { model } = await trainUnigram(lines, { vocab_size: 40, hard_vocab_limit: false, ...special });
 * const options = {
 *   tokenizer: loadSentencePiece(model), order: "stream", block_bytes: 300, max_seq_length: 32, dupe_factor: 2,
 *   input_file: `${place}/raw.txt`,
 * } as const;
 * for (const shard_index of [0, 1, 2]) {
 *   await createRecords({ ...options, output_file: `${place}/shards`, shard_index, shard_count: 3 });
 * }
 * await finishRecords({ ...options, output_file: `${place}/shards`, shard_count: 3 });
 * await createRecords({ ...options, output_file: `${place}/whole` });
 * assert.ok(readFileSync(`${place}/shards`).equals(readFileSync(`${place}/whole`)));
 * ```
 */
export async function finishRecords(options: RecordsOptions, run: RecordsRun = {}): Promise<RecordsReport> {
  const {
    tokenizer,
    tokenizer_sha256,
    tokenizer_file: _file,
    workers: _workers,
    overwrite = false,
    ...flags
  } = options;
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  const config = resolveRecords(
    { ...RECORDS_DEFAULTS, ...Object.fromEntries(given), shard_index: 0, order: "stream" } as RecordsConfig,
  );
  if (config.shard_count < 2) {
    throw new RangeError(
      `Cannot finish records: shard_count is ${config.shard_count}; say how many shards the tasks made (2 or more)`,
    );
  }
  const outputs = outputNames(config.output_file, [], { overwrite });
  const shards = wholeShards(config, outputs, piecesHash(tokenizer));
  outputs.forEach(removeLeftovers);
  const files = await merge(shards, outputs, config, run);
  const [first] = shards as [Shard];
  const counts = sumOf(shards.map(({ manifest }) => manifest.counts));
  const { inputs } = first.manifest;
  if (counts["documents"] === 0) {
    throw emptyCorpus(inputs.map(({ path }) => path), { ...config, shard_count: 1 });
  }
  const report = {
    ...counts,
    inputs,
    outputs: files,
    manifest: `${outputs[0]}.manifest.json`,
  } as unknown as RecordsReport;
  const whole = { ...config, shard_count: 1, shard_index: 0 };
  writeFileAtomic(report.manifest, manifestOf(report, whole, tokenizer, { model_sha256: tokenizer_sha256 }));
  return report;
}

/** Adds up the numbers of equal places. */
function sumOf(all: readonly Readonly<Record<string, unknown>>[]): Record<string, unknown> {
  const [first = {}] = all;
  return Object.fromEntries(
    Object.entries(first).map(([name, value]) => {
      const values = all.map((counts) => counts[name]);
      return [
        name,
        typeof value === "number"
          ? (values as number[]).reduce((sum, each) => sum + each, 0)
          : sumOf(values as Record<string, unknown>[]),
      ];
    }),
  );
}

/** What of the flags must be the same in every shard. */
function flagsOf(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { shard_index: _index, input_file: _input, output_file: _output, compression: _packing, ...rest } =
    flags;
  return rest;
}

/** Why a shard is of another version of the library, or of the runtime, than what merges it or than the first shard. */
function otherMaker({ made_by }: RecordsManifest, first: RecordsManifest | undefined): string | undefined {
  const here = madeHere();
  if (made_by?.records !== here.records) {
    return `it was made by albert-guide ${
      made_by?.release ?? "before 0.1.0"
    }, which makes other records than ` +
      `${here.release}; take the same version everywhere`;
  }
  const unicode = first?.made_by?.unicode ?? made_by.unicode;
  if (made_by.unicode === unicode) return undefined;
  return `it was made with Unicode ${made_by.unicode}, shard 0 with ${unicode}, and its tables clean the text; take ` +
    "the same version of Deno or Node everywhere";
}

/** All shards, or one error that names every one that cannot be taken. */
function wholeShards(config: RecordsConfig, outputs: readonly string[], pieces: string): Shard[] {
  const wrong: { readonly shard: number; readonly problem: string }[] = [];
  const shards: Shard[] = [];
  for (let index = 0; index < config.shard_count; index++) {
    const names = outputs.map((path) => shardName(path, { ...config, shard_index: index }));
    const problem = problemOf(`${names[0]}.manifest.json`, names, config, pieces, shards[0]);
    if (typeof problem === "string") wrong.push({ shard: index, problem });
    else shards.push(problem);
  }
  if (wrong.length === 0) return shards;
  const shown = wrong.slice(0, 10).map(({ shard, problem }) => `shard ${shard}: ${problem}`).join("; ") +
    (wrong.length > 10 ? `; and ${wrong.length - 10} more` : "");
  const list = wrong.map(({ shard }) => shard).join(",");
  throw new Error(
    `Cannot finish records: ${wrong.length} of ${config.shard_count} shards cannot be taken (${shown}); repeat the command ` +
      `of the tasks with --overwrite --shard_count=${config.shard_count} and --shard_index=${
        wrong[0]?.shard
      }` +
      `${wrong.length > 1 ? ` and so on, or as the array ${list}` : ""}; the others stand`,
  );
}

function problemOf(
  path: string,
  outputs: readonly string[],
  config: RecordsConfig,
  pieces: string,
  first: Shard | undefined,
): Shard | string {
  if (!existsSync(path)) return `there is no ${path}`;
  let manifest: RecordsManifest;
  try {
    manifest = readManifest(path);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const [was, now] = [flagsOf(manifest.flags), flagsOf(plainFlags(config))];
  const other = Object.keys(now).filter((name) => JSON.stringify(was[name]) !== JSON.stringify(now[name]));
  if (other.length > 0) {
    const [name = ""] = other;
    return `it was made with ${name} ${JSON.stringify(was[name])}, now it is ${JSON.stringify(now[name])}`;
  }
  if (manifest.tokenizer["pieces_sha256"] !== pieces) return "it was made with another tokenizer";
  const maker = otherMaker(manifest, first?.manifest);
  if (maker !== undefined) return maker;
  const hashes = ({ inputs }: RecordsManifest): string => JSON.stringify(inputs.map(({ sha256 }) => sha256));
  if (first !== undefined && hashes(manifest) !== hashes(first.manifest)) {
    return "it was made from other raw files than shard 0";
  }
  if (manifest.outputs.length !== outputs.length) {
    return `it has ${manifest.outputs.length} outputs, output_file names ${outputs.length}`;
  }
  const damaged = checkManifest(path);
  if (damaged.length > 0) return damaged.join(", ");
  for (const [i, output] of outputs.entries()) {
    const bytes = statSync(keysFile(output), { throwIfNoEntry: false })?.size;
    const records = manifest.outputs[i]?.records ?? 0;
    if (bytes !== KEY * records) {
      return `${keysFile(output)} has ${bytes ?? "no"} bytes for ${records} records`;
    }
  }
  return { outputs, manifest };
}

/** A record that waits for its turn. */
type Waiting = { readonly key: DataView; readonly data: Uint8Array; readonly source: Source };
type Source = AsyncGenerator<Omit<Waiting, "source">>;

/** Records of a shard with their keys, in order. */
async function* recordsOf(outputs: readonly string[]): Source {
  for (const path of outputs) {
    const handle = openSync(keysFile(path), "r");
    try {
      let block = new Uint8Array(0);
      let at = 0;
      for await (const { data } of readTfrecords(path)) {
        if (at === block.length) {
          block = new Uint8Array(KEY * KEYS_READ);
          block = block.subarray(0, readSync(handle, block, 0, block.length, null));
          at = 0;
        }
        yield { key: new DataView(block.buffer, at, KEY), data };
        at += KEY;
      }
    } finally {
      closeSync(handle);
    }
  }
}

/** A heap of what each shard gives next; the record whose key is the lowest stands first. */
function push(heap: Waiting[], waiting: Waiting): void {
  let at = heap.push(waiting) - 1;
  for (let up = (at - 1) >> 1; at > 0 && before(heap[at]!, heap[up]!); at = up, up = (at - 1) >> 1) { // in range
    [heap[at], heap[up]] = [heap[up]!, heap[at]!];
  }
}

function pop(heap: Waiting[]): Waiting | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  heap[0] = last;
  for (let at = 0;;) {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    let least = at;
    if (left < heap.length && before(heap[left]!, heap[least]!)) least = left; // in range
    if (right < heap.length && before(heap[right]!, heap[least]!)) least = right; // in range
    if (least === at) return top;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!]; // in range
    at = least;
  }
}

const before = (a: Waiting, b: Waiting): boolean => compareKeys(a.key, 0, b.key, 0) < 0;

async function merge(
  shards: readonly Shard[],
  outputs: readonly string[],
  config: RecordsConfig,
  { onProgress, signal }: RecordsRun,
): Promise<RecordsReport["outputs"]> {
  const total = shards.reduce(
    (sum, { manifest }) => sum + manifest.outputs.reduce((all, { records = 0 }) => all + records, 0),
    0,
  );
  const breathe = breather(signal);
  const writers: TfrecordWriter[] = [];
  const sources = shards.map((shard) => recordsOf(shard.outputs));
  const heap: Waiting[] = [];
  const next = async (source: Source): Promise<void> => {
    const { done, value } = await source.next();
    if (done !== true) push(heap, { ...value, source });
  };
  try {
    for (const path of outputs) writers.push(tfrecordWriter(path, config));
    await Promise.all(sources.map(next));
    let [done, output] = [0, 0];
    for (let waiting = pop(heap); waiting !== undefined; waiting = pop(heap)) {
      const slot = slotOf(waiting.key, 0);
      while (slot >= slotsOf(output, { outputs })[1]) output++;
      writers[output]?.write(waiting.data);
      done++;
      await next(waiting.source);
      const pause = (done & 63) === 0 ? breathe() : undefined;
      if (pause === undefined) continue;
      onProgress?.({ stage: "records: finish", done, total, unit: "records" });
      await pause;
    }
    onProgress?.({ stage: "records: finish", done, total, unit: "records" });
    signal?.throwIfAborted(); // all may have been done between two pauses
    return writers.map((writer) => ({
      path: writer.path,
      sha256: writer.commit(),
      bytes: writer.bytes(),
      records: writer.records(),
    }));
  } finally {
    for (const writer of writers) writer.discard();
    for (const source of sources) await source.return(undefined);
  }
}
