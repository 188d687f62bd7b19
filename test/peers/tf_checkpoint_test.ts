// TensorFlow's own reader on what we write, where TensorFlow is installed (ALBERT_TF_PYTHON names the Python).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { type SafetensorsTensor, writeTfCheckpoint } from "../../lib/formats/mod.ts";
import { albertParameters } from "../../lib/model/mod.ts";
import { initialParameters } from "../../lib/train/mod.ts";
import { exportModel } from "../../lib/export/mod.ts";
import { sampleModel } from "../export/samples.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("tensorflow");

Deno.test({
  name: "writeTfCheckpoint() is read by TensorFlow: names, types, shapes, values, one shard and three",
  ignore: python === undefined,
  fn: () => {
    const config = albertPreset("tiny", { vocab_size: 100 });
    const values = initialParameters(config, 1);
    const tensors: Record<string, SafetensorsTensor> = {
      global_step: { dtype: "I64", shape: [], data: BigInt64Array.of(5n) },
    };
    for (const { name, shape } of albertParameters(config)) {
      const data = values[name] ?? new Float32Array(0);
      tensors[name] = { dtype: "F32", shape, data };
      tensors[`${name}/adam_m`] = { dtype: "F32", shape, data: data.map((value) => value * 2) };
    }
    const folder = mkdtempSync(join(tmpdir(), "albert-tf-"));
    try {
      for (const shards of [1, 3]) {
        const prefix = join(folder, `model.ckpt-${shards}`);
        writeTfCheckpoint(prefix, tensors, { shards });
        const lines = runPython(python ?? "", "tf_checkpoint.py", ["read", prefix]).trim().split("\n");
        const seen = lines.map((line) => JSON.parse(line) as [string, string, number[], string]);
        assert.equal(seen.length, Object.keys(tensors).length);
        // TensorFlow also finds it by its folder, through the file `checkpoint`.
        assert.deepEqual(
          runPython(python ?? "", "tf_checkpoint.py", ["read", folder]).trim().split("\n"),
          lines,
        );
        for (const [name, dtype, shape, digest] of seen) {
          const tensor = tensors[name];
          assert.ok(tensor !== undefined, name);
          assert.equal(dtype, tensor.dtype === "I64" ? "int64" : "float32");
          assert.deepEqual(shape, tensor.shape);
          const { buffer, byteOffset, byteLength } = tensor.data;
          const bytes = new Uint8Array(buffer, byteOffset, byteLength);
          assert.equal(digest, createHash("sha256").update(bytes).digest("hex"), name);
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});

const converter = pythonWith("converter");

Deno.test({
  name: "transformers' converter makes of the exported TensorFlow checkpoint what the exported folder holds",
  ignore: converter === undefined,
  fn: () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-tf-"));
    try {
      const model = sampleModel({ num_hidden_layers: 4, num_hidden_groups: 2 });
      exportModel(join(folder, "a"), model, { formats: ["hf", "tf"], optimizerSlots: true });
      const prefix = join(folder, "a", "tf", `model.ckpt-${model.step}`);
      const { different, compared } = JSON.parse(
        runPython(converter ?? "", "tf_converter.py", [join(folder, "a"), prefix]),
      ) as { readonly different: string[]; readonly compared: number };
      assert.deepEqual(different, []);
      assert.ok(compared > 40, `${compared} were compared`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
