// Hugging Face folders that are damaged or mean something else, and weights that are no numbers: one line each.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportModel, readHuggingFace, readHuggingFaceTask } from "../../lib/export/mod.ts";
import { readSafetensorsFile, type SafetensorsTensor, writeSafetensors } from "../../lib/formats/mod.ts";
import { taskParameters } from "../../lib/train/mod.ts";
import { sampleModel } from "./samples.ts";

const folder = mkdtempSync(join(tmpdir(), "albert-refused-"));
globalThis.addEventListener("unload", () => rmSync(folder, { recursive: true }));
const path = join(folder, "a");
const model = sampleModel();

/** Exports anew, changes a JSON file, and looks at what reading says. */
function refused(file: string, edit: (text: string) => string, pattern: RegExp, without?: string): void {
  exportModel(path, model);
  if (without !== undefined) rmSync(join(path, without));
  const old = readFileSync(join(path, file), "utf8");
  const text = edit(old);
  assert.notEqual(text, old, "nothing was changed");
  writeFileSync(join(path, file), text);
  assert.throws(() => readHuggingFace(path), (error: Error) => {
    assert.match(error.message, pattern);
    return !error.message.includes("\n") && error.message.length < 1500;
  });
}

/** Replaces a value of a JSON object. */
const set = (key: string, value: unknown) => (text: string): string =>
  JSON.stringify({ ...JSON.parse(text), [key]: value });

Deno.test("readHuggingFace() names the byte of config.json that is no JSON, in one line", () => {
  refused(
    "config.json",
    (text) => text.replace("0.1,", "NaN,"),
    /config\.json: it is no JSON, at byte \d+ there is "NaN,\\n/,
  );
  refused("config.json", (text) => text.slice(0, 22), /at byte 22 there is the end where/);
});

Deno.test("readHuggingFace() refuses a config of more layers than anything has, at once", () => {
  refused(
    "config.json",
    set("num_hidden_layers", 1e9),
    /num_hidden_layers times inner_group_num must be at most 100000, it is 1000000000$/,
  );
  refused(
    "config.json",
    set("inner_group_num", 1e9),
    /num_hidden_layers times inner_group_num must be at most 100000/,
  );
});

Deno.test("readHuggingFace() names several mistakes of a config in one line", () => {
  const both = (text: string): string => set("vocab_size", 1.5)(set("inner_group_num", null)(text));
  refused(
    "config.json",
    both,
    /config\.json: vocab_size must be a whole number, it is 1\.5; inner_group_num must be .* null$/,
  );
});

Deno.test("readHuggingFace() lists eight shapes that differ from the config, and counts the rest", () => {
  refused(
    "config.json",
    set("hidden_size", 64),
    /^Cannot read .*its config asks for \[64, 16\]; .*; and \d+ more$/,
  );
});

Deno.test("readHuggingFace() refuses relative positions, whose numbers would be others here", () => {
  refused(
    "config.json",
    set("position_embedding_type", "relative_key"),
    /position_embedding_type is "relative_key", this model has absolute ones/,
  );
});

Deno.test("readHuggingFace() refuses a tokenizer.json whose parts are of the wrong kind", () => {
  const wrong = (edit: (text: string) => string, pattern: RegExp): void =>
    refused("tokenizer.json", edit, pattern, "spiece.model");
  const inModel = (key: string, value: unknown) => (text: string): string => {
    const json = JSON.parse(text);
    return JSON.stringify({ ...json, model: { ...json.model, [key]: value } });
  };
  wrong(() => "null", /tokenizer\.json: it is no object$/);
  wrong(set("model", 7), /it has no model$/);
  wrong(inModel("type", "BPE"), /its model is "BPE", ALBERT's is Unigram$/);
  wrong(inModel("vocab", { a: 1 }), /its model has no vocab$/);
  wrong(inModel("vocab", [["a", 0], ["b"]]), /entry 1 of its vocab is \["b"\], not a piece with a score$/);
  wrong(inModel("unk_id", 1e6), /its unk_id is 1000000, there are \d+ pieces$/);
  wrong(set("added_tokens", "x"), /its added_tokens are no list$/);
  wrong(
    set("added_tokens", [{ id: 2, content: "[SEP]" }]),
    /the added token \{"id":2,"content":"\[SEP\]"\} does not fit its vocab$/,
  );
  const shorter = (text: string): string => inModel("vocab", JSON.parse(text).model.vocab.slice(0, -1))(text);
  refused(
    "tokenizer.json",
    shorter,
    /spiece\.model has 89 pieces and tokenizer\.json 88; the folder mixes two/,
  );
  wrong(set("normalizer", { normalizers: [null] }), /a step of its normalizer is no object$/);
});

const bias = "bert/pooler/dense/bias";
const bad = (values: Float32Array | undefined): Float32Array => (values as Float32Array).with(5, Infinity); // of every model

Deno.test("exportModel() refuses weights and moments that are no numbers, by name and place", () => {
  const { parameters, v = {} } = model;
  assert.throws(
    () => exportModel(path, { ...model, parameters: { ...parameters, [bias]: bad(parameters[bias]) } }),
    /^RangeError: Cannot export: bert\/pooler\/dense\/bias holds Infinity at place 5$/,
  );
  const damaged = { ...model, v: { ...v, [bias]: bad(v[bias]) } };
  assert.throws(
    () => exportModel(path, damaged, { formats: ["tf"], optimizerSlots: true }),
    /slots: bert\/pooler\/dense\/bias\/adam_v holds Infinity at place 5$/,
  );
  exportModel(path, damaged);
});

Deno.test("readHuggingFaceTask() refuses a head that is no number, and a class that is none", () => {
  const weights = taskParameters(model.config, { task: "classify", labels: 2 });
  const head = {
    output_weights: new Float32Array(2 * model.config.hidden_size),
    output_bias: new Float32Array(2),
  };
  const fineTuned = { weights, labels: ["a", "b"], classifierDropout: 0.1, task: "classify" } as const;
  exportModel(path, { ...model, parameters: { ...model.parameters, ...head }, fineTuned }, {
    architecture: "AlbertForSequenceClassification",
  });
  assert.deepEqual(readHuggingFaceTask(path).labels, ["a", "b"]);
  const config = readFileSync(join(path, "config.json"), "utf8");
  writeFileSync(join(path, "config.json"), set("architectures", 7)(config));
  assert.throws(() => readHuggingFaceTask(path), /its class is 7, which gives no labels$/);
  writeFileSync(join(path, "config.json"), set("id2label", { 0: 5 })(config));
  assert.deepEqual(readHuggingFaceTask(path).labels, ["5", "LABEL_1"]);
  const file = join(path, "model.safetensors");
  const { tensors } = readSafetensorsFile(file);
  const before = tensors["classifier.weight"] as SafetensorsTensor; // a classifier has it
  writeFileSync(
    file,
    writeSafetensors({
      ...tensors,
      "classifier.weight": { ...before, data: bad(before.data as Float32Array) },
    }),
  );
  assert.throws(() => readHuggingFaceTask(path), /classifier\.weight holds Infinity at place 5$/);
});
