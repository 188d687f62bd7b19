/**
 * The gradient rule of every operation, against central differences in float64. The table is keyed by operation, so
 * the compiler names a new one that lacks its check.
 */
import assert from "node:assert/strict";
import {
  abs,
  add,
  allReduce,
  barrier,
  broadcastTo,
  cast,
  compare,
  concat,
  constant,
  div,
  dot,
  dropout,
  erf,
  exp,
  gather,
  gelu,
  geluErf,
  grad,
  layerNorm,
  log,
  logSoftmax,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  pad,
  pow,
  randomKey,
  reduceMax,
  reduceSum,
  referenceEngine,
  reshape,
  rsqrt,
  scan,
  scatterAdd,
  select,
  slice,
  softmax,
  sqrt,
  stack,
  stopGradient,
  sub,
  tanh,
  transpose,
  useEngine,
} from "albert-guide";
import type { DotDims, OperationName, Shape, Tensor } from "albert-guide";
import { numbers } from "../engines/cases.ts";

type Input = { readonly shape: Shape; readonly low?: number; readonly high?: number };
type Check = { readonly fn: (...x: Tensor[]) => Tensor; readonly inputs: readonly Input[] };

const check = (fn: Check["fn"], ...inputs: (Input | Shape)[]): Check => ({
  fn,
  inputs: inputs.map((input) => Array.isArray(input) ? { shape: input } : input as Input),
});
const one = (fn: (x: Tensor) => Tensor, low: number = -2, high: number = 2): Check[] => [
  check(fn, { shape: [2, 3], low, high }),
];
const two = (fn: (a: Tensor, b: Tensor) => Tensor, low: number = -2, high: number = 2): Check[] => [
  check(fn, { shape: [2, 3], low, high }, { shape: [2, 3], low, high }),
  check(fn, { shape: [4, 1, 2], low, high }, { shape: [3, 1], low, high }),
  check(fn, { shape: [], low, high }, { shape: [2, 2], low, high }),
];
const product = (a: Shape, b: Shape, dims: DotDims): Check => check((x, y) => dot(x, y, dims), a, b);
const ids = (...values: number[]): Tensor => constant(Int32Array.from(values));
const none = "no gradient: not continuous, an integer or a leaf";

const scans: Check[] = [
  check(
    (h, xs) =>
      scan(
        ([state], [x]) => ({ carries: [tanh(add(mul(state!, 0.9), x!))] }), // ! one carry, one slice
        { carries: [h], sliced: [xs] },
      ).carries[0]!,
    [3],
    [4, 3],
  ), // ! one carry
  check(
    (h, xs, w) => {
      const { carries, stacked } = scan(([state], [x]) => {
        const next = tanh(add(matmul(state!, w), x!)); // ! as above
        return { carries: [next], stacked: [mul(next, next), x!] };
      }, { carries: [h], sliced: [xs] });
      return concat([reshape(carries[0]!, [-1]), ...stacked.map((all) => reshape(all, [-1]))]); // ! one carry
    },
    [2, 3],
    [3, 2, 3],
    [3, 3],
  ),
  ...[true, false].map((remat) =>
    check(
      (h, xs, w) =>
        scan(
          ([state], [x]) => ({ carries: [tanh(add(matmul(state!, w), x!))] }), // ! as above
          { carries: [h], sliced: [xs], reverse: true, remat },
        ).carries[0]!,
      [2, 2],
      [3, 2, 2],
      [2, 2],
    )
  ),
  check(
    (h, w) => {
      // A scan inside a scan, both using w.
      const { carries } = scan(([outer]) => {
        const inner = scan(([state]) => ({ carries: [tanh(mul(state!, w))] }), {
          carries: [outer!],
          length: 2,
        });
        return { carries: [add(inner.carries[0]!, w)] };
      }, { carries: [h], length: 3, remat: false });
      return carries[0]!; // ! one carry
    },
    [3],
    [3],
  ),
  check(
    (a, b) => {
      const { carries: [x, y] } = scan(([x, y]) => ({ carries: [mul(x!, y!), add(y!, x!)] }), { // ! two carries
        carries: [a, b],
        length: 3,
      });
      return add(x!, y!); // ! two carries
    },
    [2],
    [2],
  ),
];

