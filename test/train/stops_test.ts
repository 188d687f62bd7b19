// What ends a run before its last step, and what a resume refuses.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFields } from "../../lib/formats/mod.ts";
import { readTfrecords } from "../../lib/records/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import { latestCheckpoint, pretrain, readCheckpoint, type StepMetrics } from "../../lib/train/mod.ts";
import { config, examples, runOf } from "./tiny.ts";
import { openTestEngine } from "../engine.ts";

const controls = { engine: await openTestEngine() };

async function inScratch(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const stateIn = (folder: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, "trainer_state.json"), "utf8"));

Deno.test("pretrain() scales gradients down to max_grad_norm, and not at all with 0", async () => {
  const still = { ...config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  const ends = [];
  for (const max_grad_norm of [1e-3, 0, 1e9]) {
    const run = runOf({ max_grad_norm, num_train_steps: 2, num_warmup_steps: 0, optimizer: "adamw" });
    ends.push((await pretrain({ config: still, run, examples }, controls)).parameters);
  }
  const [small, none, large] = ends;
  assert.notDeepEqual(small, none);
  assert.deepEqual(none, large); // scaled by exactly 1
});

Deno.test("pretrain() names the step of the first NaN though it looks later, and keeps the checkpoint before", async () => {
  await inScratch(async (folder) => {
    // A rate that is harmless at step 1 of the warm-up, 0, and destroys the weights at the next ones.
    const run = runOf({
      output_dir: folder,
      learning_rate: 1e30,
      num_warmup_steps: 2,
      save_checkpoints_steps: 1,
      log_every: 0,
    });
    await assert.rejects(
      pretrain({ config, run, examples }, controls),
      /in step 3 the loss is NaN; .* last good checkpoint, .*step-000002$/,
    );
    assert.equal(latestCheckpoint(folder), join(folder, "step-000002"));
    assert.match(String(stateIn(folder)["error"]), /in step 3/);
    assert.equal(stateIn(folder)["global_step"], 3);
    // Looked at only at the end, it is the same step.
    const rare = { ...run, output_dir: "", save_checkpoints_steps: 100 };
    await assert.rejects(
      pretrain({ config, run: rare, examples }, controls),
      /in step 3 the loss is NaN/,
    );
    // Seen at the end, step 12, the state still tells the step of the message.
    const late = { ...rare, output_dir: join(folder, "late") };
    await assert.rejects(pretrain({ config, run: late, examples }, controls), /in step 3 the loss is NaN/);
    assert.equal(stateIn(late.output_dir)["global_step"], 3);
  });
});

for (const gradient_accumulation_steps of [1, 2]) {
  Deno.test(`pretrain() stops early after evaluations without progress, and a resume stays stopped (${gradient_accumulation_steps})`, async () => {
    await inScratch(async (folder) => {
      // Rate 0 in a long warm-up: the held-out loss never falls after the first evaluation.
      const run = runOf({
        output_dir: folder,
        eval_every: 1,
        early_stop: 3,
        learning_rate: 0,
        keep_checkpoint_max: 1,
        gradient_accumulation_steps,
      });
      const data = { config, run, examples, evalExamples: examples };
      const result = await pretrain(data, controls);
      assert.deepEqual([result.step, result.interrupted, result.stoppedEarlyAfter], [4, false, 1]);
      // The best and the last are kept.
      assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("step-")).sort(), [
        "step-000001",
        "step-000004",
      ]);
      assert.equal(stateIn(folder)["status"], "stopped early");
      assert.equal(readCheckpoint(folder).state.early_stop?.waited, 3);
      assert.equal((await pretrain(data, controls)).step, 4);
      // More patience goes on.
      assert.equal((await pretrain({ ...data, run: { ...run, early_stop: 5 } }, controls)).step, 6);
    });
  });
}

Deno.test("pretrain() drops an accumulated step that would take long when a stop is asked, and loses no bit", async () => {
  // On an engine that is slow enough, and whose programs are ready at once.
  const controls = { engine: await openEngine("tfjs-wasm") };
  await inScratch(async (folder) => {
    // Some milliseconds a batch: the whole step would take 10 s and more.
    const wide = { ...config, hidden_size: 384, intermediate_size: 1536, num_attention_heads: 4 };
    const run = runOf({
      output_dir: folder,
      gradient_accumulation_steps: 3000,
      num_train_steps: 2,
      log_every: 0,
      save_checkpoints_steps: 100,
    });
    // Step 1 is made of fewer batches, so that it is quick.
    const few = { ...run, gradient_accumulation_steps: 8 };
    const whole = await pretrain({ config: wide, run: { ...few, output_dir: "" }, examples }, controls);
    await pretrain({ config: wide, run: { ...few, stop_after_steps: 1 }, examples }, controls);
    const before = readCheckpoint(folder);
    const stop = new AbortController();
    const notes: string[] = [];
    let read = 0;
    async function* counted() {
      for (const example of examples) {
        if (++read === 100) stop.abort(); // some 30 batches into step 2
        yield example;
      }
    }
    const changed = { ...run, allow_changed_flags: true };
    const result = await pretrain({ config: wide, run: changed, examples: counted }, {
      ...controls,
      signal: stop.signal,
      onNote: (note) => void notes.push(note),
    });
    assert.deepEqual([result.step, result.interrupted], [1, true]);
    assert.deepEqual(notes, ["stopping after this step, or without it if it takes more than a few seconds"]);
    assert.equal(stateIn(folder)["status"], "interrupted");
    assert.deepEqual(result.parameters, before.parameters);
    assert.deepEqual(readCheckpoint(folder), before);
    const rest = await pretrain({ config: wide, run: few, examples }, controls);
    assert.deepEqual(rest.parameters, whole.parameters);
  });
});

