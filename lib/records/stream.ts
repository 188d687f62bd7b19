/**
 * Records in bounded memory: `order: "stream"`. A first pass over the text finds blocks of documents; parts of them become
 * sorted part files; a second pass over those writes the outputs in a random order of all records. Everything finished
 * stays in `<first output>.parts`, so the same command goes on after a kill at the first unfinished part or output.
 */
import { createHash } from "node:crypto";
import { existsSync, rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { removeLeftovers, writeFileAtomic } from "../formats/mod.ts";
import type { RecordsConfig, RecordsOptions, RecordsReport, ReportedFile } from "./config.ts";
import type { RecordsRun } from "./create.ts";
import { expandPatterns } from "./inputs.ts";
import { manifestOf, piecesHash, plainFlags, readManifest } from "./manifest.ts";
import { breather, emptyCorpus, outputNames, warnings } from "./outputs.ts";
import { type Block, planStream, type StreamPlan } from "./stream_plan.ts";
import { writeOutputs } from "./stream_outputs.ts";
import { isWholePart, noCounts, type PartCounts, partReader, SLOTS } from "./stream_runs.ts";
import { type Pool, workerPool } from "./stream_workers.ts";
import { dropParts, isStillThere, openParts, type PartCut } from "./parts_folder.ts";
import { type PartTask, shardName, streamSetting } from "./stream_work.ts";

const WORK_BYTES = 16 << 20; // of runs and of buckets in memory, over all workers
const PART_BLOCKS = 16; // most blocks of a part
const ATTEMPTS = 5; // at a task that other processes are at as well

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
  outputs.forEach(removeLeftovers);
  const folder = `${outputs[0]}.parts`;
  const blocks = plan.blocks.filter((_, index) => index % config.shard_count === config.shard_index);
  const keys = config.shard_count > 1; // for the shuffle over all shards
  if (blocks.length === 0 && !keys) throw emptyCorpus(inputs, config);
  const threads = threadsFor(workers, tokenizer.size);
  if (threads < workers) {
    run.onWarning?.(
      `${threads} of ${workers} workers run: with a vocabulary of ${tokenizer.size} pieces more would take over 512 MB; ` +
        "the records are the same, and more processes are had by --shard_count",
    );
  }
  const job = { config, options, run, inputs, plan, folder, blocks, outputs, manifest, run_sha256, threads };
  for (let attempt = 1;; attempt++) {
    const wished = partCut({ passes: config.dupe_factor, blocks: blocks.length, threads });
    const cut = await openParts(folder, { run_sha256, overwrite, cut: wished });
    try {
      return await fromParts(job, cut);
    } catch (error) {
      if (attempt === ATTEMPTS || run.signal?.aborted || isStillThere(folder, run_sha256, cut)) throw error;
    }
    const other = finishedRun(manifest, run_sha256, outputs);
    if (other !== undefined) return other;
    run.onWarning?.(
      `another attempt at these records took ${folder} away; what it had not finished is made again`,
    );
  }
}

/** What a run is about to make. */
type Job = {
  readonly config: RecordsConfig;
  readonly options: RecordsOptions;
  readonly run: RecordsRun;
  /** Raw files, as patterns were expanded at the start. */
  readonly inputs: readonly string[];
  readonly plan: StreamPlan;
  readonly folder: string;
  readonly blocks: readonly Block[];
  readonly outputs: readonly string[];
  readonly manifest: string;
  readonly run_sha256: string;
  readonly threads: number;
};

