/** The parts of the XLA engine that need no plugin: program text, simplification, messages, versions. */
import assert from "node:assert/strict";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  add,
  concat,
  constant,
  exp,
  gather,
  gelu,
  grad,
  iota,
  layerNorm,
  matmul,
  mul,
  randomBits,
  reduceSum,
  referenceEngine,
  reshape,
  scan,
  slice,
  splitKey,
  sub,
  tanh,
  topological,
  trace,
  XlaError,
} from "albert-guide";
import type { Graph, HostArray, Tensor, TensorType } from "albert-guide";
import type { Ffi } from "../../lib/engines/xla/ffi.ts";
import { fromDeviceBytes, toDeviceBytes } from "../../lib/engines/xla/host_values.ts";
import { frameOf, frameReader } from "../../lib/engines/xla/messages.ts";
import { makeSender } from "../../lib/engines/xla/sender.ts";
import type { Sender } from "../../lib/engines/xla/sender.ts";
import type { Request } from "../../lib/engines/xla/messages.ts";
import { openPjrt } from "../../lib/engines/xla/pjrt_api.ts";
import { layouts, slots } from "../../lib/engines/xla/pjrt_layout.ts";
import { openProgramCache } from "../../lib/engines/xla/program_cache.ts";
import { onlyReadRows } from "../../lib/engines/xla/sparse_rows.ts";
import { toStableHlo } from "../../lib/engines/xla/stablehlo.ts";
import { inFolder } from "../folder.ts";
import { floats, numbers } from "./cases.ts";

const matrix: TensorType = { dtype: "float32", shape: [2, 3] };

Deno.test("toStableHlo() computes a key once, however many numbers are drawn with it", () => {
  const graph = trace(
    (key) => splitKey(key as Tensor, 2).map((own) => randomBits(own, [100, 100])),
    [{ dtype: "uint32", shape: [2] }],
  );
  const kept = toStableHlo(graph).text.split("\n").filter((line) => line.includes("optimization_barrier"));
  assert.equal(kept.length, 1);
  assert.match(kept[0] as string, /: tensor<4xui32>$/);
});

Deno.test("toStableHlo() writes one line per operation and donates by aliasing", () => {
  const graph = trace((x, y) => [add(mul(x as Tensor, y as Tensor), 0.5)], [matrix, matrix]);
  const { text, aliases } = toStableHlo(graph, { donate: [1] });
  assert.equal(
    text,
    [
      "func.func @main(%arg0: tensor<2x3xf32>, %arg1: tensor<2x3xf32> {tf.aliasing_output = 0 : i32}) -> " +
      "(tensor<2x3xf32>) {",
      "%v0 = stablehlo.multiply %arg0, %arg1 : tensor<2x3xf32>",
      "%v1 = stablehlo.constant dense<0x3F000000> : tensor<2x3xf32>",
      "%v2 = stablehlo.add %v0, %v1 : tensor<2x3xf32>",
      "return %v2 : tensor<2x3xf32>",
      "}",
      "",
    ].join("\n"),
  );
  assert.deepEqual([...aliases], [[1, 0]]);
});

Deno.test("toStableHlo() keeps large constants out of the text, once each", () => {
  const big = constant(new Float32Array(5000).fill(2));
  const graph = trace((x) => [add(mul(x as Tensor, big), big)], [{ dtype: "float32", shape: [5000] }]);
  const { text, hidden } = toStableHlo(graph);
  assert.equal(hidden.length, 1);
  assert.ok(text.length < 1000 && text.includes("%arg1: tensor<5000xf32>"), text.slice(0, 300));
});

Deno.test("toStableHlo() writes a scan as a loop and leaves out what nothing reads", () => {
  const type: TensorType = { dtype: "float32", shape: [3] };
  const graph = trace((x, w) => {
    const { carries } = scan(([h, count]) => ({
      carries: [tanh(mul(h as Tensor, w as Tensor)), add(count as Tensor, 1)],
      stacked: [exp(h as Tensor)],
    }), { carries: [x as Tensor, constant(0)], length: 9 });
    return [carries[0] as Tensor];
  }, [type, type]);
  const { text } = toStableHlo(graph);
  assert.equal(text.match(/stablehlo\.while/g)?.length, 1);
  assert.match(text, /stablehlo\.while\(.*\) : tensor<i32>, tensor<3xf32>\n/); // One counter, one carry.
  assert.ok(!text.includes("exponential") && !text.includes("9x3"), text);
});

async function valuesOf(graph: Graph, inputs: readonly HostArray[]): Promise<readonly HostArray[]> {
  const engine = referenceEngine();
  const program = await engine.compile(graph, { donate: [] });
  const given = await Promise.all(
    inputs.map((values, i) => engine.upload(values, graph.parameters[i] as Tensor)),
  );
  return await Promise.all((await program.run(given)).map((output) => engine.download(output)));
}

