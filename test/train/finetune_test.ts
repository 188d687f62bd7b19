import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertEncoder, albertParameters } from "../../lib/model/mod.ts";
import { encodeText, labelList } from "../../lib/train/finetune/examples.ts";
import { encodingOf } from "../../lib/train/finetune/predict.ts";
import {
  finetune,
  initialParameters,
  predictLabels,
  readCheckpoint,
  readFineTuned,
} from "../../lib/train/mod.ts";
import { splitLabelled, tagNames, taskParameters } from "../../lib/train/mod.ts";
import { compile } from "../../lib/tensor/mod.ts";
import { openTestEngine } from "../engine.ts";
import { config, examples, model, runOf, tokenizer } from "./finetune_words.ts";

const engine = await openTestEngine();

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const task of ["classify", "pair", "tokens"] as const) {
  Deno.test(`finetune() learns ${task} until every training example is right, and predictLabels() says the same`, async () => {
    const all = examples[task];
    const run = runOf({
      task,
      num_train_epochs: 60,
      classifier_dropout_prob: 0,
      hidden_dropout_prob: 0,
      attention_probs_dropout_prob: 0,
      log_every: 0,
    });
    const { model: tuned, evaluation, step } = await finetune({
      model,
      run,
      examples: all,
      evalExamples: all,
    }, { engine });
    assert.equal(step, 135);
    assert.deepEqual([evaluation?.accuracy, evaluation?.macro_f1], [1, 1]);
    assert.equal(evaluation?.entity_f1, task === "tokens" ? 1 : undefined);
    const said = await predictLabels(all, tuned, { engine, batchSize: 2 });
    assert.deepEqual(
      said.map(({ label, tags }) => tags ?? [label]),
      all.map(({ label, tags }) => tags ?? [label]),
    );
    const sums = said.flatMap(({ probabilities }) => {
      const C = tuned.labels.length;
      return Array.from(
        { length: probabilities.length / C },
        (_, i) => probabilities.slice(i * C, (i + 1) * C).reduce((sum, share) => sum + share, 0),
      );
    });
    for (const sum of sums) assert.ok(Math.abs(sum - 1) < 1e-9);
  });
}