/** Checks per operation, or the reason why there is none. */
const table: { readonly [Name in OperationName]: readonly Check[] | string } = {
  parameter: none,
  constant: none,
  iota: none,
  random_bits: none,
  sign: none,
  floor: none,
  not: none,
  compare: none,
  and: none,
  or: none,
  xor: none,
  shift_right_logical: none,
  neg: one(neg),
  exp: one(exp),
  log: one(log, 0.2, 3),
  tanh: one(tanh),
  erf: one(erf),
  sqrt: one(sqrt, 0.2, 3),
  rsqrt: one(rsqrt, 0.2, 3),
  abs: one(abs, 0.1, 2),
  add: two(add),
  sub: two(sub),
  mul: two(mul),
  div: two(div, 0.5, 2),
  max: two(maximum),
  min: two(minimum),
  pow: [...two(pow, 0.3, 2), check((x) => pow(x, 3), [4]), check((x) => pow(2, x), [4])],
  select: [
    check((a, b) => select(compare(a, "gt", b), mul(a, 2), b), [3, 4], [3, 4]),
    check((a, b) => select(constant([1, 0, 1], { dtype: "bool" }), a, b), [2, 3], [3]),
  ],
  cast: [check((x) => mul(cast(x, "float32"), 2), [3])],
  reshape: [check((x) => mul(reshape(x, [3, 2]), constant([[1, 2], [3, 4], [5, 6]])), [2, 3])],
  transpose: [check((x) => transpose(x), [2, 3]), check((x) => transpose(x, [2, 0, 1]), [2, 3, 4])],
  broadcast: [
    check((x) => broadcastTo(x, [4, 3]), [3]),
    check((x) => broadcastTo(x, [2, 3, 2]), [3, 1]),
    check((x) => broadcastTo(x, [2, 2]), []),
  ],
  slice: [check((x) => slice(x, [1, 0], [3, 2]), [4, 3])],
  pad: [check((x) => pad(x, [1, 0], [0, 2], { value: 5 }), [2, 3])],
  concat: [
    check((a, b) => concat([a, mul(b, a), b], 0), [3], [3]),
    check((a, b) => concat([a, b], 1), [2, 1], [2, 3]),
  ],
  dot: [
    product([2, 3], [3, 4], { batch: [[], []], contract: [[1], [0]] }),
    product([3, 2], [4, 3], { batch: [[], []], contract: [[0], [1]] }),
    product([2, 3, 4], [2, 5, 4], { batch: [[0], [0]], contract: [[2], [2]] }),
    product([2, 3, 2, 4], [3, 4, 2, 2], { batch: [[0, 1], [2, 0]], contract: [[3], [1]] }),
    product([2, 3, 4], [4, 5, 2], { batch: [[], []], contract: [[0, 2], [2, 0]] }),
    product([3, 2], [2, 3], { batch: [[1], [0]], contract: [[0], [1]] }),
    product([2], [3], { batch: [[], []], contract: [[], []] }),
    check((a, b) => matmul(a, b), [2, 3, 4], [4, 2]),
    check((a, b) => matmul(a, b), [2, 3, 4], [2, 4, 2]),
  ],
  reduce_sum: [
    check((x) => reduceSum(x, [0]), [3, 4]),
    check((x) => reduceSum(x, [0, 2], { keepDims: true }), [2, 3, 2]),
    check((x) => reduceSum(x), [2, 2]),
  ],
  reduce_max: [check((x) => reduceMax(x, [1]), [3, 4]), check((x) => reduceMax(x), [2, 3])],
  gather: [
    check((x) => gather(x, ids(0, 2, 2)), [3, 2]),
    check((x) => gather(x, reshape(ids(1, 1, 0, 2), [2, 2])), [3]),
  ],
  scatter_add: [
    check((x) => scatterAdd(ids(1, 0, 1), x, 3), [3, 2]),
    check((x) => scatterAdd(reshape(ids(1, 0, 1, 1), [2, 2]), x, 2), [2, 2]),
  ],
  stop_gradient: [check((x) => mul(x, stopGradient(constant([1, 2, 3]))), [3])],
  barrier: [check((x) => barrier(mul(x, x)), [3])],
  all_reduce: [check((x) => allReduce(mul(x, x)), [3])],
  scan: scans,
  result: scans.slice(0, 1),
};

const composed: { readonly [name: string]: readonly Check[] } = {
  softmax: [check((x) => softmax(x), [2, 4])],
  logSoftmax: [check((x) => logSoftmax(x), [2, 4])],
  layerNorm: [check((x, gamma, beta) => layerNorm(x, gamma, beta), [2, 4], [4], [4])],
  gelu: one(gelu),
  geluErf: one(geluErf),
  mean: [check((x) => mean(x, [1]), [2, 3])],
  stack: [check((a, b) => stack([a, b]), [2], [2])],
  dropout: [check((x) => dropout(x, 0.5, randomKey(3)), [3, 4])],
};

async function numbersOf(x: Tensor): Promise<number[]> {
  return Array.from(await x.data());
}

