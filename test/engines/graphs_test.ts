/**
 * Whole graphs on the engines: random ones against the reference loops, special values, and memory that must not grow.
 */
import assert from "node:assert/strict";
import {
  add,
  cast,
  compare,
  compile,
  concat,
  constant,
  deviceArray,
  div,
  exp,
  grad,
  iota,
  log,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  openEngine,
  reduceMax,
  reduceSum,
  reshape,
  scan,
  select,
  slice,
  softmax,
  sqrt,
  sub,
  tanh,
  trace,
  transpose,
  useEngine,
} from "albert-guide";
import type { Engine, HostArray, Tensor, TensorType } from "albert-guide";
import type { WasmEngine } from "../../lib/engines/tfjs/engine.ts";
import { floats } from "./cases.ts";
import { assertAgree, randomGraph, runOn } from "./random_graphs.ts";
import { enginesHere } from "./here.ts";

const engines = ["tfjs-wasm", "tfjs-cpu"] as const;

for (const { name, note, ignore } of enginesHere) {
  const count = name === "tfjs-webgpu" ? 10 : 100; // shaders compile slowly
  Deno.test({
    name: `${name} agrees with the reference on ${count} random graphs and their gradients${note}`,
    ignore,
  }, async () => {
    const [engine, reference] = [await openEngine(name), await openEngine("reference")];
    for (let seed = 1; seed <= count; seed++) {
      const graph = randomGraph(seed);
      assertAgree(await runOn(engine, graph), await runOn(reference, graph), `graph ${seed}`);
    }
  });
}

const special = constant([
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1e-40,
  -1e-40,
  3.4e38,
  -3.4e38,
  1,
  -1,
  88.8,
  -104,
  0.5,
]);
const specialCases: { readonly [name: string]: () => Tensor } = {
  exp: () => exp(special),
  log: () => log(special),
  tanh: () => tanh(special),
  sqrt: () => sqrt(special),
  neg: () => neg(special),
  div: () => div(1, special),
  isNaN: () => compare(special, "ne", special),
  "select between NaN": () => select(compare(special, "gt", 0), special, 7),
  "cast to int32": () => cast(special, "int32"),
  "cast to bool": () => cast(special, "bool"),
  "maximum with 0": () => maximum(special, 0),
  "minimum with 0": () => minimum(special, 0),
  "sum with Infinity": () => reduceSum(constant([1, Infinity, 2, 3, 4])),
  "sum of opposite infinities": () => reduceSum(constant([1, Infinity, -Infinity, 3, 4])),
  "maximum of -Infinity": () => reduceMax(constant([-Infinity, -Infinity])),
  "product with NaN": () => matmul(constant([[NaN, 1], [1, 1]]), constant([[1, 0], [0, 1]])),
};

const strict = enginesHere.filter(({ name }) => name !== "tfjs-cpu");
const specials = Object.entries(specialCases).flatMap(([what, make]) =>
  strict.map((engine) => ({ what, make, ...engine }))
);
for (const { what, make, name: tested, note, ignore } of specials) {
  const title = `${tested} treats infinities, NaN and zeros like the reference in ${what}${note}`;
  Deno.test({ name: title, ignore }, async () => {
    const valuesOn = async (name: string): Promise<HostArray> => {
      useEngine(await openEngine(name));
      try {
        return await make().data();
      } finally {
        useEngine(undefined);
      }
    };
    const expected = Array.from(await valuesOn("reference"));
    const actual = Array.from(await valuesOn(tested));
    expected.forEach((want, i) => {
      // XLA's CPU code, TensorFlow and shaders (WGSL, section 15.7, lets them) take subnormal numbers as 0.
      const flushes = ["xla-cpu", "tfjs-node", "tfjs-webgpu"].includes(tested);
      if (flushes && expected.length === special.shape[0] && (i === 5 || i === 6)) return;
      const rounded = Math.fround(want);
      const got = actual[i] as number;
      const close = Math.abs(got - rounded) <= 1e-6 * Math.max(1e-30, Math.abs(rounded));
      assert.ok(Object.is(got, rounded) || got === rounded || close, `[${i}]: ${got}, expected ${rounded}`);
    });
  });
}

