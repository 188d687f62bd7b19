// `albert finetune`, `predict`, `search` and the export of what they make, through the command line in this process: from a
// checkpoint to labels, and what is refused.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "../../lib/formats/mod.ts";
import { preparationFile } from "../../lib/commands/preparation.ts";
import { initialParameters, saveWeights } from "../../lib/train/mod.ts";
import { config, examples, model, tokenizer } from "../train/finetune_words.ts";
import { modelOf, ownFolder, runCommand } from "./letters.ts";

const folder = ownFolder();
const at = (...names: string[]): string => join(folder, ...names);

const lines = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");

saveWeights(at("model"), { ...model, attachments: { "tokenizer.model": tokenizer } });
saveWeights(at("bare"), model);
writeFileSync(at("texts.jsonl"), lines(examples.classify));
writeFileSync(
  at("pairs.jsonl"),
  lines(examples.pair.map(({ text, textB, label }) => ({ text, text_b: textB, label }))),
);
writeFileSync(at("words.conll"), "the O\ncat B-ANIMAL\n\nthe O\ndog B-ANIMAL\n\nis O\nred O\n");
writeFileSync(at("one.csv"), "text,label\nred,a\nblue,a\n");
writeFileSync(at("unseen.csv"), "text,label\nred,mauve\n");
writeFileSync(at("broken.jsonl"), '{"text":"red","label":"a"}\n{"text":\n');
writeFileSync(at("sentences.txt"), "the cat is red\n\nthe dog is blue\nthe cow is green\n");

const usual = {
  task: "classify",
  model: at("model"),
  train_file: at("texts.jsonl"),
  output_dir: at("tuned"),
  max_seq_length: "10",
  train_batch_size: "4",
  learning_rate: "0.003",
  num_train_epochs: "40",
  classifier_dropout_prob: "0",
  hidden_dropout_prob: "0",
  engine: "tfjs-wasm",
};

const tune = (changes: Readonly<Record<string, string>> = {}, name = "finetune") =>
  runCommand(name, Object.entries({ ...usual, ...changes }).map(([flag, value]) => `--${flag}=${value}`));

Deno.test("albert finetune makes a folder that predict and export use", async () => {
  const out = await tune({ eval_file: at("texts.jsonl"), log_every: "30" });
  assert.match(
    out[0] ?? "",
    /^start: \d+ weights of .*model\/step-000000; fresh: output_weights, output_bias$/,
  );
  assert.match(out[1] ?? "", /^step 30: loss \d\.\d+ \(accuracy \d\.\d+\), rate /);
  const result = out.find((line) => line.startsWith("held out:")) ?? "";
  assert.match(
    result,
    /9 examples, accuracy \d+\.\d % \(.*\), macro F1 .*; the commonest label alone gives 33\.3 %$/,
  );
  assert.ok(out.some((line) => /true label.*support.*as blue/.test(line)), "the confusion");
  assert.match(out.at(-1) ?? "", /^finished at step 90: .*tuned\/step-000090$/);
  assert.equal(JSON.parse(readFileSync(at("tuned", "eval.json"), "utf8")).step, 90);

  const engine = "--engine=tfjs-wasm";
  const said = await runCommand("predict", [
    `--model=${at("tuned")}`,
    engine,
    "--top_k=1",
    "the cow is BLUE",
    "the cat is red",
  ]);
  assert.match(said.join("\n"), /^the cow is BLUE\n {2}blue 0\.\d+\nthe cat is red\n {2}red 0\.\d+$/);
  writeFileSync(at("lines.txt"), "the dog is green\n");
  const [json = ""] = await runCommand("predict", [
    `--model=${at("tuned")}`,
    engine,
    "--json",
    `--input_file=${at("lines.txt")}`,
  ]);
  assert.deepEqual(JSON.parse(json).label, "green");

  await runCommand("export", [
    `--checkpoint=${at("tuned")}`,
    `--output_dir=${at("hf")}`,
    "--title=Colours",
    "--language=en",
  ]);
  const again = await runCommand("predict", [`--model=${at("hf")}`, engine, "--top_k=1", "the cow is BLUE"]);
  await runCommand("export", [
    `--checkpoint=${at("tuned")}`,
    `--output_dir=${at("parts")}`,
    "--max_shard_size=9KB",
  ]);
  assert.ok(existsSync(at("parts", "model.safetensors.index.json")));
  assert.deepEqual(again, said.slice(0, 2));
  const hf = JSON.parse(readFileSync(at("hf", "config.json"), "utf8"));
  assert.deepEqual(
    [hf.architectures, hf.id2label, hf.label2id, hf.classifier_dropout_prob],
    [
      ["AlbertForSequenceClassification"],
      { 0: "blue", 1: "green", 2: "red" },
      { blue: 0, green: 1, red: 2 },
      0,
    ],
  );
  const { tensors } = readSafetensors(readFileSync(at("hf", "model.safetensors")));
  assert.deepEqual(tensors["classifier.weight"]?.shape, [3, config.hidden_size]);
  const card = readFileSync(at("hf", "README.md"), "utf8");
  for (
    const part of ["pipeline_tag: text-classification", "# Colours", "| 0 | blue |", "| accuracy | 1.000 |"]
  ) {
    assert.ok(card.includes(part), part);
  }
  await assert.rejects(runCommand("fill-mask", [`--model=${at("tuned")}`, "a [MASK]"]), /it is fine-tuned/);
});

