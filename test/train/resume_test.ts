// A run that is killed, or asked to stop, ends as the one that was not: the same weights, moments and log lines to the bit.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEngine } from "../../lib/engines/mod.ts";
import { pretrain, readCheckpoint } from "../../lib/train/mod.ts";
import { startXla, xlaHere, xlaNote } from "../engines/xla.ts";
import { resumeRun } from "./resume_run.ts";
import { config, examples } from "./tiny.ts";

await startXla();
const worker = new URL("resume_worker.ts", import.meta.url).pathname;

/** Lines of metrics.jsonl without what depends on the clock. */
const linesOf = (folder: string): unknown[] =>
  readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => {
    const { tokens_per_second: _, ...rest } = JSON.parse(line);
    return rest;
  });

function assertSameRun(folder: string, whole: string): void {
  const [a, b] = [readCheckpoint(whole), readCheckpoint(folder)];
  assert.equal(b.state.step, a.state.step);
  assert.deepEqual([b.parameters, b.m, b.v], [a.parameters, a.m, a.v]);
  assert.deepEqual(linesOf(folder), linesOf(whole));
}

async function inScratch(test: (...folders: [string, string]) => Promise<void>): Promise<void> {
  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), "albert-"))) as [string, string];
  try {
    await test(...folders);
  } finally {
    folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
  }
}

const data = (folder: string) => ({ config, run: resumeRun(folder), examples, evalExamples: examples });

for (const name of ["tfjs-wasm", "xla"]) {
  const left = name === "xla" && !xlaHere;
  Deno.test({
    name:
      `pretrain() on ${name} ends with the same bits after kill -9 in epochs 0, 1 and 2, between batches of a step${
        left ? xlaNote : ""
      }`,
    ignore: left,
    fn: () =>
      inScratch(async (whole, killed) => {
        await pretrain(data(whole), { engine: await openEngine(name) });
        const start = async (reads: number): Promise<number | null> => {
          const { code, signal, stderr } = await new Deno.Command(Deno.execPath(), {
            args: ["run", "-A", "--no-check", worker, killed, name, String(reads)],
            stdout: "null",
          }).output();
          if (signal === null) assert.equal(code, 0, new TextDecoder().decode(stderr));
          return code;
        };
        // The buffer of 4 is filled first. Epochs of 7: the 5th read is in epoch 0 and in the first step, the 13th in
        // epoch 1, the 20th in epoch 2; later ones, counted from the beginning again, come after a resume.
        const steps: number[] = [];
        for (const reads of [5, 13, 20, 64]) {
          assert.notEqual(await start(reads), 0, `it was not killed at read ${reads}`);
          try {
            steps.push(readCheckpoint(killed).state.step);
          } catch {
            steps.push(0); // before the first checkpoint
          }
        }
        assert.equal(steps[0], 0);
        assert.ok((steps.at(-1) ?? 0) >= 6, steps.join());
        assert.equal(await start(0), 0);
        assertSameRun(killed, whole);
      }),
  });
}

Deno.test("pretrain() that is asked to stop at every step leaves the log of a run that was not", async () => {
  const engine = await openEngine("tfjs-wasm");
  await inScratch(async (whole, stopped) => {
    await pretrain(data(whole), { engine });
    for (let step = 0, round = 0;; round++) {
      assert.ok(round < 30);
      const stop = new AbortController();
      let reads = 0;
      const source = function* (wanted?: (example: number) => boolean) {
        for (const [i, example] of examples.entries()) {
          // Asked while the batches of the next step are read, behind the 3 of the buffer; that step is finished.
          if (wanted?.(i) !== false && ++reads === 8) stop.abort();
          yield example;
        }
      };
      const result = await pretrain({ ...data(stopped), examples: source }, { engine, signal: stop.signal });
      const { state } = readCheckpoint(stopped);
      assert.equal(state.step, result.step);
      assert.ok(result.step <= step + 2, `asked in step ${step + 1}, it went on to ${result.step}`);
      if (!result.interrupted) break;
      assert.equal(state.pending === true, [3, 4, 6, 8, 9, 12].includes(state.step));
      step = result.step;
    }
    assertSameRun(stopped, whole);
    await pretrain(data(stopped), { engine }); // there is nothing left to do, and nothing is written twice
    assertSameRun(stopped, whole);
  });
});
