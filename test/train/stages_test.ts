import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseStages, type PretrainingConfig } from "../../lib/config/mod.ts";
import {
  latestCheckpoint,
  learningRate,
  pretrain,
  pretrainStages,
  readCheckpoint,
  type StepMetrics,
  type TrainingStage,
} from "../../lib/train/mod.ts";
import { config, examples, runOf } from "./tiny.ts";
import { openTestEngine } from "../engine.ts";

const engine = await openTestEngine();

/** Three stages of 6, 5 (of 9) and 4 steps; the second carries moments and reads other records in other batches. */
function stagesOf(
  changes: Partial<PretrainingConfig> = {},
  second: Partial<PretrainingConfig> & { moments?: "fresh" | "carried" } = {},
): TrainingStage[] {
  const run = runOf({ log_every: 2, save_checkpoints_steps: 1, keep_checkpoint_max: 0, ...changes });
  const short = parseStages([
    { num_train_steps: 6 },
    {
      num_train_steps: 9,
      stop_after_steps: 5,
      num_warmup_steps: 1,
      train_batch_size: 2,
      learning_rate: 0.02,
      moments: "carried",
      ...second,
    },
    { num_train_steps: 4, gradient_accumulation_steps: 2 },
  ], { run });
  return short.map((stage, i) => ({
    ...stage,
    examples: i === 1 ? examples.slice(2) : examples,
    evalExamples: examples.slice(0, 2),
    hashes: { records: `of stage ${i + 1}` },
  }));
}

const linesOf = (folder: string): StepMetrics[] =>
  readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
const withoutTime = (lines: readonly StepMetrics[]): object[] =>
  lines.map(({ tokens_per_second: _, ...line }) => line);
const folders = (count: number): string[] =>
  Array.from({ length: count }, () => mkdtempSync(join(tmpdir(), "albert-")));

Deno.test("pretrainStages() goes on in step names and lines, each stage with its own clock and data", async () => {
  const [folder = ""] = folders(1);
  const stages = stagesOf({ output_dir: folder });
  const { step, interrupted, log } = await pretrainStages({ config, stages }, { engine });
  assert.deepEqual([step, interrupted], [15, false]);
  assert.deepEqual(log.map((line) => [line.step, line.stage]), [
    ...[[2, 1], [4, 1], [6, 1], [8, 2], [10, 2], [11, 2], [12, 3], [14, 3], [15, 3]],
  ]);
  log.forEach(({ step, stage = 0, learning_rate }) => {
    const { run } = stages[stage - 1] as TrainingStage;
    assert.equal(learning_rate, learningRate(step - ([0, 6, 11][stage - 1] ?? NaN) - 1, run), `step ${step}`);
  });
  const { state } = readCheckpoint(join(folder, "step-000011"));
  assert.deepEqual([state.stage?.number, state.stage?.first_step, state.position], [2, 6, 10]);
  assert.equal(state.stage?.before.length, 1);
  assert.deepEqual(withoutTime(linesOf(folder)), withoutTime(log));
  rmSync(folder, { recursive: true });
});

