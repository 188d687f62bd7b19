// Records: speed, peak memory and the share of each step, in both orders; the checksum against the fastest of npm; and, where
// ALBERT_REFERENCE names it, the original side by side. It is `<python>:<folder>`: an interpreter with tensorflow and
// sentencepiece, and the folder that holds google-research's `albert`. `--dupe=40` sets the passes, default 10; `--corpus=kjv`
// or `handbuch` measures one alone.
import { spawnSync } from "node:child_process";
import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { crc32c, type EmbeddedCorpus, readEmbedded, trainUnigram } from "../../lib/mod.ts";
import { inPairs, type Ratio, ratioOf } from "./pairs.ts";
import type { RecordsRun } from "./records_run.ts";

const LONG = 16; // times the passes: work of many seconds, beside which the start of a thread is little

const corpora: readonly EmbeddedCorpus[] = ["kjv", "handbuch"];

type Files = { readonly name: string; readonly place: string; readonly raw: string; readonly model: string };

/** Yields what each run measured, then ratios. */
export async function* recordsBench(
  { dupe = "10", corpus }: { readonly [name: string]: string } = {},
): AsyncGenerator<Ratio | string> {
  yield* checksumBench();
  for (const name of corpora.filter((each) => corpus === undefined || each === corpus)) {
    const files = await prepare(name);
    const dupe_factor = Number(dupe);
    for (const order of ["reference", "stream"] as const) {
      const one = measure(files, { order, workers: 1, dupe_factor });
      yield describe(files, `${name} x ${dupe}, ${order}, 1 worker`, dupe_factor, one);
      if (order === "stream") {
        for (const passes of [dupe_factor, LONG * dupe_factor]) yield* workersBench(files, passes);
      } else {
        const unmasked = measure(files, { order, workers: 1, dupe_factor, masked_lm_prob: 0 });
        const share = 1 - (unmasked.stages["instances"] ?? 0) / (one.stages["instances"] ?? 1);
        yield `${name}: masking is ${(100 * share).toFixed(0)} % of the step instances`;
      }
    }
    yield* againstReference(files, dupe_factor);
  }
}

/** One worker and two in turn, one output. */
function* workersBench(files: Files, dupe_factor: number): Generator<Ratio | string> {
  const rounds = [0, 1, 2].map(() =>
    [1, 2].map((workers) =>
      measure(files, { order: "stream", workers, dupe_factor }, { runs: 1, outputs: 1 })
    )
  );
  const seconds = (k: number): number[] => rounds.map((runs) => runs[k]?.seconds ?? NaN);
  const two = rounds[0]?.[1];
  if (two !== undefined) {
    yield describe(files, `${files.name} x ${dupe_factor}, stream, 2 workers`, dupe_factor, two);
  }
  const ratio = ratioOf(`2 workers / 1 on ${files.name} x ${dupe_factor}`, seconds(1), seconds(0));
  yield ratio;
  yield `${files.name} x ${dupe_factor}: 2 workers make ${(1 / ratio.ratio).toFixed(2)} times as much as 1`;
}

async function prepare(name: EmbeddedCorpus): Promise<Files> {
  const place = mkdtempSync(join(tmpdir(), "albert-bench-"));
  const documents = readEmbedded(name).map(({ paragraphs }) => paragraphs);
  const [raw, model] = [join(place, "raw.txt"), join(place, "m.model")];
  writeFileSync(raw, documents.map((lines) => `${lines.join("\n")}\n`).join("\n"));
  const trained = await trainUnigram(documents.flat(), {
    vocab_size: 4000,
    pad_id: 0,
    unk_id: 1,
    bos_id: -1,
    eos_id: -1,
    control_symbols: "[CLS],[SEP],[MASK]",
  });
  writeFileSync(model, trained.model);
  return { name, place, raw, model };
}