Deno.test("finetune() that is stopped and started again ends with the same bits and the same log", () =>
  inFolder(async (folder) => {
    const run = (name: string) =>
      runOf({ output_dir: join(folder, name), save_checkpoints_steps: 3, eval_every: 6 });
    const given = (name: string) => ({
      model,
      run: run(name),
      examples: examples.classify,
      evalExamples: examples.classify.slice(0, 4),
    });
    await finetune(given("whole"), { engine });
    for (const at of [5, 10]) {
      const stop = new AbortController();
      const onStep = ({ step }: { step: number }): void => void (step >= at && stop.abort());
      const { interrupted, step } = await finetune(given("parts"), { engine, signal: stop.signal, onStep });
      assert.ok(interrupted && step < 18, `stopped at ${step}`);
    }
    const { step } = await finetune(given("parts"), { engine });
    assert.equal(step, 18);
    const read = (name: string, file: string) => readFileSync(join(folder, name, "step-000018", file));
    for (const file of ["model.safetensors", "optimizer.safetensors", "task.json", "tokenizer.model"]) {
      assert.deepEqual(read("parts", file), read("whole", file), file);
    }
    const log = (name: string): unknown[] =>
      readFileSync(join(folder, name, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => {
        const { tokens_per_second: _, ...rest } = JSON.parse(line);
        return rest;
      });
    assert.deepEqual(log("parts"), log("whole"));
    const tuned = readFineTuned(join(folder, "parts"));
    assert.deepEqual([tuned.task, tuned.labels, tuned.step], ["classify", ["blue", "green", "red"], 18]);
    assert.throws(
      () => readCheckpoint(join(folder, "parts")),
      /it is fine-tuned, so it has no heads of pretraining/,
    );
    const changed = { ...given("parts"), run: { ...run("parts"), learning_rate: 0.5 } };
    await assert.rejects(finetune(changed, { engine }), /learning_rate was 0.003 and is 0.5/);
    const other = { ...given("parts"), examples: examples.classify.slice(0, 8) };
    await assert.rejects(finetune(other, { engine }), /SHA-256 of the training examples was/);
  }));

Deno.test("finetune() starts from the model's weights, or from random ones when asked to", async () => {
  const start = async (from_scratch: boolean) => {
    const run = runOf({ learning_rate: 0, num_train_epochs: 0.5, from_scratch, weight_decay_rate: 0 });
    const notes: string[] = [];
    const onNote = (note: string): void => void notes.push(note);
    const { model: tuned } = await finetune({ model, run, examples: examples.classify }, { engine, onNote });
    return { tuned, note: notes[0] ?? "" };
  };
  const name = "bert/embeddings/word_embeddings";
  const { tuned, note } = await start(false);
  assert.deepEqual(tuned.parameters[name], model.parameters[name]);
  assert.match(note, /^start: \d+ weights of a model; fresh: output_weights, output_bias$/);
  const fresh = await start(true);
  assert.notDeepEqual(fresh.tuned.parameters[name], model.parameters[name]);
  assert.match(fresh.note, /random weights/);
});

Deno.test("finetune() refuses what cannot be learned", async () => {
  const train = examples.classify;
  const tune = (changes: object, run: Parameters<typeof runOf>[0] = {}) =>
    finetune({ model, run: runOf(run), examples: train, ...changes }, { engine });
  const one = train.map((example) => ({ ...example, label: "red" }));
  await assert.rejects(
    tune({ examples: one, evalExamples: [] }),
    /every training example has the label red; at least two/,
  );
  await assert.rejects(tune({ examples: [] }), /there is no training example/);
  const unseen = [{ text: "the cat", label: "mauve" }];
  await assert.rejects(
    tune({ evalExamples: unseen }),
    /the label mauve is not among .* \(blue, green, red\)/,
  );
  await assert.rejects(tune({ examples: [{ text: "red" }] }), /with example 1: it has no label/);
  await assert.rejects(
    tune({ examples: examples.tokens }),
    /with example 1: the task is classify, give one text/,
  );
  const short = [{ tokens: ["red"], tags: [] }];
  await assert.rejects(tune({ examples: short }, { task: "tokens" }), /it has 1 words and 0 tags/);
  const larger = { ...model, config: { ...config, vocab_size: 99 } };
  await assert.rejects(tune({ model: larger }), /the tokenizer has 13 pieces and the model 99/);
  await assert.rejects(tune({}, { max_seq_length: 13 }), /max_seq_length 13: the model has 12 positions/);
});

Deno.test("predictLabels() gives the same scores alone, in a batch and beside longer texts", async () => {
  const { model: tuned } = await finetune({ model, run: runOf({}), examples: examples.classify }, { engine });
  const texts = ["red", "the cat is red", "the dog is blue the cow is red"].map((text) => ({ text }));
  const together = await predictLabels(texts, tuned, { engine });
  for (const [i, text] of texts.entries()) {
    const [alone] = await predictLabels([text], tuned, { engine, batchSize: 1 });
    alone?.logits.forEach((score, c) => assert.ok(Math.abs(score - (together[i]?.logits[c] ?? NaN)) < 1e-5));
  }
  await assert.rejects(
    predictLabels([{ tokens: ["a"] }], tuned, { engine }),
    /text 1: the task is classify/,
  );
});

Deno.test("the scores of a text are its pooled output times output_weights plus output_bias", async () => {
  const shape = { task: "classify", labels: 3 } as const;
  const weights = taskParameters(config, shape);
  const parameters: Record<string, Float32Array> = { ...model.parameters };
  for (const { name, shape: [rows = 0, width = 1] } of weights.slice(-2)) {
    parameters[name] = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i));
  }
  const tuned = {
    ...{ config, parameters, tokenizer, task: "classify", labels: ["a", "b", "c"] } as const,
    ...{ maxSeqLength: 10, doLowerCase: true, classifierDropout: 0.1 },
  };
  const [said] = await predictLabels([{ text: "the cat" }], tuned, { engine });
  const ids = { dtype: "int32", shape: [1, 4] } as const;
  const types = Object.fromEntries(
    albertParameters(config).map(({ name, shape }) => [name, { dtype: "float32", shape }] as const),
  );
  const program = await compile(
    ({ parameters, ...inputs }) => ({ pooled: albertEncoder(parameters, inputs, config).pooled }),
    { parameters: types, inputIds: ids, inputMask: ids, segmentIds: ids },
    { engine },
  );
  const { pooled } = await program.run({
    parameters: model.parameters,
    inputIds: Int32Array.of(2, 11, 8, 3),
    inputMask: Int32Array.of(1, 1, 1, 1),
    segmentIds: new Int32Array(4),
  });
  const values = await pooled.data();
  const H = config.hidden_size;
  said?.logits.forEach((score, label) => {
    let sum = Math.sin(label); // the bias
    for (let i = 0; i < H; i++) sum += Math.sin(label * H + i) * (values[i] ?? 0);
    assert.ok(Math.abs(sum - score) < 1e-5, `${sum} and ${score}`);
  });
});

