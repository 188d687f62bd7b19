import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  checkManifest,
  createRecords,
  readTfrecords,
  type RecordsOptions,
  type RecordsReport,
  shardOf,
} from "../../lib/records/mod.ts";
import { partCut, threadsFor } from "../../lib/records/stream.ts";
import { RECORDS_DEFAULTS } from "../../lib/records/config.ts";
import { streamSetting } from "../../lib/records/stream_work.ts";
import { workerPool } from "../../lib/records/stream_workers.ts";
import { blockLines, planStream, type StreamPlan } from "../../lib/records/stream_plan.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";
import { textsOf } from "./raw_texts.ts";

const golden = goldenPipeline();
const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
const tokenizer = loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")));

/** A folder with two raw files (the second goes on in the last document of the first) and the model. */
function place(): string {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const texts = ["corpus.txt", "corpus2.txt"].map((name) => golden.input_files[name] ?? "");
  writeFileSync(`${folder}/a.txt`, `\n\n${texts[0]}\n${texts[1]}`.trimEnd());
  writeFileSync(`${folder}/b.txt`, `${texts[1]}\n \u0301\n${texts[0]}`);
  writeFileSync(`${folder}/tok.model`, model, "base64");
  return folder;
}

const flags = { max_seq_length: 32, max_predictions_per_seq: 5, dupe_factor: 2, block_bytes: 2000 } as const;
function make(
  folder: string,
  options: Partial<RecordsOptions> = {},
  signal?: AbortSignal,
): Promise<RecordsReport> {
  return createRecords({
    ...flags,
    order: "stream",
    input_file: `${folder}/*.txt`,
    output_file: `${folder}/out`,
    tokenizer,
    tokenizer_file: `${folder}/tok.model`,
    ...options,
  }, signal === undefined ? {} : { signal });
}

async function records(...paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    for await (const { data } of readTfrecords(path)) {
      found.push(createHash("sha1").update(data).digest("hex"));
    }
  }
  return found;
}

function planOf(inputs: string[], blockBytes: number): StreamPlan {
  const steps = planStream(inputs, { blockBytes, wordpiece: false, mode: "r" });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

Deno.test("planStream() cuts at blank lines only, numbers documents, and loses no line", () => {
  const folder = place();
  const inputs = [`${folder}/a.txt`, `${folder}/b.txt`];
  const whole = inputs.flatMap((path) => readFileSync(path, "utf8").replaceAll("\r", "").split("\n")).filter(
    Boolean,
  );
  for (const blockBytes of [1, 300, 2000, 1 << 20]) {
    const { blocks, documents, cuts } = planOf(inputs, blockBytes);
    const lines = blocks.flatMap((block) => textsOf(blockLines(inputs, block)));
    assert.deepEqual(lines.filter(Boolean), whole);
    if (blockBytes < 300) assert(cuts > 0 && blocks.length > documents / 2);
    if (blockBytes >= 2000) assert.equal(documents, planOf(inputs, 1 << 20).documents + cuts);
    assert.deepEqual(blocks.map(({ firstDocument }) => firstDocument).toSorted((a, b) => a - b)[0], 0);
  }
});

Deno.test("createRecords() in stream order writes the same bytes with 1 and 2 workers", async () => {
  const folder = place();
  const one = await make(folder, { output_file: `${folder}/one/x,${folder}/one/y` });
  const two = await make(folder, { output_file: `${folder}/two/x,${folder}/two/y`, workers: 2 });
  assert.deepEqual(two.outputs.map(({ sha256 }) => sha256), one.outputs.map(({ sha256 }) => sha256));
  assert.deepEqual({ ...two, outputs: 0, manifest: 0 }, { ...one, outputs: 0, manifest: 0 });
  assert(one.instances > 100 && one.pairs.swapped > 10 && one.predictions > one.instances);
  assert(one.outputs.every(({ records }) => (records ?? 0) > one.instances / 3));
  assert.deepEqual(readdirSync(`${folder}/one`).sort(), ["x", "x.manifest.json", "y"]);
  assert.deepEqual(checkManifest(one.manifest), []);
});

Deno.test("createRecords() in stream order writes the same file when two threads share it, and its passes", async () => {
  const folder = place();
  const large = { dupe_factor: 151, block_bytes: 1 << 20, max_seq_length: 128 }; // one block, several segments
  const one = await make(folder, { ...large, output_file: `${folder}/one` });
  assert.ok((one.outputs[0]?.bytes ?? 0) > 4e6);
  const stop = new AbortController();
  const seen = new Set<string>();
  const again = {
    ...flags,
    ...large,
    order: "stream",
    workers: 2,
    tokenizer,
    tokenizer_file: `${folder}/tok.model`,
  } as const;
  const files = { input_file: `${folder}/*.txt`, output_file: `${folder}/two` };
  await assert.rejects(
    createRecords({ ...again, ...files }, {
      signal: stop.signal,
      onProgress: ({ stage }) => {
        if (stage === "records: write") stop.abort(new Error("stopped"));
      },
    }),
    /stopped/,
  );
  assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("two")), ["two.parts"]);
  const parts = readdirSync(`${folder}/two.parts`);
  assert.deepEqual(parts.sort(), ["part-000000", "part-000001", "plan.json"]);
  const damaged = readFileSync(`${folder}/two.parts/part-000001`);
  damaged[damaged.length >> 1]! ^= 1; // in range
  writeFileSync(`${folder}/two.parts/part-000001`, damaged);
  writeFileSync(`${folder}/two.tmp-${2 ** 30}`, "of a process that was killed");
  const two = await createRecords({ ...again, ...files }, { onProgress: ({ stage }) => seen.add(stage) });
  assert.deepEqual([...seen], ["records: scan", "records: instances", "records: write"]);
  assert.equal(two.outputs[0]?.sha256, one.outputs[0]?.sha256);
  assert.equal(
    createHash("sha256").update(readFileSync(`${folder}/two`)).digest("hex"),
    one.outputs[0]?.sha256,
  );
  assert.deepEqual({ ...two, outputs: 0, manifest: 0 }, { ...one, outputs: 0, manifest: 0 });
  assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("two")), [
    "two",
    "two.manifest.json",
  ]);
});

