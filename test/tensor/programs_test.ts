/** Programs: compile, donation, merged nodes, and values read by `data()`. */
import assert from "node:assert/strict";
import {
  add,
  barrier,
  compile,
  constant,
  describe,
  deviceArray,
  exp,
  grad,
  iota,
  matmul,
  mul,
  openEngine,
  pow,
  reduceSum,
  referenceEngine,
  reshape,
  scan,
  sizeOf,
  sub,
  tanh,
  topological,
  trace,
  useEngine,
} from "albert-guide";
import type { DType, Engine, Graph, HostArray, Tensor, TensorType } from "albert-guide";
import { mergeEqual, unroll } from "../../lib/tensor/rebuild.ts";
import { startXla, xlaHere, xlaNote } from "../engines/xla.ts";

const vector: TensorType = { dtype: "float32", shape: [2] };
const engines = ["reference", "tfjs-wasm", "tfjs-cpu"] as const;

for (const name of engines) {
  Deno.test(`compile() keeps names and groups on ${name}`, async () => {
    const engine = await openEngine(name);
    const program = await compile(
      ({ x, weights }) => ({ sum: add(x, weights.a), both: { a: mul(weights.a, 2), x } }),
      { x: vector, weights: { a: vector } },
      { engine },
    );
    const { sum, both } = await program.run({
      x: Float32Array.of(1, 2),
      weights: { a: Float32Array.of(10, 20) },
    });
    assert.deepEqual(Array.from(await sum.data()), [11, 22]);
    assert.deepEqual(Array.from(await both.a.data()), [20, 40]);
    assert.deepEqual(Array.from(await both.x.data()), [1, 2]);
    [sum, both.a, both.x].forEach((array) => array.dispose());
    program.dispose();
  });

  Deno.test(`compile() consumes donated arguments and keeps the others on ${name}`, async () => {
    const engine = await openEngine(name);
    const program = await compile(({ w, x }) => ({ w: add(w, x) }), { w: vector, x: vector }, {
      engine,
      donate: ["w"],
    });
    const [w, x] = await Promise.all([
      deviceArray(Float32Array.of(1, 2), { engine }),
      deviceArray(Float32Array.of(3, 4), { engine }),
    ]);
    const { w: next } = await program.run({ w, x });
    assert.deepEqual(Array.from(await next.data()), [4, 6]);
    assert.deepEqual(Array.from(await x.data()), [3, 4]);
    assert.throws(() => w.data(), /this device array was donated to a program/);
    await assert.rejects(program.run({ w, x }), /was donated to a program/);
    x.dispose();
    x.dispose();
    assert.throws(() => x.data(), /this device array was disposed/);
    next.dispose();
    program.dispose();
  });
}

const nothing: readonly (readonly [a: readonly number[], b: readonly number[], shape: readonly number[]])[] =
  [
    [[3, 0], [0, 2], [3, 2]],
    [[2, 3, 0], [0, 2], [2, 3, 2]],
    [[2, 3, 0], [2, 0, 2], [2, 3, 2]],
    [[0, 3], [3, 2], [0, 2]],
  ];

await startXla();
for (const name of [...engines, "xla-cpu"] as const) {
  const [ignore, note] = name === "xla-cpu" ? [!xlaHere, xlaNote] : [false, ""];
  Deno.test({ name: `matmul() sums nothing to zeros on ${name}${note}`, ignore }, async () => {
    const engine = await openEngine(name);
    for (const [a, b, shape] of nothing) {
      const types = { a: { dtype: "float32", shape: a }, b: { dtype: "float32", shape: b } } as const;
      const product = await compile(
        ({ a, b }) => {
          const y = matmul(a, b);
          const [da, db] = grad(reduceSum(y), [a, b]);
          return { y, da: da as Tensor, db: db as Tensor };
        },
        types,
        { engine },
      );
      const { y, da, db } = await product.run({
        a: new Float32Array(sizeOf(a)).fill(2),
        b: new Float32Array(sizeOf(b)).fill(3),
      });
      assert.deepEqual(y.shape, shape);
      assert.deepEqual([da.shape, db.shape], [a, b]);
      assert.deepEqual(Array.from(await y.data()), new Array(sizeOf(shape)).fill(0));
      assert.deepEqual(Array.from(await db.data()), new Array(sizeOf(b)).fill(0));
      [y, da, db].forEach((array) => array.dispose());
      product.dispose();
    }
  });
}