/** A head on a row-by-row network, as ALBERT's last layer: it reads some rows, and the first of each sequence. */
function rowsGraph(list: readonly number[]): Graph {
  const [B, S, H] = [3, 8, 4];
  const types: TensorType[] = [
    { dtype: "float32", shape: [B * S, H] },
    { dtype: "float32", shape: [H, H] },
    { dtype: "float32", shape: [H] },
  ];
  return trace((x, w, b) => {
    const [input, weight, bias] = [x, w, b] as [Tensor, Tensor, Tensor];
    const hidden = gelu(add(matmul(input, weight), bias));
    const last = layerNorm(add(input, matmul(hidden, weight)), bias, bias, { epsilon: 0.1 });
    const chosen = gather(last, constant(list, { dtype: "int32" }));
    const first = reshape(slice(reshape(last, [B, S, H]), [0, 0, 0], [B, 1, H]), [B, H]);
    const loss = add(
      reduceSum(mul(tanh(chosen), floats(3, [list.length, H]))),
      reduceSum(mul(first, mul(first, first))),
    );
    return [loss, chosen, ...grad(loss, [input, weight, bias])];
  }, types);
}

Deno.test("onlyReadRows() keeps values and gradients, with repeated rows too", async () => {
  for (const list of [[5, 9], [1, 0, 0, 17], [8, 8, 8], [23]]) {
    const graph = rowsGraph(list);
    const next = numbers(list.length);
    const inputs = graph.parameters.map(({ shape }) =>
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1)
    );
    const simpler = onlyReadRows(graph);
    const [expected, actual] = [await valuesOf(graph, inputs), await valuesOf(simpler, inputs)];
    expected.forEach((values, i) =>
      values.forEach((want, k) => {
        const got = actual[i]?.[k] as number;
        assert.ok(
          Math.abs(got - want) < 1e-12 * Math.max(1, Math.abs(want)),
          `rows ${list}, [${i}][${k}] ${got} ${want}`,
        );
      })
    );
    const products = (each: Graph, rows: number): number =>
      topological(each.outputs).filter(({ op, inputs: [a] }) => op === "dot" && a?.shape[0] === rows).length;
    assert.ok(products(graph, 24) >= 6, "the plain graph multiplies all rows");
    assert.equal(products(simpler, 24), 0, "a product over all rows is left");
  }
});

Deno.test("onlyReadRows() leaves graphs alone where most rows are read, or rows choose rows", () => {
  const many = rowsGraph(Array.from({ length: 22 }, (_, i) => i));
  assert.equal(onlyReadRows(many), many);
  const type: TensorType = { dtype: "float32", shape: [24, 4] };
  const circular = trace((x) => {
    const y = tanh(x as Tensor);
    const score = reduceSum(y, [1]); // [24]
    const list = concat([slice(reshape(sub(iota([24], 0), 3), [24]), [4], [6])], 0);
    return [gather(y, list), score];
  }, [type]);
  assert.equal(onlyReadRows(circular), circular);
});

Deno.test("frameReader() puts frames together however they are cut", () => {
  const messages: Request[] = [
    { kind: "status" },
    { kind: "upload", buffer: 1, type: matrix, split: false },
    { kind: "run", program: 3, inputs: [5, 2 ** 40 + 1], outputs: [2 ** 40 + 2] },
    { kind: "open", plugin: "Wörter/ｆ.so", devices: 1, cache: "", cacheBytes: 0, parent: 1 },
    { kind: "run", program: 4, inputs: [], outputs: [] },
    { kind: "download", buffer: 7, device: "all" },
  ];
  const bytes = messages.map(({ kind }) =>
    Uint8Array.from({ length: kind === "upload" ? 70 : 0 }, (_, i) => i)
  );
  const stream = Buffer.concat(messages.flatMap((message, i) => frameOf(message, bytes[i])));
  for (const size of [1, 3, 17, 50, stream.length]) {
    const read = frameReader<Request>();
    const frames = Array.from(
      { length: Math.ceil(stream.length / size) },
      (_, i) => read(stream.subarray(i * size, (i + 1) * size)),
    ).flat();
    assert.deepEqual(frames.map(({ message }) => message), messages);
    assert.deepEqual(frames.map((frame) => Array.from(frame.bytes)), bytes.map((part) => Array.from(part)));
  }
  assert.throws(() => frameReader<Request>()(new Uint8Array(20)), /another version or something else/);
});

/** What a sender writes, each write as the messages in it. */
function written(): { readonly sender: Sender; readonly writes: Request[][] } {
  const writes: Request[][] = [];
  const write = (part: Uint8Array): void =>
    void writes.push(frameReader<Request>()(part).map(({ message }) => message));
  return { sender: makeSender({ write, destroyed: false }), writes };
}

Deno.test("makeSender() writes once what a step sends, given back values first and together", async () => {
  const { sender, writes } = written();
  const upload: Request = { kind: "upload", buffer: 9, type: { dtype: "int32", shape: [1] }, split: false };
  const run: Request = { kind: "run", program: 1, inputs: [9], outputs: [10] };
  sender.release([1, 2], []);
  sender.release([3], [4]);
  sender.soon(frameOf(upload, new Uint8Array(4)));
  await Promise.resolve(); // a step waits for its uploads
  sender.now(frameOf(run));
  sender.release([9], []);
  assert.deepEqual(writes, []);
  await Promise.resolve();
  const first: Request = { kind: "release", buffers: [1, 2, 3], programs: [4] };
  const last: Request = { kind: "release", buffers: [9], programs: [] };
  assert.deepEqual(writes, [[first, upload, run, last]]);
  sender.release([10], []);
  while (writes.length < 2) await new Promise((resolve) => setTimeout(resolve)); // nobody asks: it goes all the same
  assert.deepEqual(writes.slice(1), [[{ ...last, buffers: [10] }]]);
});

