/**
 * Small examples of every primitive operation, and how exactly an engine must agree with the reference loops on them.
 */
import {
  abs,
  add,
  allReduce,
  and,
  barrier,
  broadcastTo,
  cast,
  compare,
  concat,
  constant,
  div,
  dot,
  erf,
  exp,
  floor,
  gather,
  iota,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  or,
  pad,
  pow,
  randomBits,
  randomKey,
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
  sqrt,
  stopGradient,
  sub,
  tanh,
  transpose,
  xor,
} from "albert-guide";
import type { DType, HostArray, OperationName, Shape, Tensor } from "albert-guide";

/** Numbers in [0, 1) from a seed (a linear congruence is random enough here). */
export function numbers(seed: number): () => number {
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A constant of uniform floats. */
export function floats(seed: number, shape: Shape, low: number = -2, high: number = 2): Tensor {
  const next = numbers(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  return constant(Float32Array.from({ length: count }, () => low + (high - low) * next()), { shape });
}

/** A constant of whole numbers, low to high - 1. */
export function wholes(
  seed: number,
  shape: Shape,
  { low = -1000, high = 1000, dtype = "int32" }: {
    readonly low?: number;
    readonly high?: number;
    readonly dtype?: DType;
  } = {},
): Tensor {
  const next = numbers(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  const values = Array.from({ length: count }, () => Math.floor(low + (high - low) * next()));
  const array: HostArray = dtype === "uint32"
    ? Uint32Array.from(values)
    : dtype === "bool"
    ? Uint8Array.from(values)
    : Int32Array.from(values);
  return constant(array, { shape, dtype });
}

const bits = (seed: number, shape: Shape): Tensor =>
  wholes(seed, shape, { low: 0, high: 2 ** 32, dtype: "uint32" });
const bools = (seed: number, shape: Shape): Tensor => wholes(seed, shape, { low: 0, high: 2, dtype: "bool" });
const big = (seed: number, shape: Shape): Tensor => wholes(seed, shape, { low: -(2 ** 31), high: 2 ** 31 });
const shapes: readonly Shape[] = [[], [1], [7], [3, 5], [2, 3, 4], [33, 17]];

const overShapes = (make: (shape: Shape, seed: number) => readonly Tensor[]): Tensor[] =>
  shapes.flatMap((shape, i) => make(shape, 10 * i + 1));
const unary = (fn: (x: Tensor) => Tensor, low: number = -2, high: number = 2): Tensor[] =>
  overShapes((shape, seed) => [fn(floats(seed, shape, low, high))]);
const pairs = (fn: (a: Tensor, b: Tensor) => Tensor, low: number = -2): Tensor[] => [
  ...overShapes((shape, seed) => [fn(floats(seed, shape, low), floats(seed + 1, shape))]),
  fn(floats(1, [4, 1, 3], low), floats(2, [5, 1])),
  fn(floats(3, [], low), floats(4, [2, 3])),
  fn(floats(5, [6, 5], low), floats(6, [5])),
];
const integers = (fn: (a: Tensor, b: Tensor) => Tensor): Tensor[] => [
  fn(big(1, [3, 5]), big(2, [3, 5])),
  fn(big(3, [4, 1]), big(4, [7])),
  fn(bits(5, [9]), bits(6, [9])),
];
const logic = (fn: (a: Tensor, b: Tensor) => Tensor): Tensor[] => [
  ...integers(fn),
  fn(bools(7, [3, 5]), bools(8, [3, 5])),
  fn(bools(9, [3, 1]), bools(10, [6])),
];

function dots(): Tensor[] {
  const plain = { batch: [[], []], contract: [[1], [0]] } as const;
  return [
    dot(floats(1, [3, 4]), floats(2, [4, 5]), plain),
    dot(floats(1, [65, 33]), floats(2, [33, 70]), plain),
    dot(floats(1, [1, 64]), floats(2, [64, 1]), plain),
    dot(floats(3, [4, 3]), floats(4, [4, 5]), { batch: [[], []], contract: [[0], [0]] }),
    dot(floats(5, [19, 20]), floats(6, [21, 20]), { batch: [[], []], contract: [[1], [1]] }),
    dot(floats(7, [2, 3, 4, 8]), floats(8, [2, 3, 5, 8]), { batch: [[0, 1], [0, 1]], contract: [[3], [3]] }),
    dot(floats(9, [2, 4, 3, 8]), floats(10, [2, 5, 3, 8]), { batch: [[0, 2], [0, 2]], contract: [[3], [3]] }),
    dot(floats(11, [2, 3, 4, 5]), floats(12, [5, 3, 6]), { batch: [[], []], contract: [[1, 3], [1, 0]] }),
    dot(floats(13, [6, 7]), floats(14, [7, 6]), { batch: [[0], [1]], contract: [[1], [0]] }),
    dot(floats(15, [2, 3]), floats(16, [4]), { batch: [[], []], contract: [[], []] }),
    dot(floats(17, [5]), floats(18, [5]), { batch: [[], []], contract: [[0], [0]] }),
    dot(wholes(19, [3, 4]), wholes(20, [4, 2]), plain),
  ];
}

/** Several tensors for every operation. */
export const cases: { readonly [Name in OperationName]: () => readonly Tensor[] } = {
  // Parameters, constants and iota are in every other case; here they are alone.
  parameter: () => [floats(1, [3])],
  constant: () => [constant(3, { shape: [2, 2] }), constant(1, { dtype: "bool", shape: [3] }), bits(1, [4])],
  iota: () => [iota([3, 4], 0), iota([3, 4], 1, { dtype: "float32" }), iota([5], 0, { dtype: "uint32" })],
  neg: () => [...unary(neg), neg(big(1, [6]))],
  exp: () => [...unary(exp), exp(floats(3, [500], -87, 88))],
  log: () => [...unary(log, 0.01, 9), log(floats(3, [300], 1e-30, 1e-28)), log(floats(4, [300], 0.9, 1.1))],
  tanh: () => [...unary(tanh, -5, 5), tanh(floats(3, [300], -0.01, 0.01))],
  erf: () => [...unary(erf, -4, 4), erf(floats(3, [300], -0.01, 0.01))],
  sqrt: () => unary(sqrt, 0, 9),
  rsqrt: () => unary(rsqrt, 0.01, 9),
  abs: () => [...unary(abs), abs(big(1, [6]))],
  sign: () => [...unary(sign), sign(constant([0, -0, 3])), sign(wholes(1, [6]))],
  floor: () => [...unary(floor, -9, 9), floor(constant([-0.5, 2, -3, 1e10]))],
  not: () => [not(bools(1, [3, 5]))],
  add: () => [...pairs(add), ...integers(add)],
  sub: () => [...pairs(sub), ...integers(sub)],
  mul: () => [...pairs(mul), ...integers(mul)],
  div: () => pairs((a, b) => div(a, add(b, 3))),
  max: () => [...pairs(maximum), ...integers(maximum)],
  min: () => [...pairs(minimum), ...integers(minimum)],
  pow: () => [...pairs(pow, 0.1), pow(constant([-2, 3, 0, 5]), constant([3, -2, 2, 0]))],
  and: () => logic(and),
  or: () => logic(or),
  xor: () => logic(xor),
  shift_right_logical: () => [
    shiftRightLogical(bits(1, [32]), iota([32], 0, { dtype: "uint32" })),
    shiftRightLogical(bits(1, [3, 4]), 8),
  ],
  compare: () =>
    (["eq", "ne", "lt", "le", "gt", "ge"] as const).flatMap((direction) => [
      compare(wholes(1, [40], { low: 0, high: 3 }), direction, wholes(2, [40], { low: 0, high: 3 })),
      compare(bits(1, [9]), direction, bits(2, [9])),
      compare(cast(wholes(3, [4, 5], { low: 0, high: 3 }), "float32"), direction, constant([0, 1, 2, 0, 1])),
      compare(constant([NaN, 1]), direction, constant([NaN, NaN])),
    ]),
  select: () => [
    select(bools(1, [3, 5]), floats(2, [3, 5]), floats(3, [3, 5])),
    select(bools(1, [4, 1]), floats(2, [5]), 0),
    select(bools(1, [3, 6]), big(2, [3, 6]), 7),
  ],
  cast: () => [
    cast(constant([0.5, 2, 0, -1.9, 1.9]), "int32"),
    cast(constant([0.5, 2, 0, -1.9]), "bool"),
    cast(constant([0.5, 3e9, 70000.9]), "uint32"),
    cast(wholes(1, [9]), "float32"),
    cast(bits(1, [9]), "float32"),
    cast(wholes(1, [5], { low: -1, high: 2 }), "bool"),
    cast(big(1, [5]), "uint32"),
    cast(bits(1, [5]), "int32"),
    cast(bools(1, [5]), "float32"),
    cast(bools(1, [5]), "int32"),
    cast(bools(1, [5]), "uint32"),
  ],
  reshape: () => [reshape(floats(1, [2, 6]), [3, 4]), reshape(mul(floats(1, [2, 6]), 2), [12])],
  transpose: () => [
    transpose(floats(1, [3, 5])),
    transpose(floats(1, [2, 3, 4, 5]), [0, 2, 1, 3]),
    transpose(floats(1, [2, 3, 4]), [2, 0, 1]),
    transpose(big(1, [4, 7])),
    transpose(bools(1, [4, 7])),
  ],
  broadcast: () => [
    broadcastTo(floats(1, [3]), [4, 3]),
    broadcastTo(floats(1, [4, 1]), [2, 4, 3]),
    broadcastTo(floats(1, []), [2, 2]),
    broadcastTo(bools(1, [3]), [2, 3]),
  ],
  slice: () => [
    slice(floats(1, [6]), [2], [5]),
    slice(floats(1, [4, 5, 6]), [1, 0, 2], [3, 5, 3]),
    slice(big(1, [4, 5]), [0, 1], [4, 2]),
    slice(floats(1, [4]), [2], [2]),
  ],
  pad: () => [
    pad(floats(1, [3]), [1], [2], { value: 7 }),
    pad(floats(1, [2, 3]), [0, 1], [2, 0]),
    pad(big(1, [2, 3]), [1, 1], [0, 1], { value: -5 }),
  ],
  concat: () => [
    concat([floats(1, [2, 3]), floats(2, [4, 3])]),
    concat([floats(1, [2, 3]), floats(2, [2, 1]), floats(3, [2, 2])], 1),
    concat([big(1, [3]), big(2, [1])]),
  ],
  dot: dots,
  reduce_sum: () => [
    reduceSum(floats(1, [3, 5])),
    ...[[0], [1], [2], [0, 1], [0, 2], [1, 2]].map((axes) => reduceSum(floats(1, [6, 7, 9]), axes)),
    reduceSum(floats(1, [40, 64]), [0]),
    reduceSum(floats(1, [40, 64]), [1]),
    reduceSum(wholes(1, [4, 6]), [0]),
    reduceSum(floats(1, [5, 1]), [1]),
  ],
  reduce_max: () => [
    reduceMax(floats(1, [3, 5])),
    ...[[0], [1], [2], [0, 1], [0, 2], [1, 2]].map((axes) => reduceMax(floats(1, [6, 7, 9]), axes)),
    reduceMax(floats(1, [40, 64], -9, -1), [0]),
    reduceMax(floats(1, [40, 64], -9, -1), [1]),
    reduceMax(wholes(1, [4, 6]), [0]),
    reduceMax(bits(1, [4, 6]), [1]),
  ],
  gather: () => [
    gather(floats(1, [5, 3]), constant([[0, 4], [2, 2]], { dtype: "int32" })),
    gather(floats(1, [5, 8]), constant([-7, 9, 1], { dtype: "int32" })),
    gather(wholes(1, [5]), constant([3, 0], { dtype: "int32" })),
    gather(floats(1, [4, 2, 3]), constant(2, { dtype: "int32" })),
  ],
  scatter_add: () => [
    scatterAdd(constant([1, 0, 1, 3], { dtype: "int32" }), floats(1, [4, 3]), 4),
    scatterAdd(constant([-1, 9, 1], { dtype: "int32" }), floats(1, [3, 8]), 4),
    scatterAdd(constant([[1, 0], [1, 3]], { dtype: "int32" }), floats(1, [2, 2]), 5),
    scatterAdd(constant([1, 1], { dtype: "int32" }), wholes(1, [2, 2]), 2),
  ],
  random_bits: () => [randomBits(randomKey(7), [5]), randomBits(randomKey(2 ** 40 + 3), [3, 37])],
  stop_gradient: () => [stopGradient(floats(1, [3]))],
  barrier: () => [barrier(floats(1, [3])), barrier(mul(floats(1, [3]), 2))],
  all_reduce: () => [allReduce(floats(1, [3]))],
  scan: () => {
    const { carries, stacked } = scan(([h], [x]) => {
      const next = tanh(add(h as Tensor, x as Tensor));
      return { carries: [next], stacked: [mul(next, 2)] };
    }, { carries: [floats(1, [3])], sliced: [floats(2, [4, 3])] });
    return [...carries, ...stacked];
  },
  result: () => [
    ...scan(([h], [x]) => ({ carries: [add(mul(h as Tensor, 0.5), x as Tensor)] }), {
      carries: [floats(1, [3])],
      sliced: [floats(2, [4, 3])],
      reverse: true,
    }).carries,
  ],
};

/** Largest accepted difference, in units of 1e-6 × max(1, |expected|); 0 where every engine must agree exactly. */
export const tolerance: { readonly [Name in OperationName]: number } = {
  parameter: 0,
  constant: 0,
  iota: 0,
  neg: 0,
  exp: 0.6,
  log: 0.6,
  tanh: 0.6,
  erf: 0.6,
  sqrt: 0.2,
  rsqrt: 0.5,
  abs: 0,
  sign: 0,
  floor: 0,
  not: 0,
  add: 0.1,
  sub: 0.1,
  mul: 0.1,
  div: 0.2,
  max: 0,
  min: 0,
  pow: 2,
  and: 0,
  or: 0,
  xor: 0,
  shift_right_logical: 0,
  compare: 0,
  select: 0,
  cast: 0.1,
  reshape: 0,
  transpose: 0,
  broadcast: 0,
  slice: 0,
  pad: 0,
  concat: 0,
  dot: 6,
  reduce_sum: 2,
  reduce_max: 0,
  gather: 0,
  scatter_add: 0.2,
  random_bits: 0,
  stop_gradient: 0,
  barrier: 0,
  all_reduce: 0,
  scan: 1,
  result: 1,
};

/**
 * Largest accepted difference in bfloat16, in units of 2^-8 × max(1, |expected|), half its last place at 1; 2 where a value
 * close to the middle between two may be rounded to either.
 */
export const toleranceBfloat16: { readonly [Name in OperationName]: number } = {
  parameter: 0,
  constant: 0,
  iota: 0,
  neg: 0,
  exp: 2,
  log: 2,
  tanh: 2,
  erf: 2,
  sqrt: 2,
  rsqrt: 2,
  abs: 0,
  sign: 0,
  floor: 0,
  not: 0,
  add: 2,
  sub: 2,
  mul: 2,
  div: 2,
  max: 0,
  min: 0,
  pow: 2,
  and: 0,
  or: 0,
  xor: 0,
  shift_right_logical: 0,
  compare: 0,
  select: 0,
  cast: 2,
  reshape: 0,
  transpose: 0,
  broadcast: 0,
  slice: 0,
  pad: 0,
  concat: 0,
  dot: 2,
  reduce_sum: 2,
  reduce_max: 0,
  gather: 0,
  scatter_add: 2,
  random_bits: 0,
  stop_gradient: 0,
  barrier: 0,
  all_reduce: 0,
  scan: 8,
  result: 4,
};

/**
 * The same for gradients of a weighted sum, in units of the operation's tolerance in float32 (0.2 where that is 0), or of
 * 2^-8 in bfloat16: a rule is made of several operations, and a compiler may keep float32 between them.
 */
export const gradientTolerance: { readonly [Name in OperationName]: number } = {
  parameter: 0,
  constant: 0,
  iota: 0,
  neg: 0,
  exp: 4,
  log: 4,
  tanh: 4,
  erf: 4,
  sqrt: 4,
  rsqrt: 4,
  abs: 0,
  sign: 0,
  floor: 0,
  not: 0,
  add: 4,
  sub: 4,
  mul: 4,
  div: 4,
  max: 4,
  min: 4,
  pow: 4,
  and: 0,
  or: 0,
  xor: 0,
  shift_right_logical: 0,
  compare: 0,
  select: 4,
  cast: 0,
  reshape: 0,
  transpose: 0,
  broadcast: 4,
  slice: 0,
  pad: 0,
  concat: 0,
  dot: 4,
  reduce_sum: 4,
  reduce_max: 4,
  gather: 4,
  scatter_add: 0,
  random_bits: 0,
  stop_gradient: 0,
  barrier: 4,
  all_reduce: 0,
  scan: 4,
  result: 4,
};
