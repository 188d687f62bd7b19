/**
 * Records in bounded memory: `order: "stream"`. A first pass over the text finds blocks of documents; parts of them become
 * sorted part files; a second pass over those writes the outputs in a random order of all records. Everything finished
 * stays in `<first output>.parts`, so the same command goes on after a kill at the first unfinished part or output.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../formats/mod.ts";
import type { RecordsConfig, RecordsOptions, RecordsReport, ReportedFile } from "./config.ts";
import type { RecordsRun } from "./create.ts";
import { expandPatterns } from "./inputs.ts";
import { manifestOf, piecesHash, plainFlags, readManifest } from "./manifest.ts";
import { breather, emptyCorpus, outputNames, warnings } from "./outputs.ts";
import { type Block, planStream, type StreamPlan } from "./stream_plan.ts";
import { type PartCounts, partReader, SLOTS } from "./stream_runs.ts";
import { type Pool, soloPool, workerPool } from "./stream_workers.ts";
import { type OutputTask, type PartTask, shardName, streamSetting } from "./stream_work.ts";

const WORK_BYTES = 16 << 20; // of runs and of buckets in memory, over all workers
const PART_BLOCKS = 16; // most blocks of a part

/** Megabytes: what a run may take, the process without its threads, a thread, and a thread's tables for 1,000 pieces. */
const MEMORY = { limit: 500, process: 170, thread: 45, pieces: 0.75 };

/** Threads that stay within the limit together; results do not depend on their number. */
export const threadsFor = (workers: number, pieces: number): number =>
  Math.min(
    workers,
    Math.max(
      1,
      Math.floor((MEMORY.limit - MEMORY.process) / (MEMORY.thread + MEMORY.pieces * pieces / 1000)),
    ),
  );

/** Runs a job from plan to manifest. */
export async function createStream(
  config: RecordsConfig,
  options: RecordsOptions,
  run: RecordsRun,
): Promise<RecordsReport> {
  const { tokenizer, tokenizer_sha256, overwrite = false } = options;
  const workers = checkedWorkers(options);
  const inputs = expandPatterns(config.input_file);
  const outputs = outputNames(config.output_file, inputs, { overwrite }).map((path) =>
    shardName(path, config)
  );
  if (outputs.length > SLOTS) {
    throw new RangeError(
      `Cannot create records: ${outputs.length} outputs, expected at most ${SLOTS}; use shards`,
    );
  }
  const plan = await scan(inputs, config, tokenizer.style === "wordpiece", run);
  const hashes = [piecesHash(tokenizer), tokenizer_sha256, tokenizer.spm_version];
  const run_sha256 = fingerprint(config, plan, hashes, outputs);
  const manifest = `${outputs[0]}.manifest.json`;
  const finished = overwrite ? undefined : finishedRun(manifest, run_sha256, outputs);
  if (finished !== undefined) return finished;
  const folder = `${outputs[0]}.parts`;
  const blocks = plan.blocks.filter((_, index) => index % config.shard_count === config.shard_index);
  if (blocks.length === 0) throw emptyCorpus(inputs, config);
  const partBlocks = openParts(folder, { run_sha256, overwrite, blocks: blocks.length, workers });
  const threads = threadsFor(workers, tokenizer.size);
  if (threads < workers) {
    run.onWarning?.(
      `${threads} of ${workers} workers run: with a vocabulary of ${tokenizer.size} pieces more would take over 512 MB; ` +
        "the records are the same, and more processes are had by --shard_count",
    );
  }
  const share = Math.floor(WORK_BYTES / threads);
  const solo = (): Pool =>
    soloPool(streamSetting(config, tokenizer, share), breather(run.signal), run.signal);
  const pool = threads === 1 ? solo() : workerPool(threads, {
    task: "albert-guide records",
    config,
    tokenizerFile: options.tokenizer_file ?? "",
    style: tokenizer.style ?? "sentencepiece",
    spm_version: tokenizer.spm_version ?? "0.2.0",
    piecesSha256: piecesHash(tokenizer),
    runBytes: share,
    pieces: tokenizer.size,
  }, run.signal);
  try {
    const counts = await makeParts(pool, partTasks(folder, inputs, blocks, partBlocks), run);
    if (counts.documents === 0) throw emptyCorpus(inputs, config);
    const { documents, sentences, longSentences: long } = counts;
    warnings({ documents, sentences, long, cuts: plan.cuts }, config).forEach((line) =>
      run.onWarning?.(line)
    );
    rmSync(manifest, { force: true }); // an old one must not vouch for half new files
    const files = await writeOutputs(pool, { folder, outputs, share, total: counts.instances }, run);
    const report = reportOf(counts, plan.inputs, files, manifest);
    const model_sha256 = tokenizer_sha256;
    writeFileAtomic(manifest, manifestOf(report, config, tokenizer, { model_sha256, run_sha256 }));
    rmSync(folder, { recursive: true, force: true });
    return report;
  } finally {
    await pool.close();
  }
}

