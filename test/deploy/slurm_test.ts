// The scripts of deploy/ on a real Slurm of this machine: raws and records as arrays of eight tasks of which two are killed
// and requeued, a tokenizer from a sample of all raw files, training over MPI by srun. All equals what one process makes.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { checkManifest, createRecords } from "../../lib/records/mod.ts";
import { readEmbedded } from "../../lib/text/mod.ts";
import { latestCheckpoint, readCheckpoint } from "../../lib/train/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { type LocalSlurm, slurmLacks, startSlurm } from "./local_slurm.ts";

/** It takes half a minute of both cores, so it is asked for: ALBERT_SLURM=1. */
const lacks = process.env["ALBERT_SLURM"] === undefined ? " (ALBERT_SLURM=1 runs it)" : slurmLacks;

const root = fileURLToPath(new URL("../..", import.meta.url));
const flags = {
  dupe_factor: 300,
  max_seq_length: 64,
  max_predictions_per_seq: 10,
  block_bytes: 30_000,
} as const;
const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);

/** A Slurm, and a folder where its jobs write their logs. */
type Cluster = {
  readonly slurm: LocalSlurm;
  readonly place: string;
  /** Submits a script of deploy/ with variables and flags, returns its number. */
  readonly submit: (
    script: string,
    variables: Readonly<Record<string, string>>,
    options?: readonly string[],
    flags?: readonly string[],
  ) => string;
  /** Waits for something; else fails with the logs. */
  readonly until: (what: () => boolean) => Promise<void>;
  /** Waits until every task of a job is done. */
  readonly completed: (job: string) => Promise<void>;
  /** Kills a task of an array as a drained node would, and puts it back into the queue. */
  readonly requeue: (job: string, index: number) => Promise<void>;
};

