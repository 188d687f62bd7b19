// Folders that the real transformers saved, where it is installed (ALBERT_HF_PYTHON): imported, exported again, and loaded there
// without a changed bit.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportModel, readHuggingFace } from "../../lib/export/mod.ts";
import { sampleModel } from "../export/samples.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("transformers");

const small = {
  embedding_size: 8,
  hidden_size: 16,
  num_attention_heads: 2,
  intermediate_size: 24,
  num_hidden_layers: 2,
  max_position_embeddings: 32,
};
const cases = {
  "in shards, with tokenizer.json": { shard: "2KB", tokenizer: "json" },
  "E = H, with spiece.model": { embedding_size: 16, hidden_act: "relu", tokenizer: "spiece" },
  "2 groups of 3 in shards": {
    num_hidden_layers: 4,
    num_hidden_groups: 2,
    inner_group_num: 3,
    hidden_act: "tanh",
    shard: "4KB",
    tokenizer: "json",
  },
};

Deno.test({
  name: "readHuggingFace() and exportModel() bring transformers' own folders back without a changed bit",
  ignore: python === undefined,
  fn: () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-import-"));
    try {
      const sample = sampleModel();
      exportModel(join(folder, "ours"), sample);
      for (const [k, [name, change]] of Object.entries(cases).entries()) {
        const [a, b] = [join(folder, `a${k}`), join(folder, `b${k}`)];
        const config = { ...small, vocab_size: sample.config.vocab_size, seed: k, shard: "5GB", ...change };
        runPython(python ?? "", "hf_import.py", ["make", a, JSON.stringify(config), join(folder, "ours")]);
        if (config.shard !== "5GB") assert.ok(readdirSync(a).includes("model.safetensors.index.json"), name);
        const found = readHuggingFace(a);
        assert.deepEqual([found.missing, found.unexpected, found.notes], [[], [], []], name);
        exportModel(b, { ...found, step: 0 });
        const said = JSON.parse(runPython(python ?? "", "hf_import.py", ["same", a, b]));
        assert.deepEqual([said.different, said.only, said.gap], [[], [], 0], name);
        assert.ok(said.names >= 25, `${said.names} tensors`);
        assert.deepEqual(
          readFileSync(join(b, "tokenizer.json")),
          readFileSync(join(folder, "ours", "tokenizer.json")),
          `${name}: the pieces and their scores`,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
