/**
 * From raw files to records: the whole of `create_pretraining_data.py`. Sentences are tokenised once and kept as
 * integers, instances are packed, and the files appear together at the end, the manifest last. Same flags, seeds and
 * inputs give the same bytes.
 */
import { rmSync, statSync } from "node:fs";
import { removeLeftovers, writeFileAtomic } from "../formats/mod.ts";
import type { OnProgress } from "../progress.ts";
import {
  type Generators,
  generators,
  type InstancesBuilder,
  instancesBuilder,
  type PackedInstances,
} from "../tasks/mod.ts";
import { RECORDS_DEFAULTS, type RecordsConfig, type RecordsOptions, resolveRecords } from "./config.ts";
import type { RecordsReport, RecordsTokenizer, ReportedFile } from "./config.ts";
import { instanceEncoder } from "./encode_instance.ts";
import { expandPatterns, linesIn, type RawBlock, rawFile } from "./inputs.ts";
import { lineEncoder } from "./line_encoder.ts";
import { manifestOf } from "./manifest.ts";
import { breather, checkTokenizer, emptyCorpus, outputNames, warnings } from "./outputs.ts";
import { createStream } from "./stream.ts";
import { type TfrecordWriter, tfrecordWriter } from "./tfrecord.ts";

/**
 * What `createRecords` reports to, and what can stop it.
 *
 * @example
 * ```ts
 * import type { RecordsRun } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const run: RecordsRun = { signal: AbortSignal.timeout(60_000) };
 * assert.equal(run.signal?.aborted, false);
 * ```
 */
export type RecordsRun = {
  /** Called for bytes tokenised, documents done and records written. */
  readonly onProgress?: OnProgress;
  /** Stops the work; no file is left. */
  readonly signal?: AbortSignal;
  /** Called once for each thing that is allowed but rarely wished, in words for a person. */
  readonly onWarning?: (message: string) => void;
  /** Both generators, to look at their end state; default: fresh ones from the seeds. */
  readonly random?: Generators;
};

/**
 * Makes the records of a corpus. Outputs and `<first output>.manifest.json` appear only when all is done.
 *
 * Memory: 2 bytes a piece of the corpus (4 above 65,531 pieces), plus some 20 bytes and 2.2 a prediction for every instance:
 * 1.6 bytes per byte of text were measured on 100 MB of English in one pass at 512 pieces, 2.4 on 4 MB in 40 passes. Many
 * passes at short lengths take more: some 8 at 128 pieces in 40 passes.
 *
 * @param options Files, tokenizer and flags; the reference's defaults.
 * @param run Progress and a signal to stop.
 * @returns Counts, files and their hashes.
 * @throws {RangeError} When a flag is wrong, a pattern matches no file, or no document has a sentence.
 * @throws {CorruptFileError} When a raw file is not UTF-8: file and byte are named.
 * @throws {Error} When an output cannot be written or the device is full.
 * @example
 * ```ts
 * import { createRecords, readRecords } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * writeFileSync(`${folder}/raw.txt`, "a b\nb a\n\nb\na a\n");
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "▁b"];
 * const tokenizer = {
 *   size: pieces.length,
 *   idOf: (piece: string) => pieces.indexOf(piece),
 *   pieceOf: (id: number) => pieces[id] ?? "",
 *   encode: (text: string) => text.split(" ").map((word) => `▁${word}`),
 * };
 * const report = await createRecords({
 *   input_file: `${folder}/*.txt`,
 *   output_file: `${folder}/a.tfrecord`,
 *   tokenizer,
 *   max_seq_length: 12,
 *   max_predictions_per_seq: 2,
 *   dupe_factor: 3,
 * });
 * assert.deepEqual([report.documents, report.sentences, report.pieces], [2, 4, 7]);
 * let records = 0;
 * for await (const { input_ids } of readRecords([`${folder}/a.tfrecord`], { maxSeqLength: 12, maxPredictionsPerSeq: 2 })) {
 *   assert.equal(input_ids[0], 2);
 *   records++;
 * }
 * assert.equal(records, report.instances);
 * ```
 */
