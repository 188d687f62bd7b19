// What an exported folder holds, that it comes back without a changed bit, and what is refused. The peers' own readers are in
// test/peers.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { exportModel, huggingFaceWeights, modelCard, readHuggingFace } from "../../lib/export/mod.ts";
import {
  CorruptFileError,
  readSafetensorsFile,
  readTfCheckpoint,
  type SafetensorsTensor,
  writeSafetensors,
} from "../../lib/formats/mod.ts";
import { albertParameters } from "../../lib/model/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { sampleModel, samplePieces } from "./samples.ts";

async function inFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-export-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));

const shapes = {
  "E below H": {},
  "E = H": { embedding_size: 16, hidden_size: 16, num_attention_heads: 2 },
  "2 groups of 2": { num_hidden_layers: 4, num_hidden_groups: 2, inner_group_num: 2, hidden_act: "relu" },
} as const;

for (const [name, architecture] of Object.entries(shapes)) {
  Deno.test(`readHuggingFace() gives back what exportModel() wrote, to the bit, with ${name}`, async () => {
    await inFolder((folder) => {
      const model = sampleModel(architecture);
      exportModel(join(folder, "a"), model);
      const found = readHuggingFace(join(folder, "a"));
      assert.deepEqual(found.parameters, model.parameters);
      assert.deepEqual(found.config, model.config);
      assert.deepEqual(found.tokenizer, model.tokenizer);
      assert.deepEqual([found.missing, found.unexpected, found.notes], [[], [], []]);
      exportModel(join(folder, "b"), { ...found, step: 12 });
      for (const file of readdirSync(join(folder, "a"))) {
        assert.deepEqual(readFileSync(join(folder, "b", file)), readFileSync(join(folder, "a", file)), file);
      }
    });
  });
}

Deno.test("exportModel() writes kernels as [out, in], ties what transformers ties, and the ids of its tokenizer", async () => {
  await inFolder((folder) => {
    const model = sampleModel();
    exportModel(join(folder, "a"), model);
    const { tensors, metadata } = readSafetensorsFile(join(folder, "a", "model.safetensors"));
    const { hidden_size: H, intermediate_size: I, vocab_size: V } = model.config;
    const theirs = tensors["albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"];
    const ours =
      model.parameters["bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/dense/kernel"];
    assert.deepEqual(theirs?.shape, [I, H]);
    assert.equal(theirs?.data[3 * H + 2], ours?.[2 * I + 3]);
    assert.deepEqual(tensors["sop_classifier.classifier.weight"]?.shape, [2, H]);
    assert.deepEqual(tensors["predictions.decoder.bias"]?.data, tensors["predictions.bias"]?.data);
    assert.equal(tensors["predictions.decoder.weight"], undefined);
    assert.equal(metadata["format"], "pt");
    const config = json(join(folder, "a", "config.json"));
    assert.equal(config["hidden_act"], "gelu_new");
    assert.deepEqual([config["pad_token_id"], config["bos_token_id"], config["eos_token_id"]], [0, 2, 3]);
    assert.equal(config["vocab_size"], V);
    const text = readFileSync(join(folder, "a", "config.json"), "utf8");
    assert.match(text, /"hidden_dropout_prob": 0\.0,/); // a float, or transformers 5 refuses it
    assert.match(text, /"layer_norm_eps": 1e-12,/);
    for (const key of ["down_scale_factor", "net_structure_type"]) assert.ok(!(key in config), key);
  });
});

Deno.test("exportModel() leaves pooler and order head out for AlbertForMaskedLM", async () => {
  await inFolder((folder) => {
    exportModel(join(folder, "a"), sampleModel(), { architecture: "AlbertForMaskedLM" });
    const names = Object.keys(readSafetensorsFile(join(folder, "a", "model.safetensors")).tensors);
    assert.ok(!names.some((name) => /pooler|sop/.test(name)));
    assert.deepEqual(json(join(folder, "a", "config.json"))["architectures"], ["AlbertForMaskedLM"]);
    assert.deepEqual(readHuggingFace(join(folder, "a")).missing, [
      "bert/pooler/dense/kernel",
      "bert/pooler/dense/bias",
      "cls/seq_relationship/output_weights",
      "cls/seq_relationship/output_bias",
    ]);
  });
});