Deno.test("partCut() lets threads end together: few blocks are shared by their passes, many are gathered", () => {
  const cut = (blocks: number, threads: number, passes: number): number[] =>
    Object.values(partCut({ blocks, threads, passes }));
  assert.deepEqual(cut(1, 1, 40), [1, 1]);
  assert.deepEqual(cut(1, 2, 40), [1, 2]);
  assert.deepEqual(cut(1, 2, 1), [1, 1]); // one pass is one thread's
  assert.deepEqual(cut(5, 2, 5), [1, 1]); // encoding each twice would take longer
  assert.deepEqual(cut(5, 2, 40), [1, 2]);
  assert.deepEqual(cut(4, 2, 40), [1, 1]);
  assert.deepEqual(cut(3, 4, 40), [1, 4]);
  assert.deepEqual(cut(1000, 2, 40), [16, 1]);
});

Deno.test("createRecords() in stream order runs as many threads as stay within its memory, and says so", async () => {
  assert.deepEqual([1, 2, 8, 256].map((workers) => threadsFor(workers, 30_000)), [1, 2, 4, 4]);
  assert.deepEqual([8, 256].map((workers) => threadsFor(workers, 4000)), [6, 6]);
  assert.equal(threadsFor(8, 2_000_000), 1);
  const folder = place();
  const one = await make(folder, { output_file: `${folder}/one/x` });
  const notes: string[] = [];
  const many = await createRecords({
    ...flags,
    order: "stream",
    input_file: `${folder}/*.txt`,
    output_file: `${folder}/many/x`,
    tokenizer,
    tokenizer_file: `${folder}/tok.model`,
    workers: 9,
  }, { onWarning: (line) => void notes.push(line) });
  assert.ok(notes.some((line) => /^[67] of 9 workers run: .* 512 MB/.test(line)), notes.join("; "));
  assert.deepEqual(many.outputs.map(({ sha256 }) => sha256), one.outputs.map(({ sha256 }) => sha256));
});

