// `albert export` and `albert import` as a user calls them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArguments, UsageError } from "../../lib/commands/command.ts";
import { exportCommand } from "../../lib/commands/export.ts";
import { fillMask } from "../../lib/commands/fill_mask.ts";
import { inspect } from "../../lib/commands/inspect.ts";
import { importCommand } from "../../lib/commands/import.ts";
import { albertConfigToJson, parsePretrainingConfig } from "../../lib/config/mod.ts";
import { writeTfCheckpoint } from "../../lib/formats/mod.ts";
import { saveCheckpoint } from "../../lib/train/checkpoint.ts";
import { readCheckpoint, saveWeights } from "../../lib/train/mod.ts";
import { sampleModel, writeSampleRecords } from "./samples.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-export-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a command line and returns what it prints. */
async function albert(
  name: "export" | "import" | "fill-mask" | "inspect",
  ...args: string[]
): Promise<string> {
  const command = { export: exportCommand, import: importCommand, "fill-mask": fillMask, inspect }[name];
  const { values, positionals } = parseArguments(command, args);
  const lines: string[] = [];
  await command.run(values, positionals, {
    print: (line = "") => void lines.push(line),
    onProgress: () => {},
    endProgress: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return lines.join("\n");
}

/** A run's folder: a checkpoint with its tokenizer, and a log. */
function trained(folder: string): string {
  const model = sampleModel();
  const path = join(folder, "model");
  saveWeights(path, { ...model, attachments: { "tokenizer.model": model.tokenizer } });
  const line = (step: number): string =>
    JSON.stringify({ step, masked_lm_mask_loss: 7 - step, sentence_order_loss: 0.7 });
  const cutOff = line(6).slice(0, 9); // as a kill leaves it
  writeFileSync(join(path, "metrics.jsonl"), `${line(-1)}\n${line(0)}\n${line(5)}\n${cutOff}`);
  return path;
}

Deno.test("export and import bring a checkpoint to Hugging Face and TensorFlow and back without a changed bit", async () => {
  await inFolder(async (folder) => {
    const model = trained(folder);
    const out = join(folder, "out");
    const said = await albert(
      "export",
      `--checkpoint=${model}`,
      `--output_dir=${out}`,
      "--format=hf,tf",
      "--title=A B",
    );
    assert.match(said, /out: hf and tf of .*step-000000, step 0$/);
    const card = readFileSync(join(out, "README.md"), "utf8");
    assert.match(card, /^# A B$/m);
    assert.match(card, /^albert export --checkpoint=\S+ --output_dir=\S+ --format=hf,tf '--title=A B'$/m);
    assert.match(readFileSync(join(out, "loss.svg"), "utf8"), /^<svg[\s\S]*\[MASK\] loss, training/);
    const { parameters } = readCheckpoint(model);
    for (const source of [out, join(out, "tf"), join(out, "tf", "model.ckpt-0")]) {
      const made = mkdtempSync(join(folder, "made-"));
      assert.match(await albert("import", `--model=${source}`, `--output_dir=${made}`), /\d+ weights of /);
      const found = readCheckpoint(made);
      assert.deepEqual(found.parameters, parameters);
      assert.deepEqual(
        readFileSync(join(found.path, "tokenizer.model")),
        readFileSync(join(out, "spiece.model")),
      );
      await assert.rejects(
        albert("import", `--model=${source}`, `--output_dir=${made}`),
        /holds .*step-000000 already/,
      );
    }
  });
});

Deno.test("export and import keep whether a text was lower-cased, and fill-mask asks as the model was made", async () => {
  await inFolder(async (folder) => {
    const [first, made, second] = ["a", "made", "b"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await albert("export", `--checkpoint=${trained(folder)}`, `--output_dir=${first}`, "--nodo_lower_case");
    const said = await albert("import", `--model=${first}`, `--output_dir=${made}`);
    assert.match(said, /its tokenizer keeps capitals/);
    await albert("export", `--checkpoint=${made}`, `--output_dir=${second}`, "--max_shard_size=20KB");
    for (const file of ["tokenizer.json", "tokenizer_config.json", "spiece.model", "config.json"]) {
      assert.deepEqual(readFileSync(join(second, file)), readFileSync(join(first, file)), file);
    }
    assert.match(readFileSync(join(second, "README.md"), "utf8"), /^Text keeps its case\./m);
    assert.ok(existsSync(join(second, "model.safetensors.index.json")));
    const fill = (model: string, ...flags: string[]): Promise<string> =>
      albert("fill-mask", `--model=${model}`, "--engine=reference", ...flags, "THE a [MASK]");
    assert.equal(await fill(made), await fill(second));
    assert.notEqual(await fill(made), await fill(made, "--do_lower_case"));
    await assert.rejects(
      albert("export", `--checkpoint=${made}`, `--output_dir=${second}`, "--max_shard_size=big"),
      /--max_shard_size=big is no size, write 200MB or 5GB/,
    );
  });
});

Deno.test("export tells in the card the tokenizer, the commands of the training and the last evaluation of the log", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "model");
    const { tokenizer, m = {}, v = {}, ...model } = sampleModel();
    const run = parsePretrainingConfig({ input_file: "a b.tfrecord", num_train_steps: 9, seed: 7 });
    const state = { step: 9, position: 0, totals: [], steps_in_totals: 0, run };
    saveCheckpoint(path, { ...model, m, v, state }, {
      keep: 1,
      attachments: { "tokenizer.model": tokenizer },
    });
    const line = (step: number): string =>
      JSON.stringify({ step, masked_lm_mask_loss: 5, evaluation: { masked_lm_mask_loss: 4 + step } });
    writeFileSync(join(path, "metrics.jsonl"), `${line(4)}\n${line(8)}\n${line(12)}\n`);
    const out = join(folder, "out");
    await albert("export", `--checkpoint=${path}`, `--output_dir=${out}`);
    const card = readFileSync(join(out, "README.md"), "utf8");
    assert.match(
      card,
      /^albert pretrain '--input_file=a b\.tfrecord' --num_train_steps=9 --seed=7\nalbert export /m,
    );
    const sha256 = createHash("sha256").update(tokenizer).digest("hex");
    assert.ok(card.includes(`| SHA-256 of \`spiece.model\` | ${sha256} |`), card);
    assert.match(card, /\| capitals \| lower-cased \|/);
    assert.deepEqual(JSON.parse(readFileSync(join(out, "eval.json"), "utf8")), {
      step: 8,
      masked_lm_mask_loss: 12,
    });
    assert.match(card, /\| masked-LM loss on \[MASK\] positions, nats \| 12 \| not known \|/);
  });
});