Deno.test("exportModel() writes the original's variables, the step and slots when asked", async () => {
  await inFolder((folder) => {
    const model = sampleModel();
    exportModel(join(folder, "a"), model, { formats: ["tf"], optimizerSlots: true });
    const { variables, read } = readTfCheckpoint(join(folder, "a"));
    assert.equal(variables.length, 3 * albertParameters(model.config).length + 1);
    assert.deepEqual(read("global_step").data, BigInt64Array.of(12n));
    assert.deepEqual(read("bert/pooler/dense/kernel").data, model.parameters["bert/pooler/dense/kernel"]);
    assert.deepEqual(read("bert/pooler/dense/kernel/adam_v").data, model.v?.["bert/pooler/dense/kernel"]);
    assert.equal(json(join(folder, "a", "albert_config.json"))["hidden_act"], "gelu");
    const { m: _, ...bare } = model;
    assert.throws(
      () => exportModel(join(folder, "b"), bare, { formats: ["tf"], optimizerSlots: true }),
      /no moments of/,
    );
    assert.ok(!existsSync(join(folder, "b")));
  });
});

Deno.test("exportModel() replaces an earlier export, refuses a folder with other files, and leaves nothing half", async () => {
  await inFolder((folder) => {
    const path = join(folder, "a");
    exportModel(path, sampleModel({}, 1), { formats: ["hf", "tf"] });
    exportModel(path, sampleModel({}, 2));
    assert.ok(!existsSync(join(path, "tf")));
    const before = readFileSync(join(path, "model.safetensors"));
    const broken = sampleModel();
    const bias = broken.parameters["bert/pooler/dense/bias"] as Float32Array; // in every model
    bias[1] = NaN;
    assert.throws(() => exportModel(path, broken), /bert\/pooler\/dense\/bias holds NaN at place 1/);
    assert.deepEqual(readFileSync(join(path, "model.safetensors")), before);
    writeFileSync(join(path, "notes.txt"), "mine");
    assert.throws(
      () => exportModel(path, sampleModel()),
      /it holds notes\.txt, which is no part of an export/,
    );
    mkdirSync(join(folder, "file.d"));
    writeFileSync(join(folder, "file"), "");
    assert.throws(() => exportModel(join(folder, "file"), sampleModel()), /a file has that name/);
    assert.throws(() => exportModel(join(folder, "file", "in"), sampleModel()), /Cannot /);
    assert.deepEqual(readdirSync(folder).sort(), ["a", "file", "file.d"]);
  });
});

Deno.test("exportModel() refuses a tokenizer of another size, without a mask, and layers that transformers groups otherwise", async () => {
  await inFolder((folder) => {
    const model = sampleModel();
    const path = join(folder, "a");
    const wider = sampleModel({ vocab_size: 100 });
    assert.throws(
      () => exportModel(path, { ...wider, tokenizer: model.tokenizer }),
      /has \d+ pieces and the model 100/,
    );
    assert.throws(() => exportModel(path, { ...model, tokenizer: new Uint8Array(5) }), CorruptFileError);
    const uneven = albertPreset("tiny", { num_hidden_layers: 22, num_hidden_groups: 22 });
    assert.throws(() => huggingFaceWeights({}, uneven), /layer \d+ uses group \d+ here and \d+ there/);
    assert.deepEqual(readdirSync(folder), []);
  });
});

Deno.test("readHuggingFace() rebuilds the tokenizer from tokenizer.json and reads weights in parts", async () => {
  await inFolder((folder) => {
    const model = sampleModel();
    exportModel(folder + "/a", model);
    rmSync(join(folder, "a", "spiece.model"));
    const { tensors } = readSafetensorsFile(join(folder, "a", "model.safetensors"));
    const names = Object.keys(tensors);
    const weight_map: Record<string, string> = {};
    for (const [part, list] of [names.slice(0, 9), names.slice(9)].entries()) {
      const file = `model-0000${part + 1}-of-00002.safetensors`;
      const some = Object.fromEntries(list.map((name) => [name, tensors[name] as SafetensorsTensor])); // from its keys
      writeFileSync(join(folder, "a", file), writeSafetensors(some));
      for (const name of list) weight_map[name] = file;
    }
    rmSync(join(folder, "a", "model.safetensors"));
    writeFileSync(join(folder, "a", "model.safetensors.index.json"), JSON.stringify({ weight_map }));
    const found = readHuggingFace(join(folder, "a"));
    assert.deepEqual(found.parameters, model.parameters);
    const [ours, theirs] = [loadSentencePiece(model.tokenizer), loadSentencePiece(found.tokenizer)];
    assert.deepEqual(
      theirs.pieces.map(({ piece, type }) => [piece, type]),
      samplePieces().map((p) => [p.piece, p.type]),
    );
    for (const text of ["the abc", "(a, b)"]) assert.deepEqual(theirs.encode(text), ours.encode(text));
  });
});