function checkedWorkers({ workers = 1, tokenizer_file }: RecordsOptions): number {
  if (!Number.isSafeInteger(workers) || workers < 1 || workers > 256) {
    throw new RangeError(
      `Cannot create records: workers is ${workers}, expected 1 to 256 (this machine has ${availableParallelism()})`,
    );
  }
  if (workers > 1 && tokenizer_file === undefined) {
    throw new RangeError(
      `Cannot create records with ${workers} workers: they need tokenizer_file, the file that the tokenizer is loaded from`,
    );
  }
  return workers;
}

async function scan(
  inputs: readonly string[],
  { block_bytes, input_file_mode: mode }: RecordsConfig,
  wordpiece: boolean,
  { onProgress, signal }: RecordsRun,
): Promise<StreamPlan> {
  const total = inputs.reduce((sum, path) => sum + statSync(path).size, 0);
  const breathe = breather(signal);
  const steps = planStream(inputs, { blockBytes: block_bytes, wordpiece, mode });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    onProgress?.({ stage: "records: scan", done: step.value, total, unit: "bytes" });
    const pause = breathe();
    if (pause !== undefined) await pause;
  }
}

/** SHA-256 of all that decides the files: flags, inputs, tokenizer, names of the outputs. */
function fingerprint(
  config: RecordsConfig,
  { inputs }: StreamPlan,
  tokenizer: readonly (string | undefined)[],
  outputs: readonly string[],
): string {
  const { input_file: _in, output_file: _out, ...flags } = plainFlags(config);
  const names = outputs.map((path) => basename(path));
  const texts = inputs.map(({ bytes, sha256 }) => [bytes, sha256]);
  return createHash("sha256").update(JSON.stringify([1, flags, texts, tokenizer, names])).digest("hex");
}

/** The report of a run that is already finished. */
function finishedRun(
  path: string,
  run_sha256: string,
  outputs: readonly string[],
): RecordsReport | undefined {
  if (!existsSync(path)) return undefined;
  const { run_sha256: made, counts, inputs, outputs: files } = readManifest(path);
  if (made !== run_sha256) return undefined;
  const whole = files.every(({ bytes }, i) =>
    statSync(outputs[i] ?? "", { throwIfNoEntry: false })?.size === bytes
  );
  return whole ? { ...counts, inputs, outputs: files, manifest: path } as RecordsReport : undefined;
}