Deno.test("pretrainStages() equals separate runs joined by init_checkpoint when moments are fresh", async () => {
  const [joined = "", one = "", two = ""] = folders(3);
  // Without dropout, whose masks follow the step that goes on.
  const plain = { ...config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  const stages = stagesOf({ output_dir: joined }, { moments: "fresh" }).slice(0, 2);
  const { parameters } = await pretrainStages({ config: plain, stages }, { engine });
  const [a, b] = stages as [TrainingStage, TrainingStage];
  const first = await pretrain({ ...a, config: plain, run: { ...a.run, output_dir: one } }, { engine });
  const run = { ...b.run, output_dir: two, init_checkpoint: first.checkpoint ?? "" };
  assert.deepEqual((await pretrain({ ...b, config: plain, run }, { engine })).parameters, parameters);
  const carried = stagesOf({}, { moments: "carried" }).slice(0, 2);
  const other = await pretrainStages({ config: plain, stages: carried }, { engine });
  assert.notDeepEqual(other.parameters, parameters);
  [joined, one, two].forEach((folder) => rmSync(folder, { recursive: true }));
});

Deno.test("pretrainStages() ends with the same bits when it is resumed at any step, borders included", async () => {
  const [whole = "", memory] = [...folders(1), ""];
  const all = await pretrainStages({ config, stages: stagesOf({ output_dir: whole }) }, { engine });
  const inMemory = await pretrainStages({ config, stages: stagesOf({ output_dir: memory ?? "" }) }, {
    engine,
  });
  assert.deepEqual(inMemory.parameters, all.parameters);
  const end = readCheckpoint(whole);
  for (const cut of [3, 6, 7, 11, 12]) {
    // What a kill after this step leaves.
    const [folder = ""] = folders(1);
    cpSync(whole, folder, { recursive: true });
    const newer = readdirSync(folder).filter((name) => Number(/^step-(\d+)$/.exec(name)?.[1]) > cut);
    newer.forEach((name) => rmSync(join(folder, name), { recursive: true }));
    assert.equal(newer.length, 15 - cut);
    const stages = stagesOf({ output_dir: folder });
    const { step, interrupted, log } = await pretrainStages({ config, stages }, { engine });
    assert.deepEqual([step, interrupted], [15, false]);
    const { parameters, m, v } = readCheckpoint(folder);
    assert.deepEqual([parameters, m, v], [end.parameters, end.m, end.v], `cut after step ${cut}`);
    assert.deepEqual(withoutTime(linesOf(folder)), withoutTime(linesOf(whole)));
    assert.ok((log[0]?.step ?? 0) > cut);
    rmSync(folder, { recursive: true });
  }
  // A signal at the very border stops there, and the rest is still to do.
  const [border = ""] = folders(1);
  const stop = new AbortController();
  const onStep = ({ step }: StepMetrics): void => step === 6 ? stop.abort() : undefined;
  const cut = await pretrainStages({ config, stages: stagesOf({ output_dir: border }) }, {
    engine,
    onStep,
    signal: stop.signal,
  });
  assert.deepEqual([cut.step, cut.interrupted], [6, true]);
  await pretrainStages({ config, stages: stagesOf({ output_dir: border }) }, { engine });
  assert.deepEqual(readCheckpoint(border).parameters, end.parameters);
  rmSync(border, { recursive: true });
  const again = await pretrainStages({ config, stages: stagesOf({ output_dir: whole }) }, { engine });
  assert.deepEqual([again.step, again.log.length, again.interrupted], [15, 0, false]);
  rmSync(whole, { recursive: true });
});

Deno.test("pretrainStages() goes on from an older stage when newer checkpoints are lost", async () => {
  const [folder = ""] = folders(1);
  const stages = stagesOf({ output_dir: folder });
  const { parameters } = await pretrainStages({ config, stages }, { engine });
  for (const name of readdirSync(folder)) {
    if (/^step-0000(0[7-9]|1)/.test(name)) rmSync(join(folder, name), { recursive: true });
  }
  assert.ok(latestCheckpoint(folder)?.endsWith("step-000006"));
  assert.deepEqual((await pretrainStages({ config, stages }, { engine })).parameters, parameters);
  rmSync(folder, { recursive: true });
});

Deno.test("pretrainStages() refuses a changed stage by its number and flag", async () => {
  const [folder = "", plain = ""] = folders(2);
  const stages = stagesOf({ output_dir: folder });
  const stop = new AbortController();
  const onStep = ({ step }: StepMetrics): void => step === 8 ? stop.abort() : undefined;
  const cut = await pretrainStages({ config, stages }, { engine, onStep, signal: stop.signal });
  assert.deepEqual([cut.step, cut.interrupted], [9, true]); // the step that was under way is finished
  const change = async (edit: (stage: TrainingStage, i: number) => TrainingStage, message: RegExp) =>
    await assert.rejects(pretrainStages({ config, stages: stages.map(edit) }, { engine }), message);
  const at = (number: number, changes: Partial<PretrainingConfig>) => (stage: TrainingStage, i: number) =>
    i + 1 === number ? { ...stage, run: { ...stage.run, ...changes } } : stage;
  await change(at(1, { learning_rate: 0.5 }), /stage 1: learning_rate was 0.01 and is 0.5/);
  await change(at(2, { train_batch_size: 4 }), /stage 2: train_batch_size was 2 and is 4/);
  await change(
    (stage, i) => i === 1 ? { ...stage, moments: "fresh" } : stage,
    /the moments of stage 2 were carried and are fresh/,
  );
  await change(
    (stage, i) => i === 0 ? { ...stage, hashes: { records: "others" } } : stage,
    /stage 1: the SHA-256 of the records was of stage 1 and is others/,
  );
  await assert.rejects(
    pretrainStages({ config, stages: stages.slice(0, 1) }, { engine }),
    /in stage 2, now there are 1 stages/,
  );
  const [first] = stages as [TrainingStage];
  await assert.rejects(
    pretrain({ config, ...first, run: { ...first.run, allow_changed_flags: true } }, { engine }),
    /it is of stage 2, this is a run without stages/,
  );
  await pretrain({ config, ...first, run: { ...first.run, output_dir: plain } }, { engine });
  await assert.rejects(
    pretrainStages({ config, stages: stagesOf({ output_dir: plain }) }, { engine }),
    /a run without stages/,
  );
  // A stage that has not begun may still be changed.
  const { step } = await pretrainStages({ config, stages: stages.map(at(3, { num_train_steps: 2 })) }, {
    engine,
  });
  assert.equal(step, 13);
  [folder, plain].forEach((name) => rmSync(name, { recursive: true }));
});

Deno.test("pretrainStages() begins the next stage after an early stop", async () => {
  const [folder = ""] = folders(1);
  const flags = { output_dir: folder, early_stop: 1, eval_every: 1, learning_rate: 0 };
  const stages = stagesOf(flags, { early_stop: 0, learning_rate: 0 }).slice(0, 2);
  const { step, log } = await pretrainStages({ config, stages }, { engine });
  assert.deepEqual([step, log.filter(({ stage }) => stage === 1).at(-1)?.step], [7, 2]);
  const again = await pretrainStages({ config, stages }, { engine });
  assert.deepEqual([again.step, again.log.length], [7, 0]);
  rmSync(folder, { recursive: true });
});
