// ONNX files: a round trip, and what is refused.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  CorruptFileError,
  type OnnxModel,
  parseOnnx,
  protobufWriter,
  serializeOnnx,
} from "../../lib/formats/mod.ts";

const model: OnnxModel = {
  irVersion: 8,
  opset: 17,
  producer: "a test",
  metadata: { licence: "cc0-1.0" },
  name: "graph",
  nodes: [
    { op: "Transpose", inputs: ["w"], outputs: ["t"], attributes: { perm: [1, 0] }, name: "turn" },
    {
      op: "LayerNormalization",
      inputs: ["x", "t", ""],
      outputs: ["y"],
      attributes: { axis: -1n, epsilon: 0.25 },
    },
    {
      op: "Other",
      inputs: ["y"],
      outputs: ["z", "u"],
      attributes: { how: "so", f: Float32Array.of(1, 2) },
      domain: "d",
    },
  ],
  inputs: [{ name: "x", type: "int64", shape: ["batch_size", 3] }],
  outputs: [{ name: "z", type: "float32", shape: [] }],
  tensors: [
    { name: "w", type: "float32", shape: [1, 2], data: new Uint8Array(Float32Array.of(1, -2).buffer) },
    { name: "zero", type: "uint8", shape: [], data: Uint8Array.of(128) },
  ],
};
const bytes = (): Uint8Array => Uint8Array.from(Buffer.concat(serializeOnnx(model)));

Deno.test("parseOnnx() reads what serializeOnnx() writes", () => {
  const read = parseOnnx(bytes());
  const nodes = model.nodes.map((node) => ({ attributes: {}, ...node }));
  assert.deepEqual({ ...read, tensors: [] }, { ...model, nodes, tensors: [] });
  assert.deepEqual(read.tensors.map((tensor) => ({ ...tensor, data: [...tensor.data ?? []] })), [
    { name: "w", type: "float32", shape: [1, 2], data: [0, 0, 128, 63, 0, 0, 0, 192] },
    { name: "zero", type: "uint8", shape: [], data: [128] },
  ]);
});

Deno.test("parseOnnx() names the file and the place when a file is cut or is something else", () => {
  const whole = bytes();
  let refused = 0;
  for (let length = 0; length < whole.length; length++) {
    try {
      parseOnnx(whole.subarray(0, length), { path: "a.onnx" }); // cut between two fields it may still be a model
    } catch (error) {
      assert.ok(
        error instanceof CorruptFileError && /^Cannot read a\.onnx: /.test(error.message),
        String(error),
      );
      refused++;
    }
  }
  assert.ok(refused > whole.length - 5, `${refused} of ${whole.length}`);
  assert.throws(() => parseOnnx(protobufWriter().varint(1, 8).finish()), /it has no graph at byte 0/);
  const strange = protobufWriter().message(7, (graph) => graph.message(5, (tensor) => tensor.varint(2, 99)));
  assert.throws(() => parseOnnx(strange.finish()), /element type 99 is unknown at byte 4/);
  const wrong = protobufWriter().message(7, (graph) => graph.varint(5, 3)); // a number where a tensor stands
  assert.throws(() => parseOnnx(wrong.finish(), { path: "b.onnx" }), CorruptFileError);
});

Deno.test("parseOnnx() refuses a weight whose bytes do not fit its shape", () => {
  const short = { ...model, tensors: [{ ...model.tensors[0] as OnnxModel["tensors"][0], shape: [3, 2] }] };
  const file = Buffer.concat(serializeOnnx(short));
  assert.throws(() => parseOnnx(file), /the tensor w has 8 bytes, float32 \[3, 2\] asks for 24 at byte \d+$/);
});

Deno.test("serializeOnnx() refuses a file that no protobuf reader takes, and a tensor without values", () => {
  const [first] = model.tensors as [OnnxModel["tensors"][0]];
  const huge = { ...first, data: { length: 2 ** 31 } as unknown as Uint8Array };
  assert.throws(
    () => serializeOnnx({ ...model, tensors: [huge] }),
    /readers take 2147483647; choose weights of fewer/,
  );
  assert.throws(
    () => serializeOnnx({ ...model, tensors: [{ ...first, data: undefined }] }),
    /w: it has no values/,
  );
});
