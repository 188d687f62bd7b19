// What comes back from a Hugging Face folder besides weights, weights in several files, and what a killed export leaves.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportModel, readHuggingFace } from "../../lib/export/mod.ts";
import {
  CorruptFileError,
  openSafetensors,
  readSafetensorsFile,
  type SafetensorsTensor,
  writeSafetensors,
} from "../../lib/formats/mod.ts";
import { loadSentencePiece, parseModel, type Piece, serializeModel } from "../../lib/tokenizer/mod.ts";
import { sampleModel, samplePieces } from "./samples.ts";

async function inFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-trip-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A sample model whose last normal pieces are the 256 bytes, and its special ones at other ids. */
function withBytes() {
  const bytes = Array.from({ length: 256 }, (_, byte): Piece => ({
    piece: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    score: 0,
    type: "byte",
  }));
  const [pad, ...rest] = samplePieces();
  const pieces = [...rest, ...bytes, pad as Piece]; // the first of a list that is not empty
  const find = (name: string): number => pieces.findIndex(({ piece }) => piece === name);
  const spec = { model_type: 1, vocab_size: pieces.length, byte_fallback: true, unk_id: find("<unk>") };
  const tokenizer = serializeModel({
    pieces,
    trainer_spec: { ...spec, bos_id: -1, eos_id: -1, pad_id: find("<pad>") },
    normalizer_spec: {
      name: "identity",
      add_dummy_prefix: true,
      remove_extra_whitespaces: true,
      escape_whitespaces: true,
    },
  });
  return { ...sampleModel({ vocab_size: pieces.length }), tokenizer };
}

for (
  const [name, model] of Object.entries({ "plain pieces": sampleModel(), "bytes and other ids": withBytes() })
) {
  Deno.test(`readHuggingFace() makes of tokenizer.json the very model it was made of, with ${name}`, async () => {
    await inFolder((folder) => {
      exportModel(join(folder, "a"), model, { doLowerCase: false, keepAccents: true });
      rmSync(join(folder, "a", "spiece.model"));
      const found = readHuggingFace(join(folder, "a"));
      assert.deepEqual(parseModel(found.tokenizer), parseModel(model.tokenizer));
      assert.deepEqual([found.doLowerCase, found.keepAccents], [false, true]);
      assert.match(found.notes.join(), /keeps capitals.*keeps accents/);
      exportModel(join(folder, "b"), { ...found, step: 1 }, found);
      for (const file of readdirSync(join(folder, "a"))) {
        assert.deepEqual(readFileSync(join(folder, "b", file)), readFileSync(join(folder, "a", file)), file);
      }
      const [config] = [JSON.parse(readFileSync(join(folder, "a", "config.json"), "utf8"))];
      const { idOf } = loadSentencePiece(model.tokenizer);
      assert.deepEqual(
        [config.pad_token_id, config.bos_token_id, config.eos_token_id],
        ["<pad>", "[CLS]", "[SEP]"].map(idOf),
      );
    });
  });
}

Deno.test("readHuggingFace() sees in tokenizer.json alone whether text is lower-cased, and takes scores as they are", async () => {
  await inFolder((folder) => {
    const path = join(folder, "a");
    exportModel(path, sampleModel(), { doLowerCase: false });
    for (const name of ["spiece.model", "tokenizer_config.json"]) rmSync(join(path, name));
    assert.deepEqual(
      [readHuggingFace(path).doLowerCase, readHuggingFace(path).keepAccents],
      [false, false],
    );
    // A file without the penalty of digit and comma keeps its scores.
    const file = join(path, "tokenizer.json");
    const json = JSON.parse(readFileSync(file, "utf8"));
    json.model.vocab = json.model.vocab.map((
      [piece, score]: [string, number],
    ) => [piece, /\d,$/.test(piece) ? score + 100 : score]);
    writeFileSync(file, JSON.stringify(json));
    assert.deepEqual(
      parseModel(readHuggingFace(path).tokenizer).pieces.map(({ score }) => score),
      samplePieces().map(({ score }) => Math.fround(score)),
    );
  });
});

Deno.test("exportModel() writes weights in several files with an index, and replaces them by one", async () => {
  await inFolder((folder) => {
    const model = sampleModel();
    const path = join(folder, "a");
    exportModel(path, model, { maxShardBytes: 20_000 });
    const files = readdirSync(path).filter((name) => name.includes("safetensors"));
    assert.ok(files.length > 3 && files.includes("model.safetensors.index.json"), files.join());
    assert.ok(files.includes(`model-00001-of-0000${files.length - 1}.safetensors`));
    const index = JSON.parse(readFileSync(join(path, "model.safetensors.index.json"), "utf8"));
    const { tensors } = openSafetensors(join(path, "model.safetensors.index.json"));
    assert.deepEqual(Object.keys(index.weight_map).sort(), Object.keys(tensors).sort());
    const sizes = Object.values(tensors).map(({ bytes }) => bytes);
    assert.equal(index.metadata.total_size, sizes.reduce((sum, bytes) => sum + bytes, 0));
    assert.deepEqual(readHuggingFace(path).parameters, model.parameters);
    assert.throws(() => exportModel(path, model, { maxShardBytes: 0 }), /at most 0 bytes hold nothing/);
    exportModel(path, model);
    assert.deepEqual(readdirSync(path).filter((name) => name.includes("safetensors")), ["model.safetensors"]);
  });
});