Deno.test("export writes hf, onnx and tf beside one another, and inspect shows what the ONNX file holds", async () => {
  await inFolder(async (folder) => {
    const out = join(folder, "out");
    const small = ["--onnx_weights=int8", "--onnx_outputs=logits", "--opset=18"];
    const all = [`--checkpoint=${trained(folder)}`, `--output_dir=${out}`, "--format=hf,onnx,tf", ...small];
    assert.match(await albert("export", ...all), /out: hf and onnx and tf of /);
    for (const name of ["model.safetensors", "README.md", "onnx/model_quantized.onnx", "tf/checkpoint"]) {
      assert.ok(existsSync(join(out, name)), name);
    }
    assert.ok(!existsSync(join(out, "onnx", "model.onnx")));
    const said = await albert("inspect", join(out, "onnx", "model_quantized.onnx"));
    assert.match(said, /^ {2}input attention_mask\tint64\t\[batch_size, sequence_length\]$/m);
    assert.match(said, /^ {2}output logits\tfloat32\t\[batch_size, sequence_length, \d+\]$/m);
    assert.match(said, /^ {2}\d+ × MatMulInteger$/m);
    assert.match(said, /^ {2}bert\/embeddings\/word_embeddings_quantized\tuint8\t\[\d+, 16\]$/m);
    assert.match(said, /quantized\.onnx: ONNX, opset 18, IR 8, by albert-guide: \d+ nodes, \d+ weights$/);
    for (const flag of ["--onnx_weights=int4", "--onnx_outputs=pooled"]) {
      await assert.rejects(albert("export", ...all, flag), UsageError);
    }
  });
});

