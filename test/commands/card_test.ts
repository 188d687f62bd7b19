// Model cards: the commands they tell are run again to the same bits, and what else the issue of an export must say is there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { albertConfigToJson, albertPreset } from "../../lib/config/mod.ts";
import { modelCard } from "../../lib/export/mod.ts";
import { saveWeights } from "../../lib/train/mod.ts";
import * as tiny from "../train/finetune_words.ts";
import { makeRecords, modelOf, ownFolder, pieces, runCommand, writeLetters } from "./letters.ts";

const folder = ownFolder();
const at = (...names: string[]): string => join(folder, ...names);

/** The command lines of a card, as a shell cuts them. */
function commandsOf(card: string): string[][] {
  const block = /## Made by\n\n```\n([\s\S]*?)\n```/.exec(card)?.[1] ?? "";
  return block.split("\n").map((line) => {
    const { stdout } = spawnSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" });
    return stdout.trimEnd().split("\n");
  });
}

/** Exports, runs every command of the card again with all that was made set aside, and compares. */
async function again(exported: string, made: readonly string[]): Promise<string> {
  const card = readFileSync(join(exported, "README.md"), "utf8");
  const commands = commandsOf(card);
  for (const path of [exported, ...made]) renameSync(path, `${path}-first`);
  for (const [program, name = "", ...args] of commands) {
    assert.equal(program, "albert");
    await runCommand(name, args);
  }
  for (const file of ["model.safetensors", "README.md", "config.json", "eval.json"]) {
    assert.deepEqual(readFileSync(join(exported, file)), readFileSync(join(`${exported}-first`, file)), file);
  }
  return card;
}

Deno.test("the commands of a model card make the same model again, spaces and all", async () => {
  writeLetters(folder, 3);
  writeFileSync(at("a model"), modelOf(pieces));
  const tokenizer_sha256 = createHash("sha256").update(readFileSync(at("a model"))).digest("hex");
  for (const name of ["train", "held_out"]) {
    await makeRecords(folder, name, { tokenizer_sha256, dupe_factor: 2 });
  }
  const config = albertPreset("tiny", { vocab_size: pieces.length, max_position_embeddings: 12 });
  writeFileSync(at("config.json"), albertConfigToJson(config));
  writeFileSync(
    at("data.json"),
    JSON.stringify({ title: "Letters", licence: "CC0-1.0", plain: { sha256: "0a1b" } }),
  );
  await runCommand("pretrain", [
    ...[`--input_file=${at("train.tfrecord")}`, `--albert_config_file=${at("config.json")}`],
    ...[
      `--output_dir=${at("my runs")}`,
      `--spm_model_file=${at("a model")}`,
      "--engine=tfjs-wasm",
      "--nomeasure_peak",
    ],
    ...["--max_seq_length=12", "--max_predictions_per_seq=2", "--train_batch_size=4", "--num_train_steps=4"],
    ...["--num_warmup_steps=1", "--log_every=2", "--seed=7"],
  ]);
  await runCommand("export", [
    ...[
      `--checkpoint=${at("my runs")}`,
      `--output_dir=${at("exported")}`,
      "--engine=tfjs-wasm",
      "--title=It's a card",
    ],
    ...[`--eval_input_file=${at("held_out.tfrecord")}`, `--data_card=${at("data.json")}`, "--language=no"],
  ]);
  const card = await again(at("exported"), [at("my runs")]);
  const { examples } = JSON.parse(readFileSync(at("exported", "eval.json"), "utf8"));
  for (
    const part of [
      ...['language: "no"', 'model_name: "It\'s a card"', "# It's a card", "trained for 4 steps"],
      ...["| text | Letters |", "| licence | CC0-1.0 |", "| SHA-256 of the text | 0a1b |"],
      ...["| SHA-256 of the records | ", "| pieces | 13 |", `intervals are 95 %, over ${examples} records.`],
      ...[
        "![loss over the steps of the run](loss.svg)",
        "## Limits",
        "| hidden_size | ",
        "| num_train_steps | 4 |",
      ],
      ...["`AlbertForPreTraining` also gives the order", "UNEXPECTED"],
    ]
  ) assert.ok(card.includes(part), part);
});

Deno.test("the commands of a fine-tuned model's card make it again, and the card tells data, tokenizer and loss", async () => {
  saveWeights(at("pretrained"), { ...tiny.model, attachments: { "tokenizer.model": tiny.tokenizer } });
  writeFileSync(at("texts.jsonl"), tiny.examples.classify.map((row) => JSON.stringify(row)).join("\n"));
  writeFileSync(at("set.json"), JSON.stringify({ title: "Colours", licence: "MIT" }));
  await runCommand("finetune", [
    ...[
      "--task=classify",
      `--model=${at("pretrained")}`,
      `--train_file=${at("texts.jsonl")}`,
      "--engine=tfjs-wasm",
    ],
    ...[
      `--eval_file=${at("texts.jsonl")}`,
      `--output_dir=${at("tuned")}`,
      "--max_seq_length=10",
      "--log_every=2",
    ],
    ...["--train_batch_size=4", "--num_train_epochs=3", "--eval_every=2"],
  ]);
  await runCommand("export", [
    ...[`--checkpoint=${at("tuned")}`, `--output_dir=${at("tuned hf")}`, `--data_card=${at("set.json")}`],
    "--max_shard_size=5MB",
  ]);
  const card = await again(at("tuned hf"), [at("tuned")]);
  for (
    const part of [
      ...[
        "| text | Colours |",
        "| licence | MIT |",
        "| SHA-256 of the training examples | ",
        "| pieces | 13 |",
      ],
      ...[
        "![loss over the steps of the run](loss.svg)",
        "| accuracy | ",
        "albert finetune --task=classify --model=",
      ],
    ]
  ) assert.ok(card.includes(part), part);
  assert.match(
    readFileSync(at("tuned hf", "loss.svg"), "utf8"),
    /^<svg [\s\S]*loss, held out[\s\S]*<\/svg>\s*$/,
  );
});

Deno.test("modelCard() tells how the folder's own formats are used, and which class the weights are for", () => {
  const facts = { title: "a", config: albertPreset("tiny"), step: 1, command: "albert export" };
  const masked = modelCard({ ...facts, architecture: "AlbertForMaskedLM" });
  assert.match(masked, /without pooler and order head; `AlbertForPreTraining` would begin those anew/);
  assert.doesNotMatch(masked, /UNEXPECTED|js\n/);
  const script = modelCard({
    ...facts,
    formats: ["onnx", "tf"],
    onnx: { weights: ["int8"], outputs: ["logits"] },
  });
  assert.match(
    script,
    /library_name: transformers\.js\n[\s\S]*"fill-mask", "this-folder", \{ dtype: "q8" \}/,
  );
  assert.doesNotMatch(script, /python|feature-extraction/);
  assert.match(
    modelCard({ ...facts, formats: ["hf", "onnx"] }),
    /```python[\s\S]*```js[\s\S]*feature-extraction/,
  );
  const words = { language: "nb", licence: "1.0" };
  assert.match(modelCard({ ...facts, ...words }), /^---\nlanguage: nb\nlicense: "1\.0"\n/);
});