Deno.test("makeSender() does not wait with large values, and does not copy them", async () => {
  const parts: Uint8Array[] = [];
  const sender = makeSender({ write: (part) => parts.push(part), destroyed: false });
  const large = new Uint8Array(1 << 17);
  sender.soon(
    frameOf({ kind: "upload", buffer: 9, type: { dtype: "bool", shape: [1 << 17] }, split: false }, large),
  );
  await Promise.resolve();
  assert.equal(parts[1], large);
});

Deno.test("toDeviceBytes() and fromDeviceBytes() round bfloat16 to nearest, ties to even", () => {
  const values = Float32Array.of(1, 1.00390625, 1.01171875, -3.1415927, Infinity, NaN, 0);
  const back = fromDeviceBytes(toDeviceBytes(values, "bfloat16"), "bfloat16");
  assert.deepEqual(Array.from(back), [1, 1, 1.015625, -3.140625, Infinity, NaN, 0]);
  assert.deepEqual(Array.from(toDeviceBytes(Uint8Array.of(0, 7), "bool")), [0, 1]);
});

/** An FFI whose only memory is a table of functions. */
function fakeFfi({ major = 0, minor = 115, size = 1144, holes = false }: {
  major?: number;
  minor?: number;
  size?: number;
  holes?: boolean;
}): Ffi {
  const table = new DataView(new ArrayBuffer(2000));
  table.setBigUint64(0, BigInt(size), true);
  table.setInt32(32, major, true);
  table.setInt32(36, minor, true);
  for (let at = 40; at + 8 <= size; at += 8) table.setBigUint64(at, holes ? 0n : 1n, true);
  return {
    entry: () => 4096n,
    callable: () => () => 0n,
    quick: () => () => true,
    addressOf: () => 8n,
    copyFrom: (address, length) => new Uint8Array(table.buffer, Number(address) - 4096, length).slice(),
    prctl: () => {},
    heap: () => undefined,
  };
}

Deno.test("openPjrt() refuses plugins of another major, too old, or with holes in their table", () => {
  assert.equal(openPjrt(fakeFfi({}), "a.so").minor, 115);
  assert.throws(() => openPjrt(fakeFfi({ minor: 54 }), "a.so"), /speaks version 0\.54 .* wanted is 0\.81/);
  assert.throws(() => openPjrt(fakeFfi({ major: 1, minor: 0 }), "a.so"), /version 1\.0/);
  assert.throws(() => openPjrt(fakeFfi({ size: 400 }), "a.so"), /it lacks .*LoadedExecutable_Execute/);
  assert.throws(() => openPjrt(fakeFfi({ holes: true }), "a.so"), /it lacks Error_Destroy/);
});

Deno.test("the layouts have no overlapping fields and every function a structure", () => {
  assert.deepEqual(Object.keys(slots).filter((name) => !(name in layouts)), []);
  for (const [name, { size, ...fields }] of Object.entries(layouts)) {
    const offsets = Object.values(fields as Record<string, number>);
    assert.equal(new Set(offsets).size, offsets.length, name);
    assert.ok(offsets.every((at) => at % 4 === 0 && at + 4 <= size), name);
  }
});

Deno.test("openProgramCache() stays within its bound and drops what is damaged", async () => {
  await inFolder((folder) => {
    const cache = openProgramCache(folder, 1000);
    for (const key of ["a", "b", "c", "d"]) cache.put(key, new Uint8Array(300).fill(key.charCodeAt(0)));
    const kept = ["a", "b", "c", "d"].filter((key) => cache.get(key) !== undefined);
    assert.equal(kept.length, 3);
    writeFileSync(join(folder, `${kept[0]}.xla-program`), "damaged");
    assert.equal(cache.get(kept[0] as string), undefined);
    cache.put("huge", new Uint8Array(2000));
    assert.equal(cache.get("huge"), undefined);
  });
});

Deno.test("openProgramCache() removes what killed processes left half written, an hour later", async () => {
  await inFolder((folder) => {
    const left = (name: string, minutes: number): string => {
      writeFileSync(join(folder, name), "half");
      const at = Date.now() / 1000 - 60 * minutes;
      utimesSync(join(folder, name), at, at);
      return name;
    };
    const [, young] = [left("a.xla-program.tmp-1", 61), left("b.xla-program.tmp-2", 59)];
    openProgramCache(folder, 1000).put("c", new Uint8Array(3));
    assert.deepEqual(readdirSync(folder).sort(), [young, "c.xla-program"]);
  });
});

Deno.test("XlaError carries PJRT's name of the error", () => {
  assert.equal(new XlaError("x", "INTERNAL").code, "INTERNAL");
});