Deno.test("readHuggingFace() refuses NaN, a tokenizer larger than the model, damaged and half types, in one line", async () => {
  await inFolder((folder) => {
    const path = join(folder, "a");
    const model = sampleModel();
    const file = join(path, "model.safetensors");
    const refuses = (pattern: RegExp, kind: new (...args: never[]) => Error = RangeError): void =>
      assert.throws(() => readHuggingFace(path), (error: Error) => {
        assert.ok(error instanceof kind, String(error));
        assert.match(error.message, pattern);
        return !error.message.includes("\n");
      });
    const change = (edit: (tensor: SafetensorsTensor) => SafetensorsTensor): void => {
      exportModel(path, model);
      const { tensors } = readSafetensorsFile(file);
      const bias = tensors["albert.pooler.bias"] as SafetensorsTensor; // every model has it
      writeFileSync(file, writeSafetensors({ ...tensors, "albert.pooler.bias": edit(bias) }));
    };
    change((bias) => ({ ...bias, data: (bias.data as Float32Array).with(2, NaN) }));
    refuses(/albert\.pooler\.bias holds NaN \(bert\/pooler\/dense\/bias, place 2\)/);
    change((bias) => ({ ...bias, dtype: "F16", data: new Uint16Array(bias.data.length) }));
    refuses(/tensor albert\.pooler\.bias is F16; save the model in float32 first/, TypeError);
    exportModel(path, model);
    writeFileSync(file, readFileSync(file).subarray(0, -4));
    refuses(/the file ends after/, CorruptFileError);
    exportModel(path, model);
    writeFileSync(file, readFileSync(file, "latin1").replace('"F32"', '"F31"'), "latin1");
    refuses(/unknown dtype F31/, CorruptFileError);
    exportModel(path, model);
    writeFileSync(join(path, "spiece.model"), withBytes().tokenizer);
    rmSync(join(path, "tokenizer.json"));
    refuses(
      /its tokenizer has \d+ pieces and .*config\.json a vocab_size of \d+; the folder mixes two models/,
    );
    exportModel(path, model);
    writeFileSync(join(path, "spiece.model"), new Uint8Array(7));
    refuses(/Cannot load .*spiece\.model: it is not a SentencePiece model/, CorruptFileError);
  });
});

Deno.test("exportModel() refuses a tokenizer without [MASK]", async () => {
  await inFolder((folder) => {
    const pieces = samplePieces().map((piece) =>
      piece.piece === "[MASK]" ? { ...piece, piece: "mask" } : piece
    );
    const model = {
      ...sampleModel(),
      tokenizer: serializeModel({ pieces, trainer_spec: { model_type: 1 } }),
    };
    assert.throws(() => exportModel(join(folder, "a"), model), /the tokenizer: it has no piece \[MASK\]/);
    assert.deepEqual(readdirSync(folder), []);
  });
});

/** A process that exports two models to one folder in turn until it is killed. */
const killed = `
import { exportModel } from ${JSON.stringify(new URL("../../lib/export/mod.ts", import.meta.url).href)};
import { sampleModel } from ${JSON.stringify(new URL("samples.ts", import.meta.url).href)};
const models = [sampleModel({}, 1), sampleModel({}, 2)];
console.log("ready");
for (let k = 0;; k++) exportModel(process.argv[2], models[k % 2], { formats: ["hf", "tf"] });
`;

Deno.test("exportModel() killed at any moment leaves the old folder, the new one or none, and the next one tidies up", async () => {
  await inFolder(async (folder) => {
    const [script, path] = [join(folder, "killed.ts"), join(folder, "in", "a")];
    writeFileSync(script, killed);
    mkdirSync(join(folder, "in"));
    const whole = [1, 2].map((seed) => sampleModel({}, seed).parameters);
    for (let k = 0; k < 6; k++) {
      const args = [
        "run",
        "-A",
        "--no-check",
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
      ];
      const child = spawn(Deno.execPath(), [...args, script, path], { stdio: ["ignore", "pipe", "inherit"] });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await new Promise((resolve) => setTimeout(resolve, 20 + 17 * k));
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("close", resolve));
      if (!existsSync(path)) continue; // between its two renames, or before the first
      const { parameters } = readHuggingFace(path);
      assert.ok(
        whole.some((each) =>
          each["bert/pooler/dense/kernel"]?.[0] === parameters["bert/pooler/dense/kernel"]?.[0]
        ),
      );
    }
    exportModel(path, sampleModel());
    assert.deepEqual(readdirSync(join(folder, "in")), ["a"], "what the killed ones left is gone");
    const dead = spawnSync("true").pid;
    renameSync(path, `${path}.old-${dead}`); // killed between its two renames
    mkdirSync(`${path}.tmp-${dead}`);
    writeFileSync(`${path}.b`, ""); // somebody else's
    assert.throws(() => exportModel(path, sampleModel(), { maxShardBytes: -1 }), /hold nothing/);
    assert.deepEqual(readdirSync(join(folder, "in")), ["a", "a.b"], "the earlier export is back");
  });
});
