// Records as an array of eight tasks on a real Slurm of this machine: two are killed and requeued, a last job merges the
// shards, and the files are those of one process.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { checkManifest, createRecords } from "../../lib/records/mod.ts";
import { readEmbedded } from "../../lib/text/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { slurmLacks, startSlurm } from "./local_slurm.ts";

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

Deno.test({
  name:
    `eight tasks of a Slurm array, two of them killed and requeued, make the records of one process${lacks}`,
  ignore: lacks !== "",
  fn: async () => {
    const place = mkdtempSync(join(tmpdir(), "albert-array-"));
    const raw = join(place, "raw.txt");
    const documents = readEmbedded("kjv", { dataDir: join(root, "data") }).slice(0, 500).map((
      { paragraphs },
    ) => paragraphs);
    writeFileSync(raw, documents.map((lines) => `${lines.join("\n")}\n`).join("\n"));
    const model = join(place, "tok.model");
    writeFileSync(
      model,
      goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64,
      "base64",
    );
    const output = join(place, "records");
    const environment = `--export=ALL,RAW=${raw},TOKENIZER=${model},RECORDS=${output},SHARDS=8`;
    const before = process.env["PATH"];
    process.env["PATH"] = `${dirname(Deno.execPath())}:${before}`;
    const slurm = await startSlurm({ cpus: 8 });
    try {
      const submit = (script: string, args: readonly string[]): string =>
        slurm.run("sbatch", [
          ...["--parsable", `--chdir=${root}`, `--output=${place}/%A-%a.log`, environment, "--mem=500"],
          ...["--cpus-per-task=1", ...args, join("deploy", script), ...given],
        ]);
      const job = submit("slurm_records.sbatch", ["--array=0-7"]);
      const logs = (): string =>
        readdirSync(place).filter((name) => name.endsWith(".log")).map((name) =>
          readFileSync(join(place, name), "utf8")
        ).join("");
      const until = async (what: () => boolean): Promise<void> => {
        for (let i = 0; i < 600 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
        assert.ok(
          what(),
          `it did not come to ${what}: ${slurm.run("scontrol", ["show", "job", `${job}_2`])} ${logs()}`,
        );
      };
      const victims = [2, 5];
      const shard = (index: number): string => `${output}-0000${index}-of-00008`;
      await Promise.all(victims.map(async (index) => {
        await until(() => existsSync(`${shard(index)}.parts`)); // it is at work
        // Ends the task as a drained node would, and puts it back into the queue.
        slurm.run("scontrol", ["requeue", `${job}_${index}`]);
        await until(() => slurm.states(job)[String(index)] === "PENDING");
        assert.equal(existsSync(`${shard(index)}.manifest.json`), false);
        await until(() => slurm.run("squeue", ["-h", "-t", "COMPLETING"]) === "");
        await new Promise((resolve) => setTimeout(resolve, 2000)); // Slurm would give what is left of the task two minutes
        slurm.run("scontrol", ["update", `JobId=${job}_${index}`, "StartTime=now"]);
      }));
      await until(() => Object.values(slurm.states(job)).every((state) => state === "COMPLETED"));
      const last = submit("slurm_finish.sbatch", [`--dependency=afterok:${job}`]);
      await until(() => slurm.states(last)["0"] === "COMPLETED");
      assert.equal(Object.keys(slurm.states(job)).length, 8);
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
    } finally {
      slurm.close();
      process.env["PATH"] = before;
      rmSync(place, { recursive: true, force: true });
    }
  },
});