Deno.test("albert finetune and predict take pairs and words, and a Hugging Face folder to start from", async () => {
  await runCommand("export", [`--checkpoint=${at("model")}`, `--output_dir=${at("start")}`]);
  await assert.rejects(
    runCommand("predict", [`--model=${at("start")}`, "red"]),
    /its class is AlbertForPreTraining, which gives no labels/,
  );
  const pair = { task: "pair", train_file: at("pairs.jsonl"), eval_share: "0", model: at("start") };
  await tune({ ...pair, output_dir: at("pair") });
  const predict = (name: string, text: string) =>
    runCommand("predict", [`--model=${at(name)}`, "--engine=tfjs-wasm", text]);
  const [, said] = await predict("pair", "the cat is red || cow");
  assert.match(said ?? "", /^ {2}animal 0\.\d+ {2}colour 0\.\d+$/);
  await assert.rejects(predict("pair", "the cat"), /the model is for pairs, give two texts with \|\|/);
  const words = {
    task: "tokens",
    train_file: at("words.conll"),
    eval_file: at("words.conll"),
    num_train_epochs: "60",
  };
  const out = await tune({ ...words, output_dir: at("words") });
  assert.ok(
    out.some((line) => line.startsWith("entities: precision 100.0 %, recall 100.0 %, F1 100.0 %")),
    out.join("\n"),
  );
  assert.deepEqual(await predict("words", "is the dog red"), [
    "is the dog red",
    "  is/O the/O dog/B-ANIMAL red/O",
  ]);
});

Deno.test("albert finetune refuses in one line, and leaves nothing behind", async () => {
  const refused = async (changes: Readonly<Record<string, string>>, message: RegExp): Promise<void> => {
    await assert.rejects(tune({ output_dir: at("none"), ...changes }), (error: Error) => {
      assert.match(error.message, message);
      assert.equal(error.message.split("\n").length, 1, error.message);
      return true;
    });
    assert.ok(!existsSync(at("none")) || readdirSync(at("none")).length === 0, "something was written");
  };
  await refused({ task: "sort" }, /task must be one of "classify", "pair", "tokens", it is "sort"/);
  await refused({ train_file: at("nothing.csv") }, /Cannot read .*nothing\.csv: there is no such file/);
  await refused({ train_file: at("broken.jsonl") }, /broken\.jsonl: line 2 is no JSON/);
  await refused({ train_file: at("one.csv"), eval_share: "0" }, /every training example has the label a/);
  await refused(
    { eval_file: at("unseen.csv") },
    /the label mauve is not among those of the training examples/,
  );
  await refused({ task: "pair" }, /line 1 has no text_b/);
  await refused(
    { model: at("bare") },
    /it keeps no tokenizer; name the one of its records by --spm_model_file/,
  );
  await refused({ model: at("nowhere") }, /there is no checkpoint in /);
  await refused({ max_seq_length: "64" }, /max_seq_length 64: the model has 12 positions/);
  await refused(
    { learning_rate: "-1", num_train_epochs: "0" },
    /learning_rate must be at least 0.*num_train_epochs/,
  );
  await assert.rejects(
    runCommand("predict", [`--model=${at("model")}`, "red"]),
    /it has no task\.json, albert finetune makes one/,
  );
});