Deno.test("pretrain() drops an accumulated step of slow records, and saves the step before", async () => {
  await inScratch(async (folder) => {
    const run = runOf({
      output_dir: folder,
      gradient_accumulation_steps: 20,
      shuffle_buffer: 0,
      num_train_steps: 3,
    });
    const stop = new AbortController();
    let read = 0;
    async function* slow() {
      for (const example of examples) {
        // The second step reads for ever so long.
        if (read++ > 20 * 3) await new Promise((resolve) => setTimeout(resolve, 200));
        if (read > 20 * 3 + 3) stop.abort();
        yield example;
      }
    }
    const result = await pretrain({ config, run, examples: slow }, { ...controls, signal: stop.signal });
    assert.deepEqual([result.step, result.interrupted], [1, true]);
    assert.equal(readCheckpoint(folder).state.step, 1);
    const rest = await pretrain({ config, run, examples }, controls);
    const whole = await pretrain({ config, run: { ...run, output_dir: "" }, examples }, controls);
    assert.deepEqual(rest.parameters, whole.parameters);
  });
});

Deno.test("pretrain() refuses early_stop without held-out examples", async () => {
  const run = runOf({ eval_every: 1, early_stop: 1 });
  await assert.rejects(pretrain({ config, run, examples }, controls), /no held-out examples/);
});

Deno.test("pretrain() refuses to go on with changed flags or contents, by name, unless told to", async () => {
  await inScratch(async (folder) => {
    const run = runOf({ output_dir: folder, num_train_steps: 2, input_file: "a" });
    const hashes = { tokenizer: "aa", records: "bb" };
    await pretrain({ config, run, examples, hashes }, controls);
    const again = (changes: object, content: Record<string, string> = hashes) =>
      pretrain({ config, run: { ...run, ...changes }, examples, hashes: content }, controls);
    await assert.rejects(again({ seed: 10, train_batch_size: 4 }), {
      name: "RangeError",
      message: /train_batch_size was 3 and is 4; seed was 9 and is 10; .*--allow_changed_flags/,
    });
    for (const changes of [{ optimizer: "adamw" }, { max_grad_norm: 2 }, { num_train_steps: 5 }]) {
      await assert.rejects(again(changes), new RegExp(Object.keys(changes)[0] ?? "none"));
    }
    await assert.rejects(
      again({}, { ...hashes, tokenizer: "cc" }),
      /SHA-256 of the tokenizer was aa and is cc/,
    );
    await assert.rejects(again({ input_file: "b" }, { tokenizer: "aa" }), /input_file was "a" and is "b"/);
    await again({ input_file: "" }, {}); // a caller that opens the records itself
    await again({ input_file: "b", log_every: 1, engine: "reference" }); // same records under another name
    assert.equal((await again({ num_train_steps: 3, allow_changed_flags: true })).step, 3);
    const state = readCheckpoint(folder).state;
    assert.deepEqual(Object.keys(state.hashes ?? {}).sort(), ["config", "records", "tokenizer"]);
  });
});

Deno.test("pretrain() writes its curves for TensorBoard and says where it stands", async () => {
  await inScratch(async (folder) => {
    const run = runOf({ output_dir: folder, eval_every: 6 });
    const data = { config, run, examples, evalExamples: examples };
    const { log } = await pretrain({ ...data, run: { ...run, stop_after_steps: 5 } }, controls);
    assert.equal(stateIn(folder)["status"], "finished");
    const rest = await pretrain(data, controls);
    const lines = [...log, ...rest.log];
    assert.deepEqual(stateIn(folder), {
      status: "finished",
      global_step: 12,
      max_steps: 12,
      latest_checkpoint: join(folder, "step-000012"),
      early_stop: null,
    });
    const events = readdirSync(folder).filter((name) => name.includes("tfevents"));
    assert.equal(events.length, 2);
    const seen: [number, string, number][] = [];
    for (const name of events) {
      for await (const { data } of readTfrecords(join(folder, name))) seen.push(...valuesIn(data));
    }
    const wanted = lines.flatMap((line: StepMetrics) => [
      [line.step, "train/masked_lm_loss", Math.fround(line.masked_lm_loss)],
      ...(line.evaluation === undefined
        ? []
        : [[line.step, "held_out/masked_lm_loss", Math.fround(line.evaluation.masked_lm_loss)]]),
    ]);
    const order = (a: unknown, b: unknown): number => String(a) < String(b) ? -1 : 1;
    assert.deepEqual(
      seen.filter(([, tag]) => tag.endsWith("/masked_lm_loss")).sort(order),
      wanted.sort(order),
    );
    assert.equal(existsSync(join(folder, "train.lock")), false);
  });
});