export async function createRecords(options: RecordsOptions, run: RecordsRun = {}): Promise<RecordsReport> {
  const { tokenizer, tokenizer_sha256, tokenizer_file: _file, workers: _workers, overwrite, ...flags } =
    options;
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  const config = resolveRecords({ ...RECORDS_DEFAULTS, ...Object.fromEntries(given) } as RecordsConfig);
  checkTokenizer(tokenizer, config);
  if (config.order === "stream") return createStream(config, options, run);
  const random = run.random ?? seeded(config);
  const style = tokenizer.style ?? "sentencepiece";
  const builder = instancesBuilder(tokenizer, random, { ...config, style, keepUnknown: false });
  const inputs = expandPatterns(config.input_file);
  const outputs = outputNames(config.output_file, inputs, { overwrite });
  outputs.forEach(removeLeftovers);
  const writers: TfrecordWriter[] = [];
  try {
    for (const path of outputs) writers.push(tfrecordWriter(path, config)); // now, so that a bad name fails early
    const { files: read, long } = await tokenizeFiles(inputs, tokenizer, config, builder, run);
    if (builder.sentences() === 0) throw emptyCorpus(inputs, config);
    const documents = await makeInstances(builder, config, run);
    warnings({ documents, sentences: builder.sentences(), long }, config).forEach((line) =>
      run.onWarning?.(line)
    );
    const made = builder.finish();
    const predictions = await writeInstances(made, config, writers, run);
    run.signal?.throwIfAborted(); // all may have been done between two pauses
    const files = writers.map((writer) => ({
      path: writer.path,
      sha256: writer.finish(),
      bytes: writer.bytes(),
      records: writer.records(),
    }));
    const report: RecordsReport = {
      documents,
      sentences: builder.sentences(),
      pieces: builder.pieces(),
      instances: made.size,
      pairs: { ...made.pairs },
      predictions,
      inputs: read,
      outputs: files,
      manifest: `${outputs[0]}.manifest.json`,
    };
    rmSync(report.manifest, { force: true }); // an old one must not vouch for half new files
    for (const writer of writers) writer.commit();
    writeFileAtomic(
      report.manifest,
      manifestOf(report, config, tokenizer, { model_sha256: tokenizer_sha256 }),
    );
    return report;
  } catch (error) {
    for (const writer of writers) writer.discard();
    throw error;
  }
}

/** Generators of a shard: seeds raised by its index, so that shards do not repeat each other's draws. */
function seeded({ random_seed, numpy_seed, shard_index }: RecordsConfig): Generators {
  if (shard_index === 0) return generators(random_seed, numpy_seed);
  return generators(BigInt(random_seed) + BigInt(shard_index), (numpy_seed + shard_index) % 2 ** 32);
}

async function tokenizeFiles(
  inputs: readonly string[],
  tokenizer: RecordsTokenizer,
  config: RecordsConfig,
  builder: InstancesBuilder,
  { onProgress, signal }: RecordsRun,
): Promise<{ readonly files: ReportedFile[]; readonly long: number }> {
  const total = inputs.reduce((sum, path) => sum + statSync(path).size, 0);
  const breathe = breather(signal);
  const files: ReportedFile[] = [];
  let before = 0;
  let document = 0;
  let inDocument = false;
  let long = 0; // sentences that no record holds whole
  const encoder = lineEncoder(tokenizer, builder.table, { lower: config.do_lower_case });
  const take = ({ bytes, decode }: RawBlock, from: number, to: number): void => {
    const pieces = encoder.line(bytes, from, to, () => decode(from, to));
    if (pieces < 0) {
      if (inDocument) document++;
      inDocument = false;
      builder.endDocument();
      return;
    }
    inDocument = true;
    if (document % config.shard_count !== config.shard_index) return;
    if (pieces > config.max_seq_length - 3) long++;
    builder.numbers(encoder.numbers().subarray(0, pieces));
  };
  for (const path of inputs) {
    const file = rawFile(path, config.input_file_mode);
    const report = (share: number): void =>
      onProgress?.({
        stage: "records: tokenize",
        done: Math.min(total, before + share),
        total,
        unit: "bytes",
      });
    let lines = 0;
    for (const block of file.blocks()) {
      for (const [from, to] of linesIn(block)) {
        take(block, from, to);
        const pause = (++lines & 63) === 0 ? breathe() : undefined;
        if (pause === undefined) continue;
        report(file.bytes() - block.bytes.length + to);
        await pause;
      }
    }
    before += file.bytes();
    report(0);
    files.push({ path, bytes: file.bytes(), sha256: file.sha256() });
  }
  builder.endDocument();
  return { files, long };
}

/** Returns the number of documents. */
async function makeInstances(
  builder: InstancesBuilder,
  config: RecordsConfig,
  { onProgress, signal }: RecordsRun,
): Promise<number> {
  const breathe = breather(signal);
  let documents = 0;
  for (const { done, total } of builder.steps()) {
    documents = total / config.dupe_factor;
    const pause = done === total ? Promise.resolve() : breathe();
    if (pause === undefined) continue;
    onProgress?.({ stage: "records: instances", done, total, unit: "documents" });
    await pause;
  }
  return documents;
}

/** Returns the number of tokens to predict. */
async function writeInstances(
  made: PackedInstances,
  config: RecordsConfig,
  writers: readonly TfrecordWriter[],
  { onProgress, signal }: RecordsRun,
): Promise<number> {
  const { encode } = instanceEncoder(config, made.table);
  const breathe = breather(signal);
  let predictions = 0;
  for (let place = 0; place < made.size; place++) {
    const instance = made.read(place);
    predictions += instance.count;
    writers[place % writers.length]?.write(encode(instance));
    const pause = place + 1 === made.size ? Promise.resolve() : breathe();
    if (pause === undefined) continue;
    onProgress?.({ stage: "records: write", done: place + 1, total: made.size, unit: "records" });
    await pause;
  }
  return predictions;
}