Deno.test("readHuggingFace() names what does not fit: model type, activation, shapes, ties, damage, missing files", async () => {
  await inFolder((folder) => {
    const path = join(folder, "a");
    const broken = (change: () => void): void => {
      exportModel(path, sampleModel(), { formats: ["hf"] });
      change();
    };
    const edit = (file: string, from: string, to: string): void => {
      const text = readFileSync(join(path, file), "utf8");
      assert.ok(text.includes(from));
      writeFileSync(join(path, file), text.replace(from, to));
    };
    const refuses = (pattern: RegExp): void => assert.throws(() => readHuggingFace(path), pattern);
    broken(() => edit("config.json", '"albert"', '"bert"'));
    refuses(/its model_type is "bert"/);
    broken(() => edit("config.json", '"gelu_new"', '"silu"'));
    refuses(/its hidden_act is "silu", known are gelu_new/);
    broken(() => edit("config.json", "1e-12", "1e-5"));
    refuses(/layer_norm_eps is 0\.00001/);
    broken(() => edit("config.json", '"intermediate_size": ', '"intermediate_size": 1'));
    refuses(/ffn\.weight is \[\d+, \d+\], its config asks for/);
    broken(() => rmSync(join(path, "spiece.model")));
    rmSync(join(path, "tokenizer.json"));
    refuses(/there is no tokenizer/);
    broken(() => rmSync(join(path, "model.safetensors")));
    refuses(/there is no model\.safetensors/);
    broken(() => writeFileSync(join(path, "config.json"), "{"));
    assert.throws(() => readHuggingFace(path), CorruptFileError);
    broken(() => {
      const file = join(path, "model.safetensors");
      const { tensors } = readSafetensorsFile(file);
      const other = { ...tensors["predictions.bias"], data: new Float32Array(samplePieces().length).fill(1) };
      writeFileSync(
        file,
        writeSafetensors({ ...tensors, "predictions.decoder.bias": other as SafetensorsTensor }),
      );
    });
    refuses(/predictions\.decoder\.bias differs from predictions\.bias/);
    broken(() => edit("config.json", '"gelu_new"', '"gelu"'));
    assert.match(readHuggingFace(path).notes[0] ?? "", /the erf form/);
  });
});

Deno.test("modelCard() tells figures with intervals, data and hashes, and says what is not known", () => {
  const { config } = sampleModel();
  const card = modelCard({
    title: "A | B",
    config,
    step: 7,
    command: "albert export --checkpoint=x",
    language: "en",
    licence: "cc0-1.0",
    data: { name: "some text", sha256: "ab12" },
    run: { learning_rate: 0.00176, optimizer: "lamb" },
    hashes: { tokenizer: "cd34" },
    chart: "loss.svg",
    evaluation: {
      masked_lm_mask_loss: 4.5,
      sentence_order_accuracy: 0.6,
      intervals: { masked_lm_mask_loss: [4.4, 4.6], sentence_order_accuracy: [NaN, NaN] },
    },
  });
  for (
    const line of [
      "license: cc0-1.0",
      "| licence | not stated |",
      "| SHA-256 of the tokenizer | cd34 |",
      "| masked-LM loss on [MASK] positions, nats | 4.500 | 4.400 to 4.600 |",
      "| sentence-order accuracy | 0.6000 | not known |",
      "| learning_rate | 0.00176 |",
      "![loss over the steps of the run](loss.svg)",
      "albert export --checkpoint=x",
    ]
  ) assert.ok(card.includes(`\n${line}\n`), `${line} is missing in\n${card}`);
  assert.match(modelCard({ title: "A", config, step: 7, command: "c" }), /No held-out evaluation was made/);
});
