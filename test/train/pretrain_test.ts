import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset, type PretrainingConfig } from "../../lib/config/mod.ts";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { CorruptFileError } from "../../lib/formats/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import {
  evaluate,
  latestCheckpoint,
  pretrain,
  type PretrainResult,
  readCheckpoint,
} from "../../lib/train/mod.ts";
import { config, examples, runOf } from "./tiny.ts";
import { openTestEngine } from "../engine.ts";

const scratch = (): string => mkdtempSync(join(tmpdir(), "albert-"));
// Not the reference engine: it computes in float64, of which a checkpoint keeps float32.
const controls = { engine: await openTestEngine() };

/** Lines of metrics.jsonl without what depends on the clock. */
function linesOf(folder: string): unknown[] {
  return readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => {
    const { tokens_per_second: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
    return rest;
  });
}

async function stopAfter(run: PretrainingConfig, steps: number): Promise<PretrainResult> {
  return await pretrain({ config, run: { ...run, stop_after_steps: steps }, examples }, controls);
}

for (const changes of [{}, { gradient_accumulation_steps: 2 }]) {
  const title = JSON.stringify(changes);
  Deno.test(`pretrain() ends with the same weights to the bit when it is stopped and resumed ${title}`, async () => {
    const [whole, parts] = [scratch(), scratch()];
    const options = { save_checkpoints_steps: 4, ...changes };
    const expected = await pretrain(
      { config, run: runOf({ output_dir: whole, ...options }), examples },
      controls,
    );
    const run = runOf({ output_dir: parts, ...options });
    for (const steps of [1, 4, 7, 0]) await stopAfter(run, steps); // steps in epochs 0, 1 and 4
    const [a, b] = [readCheckpoint(whole), readCheckpoint(parts)];
    assert.equal(b.state.step, 12);
    assert.deepEqual({ ...b.state, run: null }, { ...a.state, run: null });
    assert.deepEqual(b.parameters, a.parameters);
    assert.deepEqual(b.parameters, expected.parameters);
    assert.deepEqual([b.m, b.v], [a.m, a.v]);
    assert.deepEqual(linesOf(parts).at(-1), linesOf(whole).at(-1));
    [whole, parts].forEach((folder) => rmSync(folder, { recursive: true }));
  });
}

Deno.test("pretrain() depends on the seed, and dropout on the step", async () => {
  const first = await pretrain({ config, run: runOf({ num_train_steps: 2 }), examples }, controls);
  const again = await pretrain({ config, run: runOf({ num_train_steps: 2 }), examples }, controls);
  const other = await pretrain({ config, run: runOf({ num_train_steps: 2, seed: 10 }), examples }, controls);
  assert.deepEqual(first.parameters, again.parameters);
  assert.notDeepEqual(first.parameters, other.parameters);
});

