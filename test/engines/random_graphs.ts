/**
 * Random graphs over two matrices and their gradients, and what two engines may differ by on them. A graph comes from its
 * seed alone, so that a failure is named by one number. Used by the tests (few) and by `deno task bench graphs` (many).
 */
import assert from "node:assert/strict";
import {
  abs,
  add,
  allReduce,
  and,
  argmax,
  barrier,
  broadcastTo,
  cast,
  compare,
  compile,
  concat,
  constant,
  div,
  dot,
  dropout,
  erf,
  exp,
  floor,
  gather,
  gelu,
  geluErf,
  grad,
  iota,
  layerNorm,
  log,
  logSoftmax,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  not,
  oneHot,
  or,
  pad,
  pow,
  randomBits,
  randomKey,
  randomUniform,
  reduceMax,
  reduceSum,
  reshape,
  rsqrt,
  scan,
  scatterAdd,
  select,
  shiftRightLogical,
  sign,
  slice,
  softmax,
  sqrt,
  stopGradient,
  sub,
  tanh,
  transpose,
  xor,
} from "albert-guide";
import type { Engine, HostArray, Shape, Tensor, TensorType } from "albert-guide";
import { numbers } from "./cases.ts";

/** A graph with its arguments. */
export type RandomGraph = {
  readonly fn: (x: Tensor, y: Tensor) => readonly Tensor[];
  readonly types: readonly [TensorType, TensorType];
  readonly values: readonly [HostArray, HostArray];
};

type Draw = { readonly below: (n: number) => number; readonly pick: () => Tensor; readonly seed: number };
type Step = (draw: Draw) => Tensor;

const same = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);
const ints = (...values: number[]): Tensor => constant(values, { dtype: "int32" });
const float = (x: Tensor): Tensor => cast(x, "float32");
const positive = (x: Tensor, least: number): Tensor => add(mul(x, x), least);

/** A value beside x: where two values are equal but for rounding, a comparison of them tells nothing about an engine. */
const off = (x: Tensor): Tensor => add(x, 0.01371);

/** Anything in the wanted shape: through its mean. */
function fit(x: Tensor, shape: Shape): Tensor {
  return same(x.shape, shape) ? x : broadcastTo(reshape(mean(x), shape.map(() => 1)), shape);
}

/** A step that takes one earlier value. */
const one = (fn: (a: Tensor, draw: Draw) => Tensor): Step => (draw) => fn(draw.pick(), draw);
/** A step that takes two earlier values of one shape. */
const two = (fn: (a: Tensor, b: Tensor, draw: Draw) => Tensor): Step => (draw) => {
  const a = draw.pick();
  return fn(a, fit(draw.pick(), a.shape), draw);
};

const elementwise: readonly Step[] = [
  one(tanh),
  one(gelu),
  one(geluErf),
  one(neg),
  one(erf),
  one((a) => mul(a, 0.5)),
  one((a) => exp(neg(mul(a, a)))),
  one((a) => log(positive(a, 0.5))),
  one((a) => mul(a, rsqrt(positive(a, 1)))),
  one((a) => sqrt(positive(a, 0.1))),
  one((a) => pow(positive(tanh(a), 0.5), 1.5)),
  one((a) => abs(tanh(a))),
  one((a) => mul(a, stopGradient(tanh(a)))),
  two(add),
  two((a, b) => mul(tanh(a), tanh(b))),
  two((a, b) => maximum(a, off(b))),
  two((a, b) => minimum(a, off(b))),
  two((a, b) => select(compare(a, "gt", off(b)), a, 0.25)),
  two((a, b) => div(a, positive(b, 1))),
  two((a, b) => select(or(compare(a, "lt", off(b)), not(compare(off(b), "le", 0))), mul(b, 0.5), a)),
];

const layout: readonly Step[] = [
  one((a) => transpose(a)),
  one((a) => reshape(a, [a.shape[1] as number, a.shape[0] as number])),
  one((a) => slice(a, [1, 0], [...a.shape])),
  one((a, { below }) => pad(a, [below(2), 0], [1, below(2)], { value: 0.5 })),
  one((a, { below }) => concat([a, mul(a, 2)], below(2))),
  one((a) => gather(a, ints(0, 2, 1, 0))),
  one((a, { below }) =>
    gather(a, constant(Int32Array.from({ length: 3 + below(5) }, (_, i) => (7 * i + below(3)) % 3)))
  ),
  one((a) => scatterAdd(iota([a.shape[0] as number], 0), a, (a.shape[0] as number) + 1)),
  one((a, { below }) =>
    scatterAdd(constant(Int32Array.from({ length: a.shape[0] as number }, () => below(4))), mul(a, 0.5), 4)
  ),
];

