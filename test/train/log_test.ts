// The log of a run: what stands in its files, and when they are written.
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../lib/train/log.ts";
import type { StepMetrics } from "../../lib/train/mod.ts";
import { runOf } from "./tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "albert-"));
addEventListener("unload", () => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);
const run = runOf({ output_dir: folder });
const line = (step: number): StepMetrics => ({ step, loss: step / 10 }) as StepMetrics;
const steps = (): number[] =>
  readFileSync(at("metrics.jsonl"), "utf8").split("\n").slice(0, -1).map((text) => JSON.parse(text).step);

Deno.test("openLog() adds lines to metrics.jsonl without writing it anew", () => {
  const log = openLog(run, 0);
  log.line(line(5));
  const { ino } = statSync(at("metrics.jsonl"));
  log.line(line(10));
  log.flush();
  assert.equal(statSync(at("metrics.jsonl")).ino, ino);
  assert.deepEqual(steps(), [5, 10]);
});

Deno.test("openLog() drops lines after the step of a resume, and one that a kill cut off", () => {
  appendFileSync(at("metrics.jsonl"), '{"step":15,"lo');
  openLog(run, 10).line(line(15));
  assert.deepEqual(steps(), [5, 10, 15]);
  openLog(run, 5).line(line(6));
  assert.deepEqual(steps(), [5, 6]);
});

Deno.test("openLog() writes trainer_state.json at once when its status changes, else every five seconds", () => {
  const log = openLog(run, 0);
  const state = { max_steps: 9, latest_checkpoint: null, early_stop: null };
  const written = (): unknown => {
    const { status, global_step } = JSON.parse(readFileSync(at("trainer_state.json"), "utf8"));
    return [status, global_step];
  };
  log.state({ ...state, status: "running", global_step: 1 });
  assert.deepEqual(written(), ["running", 1]);
  log.state({ ...state, status: "running", global_step: 2 }); // within the five seconds
  assert.deepEqual(written(), ["running", 1]);
  log.state({ ...state, status: "finished", global_step: 3 });
  assert.deepEqual(written(), ["finished", 3]);
});