Deno.test("createRecords() in stream order makes the same set of records with 1 and 3 shards, in a shuffled order", async () => {
  const folder = place();
  const whole = await make(folder);
  const paths: string[] = [];
  for (const shard_index of [0, 1, 2]) {
    const { outputs } = await make(folder, { shard_index, shard_count: 3, output_file: `${folder}/s` });
    paths.push(...outputs.map(({ path }) => path));
  }
  assert.deepEqual(paths, [0, 1, 2].map((i) => `${folder}/s-0000${i}-of-00003`));
  const all = await records(`${folder}/out`);
  assert.equal(all.length, whole.instances);
  assert.deepEqual((await records(...paths)).sort(), all.toSorted());
  await make(folder, { output_file: `${folder}/gzip`, compression: "gzip" });
  assert.deepEqual(await records(`${folder}/gzip`), all);
  assert(statSync(`${folder}/gzip`).size < statSync(`${folder}/out`).size / 2);
  const other = await make(folder, { output_file: `${folder}/other`, random_seed: 7 });
  assert.notDeepEqual((await records(`${folder}/other`)).sort(), all.toSorted());
  assert.equal(other.documents, whole.documents);
});

/** Runs until a stage has done a share of its work, then stops; returns the stages that reported. */
async function runUntil(options: RecordsOptions, stage: string, share: number): Promise<string[]> {
  const stop = new AbortController();
  const seen: string[] = [];
  const work = createRecords(options, {
    signal: stop.signal,
    onProgress: (progress) => {
      seen.push(progress.stage);
      if (progress.stage === stage && progress.done > share * (progress.total ?? 0)) {
        stop.abort(new Error("stopped"));
      }
    },
  });
  await assert.rejects(work, /stopped/);
  return seen;
}

Deno.test("createRecords() in stream order goes on at the first unfinished part, then at the first unfinished output", async () => {
  const folder = place();
  const input_file = `${folder}/*.txt`;
  const whole = await make(folder, { output_file: `${folder}/ref/k,${folder}/ref/l` });
  const output_file = `${folder}/k,${folder}/l`;
  const options = { ...flags, order: "stream", input_file, output_file, tokenizer } as const;
  await runUntil(options, "records: instances", 0.6);
  const kept = readdirSync(`${folder}/k.parts`);
  assert(kept.includes("part-000000") && !existsSync(`${folder}/k`));
  assert.deepEqual([...kept, ...readdirSync(folder)].filter((name) => name.includes(".tmp-")), []);
  const made = statSync(`${folder}/k.parts/part-000000`).mtimeMs;
  await assert.rejects(
    createRecords({ ...options, ngram: 1 }),
    /k\.parts holds the unfinished work of another run .*--overwrite/,
  );
  await runUntil(options, "records: write", 0.7);
  assert.equal(statSync(`${folder}/k.parts/part-000000`).mtimeMs, made);
  assert.deepEqual([existsSync(`${folder}/k`), existsSync(`${folder}/l`)], [true, false]);
  const first = statSync(`${folder}/k`).mtimeMs;
  const stages = new Set<string>();
  const report = await createRecords(options, { onProgress: ({ stage }) => stages.add(stage) });
  assert.deepEqual([...stages], ["records: scan", "records: write"]);
  assert.equal(statSync(`${folder}/k`).mtimeMs, first);
  assert.deepEqual(report.outputs.map(({ sha256 }) => sha256), whole.outputs.map(({ sha256 }) => sha256));
  assert.equal(existsSync(`${folder}/k.parts`), false);
});

Deno.test("createRecords() in stream order does nothing when all is there, and works again when a file is not", async () => {
  const folder = place();
  const first = await make(folder);
  const made = statSync(`${folder}/out`).mtimeMs;
  assert.deepEqual(await make(folder), first);
  assert.equal(statSync(`${folder}/out`).mtimeMs, made);
  writeFileSync(`${folder}/out`, "");
  assert.match(checkManifest(first.manifest)[0] ?? "", /it has 0 bytes/);
  assert.deepEqual(await make(folder), first);
  assert.deepEqual(checkManifest(first.manifest), []);
});

Deno.test("createRecords() in stream order says what is wrong with workers, and passes errors of workers on", async () => {
  const folder = place();
  const { tokenizer_file: _, ...none } = { tokenizer_file: "" };
  await assert.rejects(
    createRecords({
      ...flags,
      ...none,
      order: "stream",
      workers: 2,
      input_file: `${folder}/a.txt`,
      output_file: `${folder}/o`,
      tokenizer,
    }),
    /2 workers: they need tokenizer_file/,
  );
  await assert.rejects(make(folder, { workers: 0 }), /workers is 0, expected 1 to 256/);
  await assert.rejects(make(folder, { workers: 2, tokenizer_file: `${folder}/a.txt` }), /a\.txt/);
  writeFileSync(`${folder}/c.txt`, Uint8Array.of(97, 10, 0xff, 10));
  await assert.rejects(make(folder, { workers: 2, overwrite: true }), /c\.txt: invalid UTF-8 at byte 2/);
  await assert.rejects(make(folder, { overwrite: true }), /c\.txt: invalid UTF-8 at byte 2/);
  assert.equal(existsSync(`${folder}/out`), false);
});