function onSlurm(name: string, fn: (cluster: Cluster) => Promise<void>): void {
  Deno.test({
    name: `${name}${lacks}`,
    ignore: lacks !== "",
    fn: async () => {
      const place = mkdtempSync(join(tmpdir(), "albert-array-"));
      const before = process.env["PATH"];
      process.env["PATH"] = `${dirname(Deno.execPath())}:${before}`;
      const slurm = await startSlurm({ cpus: 8 });
      const logs = (): string =>
        readdirSync(place).filter((file) => file.endsWith(".log")).map((file) =>
          readFileSync(join(place, file), "utf8")
        ).join("");
      const until: Cluster["until"] = async (what) => {
        for (let i = 0; i < 900 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
        assert.ok(what(), `it did not come to ${what}: ${slurm.run("squeue", [])} ${logs()}`);
      };
      const submit: Cluster["submit"] = (script, variables, options = [], flags = []) => {
        const given = Object.entries(variables).map(([variable, value]) => `${variable}=${value}`);
        return slurm.run("sbatch", [
          ...[
            "--parsable",
            `--chdir=${root}`,
            `--output=${place}/%A-%a.log`,
            "--mem=500",
            "--cpus-per-task=1",
          ],
          ...[`--export=${["ALL", ...given].join(",")}`, ...options, join("deploy", script), ...flags],
        ]);
      };
      const completed = async (job: string): Promise<void> => {
        const states = (): string[] => Object.values(slurm.states(job));
        await until(() => states().every((state) => ["COMPLETED", "FAILED"].includes(state)));
        assert.ok(states().every((state) => state === "COMPLETED"), `${states()} ${logs()}`);
      };
      const requeue: Cluster["requeue"] = async (job, index) => {
        slurm.run("scontrol", ["requeue", `${job}_${index}`]);
        await until(() => slurm.states(job)[String(index)] === "PENDING");
        await until(() => slurm.run("squeue", ["-h", "-t", "COMPLETING"]) === "");
        await new Promise((resolve) => setTimeout(resolve, 2000)); // Slurm would give what is left of the task two minutes
        slurm.run("scontrol", ["update", `JobId=${job}_${index}`, "StartTime=now"]);
      };
      try {
        await fn({ slurm, place, submit, until, completed, requeue });
      } finally {
        slurm.close();
        process.env["PATH"] = before;
        rmSync(place, { recursive: true, force: true });
      }
    },
  });
}

/** The first chapters of a book as a raw file. */
function writeBook(path: string, documents: number): void {
  const texts = readEmbedded("kjv", { dataDir: join(root, "data") }).slice(0, documents).map((
    { paragraphs },
  ) => paragraphs);
  writeFileSync(path, texts.map((lines) => `${lines.join("\n")}\n`).join("\n"));
}

/** Runs a command of ours alone. */
function alone(args: readonly string[]): void {
  const { status, stderr } = spawnSync(Deno.execPath(), ["run", "-A", "lib/cli.ts", ...args], {
    cwd: root,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
}

onSlurm(
  "eight tasks of a Slurm array, two of them killed and requeued, make the records of one process",
  async ({ slurm, place, submit, until, completed, requeue }) => {
    const [raw, model, output] = ["raw.txt", "tok.model", "records"].map((name) => join(place, name)) as [
      string,
      string,
      string,
    ];
    writeBook(raw, 500);
    writeFileSync(
      model,
      goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64,
      "base64",
    );
    const variables = { RAW: raw, TOKENIZER: model, RECORDS: output, SHARDS: "8" };
    const job = submit("slurm_records.sbatch", variables, ["--array=0-7"], given);
    const shard = (index: number): string => `${output}-0000${index}-of-00008`;
    await Promise.all([2, 5].map(async (index) => {
      await until(() => existsSync(`${shard(index)}.parts`)); // it is at work
      await requeue(job, index);
    }));
    await completed(job);
    assert.equal(Object.keys(slurm.states(job)).length, 8);
    rmSync(`${shard(6)}.manifest.json`);
    const again = submit("slurm_records.sbatch", variables, ["--array=3,6"], given); // one of them still stands
    await completed(again);
    await completed(submit("slurm_finish.sbatch", variables, [`--dependency=afterok:${again}`], given));
    const whole = await createRecords({
      ...flags,
      order: "stream",
      mask_budget: "prob",
      input_file: raw,
      output_file: join(place, "one"),
      tokenizer: loadSentencePiece(readFileSync(model)),
    });
    const sha256 = createHash("sha256").update(readFileSync(output)).digest("hex");
    assert.equal(sha256, whole.outputs[0]?.sha256);
    assert.deepEqual(checkManifest(`${output}.manifest.json`), []);
  },
);

onSlurm(
  "raws as a Slurm array with two tasks killed and requeued, a tokenizer of a sample of them, training by srun",
  async ({ slurm, place, submit, until, completed, requeue }) => {
    const [text, raw, whole] = ["text.txt", "raw.txt", "whole.txt"].map((name) => join(place, name)) as [
      string,
      string,
      string,
    ];
    writeBook(text, 1189);
    const job = submit("slurm_raws.sbatch", { TEXT: text, RAW: raw }, ["--array=0-7"]);
    await Promise.all([1, 6].map(async (index) => {
      await until(() => slurm.states(job)[String(index)] === "RUNNING");
      await requeue(job, index);
    }));
    await completed(job);
    alone(["raws", `--input=${text}`, `--output=${whole}`]);
    const documents = (paths: readonly string[]): string[] =>
      paths.flatMap((path) => readFileSync(path, "utf8").split("\n\n")).map((each) => each.trim()).sort();
    const shards = Array.from({ length: 8 }, (_, i) => join(place, `raw-0000${i}-of-00008.txt`));
    assert.equal(documents([whole]).length, 1189);
    assert.deepEqual(documents(shards).filter((each) => each !== ""), documents([whole]));

    const size = ["--sample_size=5000", "--vocab_size=1000"];
    const trained = submit(
      "slurm_tokenizer.sbatch",
      {
        RAW: join(place, "raw-*.txt"),
        TOKENIZER: join(place, "tok"),
      },
      [],
      size,
    );
    await completed(trained);
    alone([
      ...[
        "tokenizer",
        `--input=${whole}`,
        `--model_prefix=${join(place, "one")}`,
        ...size,
        "--preprocess=albert",
      ],
      ...["--pad_id=0", "--unk_id=1", "--bos_id=-1", "--eos_id=-1", "--control_symbols=[CLS],[SEP],[MASK]"],
    ]);
    assert.ok(readFileSync(join(place, "tok.vocab")).equals(readFileSync(join(place, "one.vocab"))));

    const records = join(place, "train.tfrecord");
    const lengths = ["--max_seq_length=32", "--max_predictions_per_seq=5"];
    alone([
      ...["records", `--input_file=${whole}`, `--output_file=${records}`, ...lengths],
      `--spm_model_file=${join(place, "tok.model")}`,
    ]);
    const run = [
      ...["--preset=tiny", "--train_batch_size=16", "--num_train_steps=20", "--num_warmup_steps=4"],
      ...[...lengths, "--save_checkpoints_steps=20", "--engine=tfjs"],
    ];
    const inputs = { RECORDS: records, TOKENIZER: join(place, "tok.model") };
    const over = submit(
      "slurm_pretrain_mpi.sbatch",
      { ...inputs, MODEL: join(place, "two") },
      ["--nodes=1", "--ntasks-per-node=2"],
      run,
    );
    await completed(over);
    alone([
      ...["pretrain", `--input_file=${records}`, `--output_dir=${join(place, "alone")}`, ...run],
      `--spm_model_file=${join(place, "tok.model")}`,
    ]);
    const log = readFileSync(join(place, `${over}-4294967294.log`), "utf8");
    assert.match(log, /together: 2 processes over /);
    const weights = (name: string) => readCheckpoint(latestCheckpoint(join(place, name)) ?? "").parameters;
    const [a, b] = [weights("two"), weights("alone")];
    const apart = Math.max(
      ...Object.entries(a).map(([name, values]) =>
        values.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[name]?.[i] ?? NaN))), 0)
      ),
    );
    assert.ok(apart < 2e-5, `${apart}`);
  },
);