Deno.test("pretrain() with accumulation equals one large batch when nothing is dropped out", async () => {
  const still = { ...config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  const six = examples.slice(0, 6);
  const run = { shuffle_buffer: 0, num_train_steps: 3 };
  const one = await pretrain(
    { config: still, run: runOf({ ...run, train_batch_size: 6 }), examples: six },
    controls,
  );
  const two = await pretrain(
    {
      config: still,
      run: runOf({ ...run, train_batch_size: 3, gradient_accumulation_steps: 2 }),
      examples: six,
    },
    controls,
  );
  for (const [name, values] of Object.entries(one.parameters)) {
    values.forEach((value, i) =>
      assert.ok(Math.abs(value - (two.parameters[name]?.[i] ?? NaN)) < 1e-5, name)
    );
  }
});

Deno.test("pretrain() stops after the current step with a checkpoint when the signal aborts", async () => {
  const folder = scratch();
  const stop = new AbortController();
  const result = await pretrain({ config, run: runOf({ output_dir: folder, log_every: 1 }), examples }, {
    ...controls,
    signal: stop.signal,
    onStep: ({ step }) => step === 3 ? stop.abort() : undefined,
  });
  assert.equal(result.interrupted, true);
  assert.ok(result.step <= 4);
  assert.equal(result.checkpoint, latestCheckpoint(folder));
  assert.equal(existsSync(join(folder, "train.lock")), false);
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() warm starts from weights only, with a longer sequence and position table", async () => {
  const folder = scratch();
  const before = await pretrain({ config, run: runOf({ output_dir: folder }), examples }, controls);
  const longer = { ...config, max_position_embeddings: 16 };
  const run = runOf({ init_checkpoint: folder, num_train_steps: 1, num_warmup_steps: 1 });
  // Step 0 has rate 0, so the weights after one step are those of the start.
  const { parameters, step } = await pretrain({ config: longer, run, examples }, controls);
  assert.equal(step, 1);
  const table = "bert/embeddings/position_embeddings";
  const fresh = initialParameters(longer, run.seed);
  for (const [name, values] of Object.entries(before.parameters)) {
    assert.deepEqual(parameters[name]?.slice(0, values.length), values, name);
  }
  assert.deepEqual(parameters[table]?.slice(8 * 4), fresh[table]?.slice(8 * 4));
  const wider = albertPreset("tiny", { vocab_size: 20 });
  await assert.rejects(pretrain({ config: wider, run, examples }, controls), /Cannot start from/);
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() evaluates held-out examples and writes them to metrics.jsonl", async () => {
  const folder = scratch();
  const run = runOf({ output_dir: folder, eval_every: 6 });
  const { evaluation, parameters } = await pretrain(
    { config, run, examples, evalExamples: examples },
    controls,
  );
  const direct = await evaluate(parameters, config, examples, { engine: referenceEngine(), batchSize: 3 });
  assert.equal(direct.examples, 7);
  assert.equal(direct.predictions, 7);
  for (const [name, value] of Object.entries(direct)) {
    const found = (evaluation as Record<string, number> | undefined)?.[name] ?? NaN;
    assert.ok(Math.abs(found - value) < 1e-5, name);
  }
  const steps = linesOf(folder).filter((line) => "evaluation" in (line as object)).map((line) =>
    (line as { step: number }).step
  );
  assert.deepEqual(steps, [6, 12]);
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() refuses what does not fit: lengths, ids, architecture, a second trainer", async () => {
  const train = (run: PretrainingConfig, set = examples, of = config) =>
    pretrain({ config: of, run, examples: set }, controls);
  await assert.rejects(
    train(runOf({ max_predictions_per_seq: 3 })),
    /the records have 8 pieces and 2 predictions/,
  );
  const wild = examples.map((example) => ({
    ...example,
    input_ids: Int32Array.from(example.input_ids, () => 20),
  }));
  await assert.rejects(train(runOf({}), wild), /input_ids holds 20, it must be 0 to 19/);
  await assert.rejects(train(runOf({}), []), /holds no example/);
  const folder = scratch();
  await train(runOf({ output_dir: folder, num_train_steps: 1 }));
  await assert.rejects(
    train(runOf({ output_dir: folder }), examples, { ...config, hidden_act: "relu" }),
    /another architecture/,
  );
  writeFileSync(join(folder, "train.lock"), "1 elsewhere\n");
  await assert.rejects(train(runOf({ output_dir: folder })), /process 1 on elsewhere is training there/);
  rmSync(folder, { recursive: true });
});

Deno.test("readCheckpoint() refuses every damaged file and falls back to the checkpoint before", async () => {
  const folder = scratch();
  await pretrain(
    { config, run: runOf({ output_dir: folder, save_checkpoints_steps: 6 }), examples },
    controls,
  );
  const newest = join(folder, "step-000012");
  assert.equal(latestCheckpoint(folder), newest);
  for (const name of readdirSync(newest)) {
    const copy = `${folder}-${name}`;
    cpSync(folder, copy, { recursive: true });
    const file = join(copy, "step-000012", name);
    truncateSync(file, readFileSync(file).length - 1);
    if (name === "manifest.json") truncateSync(file, 20);
    assert.throws(() => readCheckpoint(join(copy, "step-000012")), CorruptFileError, name);
    assert.equal(latestCheckpoint(copy), join(copy, "step-000006"), name);
    const bytes = readFileSync(join(newest, name));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    if (name !== "manifest.json") {
      assert.throws(() => readCheckpoint(join(copy, "step-000012")), CorruptFileError);
    }
    rmSync(join(copy, "step-000006"), { recursive: true });
    if (name !== "manifest.json") assert.throws(() => latestCheckpoint(copy), CorruptFileError);
    rmSync(copy, { recursive: true });
  }
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() keeps the newest checkpoints and clears left-over temporary folders", async () => {
  const folder = scratch();
  cpSync(new URL(".", import.meta.url), join(folder, "step-000002.tmp-1"), { recursive: true });
  const options = { save_checkpoints_steps: 2, keep_checkpoint_max: 2 };
  await pretrain({ config, run: runOf({ output_dir: folder, ...options }), examples }, controls);
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.startsWith("events.")).sort(),
    ["metrics.jsonl", "step-000010", "step-000012", "trainer_state.json"],
  );
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() with init_from_group0 starts every group from the one group of the checkpoint", async () => {
  const folder = scratch();
  const before = await pretrain({ config, run: runOf({ output_dir: folder }), examples }, controls);
  const groups = { ...config, num_hidden_groups: 2 };
  const run = runOf({
    init_checkpoint: folder,
    init_from_group0: true,
    num_train_steps: 1,
    num_warmup_steps: 1,
  });
  const { parameters } = await pretrain({ config: groups, run, examples }, controls);
  const kernel = (group: number) =>
    `bert/encoder/transformer/group_${group}/inner_group_0/attention_1/self/query/kernel`;
  assert.deepEqual(parameters[kernel(1)], before.parameters[kernel(0)]);
  const without = await pretrain(
    { config: groups, run: { ...run, init_from_group0: false }, examples },
    controls,
  );
  assert.deepEqual(without.parameters[kernel(0)], before.parameters[kernel(0)]);
  assert.notDeepEqual(without.parameters[kernel(1)], before.parameters[kernel(0)]);
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() stops with advice when the loss is no number any more, and saves nothing of it", async () => {
  const folder = scratch();
  const run = runOf({ output_dir: folder, learning_rate: 1e30, num_warmup_steps: 0, log_every: 1 });
  await assert.rejects(
    pretrain({ config, run, examples }, controls),
    /in step 2 the loss is NaN; .*; lower learning_rate and start again from the beginning/,
  );
  const state = JSON.parse(readFileSync(join(folder, "trainer_state.json"), "utf8"));
  assert.deepEqual([state.status, state.latest_checkpoint], ["failed", null]);
  assert.equal(latestCheckpoint(folder), undefined);
  assert.equal(existsSync(join(folder, "train.lock")), false);
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() keeps attachments in every checkpoint and lets the event loop run", async () => {
  const folder = scratch();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const attachments = { "tokenizer.model": Uint8Array.of(1, 2, 3) };
  const seen: number[] = [];
  await pretrain({ config, run: runOf({ output_dir: folder, num_train_steps: 60 }), examples, attachments }, {
    ...controls,
    onProgress: ({ done, total }) => seen.push(done / (total ?? NaN)),
  });
  clearInterval(timer);
  assert.ok(ticks > 0);
  assert.equal(seen.at(-1), 1);
  assert.deepEqual([...readFileSync(join(latestCheckpoint(folder) ?? "", "tokenizer.model"))], [1, 2, 3]);
  rmSync(folder, { recursive: true });
});