Deno.test("workerPool() ends a run when a thread dies of full memory, and can be closed", async () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const pieces = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ...Array.from({ length: 300_000 }, (_, i) => `w${i}`),
  ];
  writeFileSync(`${folder}/vocab.txt`, pieces.join("\n"));
  const config = { ...RECORDS_DEFAULTS, input_file: "", output_file: "" };
  const setting = streamSetting(config, tokenizer, 1 << 16);
  const pool = workerPool({ setting, breathe: () => undefined, signal: undefined }, 1, {
    task: "albert-guide records",
    config,
    tokenizerFile: `${folder}/vocab.txt`,
    style: "wordpiece",
    spm_version: "0.2.2",
    piecesSha256: "",
    runBytes: 1 << 16,
    pieces: 0, // as if the vocabulary were small: the thread gets a heap that is too small for it
  }, { silence: 1500 });
  try {
    await assert.rejects(
      pool.run([], () => {}, () => {}),
      /a worker died: .*memory.*finished parts are kept, run the same command again, with fewer --workers/,
    );
  } finally {
    await pool.close();
  }
});

Deno.test("shardOf() reads Slurm, Kubernetes and MPI, flags first", () => {
  const shard = (environment: Record<string, string>, flags = {}): string => {
    const { shard_index, shard_count, source } = shardOf(environment, flags);
    return `${shard_index}/${shard_count} ${source}`;
  };
  assert.equal(shard({}), "0/1 none");
  const array = { SLURM_ARRAY_TASK_ID: "7", SLURM_ARRAY_TASK_MIN: "1", SLURM_ARRAY_TASK_STEP: "2" };
  assert.equal(
    shard({ ...array, SLURM_ARRAY_TASK_COUNT: "4", SLURM_PROCID: "0" }),
    "3/4 SLURM_ARRAY_TASK_ID",
  );
  assert.equal(shard({ SLURM_PROCID: "1", SLURM_NTASKS: "2" }), "1/2 SLURM_PROCID");
  assert.equal(shard({ OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "2" }), "1/2 OMPI_COMM_WORLD_RANK");
  assert.equal(shard({ PMI_RANK: "0", PMI_SIZE: "3" }), "0/3 PMI_RANK");
  assert.equal(shard({ JOB_COMPLETION_INDEX: "2" }, { shard_count: 3 }), "2/3 JOB_COMPLETION_INDEX");
  assert.equal(shard({ PMI_RANK: "0", PMI_SIZE: "3" }, { shard_index: 1, shard_count: 9 }), "1/9 flags");
  assert.equal(shard({ JOB_COMPLETION_INDEX: "2" }, { shard_count: 1 }), "0/1 flags");
  assert.throws(
    () => shard({ JOB_COMPLETION_INDEX: "2" }),
    /JOB_COMPLETION_INDEX is 2, .*give --shard_count/,
  );
  assert.throws(() => shard({}, { shard_index: 2 }), /shard_index is given alone/);
  const some = (id: string, count: string, from: string, to: string) => ({
    SLURM_ARRAY_TASK_ID: id,
    SLURM_ARRAY_TASK_COUNT: count,
    SLURM_ARRAY_TASK_MIN: from,
    SLURM_ARRAY_TASK_MAX: to,
    SLURM_ARRAY_TASK_STEP: "1",
  });
  assert.equal(shard(some("3", "8", "1", "8")), "2/8 SLURM_ARRAY_TASK_ID");
  assert.equal(shard(some("3", "8", "1", "8"), { shard_count: 8 }), "2/8 SLURM_ARRAY_TASK_ID");
  assert.equal(shard(some("7", "2", "3", "7"), { shard_count: 8 }), "7/8 SLURM_ARRAY_TASK_ID"); // --array=3,7
  assert.equal(shard(some("3", "1", "3", "3"), { shard_count: 8 }), "3/8 SLURM_ARRAY_TASK_ID");
  assert.throws(
    () => shard(some("7", "2", "3", "7")),
    /2 tasks from 3 to 7, which are not all of a run; give --shard_count/,
  );
});
