// ONNX models without a runtime: sizes, weights in fewer bytes, refusals. That they compute what the engines do is seen by
// ONNX Runtime in test/peers/onnx_test.ts and test/web.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportModel, onnxModel } from "../../lib/export/mod.ts";
import { buildOnnx } from "../../lib/export/onnx/build.ts";
import { float16Bits, quantize } from "../../lib/export/onnx/weights.ts";
import { parseOnnx } from "../../lib/formats/mod.ts";
import {
  add,
  concat,
  constant,
  graphOf,
  mul,
  reduceSum,
  reshape,
  type Tensor,
  type TensorType,
} from "../../lib/tensor/mod.ts";
import { sampleModel } from "./samples.ts";

const ofX = (fn: (x: Tensor) => Tensor) => ({
  make: (batch: number, length: number) => {
    const x: TensorType = { dtype: "float32", shape: [batch, length] };
    return graphOf(({ x }) => ({ y: fn(x) }), { x });
  },
});
const sizesOf = (x: Tensor): [number, number] => x.shape as [number, number];

Deno.test("onnxModel() leaves batch and length open and keeps each weight once", () => {
  const { config, parameters } = sampleModel({ num_hidden_layers: 3 });
  const { nodes, inputs, outputs, tensors } = onnxModel({ config, parameters });
  for (const { type, shape } of inputs) {
    assert.deepEqual([type, shape], ["int64", ["batch_size", "sequence_length"]]);
  }
  assert.deepEqual(outputs.map(({ name, shape }) => [name, shape[2]]), [
    ["logits", config.vocab_size],
    ["last_hidden_state", config.hidden_size],
  ]);
  const count = (op: string): number => nodes.filter((node) => node.op === op).length;
  assert.deepEqual([count("Softmax"), count("LayerNormalization"), count("Tanh")], [3, 8, 4]);
  assert.equal(count("Expand"), 1); // of the positions; other broadcasts are left to who uses them
  const weights = tensors.filter(({ type, shape }) => type === "float32" && shape.length > 0);
  const unused = /^bert\/pooler|^cls\/seq_relationship/;
  assert.deepEqual(
    weights.map(({ name }) => name).sort(),
    Object.keys(parameters).filter((name) => !unused.test(name)).sort(),
  );
  const encoder = onnxModel({ config, parameters }, { outputs: ["last_hidden_state"] });
  assert.ok(encoder.tensors.every(({ name }) => !name.startsWith("cls/")));
});

Deno.test("buildOnnx() says which sizes move, and refuses what ONNX cannot say", () => {
  const shape = (fn: (x: Tensor) => Tensor) => buildOnnx(ofX(fn)).outputs[0]?.shape;
  assert.deepEqual(shape((x) => reshape(x, [sizesOf(x)[0] * sizesOf(x)[1]])), ["batch_size*sequence_length"]);
  assert.deepEqual(shape((x) => reduceSum(mul(x, 2), [1])), ["batch_size"]);
  assert.deepEqual(shape((x) => reshape(concat([x, x]), [-1])), ["2*batch_size*sequence_length"]);
  const odd = (fn: (x: Tensor) => Tensor) => () => buildOnnx(ofX(fn));
  assert.throws(odd((x) => mul(x, sizesOf(x)[1])), /constant is told another thing at each/);
  assert.throws(
    odd((x) => concat([x, constant(0, { shape: [1, sizesOf(x)[1]] })])),
    /a size of the result of concat/,
  );
  assert.throws(odd((x) => sizesOf(x)[0] > 5 ? add(x, 1) : x), /their graphs have unequal nodes/);
});

Deno.test("float16Bits() rounds as IEEE 754 binary16 does", () => {
  const half = new Float16Array(1);
  const bits = new Uint16Array(half.buffer);
  const check = (value: number): void => {
    half[0] = value;
    const same = Number.isNaN(value) ? 0x7e00 : bits[0];
    assert.equal(float16Bits(Float32Array.of(value))[0], same, String(value));
  };
  for (let word = 0; word < 0x7c00; word++) {
    bits[0] = word;
    const value = half[0] as number;
    bits[0] = word + 1;
    const next = half[0] as number;
    for (const between of [value, -value, (value + Math.min(next, 65536)) / 2, value + (next - value) / 3]) {
      check(between);
    }
  }
  for (const value of [NaN, Infinity, -Infinity, -0, 65519.99, 65520, 1e9, 1e-9]) check(value);
});

Deno.test("quantize() is within half a step of each row's or column's own scale", () => {
  const values = Float32Array.of(1, -100, 0.5, 50, 0, 0, -0.25, 3);
  for (const along of ["rows", "columns"] as const) {
    const { scales, bytes } = quantize(values, [4, 2], along);
    assert.equal(scales.length, along === "rows" ? 4 : 2);
    values.forEach((value, i) => {
      const scale = scales[along === "rows" ? Math.floor(i / 2) : i % 2] as number;
      assert.ok(
        Math.abs(((bytes[i] as number) - 128) * scale - value) <= scale / 2 * 1.0001,
        `${along} ${i}`,
      );
    });
  }
});

Deno.test("exportModel() refuses in one line what ONNX cannot hold, and an export before stands", () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-onnx-"));
  try {
    const out = join(folder, "out");
    const model = sampleModel();
    exportModel(out, model, { formats: ["onnx"], onnx: { weights: ["int8"] } });
    const before = readFileSync(join(out, "onnx", "model_quantized.onnx"));
    const refuse = (opset: number) => () =>
      exportModel(out, model, { formats: ["hf", "onnx"], onnx: { opset } });
    assert.throws(refuse(16), /^RangeError: Cannot write ONNX of opset 16: choose 17 to 21; .*$/);
    assert.throws(refuse(99), /^RangeError: Cannot write ONNX of opset 99: choose 17 to 21; .*$/);
    const withWeight = (value: number) => {
      const name = "cls/predictions/output_bias";
      const parameters = {
        ...model.parameters,
        [name]: (model.parameters[name] as Float32Array).with(3, value),
      };
      return () => exportModel(out, { ...model, parameters }, { formats: ["onnx"] });
    };
    assert.throws(
      withWeight(NaN),
      /^RangeError: Cannot export: cls\/predictions\/output_bias holds NaN at place 3$/,
    );
    assert.throws(
      withWeight(1e6),
      /in half precision: it holds 1000000 at place 3, float16 ends at 65504; choose fp32$/,
    );
    assert.deepEqual(readFileSync(join(out, "onnx", "model_quantized.onnx")), before);
    assert.deepEqual(readdirSync(folder), ["out"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("exportModel() writes the folder that transformers.js asks for", () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-onnx-"));
  try {
    const out = join(folder, "out");
    exportModel(out, sampleModel(), { formats: ["onnx"] });
    const files = ["config.json", "onnx", "special_tokens_map.json", "spiece.model", "tokenizer.json"];
    assert.deepEqual(readdirSync(out).sort(), [...files, "tokenizer_config.json"]);
    const sizes = ["model.onnx", "model_fp16.onnx", "model_quantized.onnx"].map((name) => {
      const bytes = readFileSync(join(out, "onnx", name));
      const weights = parseOnnx(bytes).tensors.filter(({ name }) => name.includes("/"));
      return weights.reduce((sum, { data }) => sum + (data?.length ?? NaN), 0);
    }) as [number, number, number];
    assert.equal(sizes[1], sizes[0] / 2);
    assert.ok(sizes[2] < sizes[0] / 2);
    assert.ok(!existsSync(join(out, "model.safetensors")));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
