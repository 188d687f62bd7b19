// Graphs cut at sums over processes, without processes: a world of two that hold equal values, so that every sum doubles.
import assert from "node:assert/strict";
import { alone, mpiEngine, referenceEngine } from "../../lib/engines/mod.ts";
import {
  add,
  allReduce,
  compile,
  constant,
  cutAtSums,
  div,
  dropout,
  type Engine,
  grad,
  mul,
  reduceSum,
  scan,
  type Tensor,
  trace,
} from "../../lib/tensor/mod.ts";

const sums: number[] = [];
const world = (rank = 0) => ({
  ...alone(),
  rank,
  size: 2,
  sum: (values: Float32Array | Float64Array): void => {
    sums.push(values.length);
    values.forEach((value, i) => values[i] = 2 * value);
  },
});
const vector = { dtype: "float32", shape: [4] } as const;

/** A step as the trainer's: a mean whose count is summed, gradients that are summed, an update of what is given up. */
function step(sum: (x: Tensor) => Tensor) {
  return ({ w, m, x }: { w: Tensor; m: Tensor; x: Tensor }) => {
    const { carries } = scan(([carry]) => ({ carries: [mul(carry as Tensor, w)] }), {
      carries: [x],
      length: 3,
    });
    const losses = mul(carries[0] as Tensor, carries[0] as Tensor);
    const loss = div(sum(reduceSum(losses)), sum(reduceSum(mul(x, x))));
    const [g] = grad(loss, [w]);
    const slope = mul(sum(g as Tensor), 0.5);
    const moment = add(mul(m, 0.9), slope);
    return { w: add(w, mul(moment, -0.1)), m: moment, loss, twice: sum(constant(3)), x: add(x, 0) };
  };
}

/** Runs a step twice, the second on what the first gave back. */
async function twice(engine: Engine, sum: (x: Tensor) => Tensor): Promise<number[][]> {
  const program = await compile(step(sum), { w: vector, m: vector, x: vector }, {
    engine,
    donate: ["w", "m"],
  });
  const x = Float32Array.of(1, -2, 0.5, 3);
  const first = await program.run({ w: Float32Array.of(0.5, 1, -1, 0.25), m: new Float32Array(4), x });
  const second = await program.run({ w: first.w, m: first.m, x });
  const out: number[][] = [];
  for (const value of [first.loss, first.twice, first.x, second.w, second.m, second.loss]) {
    out.push([...await value.data()]);
  }
  program.dispose();
  return out;
}

Deno.test("mpiEngine() gives what one device gives where every sum doubles", async () => {
  const inner = referenceEngine();
  const doubled = (x: Tensor): Tensor => mul(x, 2);
  sums.length = 0;
  const [ours, theirs] = [await twice(mpiEngine(inner, world()), allReduce), await twice(inner, doubled)];
  assert.deepEqual(ours.map(({ length }) => length), theirs.map(({ length }) => length));
  // The reference computes in float64; what is summed over processes is float32.
  const far = ours.flatMap((values, i) =>
    values.map((value, k) => Math.abs(value - (theirs[i]?.[k] ?? NaN)))
  );
  assert.ok(Math.max(...far) < 1e-6, String(far));
  // Each step sums three times at most: the count, then gradients with all that only outputs need.
  assert.ok(sums.length > 0 && sums.length <= 6, String(sums));
});

Deno.test("cutAtSums() lets the forward and the backward pass share a stage", () => {
  const traced = trace((w, m, x) => Object.values(step(allReduce)({ w, m, x })), [vector, vector, vector]);
  const { stages } = cutAtSums(traced);
  const loops = stages.map(({ graph }) => {
    const seen = new Set<Tensor>();
    const visit = (tensor: Tensor): void => {
      if (seen.has(tensor)) return;
      seen.add(tensor);
      tensor.inputs.forEach(visit);
    };
    graph.outputs.forEach(visit);
    return [...seen].filter(({ op }) => op === "scan").length;
  });
  assert.equal(loops.filter((count) => count > 0).length, 1, `loops by stage: ${loops}`);
  const crossing = stages.flatMap(({ inputs }) => inputs.filter(({ kind }) => kind === "made"));
  assert.deepEqual(crossing, [], "nothing but sums goes from stage to stage");
});

Deno.test("cutAtSums() refuses to sum whole numbers", () => {
  const traced = trace((x) => [allReduce(x)], [{ dtype: "int32", shape: [2] }]);
  assert.throws(() => cutAtSums(traced), /Cannot sum int32 over processes: cast it to float32/);
});

Deno.test("mpiEngine() draws each process's part of what one device would draw, and takes its rows", async () => {
  const inner = referenceEngine();
  const make = (engine: Engine) =>
    compile(
      ({ key, x }) => ({ y: mul(dropout(x, 0.5, key), 1) }),
      { key: { dtype: "uint32", shape: [2] }, x: { dtype: "float32", shape: [6, 50] } },
      { engine, split: ["x"] },
    );
  const args = { key: Uint32Array.of(7, 11), x: Float32Array.from({ length: 300 }, (_, i) => i + 1) };
  const whole = await (await (await make(inner)).run(args)).y.data();
  const parts = await Promise.all(
    [0, 1].map(async (rank) => await (await (await make(mpiEngine(inner, world(rank)))).run(args)).y.data()),
  );
  assert.deepEqual(parts.flatMap((part) => [...part]), [...whole]);
});

Deno.test("mpiEngine() refuses an inner engine of several devices, and rows that cannot be shared", async () => {
  const inner = referenceEngine();
  const two = { ...inner, devices: () => [...inner.devices(), ...inner.devices()] };
  assert.throws(() => mpiEngine(two, world()), /each needs one device, reference has 2; give --devices=1/);
  await assert.rejects(
    mpiEngine(inner, world()).upload(new Float32Array(3), { dtype: "float32", shape: [3] }, { split: true }),
    /Cannot split 3 rows over 2 processes/,
  );
});