Deno.test("run() names the arguments that are missing or unknown", async () => {
  const program = await compile(({ x, y }) => ({ z: add(x, y) }), { x: vector, y: vector }, {
    engine: referenceEngine(),
  });
  const wrong = { x: Float32Array.of(1, 2), q: Float32Array.of(1, 2) } as unknown as {
    readonly x: Float32Array;
    readonly y: Float32Array;
  };
  await assert.rejects(program.run(wrong), /lack y and have no place for q/);
});

Deno.test("run() refuses values of another shape, type or engine and leaves donated ones alive", async () => {
  const [engine, other] = [referenceEngine(), referenceEngine()];
  const program = await compile(({ w, x }) => ({ z: add(w, x) }), { w: vector, x: vector }, {
    engine,
    donate: ["w"],
  });
  const w = await deviceArray(Float32Array.of(1, 2), { engine });
  await assert.rejects(program.run({ w, x: Float32Array.of(1) }), /needs 2 values, 1 are given/);
  const ids = await deviceArray(Int32Array.of(1, 2), { engine });
  await assert.rejects(program.run({ w, x: ids }), /x must be float32 \[2\], it is int32 \[2\]/);
  const foreign = await deviceArray(Float32Array.of(1, 2), { engine: other });
  await assert.rejects(program.run({ w, x: foreign }), /it lives on reference, copy it by data\(\)/);
  assert.deepEqual(Array.from(await w.data()), [1, 2]);
});

/** What two values of an argument x of a type are answered with; undefined where they are taken. */
const kinds: readonly (readonly [dtype: DType, values: ArrayBufferView, answer?: string])[] = [
  ["float32", Float64Array.of(1, 0.5)],
  ["bfloat16", Float32Array.of(1, 0.5)],
  ["int32", Float64Array.of(2 ** 31 - 1, -(2 ** 31))],
  ["int32", Uint8Array.of(1, 255)],
  ["uint32", Int32Array.of(0, 2 ** 31 - 1)],
  ["bool", Int32Array.of(0, 7)],
  [
    "int32",
    Float64Array.of(0, 2 ** 40),
    "1099511627776 (value 1) is no int32, give values from -2147483648 to 2147483647",
  ],
  ["int32", Float32Array.of(1.5, 0), "1.5 (value 0) is no int32, round it first"],
  ["int32", Float32Array.of(1, NaN), "NaN (value 1) is no int32, round it first"],
  [
    "int32",
    Uint32Array.of(2 ** 31, 0),
    "2147483648 (value 0) is no int32, give values from -2147483648 to 2147483647",
  ],
  ["uint32", Int32Array.of(0, -1), "-1 (value 1) is no uint32, give values from 0 to 4294967295"],
  [
    "int32",
    BigInt64Array.of(1n, 2n),
    "int32 takes Int32Array, BigInt64Array is given, convert it by Int32Array.from(values, Number)",
  ],
  [
    "float32",
    Int32Array.of(1, 2),
    "float32 takes Float32Array, Int32Array is given, convert it by Float32Array.from(values)",
  ],
  [
    "bool",
    new DataView(new ArrayBuffer(2)),
    "bool takes Uint8Array, DataView is given, convert it by Uint8Array.from(values)",
  ],
];

for (const [dtype, values, answer] of kinds) {
  const kind = Object.prototype.toString.call(values).slice(8, -1);
  const does = answer === undefined ? "take" : "refuse";
  const host = values as unknown as HostArray;
  Deno.test(`run() and deviceArray() ${does} ${kind} for ${dtype}: ${answer ?? "as it is"}`, async () => {
    const engine = referenceEngine();
    const program = await compile(({ x }) => ({ y: reshape(x, [1, 2]) }), { x: { dtype, shape: [2] } }, {
      engine,
    });
    if (answer === undefined) {
      const { y } = await program.run({ x: host });
      const expected = Array.from(host, (value) => dtype === "bool" ? Math.min(value, 1) : value);
      assert.deepEqual(Array.from(await y.data()), expected);
      const x = await deviceArray(host, { engine, dtype });
      assert.deepEqual(Array.from(await x.data()), expected);
      return;
    }
    await assert.rejects(program.run({ x: host }), { message: `Cannot run the program with x: ${answer}` });
    await assert.rejects(deviceArray(host, { engine, dtype, shape: [2] }), {
      message: `Cannot upload values: ${answer}`,
    });
  });
}

Deno.test("compile() refuses names in donate and split that no argument has", async () => {
  const engine = referenceEngine();
  const specs = { x: vector, state: { a: vector } };
  const names = (...given: string[]): "x"[] => given as "x"[];
  const sum = (options: { readonly donate?: "x"[]; readonly split?: "x"[] }): Promise<unknown> =>
    compile(({ x, state }) => ({ y: add(x, state.a) }), specs, { engine, ...options });
  await assert.rejects(sum({ donate: names("x", "S", "state.a") }), {
    name: "TypeError",
    message: "Cannot compile: donate names S, state.a, the arguments are x, state",
  });
  await assert.rejects(sum({ split: names("X") }), {
    name: "TypeError",
    message: "Cannot compile: split names X, the arguments are x, state",
  });
  await sum({ donate: names("x", "state"), split: names("state") });
});