/** Makes or takes up the folder of parts; returns the number of blocks of a part. */
function openParts(
  folder: string,
  { run_sha256, overwrite, blocks, workers }: {
    readonly run_sha256: string;
    readonly overwrite: boolean;
    readonly blocks: number;
    readonly workers: number;
  },
): number {
  const path = join(folder, "plan.json");
  if (existsSync(path)) {
    const found = JSON.parse(readFileSync(path, "utf8")) as { run_sha256: string; part_blocks: number };
    if (found.run_sha256 === run_sha256) return found.part_blocks;
    if (!overwrite) {
      throw new Error(
        `Cannot create records: ${folder} holds the unfinished work of another run (other flags, inputs or tokenizer); ` +
          "finish that run with its command, or remove the folder or give --overwrite to drop its work",
      );
    }
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const part_blocks = Math.max(1, Math.min(PART_BLOCKS, Math.ceil(blocks / (4 * workers))));
  writeFileAtomic(path, JSON.stringify({ run_sha256, part_blocks }));
  return part_blocks;
}

function partTasks(
  folder: string,
  inputs: readonly string[],
  blocks: readonly Block[],
  size: number,
): PartTask[] {
  return Array.from({ length: Math.ceil(blocks.length / size) }, (_, i) => ({
    kind: "part",
    path: join(folder, `part-${String(i).padStart(6, "0")}`),
    inputs,
    blocks: blocks.slice(i * size, (i + 1) * size),
  }));
}

const bytesOf = ({ blocks }: PartTask): number =>
  blocks.reduce((sum, { parts }) => sum + parts.reduce((all, { from, to }) => all + to - from, 0), 0);

/** Makes the part files that are missing and returns the counts of all. */
async function makeParts(
  pool: Pool,
  tasks: readonly PartTask[],
  { onProgress }: RecordsRun,
): Promise<PartCounts> {
  const missing = tasks.filter(({ path }) => !existsSync(path));
  const total = tasks.reduce((sum, task) => sum + bytesOf(task), 0);
  let done = total - missing.reduce((sum, task) => sum + bytesOf(task), 0);
  await pool.run(missing, () => {}, (bytes) => {
    done += bytes;
    onProgress?.({ stage: "records: instances", done, total, unit: "bytes" });
  });
  const sum = partReader(tasks[0]?.path ?? "").counts;
  for (const { path } of tasks.slice(1)) {
    const { counts } = partReader(path);
    for (const key of Object.keys(sum) as (keyof PartCounts)[]) sum[key] += counts[key];
  }
  return sum;
}

/** Writes the outputs that are missing; each is noted beside the parts as soon as it stands. */
async function writeOutputs(
  pool: Pool,
  { folder, outputs, share, total }: {
    readonly folder: string;
    readonly outputs: readonly string[];
    readonly share: number;
    readonly total: number;
  },
  { onProgress }: RecordsRun,
): Promise<ReportedFile[]> {
  const note = (i: number): string => join(folder, `output-${i}.json`);
  const files: (ReportedFile | undefined)[] = outputs.map((path, i) => {
    if (!existsSync(note(i))) return undefined;
    const found = JSON.parse(readFileSync(note(i), "utf8")) as ReportedFile;
    return statSync(path, { throwIfNoEntry: false })?.size === found.bytes ? found : undefined;
  });
  const missing = outputs.map((_, i) => i).filter((i) => files[i] === undefined);
  const tasks = missing.map((i): OutputTask => ({
    kind: "output",
    path: outputs[i] ?? "",
    folder,
    from: Math.floor(i * SLOTS / outputs.length),
    to: Math.floor((i + 1) * SLOTS / outputs.length),
    bucketBytes: Math.floor(share / 2),
  }));
  let done = files.reduce((sum, file) => sum + (file?.records ?? 0), 0);
  await pool.run(tasks, (task, made) => {
    const i = missing[task] ?? 0;
    files[i] = made as ReportedFile;
    writeFileAtomic(note(i), JSON.stringify(made));
  }, (records) => {
    done += records;
    onProgress?.({ stage: "records: write", done, total, unit: "records" });
  });
  return files.filter((file) => file !== undefined);
}

function reportOf(
  counts: PartCounts,
  inputs: readonly ReportedFile[],
  outputs: readonly ReportedFile[],
  manifest: string,
): RecordsReport {
  const { documents, sentences, pieces, instances, predictions, next, swapped, random } = counts;
  const pairs = { next, swapped, random };
  return { documents, sentences, pieces, instances, pairs, predictions, inputs, outputs, manifest };
}