/** Makes the parts that are not there, and the outputs from all. */
async function fromParts(
  { config, options, run, inputs, plan, folder, blocks, outputs, manifest, run_sha256, threads }: Job,
  cut: PartCut,
): Promise<RecordsReport> {
  const { tokenizer, tokenizer_sha256: model_sha256 } = options;
  const keys = config.shard_count > 1; // for the shuffle over all shards
  const share = Math.floor(WORK_BYTES / threads);
  const own = {
    setting: streamSetting(config, tokenizer, share),
    breathe: breather(run.signal),
    signal: run.signal,
  };
  const pool = workerPool(own, threads - 1, {
    task: "albert-guide records",
    config,
    tokenizerFile: options.tokenizer_file ?? "",
    style: tokenizer.style ?? "sentencepiece",
    spm_version: tokenizer.spm_version ?? "0.2.0",
    piecesSha256: piecesHash(tokenizer),
    runBytes: share,
    pieces: tokenizer.size,
  });
  try {
    const tasks = partTasks({ folder, inputs, blocks, passes: config.dupe_factor }, cut);
    const counts = await makeParts(pool, tasks, run);
    if (counts.documents === 0 && !keys) throw emptyCorpus(inputs, config); // a shard may be without
    const { documents, sentences, longSentences: long } = counts;
    warnings({ documents, sentences, long, cuts: plan.cuts }, config).forEach((line) =>
      run.onWarning?.(line)
    );
    if (!isStillThere(folder, run_sha256, cut)) {
      throw new Error(`Cannot create records: ${folder} was taken away`);
    }
    rmSync(manifest, { force: true }); // an old one must not vouch for half new files
    const compressed = config.compression !== "none";
    const bucketBytes = Math.floor(share / 2);
    const total = counts.instances;
    const files = await writeOutputs(
      pool,
      { folder, parts: tasks.length, outputs, bucketBytes, total, compressed, keys, threads },
      run,
    );
    const report = reportOf(counts, plan.inputs, files, manifest);
    writeFileAtomic(manifest, manifestOf(report, config, tokenizer, { model_sha256, run_sha256 }));
    dropParts(folder);
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

/** How the work on blocks is cut into parts: blocks of a part, and parts that share the passes over a block. */
/** Work of reading and encoding a block, in passes over it. */
const ENCODING = 3;

/** Enough parts that all threads end together; where blocks are few, threads share the passes over one and each encodes it. */
export function partCut(
  { passes, blocks, threads }: { readonly passes: number; readonly blocks: number; readonly threads: number },
): PartCut {
  const part_blocks = Math.max(1, Math.min(PART_BLOCKS, Math.ceil(blocks / (4 * threads))));
  let pass_parts = 1;
  const cost = (parts: number): number =>
    Math.ceil(parts * blocks / threads) * (ENCODING + Math.ceil(passes / parts));
  for (let parts = 2; part_blocks === 1 && parts <= Math.min(passes, 4 * threads); parts++) {
    if (cost(parts) < cost(pass_parts)) pass_parts = parts;
  }
  return { part_blocks, pass_parts };
}

function partTasks(
  { folder, inputs, blocks, passes }: {
    readonly folder: string;
    readonly inputs: readonly string[];
    readonly blocks: readonly Block[];
    readonly passes: number;
  },
  { part_blocks: size, pass_parts: parts }: PartCut,
): PartTask[] {
  return Array.from({ length: Math.ceil(blocks.length / size) * parts }, (_, i) => {
    const [group, part] = [Math.floor(i / parts), i % parts];
    return {
      kind: "part",
      path: join(folder, `part-${String(i).padStart(6, "0")}`),
      inputs,
      blocks: blocks.slice(group * size, (group + 1) * size),
      passes: { from: Math.floor(part * passes / parts), to: Math.floor((part + 1) * passes / parts) },
    };
  });
}

const bytesOf = ({ blocks, passes }: PartTask): number =>
  (passes.to - passes.from) *
  blocks.reduce((sum, { parts }) => sum + parts.reduce((all, { from, to }) => all + to - from, 0), 0);

/** Makes the part files that are missing and returns the counts of all. */
async function makeParts(
  pool: Pool,
  tasks: readonly PartTask[],
  { onProgress }: RecordsRun,
): Promise<PartCounts> {
  const missing = tasks.filter(({ path }) => !isWholePart(path));
  const total = tasks.reduce((sum, task) => sum + bytesOf(task), 0);
  let done = total - missing.reduce((sum, task) => sum + bytesOf(task), 0);
  await pool.run(missing, () => {}, (bytes) => {
    done += bytes;
    onProgress?.({ stage: "records: instances", done, total, unit: "bytes" });
  });
  const sum = noCounts();
  for (const { path } of tasks) {
    const { counts } = partReader(path);
    for (const key of Object.keys(sum) as (keyof PartCounts)[]) sum[key] += counts[key];
  }
  return sum;
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
