// Training over processes that mpirun starts: the same losses and weights as one process, the same bits again, a rank that
// dies, flags that differ, a stop. Open MPI and MPICH, each where it is installed.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createRecords } from "../../lib/records/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { latestCheckpoint, readCheckpoint } from "../../lib/train/mod.ts";
import { canMount, onDevice, remount } from "../small_device.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

const cli = fileURLToPath(new URL("../../lib/cli.ts", import.meta.url));
const launchers = ["openmpi", "mpich"].map((kind) => ({ kind, path: `/usr/bin/mpirun.${kind}` }));
const [first] = launchers.filter(({ path }) => existsSync(path));
const place = mkdtempSync(join(tmpdir(), "albert-mpi-"));
const children: ChildProcess[] = [];
globalThis.addEventListener("unload", () => {
  for (const child of children) child.kill("SIGKILL"); // of a test that failed
  rmSync(place, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

let made: Promise<string> | undefined;
/** Records of a small corpus. */
const records = (): Promise<string> =>
  made ??= (async () => {
    const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
    const tokenizer = loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")));
    const text = join(place, "corpus.txt");
    Deno.writeTextFileSync(text, goldenPipeline().input_files["corpus.txt"] ?? "");
    const output_file = join(place, "records");
    const lengths = { max_seq_length: 16, max_predictions_per_seq: 4 };
    await createRecords({ input_file: text, output_file, tokenizer, dupe_factor: 4, ...lengths });
    return output_file;
  })();

type Ended = { readonly code: number | null; readonly said: string };

async function flagsOf(output: string, more: readonly string[]): Promise<string[]> {
  return [
    "run",
    "-A",
    "--no-check",
    cli,
    "pretrain",
    `--input_file=${await records()}`,
    `--output_dir=${output}`,
    "--preset=tiny",
    "--max_seq_length=16",
    "--max_predictions_per_seq=4",
    "--train_batch_size=8",
    "--num_train_steps=20",
    "--num_warmup_steps=4",
    "--log_every=5",
    "--save_checkpoints_steps=10",
    "--engine=tfjs",
    ...more,
  ];
}

function started(
  command: string,
  args: readonly string[],
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const env = {
    ...process.env,
    OMPI_ALLOW_RUN_AS_ROOT: "1",
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
    NO_COLOR: "1",
  };
  const child = spawn(command, args, { env });
  children.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes) => said += bytes);
  return { child, ended: new Promise((resolve) => child.on("close", (code) => resolve({ code, said }))) };
}

const together = (launcher: string, processes: number, args: readonly string[]) =>
  started(launcher, [
    ...(launcher.endsWith("openmpi") ? ["--oversubscribe"] : []),
    "-n",
    String(processes),
    Deno.execPath(),
    ...args,
  ]);

async function trainTogether(
  launcher: string,
  name: string,
  more: readonly string[] = [],
  processes = 2,
): Promise<string> {
  const folder = join(place, name);
  const { code, said } = await together(launcher, processes, await flagsOf(folder, more)).ended;
  assert.equal(code, 0, said);
  return folder;
}

async function trainAlone(name: string, more: readonly string[] = []): Promise<string> {
  const folder = join(place, name);
  const { code, said } = await started(Deno.execPath(), await flagsOf(folder, more)).ended;
  assert.equal(code, 0, said);
  return folder;
}

const lossesOf = (folder: string): number[] =>
  readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n").map((line) =>
    (JSON.parse(line) as { readonly loss: number }).loss
  );

/** The largest difference of two runs' weights. */
function apart(a: string, b: string): number {
  const [x, y] = [a, b].map((folder) => readCheckpoint(latestCheckpoint(folder) ?? "").parameters);
  return Math.max(
    ...Object.entries(x ?? {}).map(([name, values]) =>
      values.reduce((most, value, i) => Math.max(most, Math.abs(value - (y?.[name]?.[i] ?? NaN))), 0)
    ),
  );
}

/** Losses and weights in float32 whose sums run in another order. */
const TOLERANCE = 2e-5;

for (const { kind, path } of launchers) {
  Deno.test({
    name: `two processes over ${kind} train as one, to the same bits again${
      existsSync(path) ? "" : " (not installed)"
    }`,
    ignore: !existsSync(path),
    fn: async () => {
      const one = await trainAlone(`${kind}-one`);
      const two = await trainTogether(path, `${kind}-two`);
      const losses = lossesOf(two);
      assert.equal(losses.length, 4);
      lossesOf(one).forEach((loss, i) =>
        assert.ok(Math.abs(loss - (losses[i] ?? NaN)) < TOLERANCE, `${loss} ${losses[i]}`)
      );
      assert.ok(apart(one, two) < TOLERANCE, String(apart(one, two)));
      assert.deepEqual(
        readdirSync(two).filter((name) => name.startsWith("events.")).length,
        1,
        "one process writes",
      );
      assert.equal(apart(two, await trainTogether(path, `${kind}-again`)), 0);
    },
  });
}

const named = (name: string): { readonly name: string; readonly ignore: boolean } => ({
  name: `${name}${first === undefined ? " (no mpirun)" : ""}`,
  ignore: first === undefined,
});