Deno.test("export names an unknown format, a missing tokenizer, a bad data card, and makes no folder", async () => {
  await inFolder(async (folder) => {
    const model = trained(folder);
    const out = `--output_dir=${join(folder, "out")}`;
    await assert.rejects(albert("export", `--checkpoint=${model}`, out, "--format=hf,onx"), UsageError);
    writeFileSync(join(folder, "card.json"), "{");
    const card = `--data_card=${join(folder, "card.json")}`;
    await assert.rejects(albert("export", `--checkpoint=${model}`, out, card), /card\.json: it is no JSON/);
    await assert.rejects(albert("export", `--checkpoint=${folder}`, out), /there is no checkpoint/);
    const bare = join(folder, "bare");
    saveWeights(bare, sampleModel());
    await assert.rejects(
      albert("export", `--checkpoint=${bare}`, out),
      /keeps no tokenizer; .*--spm_model_file/,
    );
    assert.ok(!existsSync(join(folder, "out")));
  });
});

Deno.test("export measures held-out records into eval.json and the card", async () => {
  await inFolder(async (folder) => {
    const model = trained(folder);
    const records = join(folder, "held_out.tfrecord");
    writeSampleRecords(records, 6);
    const args = [`--checkpoint=${model}`, `--output_dir=${join(folder, "out")}`, "--engine=reference"];
    await albert("export", ...args, `--eval_input_file=${records}`);
    const found = JSON.parse(readFileSync(join(folder, "out", "eval.json"), "utf8"));
    assert.equal(found.examples, 6);
    assert.equal(found.step, 0);
    const card = readFileSync(join(folder, "out", "README.md"), "utf8");
    assert.ok(
      card.includes(`| masked-LM loss on all predictions, nats | ${found.masked_lm_loss.toPrecision(4)} |`),
    );
  });
});

Deno.test("fill-mask fills an exported folder as it fills the checkpoint", async () => {
  await inFolder(async (folder) => {
    const model = trained(folder);
    const out = join(folder, "out");
    await albert("export", `--checkpoint=${model}`, `--output_dir=${out}`);
    const fill = (path: string): Promise<string> =>
      albert("fill-mask", `--model=${path}`, "--engine=reference", "the a [MASK]; b");
    const said = await fill(out);
    assert.match(said, / 0\.\d{3} {2}/);
    assert.equal(said, await fill(model));
  });
});

Deno.test("import says what the source lacks and what it leaves aside, and asks for a config", async () => {
  await inFolder(async (folder) => {
    const { config, parameters } = sampleModel();
    const bias = {
      dtype: "F32",
      shape: [2],
      data: parameters["cls/seq_relationship/output_bias"] as Float32Array,
    } as const;
    writeTfCheckpoint(join(folder, "tf", "a"), {
      "cls/seq_relationship/output_bias": bias,
      "bert/other": bias,
    });
    const args = [`--model=${join(folder, "tf")}`, `--output_dir=${join(folder, "out")}`];
    await assert.rejects(albert("import", ...args), /there is no .*albert_config\.json; name the config by/);
    writeFileSync(join(folder, "tf", "albert_config.json"), albertConfigToJson(config));
    const said = await albert("import", ...args);
    assert.match(said, /^fresh, as the source lacks them: bert\/embeddings\/word_embeddings, /m);
    assert.match(said, /^left aside: bert\/other$/m);
    assert.match(said, /^without a tokenizer/m);
    assert.deepEqual(
      readCheckpoint(join(folder, "out")).parameters["cls/seq_relationship/output_bias"],
      bias.data,
    );
    await assert.rejects(
      albert("import", `--model=${join(folder, "no")}`, args[1] ?? ""),
      /neither a folder nor/,
    );
  });
});