async function assertGradient({ fn, inputs }: Check): Promise<void> {
  const next = numbers(inputs.length + 7);
  const values = inputs.map(({ shape, low = -2, high = 2 }) => {
    const count = shape.reduce((size, n) => size * n, 1);
    return Float64Array.from({ length: count }, () => low + (high - low) * next());
  });
  const tensor = (i: number, array: Float64Array): Tensor =>
    constant(array, { shape: (inputs[i] as Input).shape, dtype: "float32" });
  const loss = (
    arrays: readonly Float64Array[],
  ): { readonly loss: Tensor; readonly x: readonly Tensor[] } => {
    const x = arrays.map((array, i) => tensor(i, array));
    const y = fn(...x);
    const weigh = numbers(99);
    const count = y.shape.reduce((size, n) => size * n, 1);
    const weights = constant(Float64Array.from({ length: count }, () => 2 * weigh() - 1), {
      shape: y.shape,
      dtype: "float32",
    });
    return { loss: reduceSum(mul(y, weights)), x };
  };
  const traced = loss(values);
  const found = grad(traced.loss, traced.x);
  const h = 1e-5;
  for (const [i, array] of values.entries()) {
    assert.deepEqual(found[i]?.shape, inputs[i]?.shape);
    const actual = await numbersOf(found[i] as Tensor);
    for (let j = 0; j < array.length; j++) {
      const at = async (step: number): Promise<number> => {
        const moved = values.map((v) => v.slice());
        const target = moved[i] as Float64Array;
        target[j] = (target[j] as number) + step;
        return (await loss(moved).loss.data())[0] as number;
      };
      const expected = (await at(h) - await at(-h)) / (2 * h);
      const difference = Math.abs((actual[j] as number) - expected);
      assert.ok(
        difference <= 2e-7 * Math.max(1, Math.abs(expected)),
        `input ${i}, element ${j}: ${actual[j]}, central difference ${expected}`,
      );
    }
  }
}

for (const [name, checks] of [...Object.entries(table), ...Object.entries(composed)]) {
  if (typeof checks === "string") continue;
  Deno.test(`grad() of ${name} agrees with central differences`, async () => {
    useEngine(referenceEngine());
    try {
      for (const one of checks) await assertGradient(one);
    } finally {
      useEngine(undefined);
    }
  });
}

async function gradientOf(fn: (x: Tensor) => Tensor, values: readonly number[]): Promise<number[]> {
  useEngine(referenceEngine());
  try {
    const x = constant(values);
    return await numbersOf(grad(reduceSum(fn(x)), [x])[0] as Tensor);
  } finally {
    useEngine(undefined);
  }
}

Deno.test("grad() shares a maximum's gradient when several elements are equal", async () => {
  assert.deepEqual(await gradientOf((x) => reduceMax(x), [1, 5, 5, 2, 5]), [0, 1 / 3, 1 / 3, 0, 1 / 3]);
  assert.deepEqual(await gradientOf((x) => maximum(x, 5), [1, 5, 7]), [0, 0.5, 1]);
});

Deno.test("grad() stops at stopGradient, floor, sign and comparisons", async () => {
  assert.deepEqual(await gradientOf((x) => mul(stopGradient(x), x), [3]), [3]);
  assert.deepEqual(await gradientOf((x) => add(sub(x, x), mul(0, x)), [3]), [0]);
  assert.deepEqual(await gradientOf((x) => cast(compare(x, "gt", 0), "float32"), [3]), [0]);
});

Deno.test("grad() returns zeros when the loss does not depend on a tensor", async () => {
  useEngine(referenceEngine());
  const [x, y] = [constant([1, 2]), constant([3])];
  const [dx, dy] = grad(reduceSum(mul(y, y)), [x, y]);
  assert.deepEqual(await numbersOf(dx as Tensor), [0, 0]);
  assert.deepEqual(await numbersOf(dy as Tensor), [6]);
  useEngine(undefined);
});

Deno.test("grad() works with respect to intermediate values and twice", async () => {
  useEngine(referenceEngine());
  const x = constant([2, 3]);
  const square = mul(x, x);
  const loss = reduceSum(mul(square, x));
  const [bySquare] = grad(loss, [square]);
  assert.deepEqual(await numbersOf(bySquare as Tensor), [2, 3]);
  const [first] = grad(loss, [x]);
  const [second] = grad(reduceSum(first as Tensor), [x]);
  assert.deepEqual(await numbersOf(second as Tensor), [12, 18]);
  useEngine(undefined);
});

Deno.test("grad() refuses what is no floating scalar", () => {
  assert.throws(() => grad(constant([1, 2]), []), TypeError);
  assert.throws(() => grad(constant(1), [ids(1)]), TypeError);
});

Deno.test("grad() refuses second derivatives of scans with a clear error", () => {
  const x = constant([1]);
  const { carries } = scan(([h]) => ({ carries: [mul(h as Tensor, h as Tensor)] }), {
    carries: [x],
    length: 2,
  });
  const [first] = grad(reduceSum(carries[0] as Tensor), [x]);
  assert.throws(() => grad(reduceSum(first as Tensor), [x]), /only first derivatives of scans/);
});