for (const { name, note, ignore } of enginesHere) {
  Deno.test({ name: `empty tensors work on ${name}${note}`, ignore }, async () => {
    useEngine(await openEngine(name));
    try {
      const empty = slice(constant([1, 2]), [1], [1]);
      assert.equal((await add(empty, 1).data()).length, 0);
      assert.deepEqual(Array.from(await reduceSum(empty).data()), [0]);
      assert.deepEqual(Array.from(await concat([empty, constant([3])]).data()), [3]);
    } finally {
      useEngine(undefined);
    }
  });

  const views =
    `a program with outputs that are arguments, constants, views or equal works on ${name}${note}`;
  Deno.test({ name: views, ignore }, async () => {
    const types: [TensorType, TensorType] = [
      { dtype: "float32", shape: [2, 3] },
      { dtype: "int32", shape: [2] },
    ];
    const values: [HostArray, HostArray] = [Float32Array.of(1, 2, 3, 4, 5, 6), Int32Array.of(7, 8)];
    const outputs = await runOn(await openEngine(name), {
      fn: (x, y) => {
        const sum = add(x, 1);
        return [
          x,
          y,
          transpose(x),
          constant([1, 2]),
          iota([3], 0),
          sum,
          sum,
          reshape(sum, [6]),
          slice(x, [1, 1], [2, 3]),
        ];
      },
      types,
      values,
    });
    assert.deepEqual(outputs.map((array) => Array.from(array)), [
      [1, 2, 3, 4, 5, 6],
      [7, 8],
      [1, 4, 2, 5, 3, 6],
      [1, 2],
      [0, 1, 2],
      [2, 3, 4, 5, 6, 7],
      [2, 3, 4, 5, 6, 7],
      [2, 3, 4, 5, 6, 7],
      [5, 6],
    ]);
  });
}

/** Values that an engine holds. */
async function held(engine: Engine): Promise<number> {
  if (engine.name === "tfjs-wasm") return (engine as WasmEngine).held();
  const core = await import("@tensorflow/tfjs-core");
  return core.engine().findBackend("cpu").numDataIds();
}

for (const backend of ["wasm", "cpu"] as const) {
  Deno.test(`training steps, failures and data() leave no memory behind on tfjs-${backend}`, async () => {
    const engine = await openEngine(`tfjs-${backend}`);
    const type: TensorType = { dtype: "float32", shape: [8, 8] };
    const program = await compile(
      ({ w, x }) => {
        const y = tanh(matmul(x, w));
        const loss = mean(mul(y, y));
        const [g] = grad(loss, [w]) as [Tensor];
        return { w: sub(w, mul(g, 0.1)), loss };
      },
      { w: type, x: type },
      { engine, donate: ["w"] },
    );
    let w = await deviceArray(Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)), {
      engine,
      shape: [8, 8],
    });
    const x = Float32Array.from({ length: 64 }, (_, i) => Math.cos(i));
    const step = async (): Promise<number> => {
      const out = await program.run({ w, x });
      w = out.w;
      const [loss = NaN] = await out.loss.data();
      out.loss.dispose();
      await assert.rejects(program.run({ w, x: Float32Array.of(1) }));
      return loss;
    };
    const first = await step();
    const before = await held(engine);
    let last = first;
    for (let i = 0; i < 20; i++) last = await step();
    assert.equal(await held(engine), before);
    assert.ok(last < first, `loss ${first} then ${last}`);
    program.dispose();
    w.dispose();
    assert.ok(await held(engine) < before);
    const data = async (): Promise<void> => {
      useEngine(engine);
      await softmax(floats(1, [3, 4])).data();
      useEngine(undefined);
    };
    await data();
    const kept = await held(engine);
    for (let i = 0; i < 5; i++) await data();
    assert.equal(await held(engine), kept);
  });
}

Deno.test("compile() refuses bfloat16 on tfjs with advice", async () => {
  for (const name of engines) {
    const engine = await openEngine(name);
    const type: TensorType = { dtype: "float32", shape: [2] };
    await assert.rejects(
      compile(({ x }) => ({ y: cast(cast(x, "bfloat16"), "float32") }), { x: type }, { engine }),
      /tfjs has no such type, use compute_dtype float32/,
    );
  }
});

Deno.test("compile() refuses a scan that was not unrolled", async () => {
  const engine = await openEngine("tfjs-wasm");
  const graph = trace(
    (x) => scan(([h]) => ({ carries: [mul(h as Tensor, 2)] }), { carries: [x], length: 2 }).carries,
    [
      { dtype: "float32", shape: [2] },
    ],
  );
  await assert.rejects(engine.compile(graph, { donate: [] }), /takes unrolled graphs/);
});