Deno.test("deviceArray() refuses a wrong number of values", async () => {
  await assert.rejects(
    deviceArray(Float32Array.of(1, 2), { engine: referenceEngine(), shape: [3] }),
    /needs 3 values, 2 are given/,
  );
});

Deno.test("deviceArray() refuses sizes that are none and element types that do not exist", async () => {
  const engine = referenceEngine();
  await assert.rejects(deviceArray(Float32Array.of(1, 2), { engine, shape: [-1, -2] }), {
    name: "RangeError",
    message: "Cannot upload values as float32 [-1, -2]: sizes must be whole numbers from 0 on",
  });
  const dtype = "float64" as unknown as "float32";
  await assert.rejects(deviceArray(Float32Array.of(1), { engine, dtype }), {
    name: "TypeError",
    message: "Cannot upload values as float64: element types are float32, bfloat16, int32, uint32, bool",
  });
});

Deno.test("mergeEqual() merges repeated nodes but not barriers' operands or different constants", () => {
  const graph = trace((x) => [add(exp(mul(x, 2)), exp(mul(x, 2))), mul(x, 3)], [vector]);
  const before = topological(graph.outputs).length;
  const after = topological(mergeEqual(graph).outputs).length;
  assert.equal(before - after, 3);
  const zeros = trace((x) => [mul(x, 0), mul(x, -0), mul(x, NaN)], [vector]);
  assert.equal(new Set(mergeEqual(zeros).outputs).size, 3);
  const kept = trace((x) => [exp(x), exp(barrier(x))], [vector]);
  assert.equal(new Set(mergeEqual(kept).outputs).size, 2);
});

Deno.test("topological() puts inputs before users", () => {
  const graph = trace((x) => [sub(tanh(x), mul(tanh(x), x))], [vector]);
  const order = topological(graph.outputs);
  order.forEach((node, i) => node.inputs.forEach((input) => assert.ok(order.indexOf(input) < i)));
});

Deno.test("topological() survives graphs deeper than the call stack", () => {
  let x: Tensor = constant([1]);
  for (let i = 0; i < 20_000; i++) x = mul(x, 1);
  assert.equal(topological([x]).length, 20_002 + 19_999);
});

Deno.test("unroll() writes a scan out and leaves none behind", () => {
  const graph: Graph = trace((x) => {
    const { carries, stacked } = scan(([h], [s]) => {
      const next = add(h as Tensor, s as Tensor);
      return { carries: [next], stacked: [next] };
    }, { carries: [constant(0)], sliced: [x] });
    return [...carries, ...stacked];
  }, [{ dtype: "float32", shape: [3] }]);
  const ops = topological(unroll(graph).outputs).map(({ op }) => op);
  assert.equal(ops.includes("scan"), false);
  assert.equal(ops.filter((op) => op === "add").length, 3);
});

/** Counts compilations of another engine. */
function counting(engine: Engine): Engine & { readonly count: () => number } {
  let count = 0;
  return {
    ...engine,
    compile: (graph, options) => {
      count++;
      return engine.compile(graph, options);
    },
    count: () => count,
  };
}

Deno.test("data() compiles equal structures once, whatever their constants", async () => {
  const engine = counting(referenceEngine());
  useEngine(engine);
  try {
    const value = async (a: number, b: number): Promise<number> =>
      (await reduceSum(mul(constant([a, b]), iota([2], 0, { dtype: "float32" }))).data())[0] as number;
    assert.equal(await value(1, 2), 2);
    assert.equal(await value(3, 5), 5);
    assert.equal(engine.count(), 1);
    await pow(constant([2]), 3).data();
    await pow(constant([2]), 4).data();
    assert.equal(engine.count(), 3);
  } finally {
    useEngine(undefined);
  }
});

Deno.test("data() uses tfjs on wasm when no engine is chosen", async () => {
  useEngine(undefined);
  const values = await reshape(add(constant([[1, 2]]), 1), [2]).data();
  assert.ok(values instanceof Float32Array);
  assert.deepEqual(Array.from(values), [2, 3]);
});

Deno.test("describe() names type and shape", () => {
  assert.equal(describe({ dtype: "int32", shape: [2, 3] }), "int32 [2, 3]");
});