const python = Deno.env.get("PYTHON") ?? "python3";

async function runPython(code: string): Promise<{ readonly code: number; readonly text: string }> {
  try {
    const { code: status, stdout } = await new Deno.Command(python, { args: ["-c", code], stderr: "null" })
      .output();
    return { code: status, text: new TextDecoder().decode(stdout) };
  } catch {
    return { code: 127, text: "" }; // no Python here
  }
}

Deno.test({
  name: "TensorBoard's own reader finds the curves, and forgets what a resume repeats",
  ignore: (await runPython("import tensorboard")).code !== 0,
  fn: () =>
    inScratch(async (folder) => {
      const run = runOf({ output_dir: folder, log_every: 1, save_checkpoints_steps: 4 });
      // Stopped by an error at step 6, it goes on from the checkpoint of step 4: steps 5 and 6 come twice.
      const stop = new Error("stop");
      const onStep = ({ step }: StepMetrics): void => {
        if (step === 6) throw stop;
      };
      await assert.rejects(pretrain({ config, run, examples }, { ...controls, onStep }), stop);
      await new Promise((resolve) => setTimeout(resolve, 1100)); // the files are ordered by their second
      await pretrain({ config, run, examples }, controls);
      const { text } = await runPython(`
import json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(${JSON.stringify(folder)})
events.Reload()
print(json.dumps([[s.step, s.value] for s in events.Scalars("train/masked_lm_loss")]))`);
      const lines = readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n").map((line) =>
        JSON.parse(line) as StepMetrics
      );
      assert.deepEqual(
        JSON.parse(text),
        lines.map(({ step, masked_lm_loss }) => [step, Math.fround(masked_lm_loss)]),
      );
      assert.deepEqual(lines.map(({ step }) => step), Array.from({ length: 12 }, (_, i) => i + 1));
    }),
});

/** Step, tag and value of every scalar of an Event message. */
function valuesIn(event: Uint8Array): [number, string, number][] {
  const fields = [...readFields(event)];
  const step = Number(fields.find(({ field }) => field === 2)?.value ?? 0);
  const summaries = fields.filter(({ field }) => field === 5).map(({ value }) => value as Uint8Array);
  return summaries.flatMap((summary) => [...readFields(summary)]).map(({ value }) => {
    const [tag, scalar] = [...readFields(value as Uint8Array)].map((field) => field.value as Uint8Array);
    const bytes = scalar ?? new Uint8Array(4);
    return [
      step,
      new TextDecoder().decode(tag),
      new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true),
    ];
  });
}

Deno.test("pretrain() removes the half-written files of a process that is gone", async () => {
  await inScratch(async (folder) => {
    const left = ["metrics.jsonl.tmp-999999999", "trainer_state.json.tmp-999999999"];
    for (const name of [...left, "notes.tmp-1"]) writeFileSync(join(folder, name), "{");
    await pretrain({ config, run: runOf({ output_dir: folder, num_train_steps: 1 }), examples }, controls);
    assert.deepEqual(readdirSync(folder).filter((name) => name.includes(".tmp-")), ["notes.tmp-1"]);
  });
});

Deno.test("pretrain() says in words that no folder can be made", async () => {
  const run = runOf({ output_dir: "/proc/nothing/here", num_train_steps: 1 });
  await assert.rejects(
    pretrain({ config, run, examples }, controls),
    /^Error: Cannot train in \/proc\/nothing\/here: no folder can be made there; choose another output_dir$/,
  );
});

Deno.test("pretrain() names what differs when the checkpoint has another architecture", async () => {
  await inScratch(async (folder) => {
    const run = runOf({ output_dir: folder, num_train_steps: 1 });
    await pretrain({ config, run, examples }, controls);
    await assert.rejects(
      pretrain(
        { config: { ...config, hidden_act: "relu", initializer_range: 0.03 }, run, examples },
        controls,
      ),
      /another architecture: hidden_act was "gelu" and is "relu"; initializer_range was 0.1 and is 0.03; choose/,
    );
  });
});