/** The median of some runs, each in a process of its own. */
function measure(
  { place, raw, model }: Files,
  flags: Readonly<Record<string, unknown>>,
  { runs: rounds = 3, outputs: files = 2 } = {},
): RecordsRun {
  const script = fileURLToPath(new URL("records_run.ts", import.meta.url));
  const outputs = Array.from({ length: files }, (_, i) => join(place, `o${i}.tfrecord`)).join(",");
  const given = JSON.stringify({ ...flags, model, input_file: raw, output_file: outputs });
  const runs = Array.from({ length: rounds }, () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["run", "-A", "--no-check", script, given],
      {
        encoding: "utf8",
      },
    );
    if (status !== 0) throw new Error(`Cannot measure records: ${stderr}`);
    return JSON.parse(stdout) as RecordsRun;
  });
  return runs.sort((a, b) => a.seconds - b.seconds)[rounds >> 1]!; // in range
}

function describe({ raw }: Files, what: string, dupe: number, run: RecordsRun): string {
  const { seconds, stages, records, peak, base } = run;
  const bytes = statSync(raw).size;
  const shares = Object.entries(stages).map(([stage, time]) =>
    `${stage} ${(100 * time / seconds).toFixed(0)} %`
  );
  return `${what.padEnd(38)} ${(bytes * dupe / 1e6 / seconds).toFixed(1)} MB/s of text x passes, ` +
    `${(records / seconds).toFixed(0)} records/s, peak ${peak.toFixed(0)} MB (${base.toFixed(0)} before); ${
      shares.join(", ")
    }`;
}

const driver = `
import os, sys, types, random
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.modules["tensorflow_hub"] = types.ModuleType("tensorflow_hub")
sys.path.insert(0, os.environ["ALBERT_FOLDER"])
import numpy
from albert import create_pretraining_data as original
from absl import flags
original.tf.logging.info = lambda *a, **k: None
numpy.random.seed(12345)
flags.FLAGS(sys.argv)
original.main(None)
`;

/** Whole commands in turn, the same flags, one core each. */
async function* againstReference(
  { name, place, raw, model }: Files,
  dupe: number,
): AsyncGenerator<Ratio | string> {
  const [python, folder] = (process.env["ALBERT_REFERENCE"] ?? "").split(":");
  if (!python || !folder) {
    yield "the original: set ALBERT_REFERENCE=<python>:<folder of albert> to run it side by side";
    return;
  }
  const flags = [`--input_file=${raw}`, `--spm_model_file=${model}`, `--dupe_factor=${dupe}`];
  const cli = fileURLToPath(new URL("../../lib/cli.ts", import.meta.url));
  const seconds = (command: string, args: readonly string[]): number => {
    const start = performance.now();
    const env = { ...process.env, ALBERT_FOLDER: folder, OMP_NUM_THREADS: "1" };
    const { status, stderr } = spawnSync(command, args, { env, encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot run ${command}: ${stderr.slice(-2000)}`);
    return (performance.now() - start) / 1000;
  };
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < 2; round++) {
    ours.push(
      seconds(process.execPath, [
        "run",
        "-A",
        "--no-check",
        cli,
        "records",
        ...flags,
        `--output_file=${place}/a`,
      ]),
    );
    theirs.push(
      seconds(python, ["-c", driver, ...flags, "--vocab_file=none", `--output_file=${place}/b`]),
    );
  }
  const ratio = ratioOf(`whole command on ${name} x ${dupe}: ours / the original`, ours, theirs);
  yield ratio;
  yield `${name} x ${dupe}: ${(1 / ratio.ratio).toFixed(0)} times the original per core, start included`;
}

/** CRC-32C against the packages of npm that know it, over the same 16 MB. */
async function* checksumBench(): AsyncGenerator<Ratio | string> {
  const bytes = new Uint8Array(1 << 24).map((_, i) => (i * 2654435761) >>> 24);
  const native = await import("@node-rs/crc32");
  const { default: { buf } } = await import("crc-32/crc32c.js") as unknown as {
    readonly default: { readonly buf: (bytes: Uint8Array) => number };
  };
  const peers = [
    { name: "crc-32 (JavaScript)", run: () => buf(bytes) },
    { name: "@node-rs/crc32 (native, the fastest)", run: () => native.crc32c(bytes) },
  ];
  for (const peer of peers) {
    const ratio = await inPairs("checksum of 16 MB", { name: "crc32c", run: () => crc32c(bytes) }, peer);
    yield ratio;
    yield `crc32c: ${(bytes.length / 1e9 / ratio.ours).toFixed(2)} GB/s`;
  }
}