Deno.test("albert search prints the nearest sentences of a file", async () => {
  const search = (...args: string[]) =>
    runCommand("search", [
      `--model=${at("model")}`,
      `--input=${at("sentences.txt")}`,
      "--engine=tfjs-wasm",
      ...args,
    ]);
  const out = await search("--top_k=2", "the dog is blue");
  assert.deepEqual([out.length, out[0], out[1]], [3, "the dog is blue", "  1.000  the dog is blue"]);
  const plain = await search("--nocentre", "--top_k=1", "the cow is green");
  assert.equal(plain[1], "  1.000  the cow is green");
  await assert.rejects(search(), /give a query/);
  const other = [
    "--model",
    at("model"),
    "--spm_model_file",
    at("other.model"),
    "--input",
    at("sentences.txt"),
    "cat",
  ];
  writeFileSync(at("other.model"), "no model");
  await assert.rejects(runCommand("search", other));
  await assert.rejects(
    search(`--input=${at("lost.txt")}`, "cat"),
    /Cannot read the sentences .*there is no such file/,
  );
});

Deno.test("albert finetune, predict, search and export keep capitals and accents of a model that was made with them", async () => {
  const pieces = ["Bär", "Bar", "bär", "bar", "ist"];
  const cased = modelOf(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", ...pieces.map((word) => `▁${word}`)]);
  const shape = { ...config, vocab_size: 5 + pieces.length };
  saveWeights(at("cased"), {
    config: shape,
    parameters: initialParameters(shape, 1),
    attachments: {
      "tokenizer.model": cased,
      ...preparationFile({ doLowerCase: false, keepAccents: true }),
    },
  });
  const rows = pieces.slice(0, 4).flatMap((
    word,
  ) => [{ text: word, label: word }, { text: `ist ${word}`, label: word }]);
  writeFileSync(at("words.jsonl"), lines(rows));
  const files = { train_file: at("words.jsonl"), eval_file: at("words.jsonl") };
  const out = await tune({ model: at("cased"), output_dir: at("kept"), ...files, num_train_epochs: "60" });
  assert.ok(out.some((line) => line.startsWith("held out: 8 examples, accuracy 100.0 %")), out.join("\n"));
  await runCommand("export", [`--checkpoint=${at("kept")}`, `--output_dir=${at("kept-hf")}`]);
  const told = JSON.parse(readFileSync(at("kept-hf", "tokenizer_config.json"), "utf8"));
  assert.deepEqual([told.do_lower_case, told.keep_accents], [false, true]);
  for (const from of ["kept", "kept-hf"]) {
    const args = [`--model=${at(from)}`, "--engine=tfjs-wasm", "--top_k=1", ...pieces.slice(0, 4)];
    const said = await runCommand("predict", args);
    assert.deepEqual(
      said.filter((_, i) => i % 2 === 1).map((line) => line.trim().split(" ")[0]),
      pieces.slice(0, 4),
    );
  }
  writeFileSync(at("words.txt"), `${pieces.slice(0, 4).join("\n")}\n`);
  const search = [
    `--model=${at("cased")}`,
    `--input=${at("words.txt")}`,
    "--engine=tfjs-wasm",
    "--top_k=2",
    "Bär",
  ];
  const [, first, second] = await runCommand("search", search);
  assert.equal(first, "  1.000  Bär");
  assert.doesNotMatch(second ?? "", / 1\.000 /);
});