Deno.test({
  ...named("a run of two processes goes on with one, and one of one with two and with four"),
  fn: async () => {
    const launcher = first?.path ?? "";
    const whole = await trainAlone("whole");
    await trainTogether(launcher, "more", ["--stop_after_steps=10"]);
    assert.ok(apart(whole, await trainAlone("more", ["--allow_changed_flags"])) < TOLERANCE);
    await trainAlone("fewer", ["--stop_after_steps=5"]);
    await trainTogether(launcher, "fewer", ["--stop_after_steps=10", "--allow_changed_flags"], 4);
    assert.ok(apart(whole, await trainTogether(launcher, "fewer", ["--allow_changed_flags"])) < TOLERANCE);
  },
});

Deno.test({
  ...named("processes with other flags and batches that cannot be shared are refused in every process"),
  fn: async () => {
    const launcher = first?.path ?? "";
    const [a, b] = [
      await flagsOf(join(place, "x"), []),
      await flagsOf(join(place, "x"), ["--learning_rate=0.5"]),
    ];
    const both = ["-n", "1", Deno.execPath(), ...a, ":", "-n", "1", Deno.execPath(), ...b];
    const other = await started(launcher, both).ended;
    assert.notEqual(other.code, 0);
    assert.match(
      other.said,
      /Cannot train over 2 processes: what differs from process 0 is the flags of process 1;/,
    );
    assert.equal(existsSync(join(place, "x")), false);
    const odd = await together(launcher, 2, await flagsOf(join(place, "x"), ["--train_batch_size=7"])).ended;
    assert.notEqual(odd.code, 0);
    assert.match(
      odd.said,
      /--train_batch_size=7 cannot be shared by 2 processes in equal parts; give 6 or 8/,
    );
  },
});

/** The process of a rank, found by what its launcher put into its environment. */
function processOf(rank: number, mark: string): number {
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [line, environment] = ["cmdline", "environ"].map((name) =>
        readFileSync(`/proc/${id}/${name}`, "utf8")
      );
      if (
        line?.includes(mark) &&
        new RegExp(`\\0(OMPI_COMM_WORLD_RANK|PMI_RANK)=${rank}\\0`).test(`\0${environment}`)
      ) {
        return Number(id);
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`no process of rank ${rank}`);
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(what(), "it did not come to that");
}

Deno.test({
  ...named("a process that is killed ends all within 30 seconds, and the same command goes on"),
  fn: async () => {
    const folder = join(place, "killed");
    const flags = await flagsOf(folder, ["--num_train_steps=1000000", "--stop_after_steps=1000000"]);
    const { ended } = together(first?.path ?? "", 2, flags);
    await until(() => latestCheckpoint(folder) !== undefined);
    const own = processOf(0, folder);
    process.kill(processOf(1, folder), "SIGKILL");
    const began = performance.now();
    const { code, said } = await ended;
    assert.ok(performance.now() - began < 30_000);
    assert.notEqual(code, 0);
    assert.match(said, /signal 9|EXIT CODE: 9|KILLED BY SIGNAL/i);
    await until(() => !existsSync(`/proc/${own}/fd/0`)); // the first one ends as well
    const stood = Number(/step-(\d+)/.exec(latestCheckpoint(folder) ?? "")?.[1]);
    const on = await together(
      first?.path ?? "",
      2,
      await flagsOf(folder, [
        "--num_train_steps=1000000",
        `--stop_after_steps=${stood + 10}`,
        "--allow_changed_flags",
      ]),
    ).ended;
    assert.equal(on.code, 0, on.said);
    assert.match(on.said, new RegExp(`going on from step ${stood}`));
  },
});

Deno.test({
  ...named("a file that the first process cannot write ends all with its reason"),
  fn: async () => {
    const folder = join(place, "full");
    mkdirSync(join(folder, "trainer_state.json"), { recursive: true }); // a folder of that name
    const { code, said } = await together(first?.path ?? "", 2, await flagsOf(folder, [])).ended;
    assert.notEqual(code, 0);
    assert.match(
      said,
      /process 0 failed: .*trainer_state\.json: a folder has that name.*all processes end, the last checkpoint stands/,
    );
  },
});

Deno.test({
  ...named(
    "a device that gets full under the first process ends all, and the same command goes on to the same bits",
  ),
  ignore: first === undefined || !canMount,
  fn: () =>
    onDevice("500k", async (folder) => {
      const flags = ["--save_checkpoints_steps=2", "--keep_checkpoint_max=0"];
      const { code, said } = await together(first?.path ?? "", 2, await flagsOf(folder, flags)).ended;
      assert.notEqual(code, 0);
      assert.match(said, /process 0 failed: .*no space (is )?left on the device.*the last checkpoint stands/);
      assert.doesNotThrow(() => readCheckpoint(latestCheckpoint(folder) ?? ""));
      remount(folder, "size=20m");
      const on = await together(first?.path ?? "", 2, await flagsOf(folder, flags)).ended;
      assert.equal(on.code, 0, on.said);
      assert.match(on.said, /going on from step \d+/);
      assert.equal(apart(folder, await trainTogether(first?.path ?? "", "not_full")), 0);
    }),
});

Deno.test({
  ...named("a stop that one process is asked for stops all at the same step, with a checkpoint"),
  fn: async () => {
    const folder = join(place, "stopped");
    const flags = await flagsOf(folder, ["--num_train_steps=1000000", "--save_checkpoints_steps=1000000"]);
    const { ended } = together(first?.path ?? "", 2, flags);
    const log = join(folder, "metrics.jsonl");
    await until(() => existsSync(log) && readFileSync(log, "utf8").split("\n").length > 3);
    process.kill(processOf(1, folder), "SIGINT");
    const { said } = await ended;
    assert.match(said, /interrupted at step \d+/);
    assert.ok(latestCheckpoint(folder) !== undefined);
  },
});
