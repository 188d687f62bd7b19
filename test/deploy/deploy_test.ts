// The files of deploy/ are what they say: each passes its check, and a copy with one mistake does not.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRecords } from "../../lib/records/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";
import { checkAlbert, checkDockerfile, checkKubernetes, checkSbatch, root, srunCalls } from "./checks.ts";

const folder = join(root, "deploy");
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const named = (end: string): string[] => readdirSync(folder).filter((name) => name.endsWith(end));

/** Checks a file, and that each change of it is refused for the reason that is given. */
function holds(
  name: string,
  check: (text: string) => string[],
  changes: readonly (readonly [from: string, to: string, reason: RegExp])[],
): void {
  const text = read(name);
  assert.deepEqual(check(text), [], name);
  for (const [from, to, reason] of changes) {
    assert.ok(text.includes(from), `${name} has no ${from}`);
    assert.match(check(text.replace(from, to)).join("\n"), reason, `${name} with ${to} for ${from}`);
  }
}

Deno.test("every file of deploy opens with the one command that starts it", () => {
  const started = [...named(".yaml"), ...named(".sbatch"), "Dockerfile"];
  assert.equal(started.length, 11);
  for (const name of started) {
    const [comment = ""] = /^(#.*\n)+/.exec(read(name)) ?? [];
    const path = `deploy/${name}`.replace(".", "\\.");
    assert.match(comment, new RegExp(`^# {5}(docker build|kubectl apply|sbatch) .*${path}`, "m"), name);
  }
  assert.deepEqual(
    checkAlbert((/albert-guide (plan .*)$/m.exec(read("Dockerfile"))?.[1] ?? "").split(" ")),
    [],
  );
});

Deno.test("the jobs for Kubernetes are of the published types, and their flags are ours", () => {
  holds("kubernetes_finish.yaml", checkKubernetes, [
    ["- --finish", "- --finished", /did you mean --finish/],
    ["containerName: finish", "containerName: records", /./],
  ]);
  holds("kubernetes_pretrain_mpi.yaml", checkKubernetes, [
    ["mpiImplementation: OpenMPI", "mpiImplementation: OpenMp", /not assignable to type '"OpenMPI"/],
    ["cleanPodPolicy: Running", "cleanPodPolicy: Sometimes", /"Sometimes"/],
    ["slotsPerWorker: 1", 'slotsPerWorker: "1"', /not assignable to type 'number'/],
    ["    Launcher:", "    Launch:", /'Launch:?' does not exist|"Launch"' does not exist/],
    ["mountPath: /work", "mountpath: /work", /"mountpath"' does not exist/],
    ["claimName: albert", "claimname: albert", /"claimname"' does not exist/],
    ["- pretrain", "- pertrain", /no command pertrain/],
    [
      "- name: data\n                  mountPath",
      "- name: date\n                  mountPath",
      /no volume date/,
    ],
  ]);
  holds("kubernetes_records.yaml", checkKubernetes, [
    ["completions: 16", 'completions: "16"', /not assignable to type 'number'/],
    ["completionMode", "completionmode", /"completionmode"' does not exist/],
    ["mountPath", "mountpath", /"mountpath"' does not exist/],
    ["completions: 16", "completions: 8", /--shard_count is 16, completions are 8/],
    ["  completions: 16\n", "", /needs completions/],
    ["--order=stream", "--ordre=stream", /unknown flag --ordre, did you mean --order/],
    ["- records\n", "- record\n", /no command record/],
    ["containerName: records", "containerName: record", /no container record/],
    ["apiVersion: batch/v1", "apiVersion: batch/v2", /no types are known of batch\/v2 Job/],
    ["spec:", "spec: [", /no YAML/],
  ]);
  holds("kubernetes_pretrain.yaml", checkKubernetes, [
    ["backoffLimit: 10", "backoffLimits: 10", /"backoffLimits"' does not exist/],
    ["restartPolicy: Never", "restartPolicy: OnFailure", /needs restartPolicy Never/],
    ["--devices=8", "--devices=all", /must be a number/],
    ["name: data\n              mount", "name: date\n              mount", /no volume date/],
  ]);
});

Deno.test("the scripts for Slurm are bash, their directives sbatch's, their flags ours", () => {
  const scratch = mkdtempSync(join(tmpdir(), "albert-"));
  const at = (text: string): string[] => {
    const path = join(scratch, "job.sbatch");
    writeFileSync(path, text);
    return checkSbatch(text, path);
  };
  try {
    holds("slurm_records.sbatch", at, [
      ["--array=0-15", "--array=0..15", /sbatch knows no "#SBATCH --array=0\.\.15"/],
      ["#SBATCH --mem=4G", "#SBATCH --memory=4G", /knows no/],
      ["#!/bin/bash\n", "", /first line/],
      ['dirname "$records")', 'dirname "$records"', /bash: /],
      ["--workers", "--worker", /unknown flag --worker, did you mean --workers/],
    ]);
    holds("slurm_raws.sbatch", at, [['--output="$raw"', '--outputs="$raw"', /did you mean --output/]]);
    holds("slurm_tokenizer.sbatch", at, [["--sample_size", "--samplesize", /did you mean --sample_size/]]);
    holds("slurm_finish.sbatch", at, [["--finish", "--finished", /did you mean --finish/]]);
    holds("slurm_pretrain_mpi.sbatch", at, [["--nodes=2", "--nodes=two", /sbatch knows no/]]);
    holds("slurm_pretrain.sbatch", at, [
      ["set -euo pipefail\n", "set -euo pipefail\n#SBATCH --requeue\n", /after the first command/],
      ["  --preset=base", "  --presets=base", /did you mean --preset/],
      ["srun --ntasks=1", "true", /starts nothing/],
    ]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  const [call = []] = srunCalls(join(folder, "slurm_pretrain.sbatch"), root, { SLURM_GPUS_ON_NODE: "4" });
  assert.ok(call.includes("--devices=4"));
});

Deno.test("the Dockerfile is one, and what it copies is there", () => {
  holds("Dockerfile", checkDockerfile, [
    [
      "COPY --chown=albert:albert lib ./lib",
      "COPY --chown=albert:albert library ./lib",
      /library, which is not there/,
    ],
    ["--from=deno", "--from=dino", /dino, which is no stage/],
    ["WORKDIR /work", "WORKDIRS /work", /unknown instruction WORKDIRS/],
    ["--install=xla-cpu", "--install=xla-gpu", /must be one of xla-cpu/],
    ['CMD ["environment"]', "CMD environment", /is no list/],
  ]);
});

Deno.test("slurm_records.sbatch makes the shards of an array", async () => {
  const work = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    const { spm_model_base64 } = goldenAlbert<{ spm_model_base64: string }>("tokenization");
    mkdirSync(join(work, "build/raw"), { recursive: true });
    mkdirSync(join(work, "bin"));
    for (const name of ["lib", "node_modules"]) symlinkSync(join(root, name), join(work, name));
    for (const name of ["deno.json", "deno.lock"]) cpSync(join(root, name), join(work, name));
    const text = goldenPipeline().input_files["corpus.txt"] ?? "";
    for (const part of [0, 1]) writeFileSync(join(work, `build/raw/${part}.txt`), `${text}\n\n`);
    writeFileSync(
      join(work, "build/tokenizer.model"),
      Uint8Array.from(atob(spm_model_base64), (c) => c.charCodeAt(0)),
    );
    // srun starts what follows its options; `deno` is the one that runs this test.
    writeFileSync(join(work, "bin/srun"), '#!/bin/bash\nshift\nexec "$@"\n', { mode: 0o755 });
    symlinkSync(Deno.execPath(), join(work, "bin/deno"));
    const flags = ["--block_bytes=4000", "--dupe_factor=1"]; // so that a small corpus has work for both
    const array = { SLURM_ARRAY_TASK_MIN: "0", SLURM_ARRAY_TASK_COUNT: "2", SLURM_CPUS_PER_TASK: "1" };
    for (const task of ["0", "1"]) {
      const { status, stderr } = spawnSync("bash", [join(folder, "slurm_records.sbatch"), ...flags], {
        cwd: work,
        env: {
          ...Deno.env.toObject(),
          ...array,
          SLURM_ARRAY_TASK_ID: task,
          PATH: `${join(work, "bin")}:${Deno.env.get("PATH")}`,
        },
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
    }
    const shards = ["00000", "00001"].map((n) => join(work, `build/records/train.tfrecord-${n}-of-00002`));
    let records = 0;
    for await (const _ of readRecords(shards, { maxSeqLength: 512, maxPredictionsPerSeq: 77 })) records++;
    assert.ok(records > 0);
  } finally {
    rmSync(work, { recursive: true });
  }
});