Deno.test("encodeText() cuts the longer text of a pair first, and says which words are beyond the end", () => {
  const encoding = encodingOf(tokenizer, true);
  const pair = encodeText({ text: "red green blue cat dog", textB: "the is" }, encoding, 8);
  assert.deepEqual(pair.ids, [2, 5, 6, 7, 3, 11, 12, 3]);
  assert.deepEqual(pair.segments, [0, 0, 0, 0, 0, 1, 1, 1]);
  const cut = encodeText({ tokens: ["the", "Cat", "is", "red"] }, encoding, 5);
  assert.deepEqual([cut.ids, cut.places], [[2, 11, 8, 12, 3], [1, 2, 3, -1]]);
});

Deno.test("labelList() sorts numbers by size, names by letters and puts O first", () => {
  const of = (...labels: string[]) => labelList(labels.map((label) => ({ text: "", label })));
  assert.deepEqual(of("10", "9", "-1"), ["-1", "9", "10"]);
  assert.deepEqual(of("b", "10", "a"), ["10", "a", "b"]);
  assert.deepEqual(labelList([{ tags: ["B-X", "O", "A"] }]), ["O", "A", "B-X"]);
});

Deno.test("splitLabelled() keeps equal texts together and moves none when more come", () => {
  const all = Array.from({ length: 400 }, (_, i) => ({ text: `text ${i % 200}`, label: "a" }));
  const { train, heldOut } = splitLabelled(all, 0.25, 1);
  const held = new Set(heldOut.map(({ text }) => text));
  assert.ok(train.every(({ text }) => !held.has(text)));
  assert.ok(heldOut.length > 60 && heldOut.length < 140, `${heldOut.length}`);
  const { heldOut: first } = splitLabelled(all.slice(0, 100), 0.25, 1);
  assert.deepEqual(first, heldOut.slice(0, first.length));
  assert.notDeepEqual(splitLabelled(all, 0.25, 2).heldOut, heldOut);
});

Deno.test("tagNames() takes a capital inside a sentence, and at its beginning a word that is never written small", () => {
  const [a, b, c] = tagNames([
    "And the LORD said unto Simon Peter, Who is God?",
    "Peter and the children went.",
    "Who said this? Rise, and tell Mark what mark I saw.",
  ]);
  const named = (example: typeof a): string[] =>
    (example?.tokens ?? []).flatMap((token, i) =>
      example?.tags?.[i] === "O" ? [] : [`${token} ${example?.tags?.[i]}`]
    );
  assert.deepEqual(named(a), ["Simon B-NAME", "Peter B-NAME", "Who B-NAME"]); // a comma ends no sentence
  assert.deepEqual(named(b), ["Peter B-NAME"]);
  assert.deepEqual(named(c), ["Who B-NAME", "Mark B-NAME"]);
});

Deno.test("a fine-tuned model holds the encoder and its head, with tags no pooler", () => {
  const names = (task: "classify" | "tokens") =>
    taskParameters(config, { task, labels: 2 }).map(({ name }) => name);
  const all = Object.keys(initialParameters(config, 1)).filter((name) => !name.startsWith("cls/"));
  assert.deepEqual(names("classify"), [...all, "output_weights", "output_bias"]);
  assert.deepEqual(
    names("tokens"),
    [...all.filter((name) => !name.startsWith("bert/pooler/")), "output_weights", "output_bias"],
  );
});