const sums: readonly Step[] = [
  one(softmax),
  one(logSoftmax),
  one((a, { below }) => sub(a, reduceMax(a, [below(2)], { keepDims: true }))),
  one((a, { below }) => div(a, add(1, reduceSum(mul(a, a), [below(2)], { keepDims: true })))),
  two((a, b) => matmul(a, transpose(tanh(b)))),
  one((a) => mul(matmul(transpose(a), tanh(a)), 0.1)),
  (draw) => {
    const a = draw.pick();
    const row = (): Tensor => fit(draw.pick(), [a.shape[1] as number]);
    return layerNorm(a, row(), row(), { epsilon: 0.1 });
  },
  one((a) => {
    const [m, n] = a.shape as [number, number];
    const cube = broadcastTo(reshape(a, [m, 1, n]), [m, 2, n]);
    const product = dot(cube, cube, { batch: [[1], [1]], contract: [[0], [0]] }); // [2, n, n]
    return mul(reshape(slice(product, [1, 0, 0], [2, n, n]), [n, n]), 1 / m);
  }),
  one(barrier),
  one(allReduce),
];

const discrete: readonly Step[] = [
  one((a, { seed }) => dropout(a, 0.25, randomKey(seed))),
  one((a, { seed }) => add(a, randomUniform(randomKey(seed + 1), a.shape))),
  one((a, { below }) => mul(a, float(compare(iota(a.shape, below(2)), "lt", 3)))),
  one((a, { below, seed }) => {
    const bits = shiftRightLogical(randomBits(randomKey(seed), a.shape), 3 + below(20));
    const low = and(xor(bits, constant(Uint32Array.of(21))), constant(Uint32Array.of(7)));
    return mul(a, mul(float(low), 0.2));
  }),
  one((a) => mul(a, oneHot(argmax(iota(a.shape, 1, { dtype: "float32" })), a.shape[1] as number))),
  one((a) => add(a, sign(floor(mul(iota(a.shape, 0, { dtype: "float32" }), 0.4))))),
  one((a, { below }) => {
    const n = a.shape[1] as number;
    const { carries, stacked } = scan(([h], [row]) => {
      const next = tanh(add(mul(h as Tensor, 0.5), row as Tensor));
      return { carries: [next], stacked: [mul(next, 0.5)] };
    }, { carries: [fit(a, [n])], sliced: [a], reverse: below(2) === 1, remat: below(2) === 1 });
    return concat([stacked[0] as Tensor, reshape(carries[0] as Tensor, [1, n])]);
  }),
];

const groups = [elementwise, layout, sums, discrete] as const;

/** The graph of a seed: 6 to 19 steps, the last three values, a loss of them, and its gradient. */
export function randomGraph(seed: number): RandomGraph {
  const shapes: readonly Shape[] = [[3 + seed % 5, 4 + seed % 7], [4 + seed % 6, 3 + seed % 4]];
  const next = numbers(seed + 500);
  const values = shapes.map(([m, n]) =>
    Float32Array.from({ length: (m as number) * (n as number) }, () => 2 * next() - 1)
  );
  const fn = (x: Tensor, y: Tensor): readonly Tensor[] => {
    const random = numbers(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const pool: Tensor[] = [x, y];
    const draw: Draw = { below, seed, pick: () => pool[below(pool.length)] as Tensor };
    const count = 6 + below(14);
    for (let i = 0; i < count; i++) {
      const group = groups[below(groups.length)] as readonly Step[];
      const made = (group[below(group.length)] as Step)(draw);
      const [m = 0, n = 0] = made.shape;
      if (m >= 3 && n >= 1 && m * n <= 400) pool.push(made);
    }
    const outputs = pool.slice(-3);
    const loss = outputs.map((t) => reduceSum(mul(t, t))).reduce((a, b) => add(a, b));
    return [...outputs, loss, ...grad(loss, [x, y])];
  };
  const [a, b] = shapes.map((shape): TensorType => ({ dtype: "float32", shape }));
  return { fn, types: [a, b] as [TensorType, TensorType], values: values as [Float32Array, Float32Array] };
}

/** The values of a graph's outputs. */
export async function runOn(engine: Engine, { fn, types, values }: RandomGraph): Promise<HostArray[]> {
  const program = await compile(
    ({ x, y }) => Object.fromEntries(fn(x, y).map((tensor, i) => [`out${i}`, tensor])),
    { x: types[0], y: types[1] },
    { engine },
  );
  const outputs = Object.values(await program.run({ x: values[0], y: values[1] }));
  const data: HostArray[] = [];
  for (const output of outputs) {
    data.push(await output.data());
    output.dispose();
  }
  program.dispose();
  return data;
}

/** Refuses values that differ by more than `tolerance` × max(1, |expected|). */
export function assertClose(actual: HostArray, expected: HostArray, tolerance: number, where: string): void {
  assert.equal(actual.length, expected.length, where);
  expected.forEach((want, i) => {
    const got = actual[i] as number;
    if (Object.is(got, want) || got === want) return;
    const close = Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want));
    assert.ok(close, `${where}[${i}]: ${got}, not ${want}`);
  });
}

/** Refuses outputs of one graph that two engines do not agree on: float32 sums of values up to the largest in the graph. */
export function assertAgree(
  actual: readonly HostArray[],
  expected: readonly HostArray[],
  where: string,
): void {
  const all = expected.flatMap((array) => Array.from(array, Math.abs)).filter(Number.isFinite);
  const scale = all.reduce((a, b) => Math.max(a, b), 1);
  expected.forEach((want, i) =>
    assertClose(actual[i] as HostArray, want, 2e-5 * scale, `${where}, output ${i}`)
  );
}
