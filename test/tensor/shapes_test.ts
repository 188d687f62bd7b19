/** Shape rules: what operations refuse, and what they say. */
import assert from "node:assert/strict";
import {
  add,
  allReduce,
  and,
  argmax,
  broadcastTo,
  cast,
  compare,
  concat,
  constant,
  crossEntropy,
  div,
  dot,
  dropout,
  exp,
  gather,
  gelu,
  geluErf,
  graphOf,
  iota,
  keyWords,
  layerNorm,
  logSoftmax,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  not,
  oneHot,
  pad,
  randomBits,
  randomKey,
  reduceMax,
  reduceSum,
  relu,
  reshape,
  scan,
  scatterAdd,
  select,
  shiftRightLogical,
  slice,
  softmax,
  splitKey,
  stack,
  trace,
  transpose,
  zeros,
} from "albert-guide";
import type { Tensor } from "albert-guide";

const f = (...shape: number[]): Tensor => zeros(shape);
const i = (...shape: number[]): Tensor => zeros(shape, { dtype: "int32" });
const b = (...shape: number[]): Tensor => zeros(shape, { dtype: "bool" });

const refused: readonly (readonly [what: string, fn: () => unknown, error: typeof Error, message: RegExp])[] =
  [
    [
      "add() of shapes that do not broadcast",
      () => add(f(2, 3), f(4)),
      RangeError,
      /sizes 3 and 4 of dimension 1/,
    ],
    ["add() of two types", () => add(f(2), i(2)), TypeError, /cast one of them first/],
    ["add() of two numbers", () => add(1, 2), TypeError, /at least one operand/],
    ["add() of bool", () => add(b(2), b(2)), TypeError, /it takes numbers/],
    ["div() of integers", () => div(i(2), i(2)), TypeError, /it takes floating values/],
    ["exp() of integers", () => exp(i(2)), TypeError, /takes floating values/],
    ["neg() of bool", () => neg(b(2)), TypeError, /takes floating values/],
    ["maximum() of bool", () => maximum(b(2), b(2)), TypeError, /Cannot maximum .* it takes numbers/],
    ["and() of floats", () => and(f(2), f(2)), TypeError, /it takes bool or integer values/],
    ["not() of integers", () => not(i(2)), TypeError, /takes bool values/],
    [
      "shiftRightLogical() of int32",
      () => shiftRightLogical(i(2), i(2)),
      TypeError,
      /it takes uint32 values/,
    ],
    ["select() by a float", () => select(f(2), f(2), f(2)), TypeError, /condition must be bool/],
    ["constant() of ragged lists", () => constant([[1, 2], [3]]), RangeError, /a list of 1 stands where/],
    ["constant() of unequal depth", () => constant([[1], 2]), RangeError, /unequal depth/],
    [
      "constant() of too few values",
      () => constant([1, 2], { shape: [3] }),
      RangeError,
      /needs 3 values, 2 are given/,
    ],
    ["reshape() to another size", () => reshape(f(2, 3), [4]), RangeError, /it has 6 elements/],
    ["reshape() with an impossible -1", () => reshape(f(5), [2, -1]), RangeError, /it has 5 elements/],
    [
      "transpose() by no permutation",
      () => transpose(f(2, 3), [0, 0]),
      RangeError,
      /no order of its dimensions/,
    ],
    ["broadcastTo() a smaller shape", () => broadcastTo(f(2, 3), [3]), RangeError, /sizes do not fit/],
    ["slice() out of bounds", () => slice(f(4), [2], [5]), RangeError, /out of bounds/],
    ["pad() by a negative count", () => pad(f(4), [-1], [0]), RangeError, /one whole count >= 0/],
    ["concat() of nothing", () => concat([]), RangeError, /there is no tensor/],
    ["concat() of unequal sizes", () => concat([f(2, 3), f(2, 4)]), RangeError, /along axis 0/],
    ["stack() of unequal shapes", () => stack([f(2), f(3)]), RangeError, /along axis 0/],
    ["iota() along no axis", () => iota([2], 1), RangeError, /axis 1 is not a dimension/],
    [
      "dot() of unequal contracted sizes",
      () => dot(f(2, 3), f(4, 5), { batch: [[], []], contract: [[1], [0]] }),
      RangeError,
      /must have equal sizes/,
    ],
    [
      "dot() of two types",
      () => dot(f(2), i(2), { batch: [[], []], contract: [[0], [0]] }),
      TypeError,
      /cast one first/,
    ],
    ["matmul() of a vector", () => matmul(f(3), f(3, 2)), RangeError, /at least two dimensions/],
    ["reduceSum() over a missing axis", () => reduceSum(f(2), [1]), RangeError, /axis 1 is not a dimension/],
    ["reduceMax() of bool", () => reduceMax(b(2)), TypeError, /cast it to a number first/],
    ["gather() by floats", () => gather(f(2, 2), f(1)), TypeError, /indices must be int32/],
    ["gather() from a scalar", () => gather(f(), i(1)), RangeError, /it has no rows/],
    [
      "scatterAdd() of misfit updates",
      () => scatterAdd(i(3), f(2, 2), 4),
      RangeError,
      /leading sizes differ/,
    ],
    ["randomBits() with a float key", () => randomBits(f(2), [3]), TypeError, /key must be uint32/],
    ["randomKey() of a negative seed", () => randomKey(-1), RangeError, /whole number from 0/],
    ["keyWords() of a fraction", () => keyWords(0.5), RangeError, /whole number from 0/],
    ["dropout() at rate 1", () => dropout(f(2), 1, randomKey(1)), RangeError, /must be in \[0, 1\)/],
    ["crossEntropy() with float labels", () => crossEntropy(f(2, 3), f(2)), TypeError, /labels int32/],
    ["argmax() of integers", () => argmax(i(2)), TypeError, /takes floating values/],
    [
      "scan() whose body changes a carry's type",
      () => scan(([x]) => ({ carries: [cast(x as Tensor, "int32")] }), { carries: [f(2)], length: 2 }),
      TypeError,
      /must return carries \[float32 \[2\]\]/,
    ],
    [
      "scan() over slices of unequal length",
      () => scan(([x]) => ({ carries: [x as Tensor] }), { carries: [f()], sliced: [f(2), f(3)] }),
      RangeError,
      /the length must be at least 1/,
    ],
  ];

for (const [what, fn, error, message] of refused) {
  Deno.test(`${what} is refused`, () => {
    assert.throws(fn, (thrown) => thrown instanceof error && message.test(thrown.message));
  });
}

const none = undefined as unknown as Tensor;
const plain = { batch: [[], []], contract: [[1], [0]] } as const;
const f64 = "float64" as unknown as "float32";

/** The whole message of every kind of mistake, in the words of the operation that was given it. */
const words: readonly (readonly [message: string, fn: () => unknown])[] = [
  [
    "Cannot matmul float32 [8, 128] with float32 [64, 32]: the left has 128 columns, the right 64 rows",
    () => matmul(f(8, 128), f(64, 32)),
  ],
  [
    "Cannot matmul float32 [2, 8, 128] with float32 [64, 32]: the left has 128 columns, the right 64 rows",
    () => matmul(f(2, 8, 128), f(64, 32)),
  ],
  [
    "Cannot matmul float32 [2, 3] with float32 [2, 3, 4]: leading sizes differ",
    () => matmul(f(2, 3), f(2, 3, 4)),
  ],
  [
    "Cannot matmul float32 [2, 2, 3] with float32 [4, 3, 2]: leading sizes differ",
    () => matmul(f(2, 2, 3), f(4, 3, 2)),
  ],
  ["Cannot matmul float32 [2, 2] with int32 [2, 2]: cast one first", () => matmul(f(2, 2), i(2, 2))],
  [
    "Cannot matmul bool [2, 2] with bool [2, 2]: they must be numbers, cast them first",
    () => matmul(b(2, 2), b(2, 2)),
  ],
  ["Cannot matmul undefined: it is no tensor, make one by constant()", () => matmul(none, f(2, 2))],
  [
    "Cannot dot float32 [2, 2] with float32 [2, 2]: [0, 0] names a dimension twice",
    () => dot(f(2, 2), f(2, 2), { batch: [[0], [0]], contract: [[0], [0]] }),
  ],
  [
    "Cannot dot float32 [2, 3] with float32 [4, 5]: dimensions [1] and [0] must have equal sizes",
    () => dot(f(2, 3), f(4, 5), plain),
  ],
  ["Cannot make float32 [-1] by constant: sizes must be whole numbers from 0 on", () => zeros([-1])],
  ["Cannot make float32 [1.5] by constant: sizes must be whole numbers from 0 on", () => zeros([1.5])],
  [
    "Cannot make uint32 [-1] by random_bits: sizes must be whole numbers from 0 on",
    () => randomBits(randomKey(1), [-1]),
  ],
  [
    "Cannot make float32 [-1] by scatter_add: sizes must be whole numbers from 0 on",
    () => scatterAdd(i(2), f(2), -1),
  ],
  ["Cannot make int32 [2, -1] by iota: sizes must be whole numbers from 0 on", () => oneHot(i(2), -1)],
  [
    "Cannot make float32 [4294967296, 4294967296] by broadcast: it needs 73786976294838210000 bytes, at most 2^53 - 1 can be counted",
    () =>
      reduceSum(
        broadcastTo(trace((x) => [x], [{ dtype: "float32", shape: [] }]).outputs[0] ?? none, [
          2 ** 32,
          2 ** 32,
        ]),
      ),
  ],
  [
    "Cannot take x as float32 [2147483648, 2147483648]: it needs 18446744073709552000 bytes, at most 2^53 - 1 can be counted",
    () => graphOf(({ x }) => ({ y: add(x, 1) }), { x: { dtype: "float32", shape: [2 ** 31, 2 ** 31] } }),
  ],
  [
    "Cannot take group.x as int32 [-1]: sizes must be whole numbers from 0 on",
    () => graphOf(({ group }) => ({ y: group.x }), { group: { x: { dtype: "int32", shape: [-1] } } }),
  ],
  [
    "Cannot make bool [0, 4503599627370496, 4] by constant: it needs 18014398509481984 bytes, at most 2^53 - 1 can be counted",
    () => b(0, 2 ** 52, 4),
  ],
  ["Cannot make an iota of bool: compare one of int32 instead", () => iota([2], 0, { dtype: "bool" })],
  [
    "Cannot cast to float64: element types are float32, bfloat16, int32, uint32, bool",
    () => cast(f(2), f64),
  ],
  ["Cannot make a constant: 0.5 is no int32, cast the other operand first", () => add(i(2), 0.5)],
  [
    "Cannot make a constant: 1099511627776 is no int32, give values from -2147483648 to 2147483647",
    () => add(i(2), 2 ** 40),
  ],
  [
    "Cannot make a constant: 2147483648 is no int32, give values from -2147483648 to 2147483647",
    () => constant(2 ** 31, { dtype: "int32" }),
  ],
  [
    "Cannot make a constant: -1 is no uint32, give values from 0 to 4294967295",
    () => and(zeros([2], { dtype: "uint32" }), -1),
  ],
  ["Cannot make a constant: NaN is no int32, cast the other operand first", () => mul(i(2), NaN)],
  [
    "Cannot make a constant: 3000000000 (value 1) is no int32, give values from -2147483648 to 2147483647",
    () => constant([1, 3e9], { dtype: "int32" }),
  ],
  [
    "Cannot make a constant: 1.5 (value 1) is no int32, round it first",
    () => constant(Float64Array.of(1, 1.5), { dtype: "int32" }),
  ],
  [
    "Cannot make a constant: -1 (value 0) is no uint32, give values from 0 to 4294967295",
    () => constant(Int32Array.of(-1, 1), { dtype: "uint32" }),
  ],
  [
    "Cannot make a constant: int32 takes Int32Array, BigInt64Array is given, convert it by Int32Array.from(values, Number)",
    () => constant(BigInt64Array.of(1n) as unknown as Int32Array, { dtype: "int32" }),
  ],
  [
    "Cannot make a constant: float32 takes Float32Array, Int16Array is given, convert it by Float32Array.from(values)",
    () => constant(Int16Array.of(1) as unknown as Int32Array),
  ],
  [
    "Cannot make a constant: 5 is a bigint, no number and no list",
    () => constant([5n] as unknown as number[]),
  ],
  ["Cannot pad int32 [2]: 0.5 is no int32, round it first", () => pad(i(2), [1], [0], { value: 0.5 })],
  [
    "Cannot pad float32 [4] by [0.5] and [0]: one whole count >= 0 per dimension",
    () => pad(f(4), [0.5], [0]),
  ],
  ["Cannot concatenate: axis 3 is not a dimension of [2]", () => concat([f(2)], 3)],
  ["Cannot scatter bool [2]: cast it to a number first", () => scatterAdd(i(2), b(2), 3)],
  ["Cannot reduceSum bool [2]: cast it to a number first", () => reduceSum(b(2))],
  ["Cannot allReduce bool [2]: cast it to a number first", () => allReduce(b(2))],
  ["Cannot split a key into 0: the count must be a whole number from 1 on", () => splitKey(randomKey(1), 0)],
  [
    "Cannot drop out int32 [2]: it takes floating values, cast it first",
    () => dropout(i(2), 0.5, randomKey(1)),
  ],
  ["Cannot average int32 [2]: it takes floating values, cast it first", () => mean(i(2))],
  ["Cannot softmax int32 [2, 2]: it takes floating values, cast it first", () => softmax(i(2, 2))],
  ["Cannot softmax: axis -1 is not a dimension of []", () => softmax(f())],
  ["Cannot logSoftmax bool [2]: it takes floating values, cast it first", () => logSoftmax(b(2))],
  ["Cannot gelu int32 [2]: it takes floating values, cast it first", () => gelu(i(2))],
  ["Cannot geluErf int32 [2]: it takes floating values, cast it first", () => geluErf(i(2))],
  ["Cannot relu bool [2]: it takes floating values, cast it first", () => relu(b(2))],
  ["Cannot oneHot float32 [2]: labels must be int32", () => oneHot(f(2), 3)],
  [
    "Cannot layerNorm float32 [2, 3] with float32 [4] and float32 [3]: both must be [3]",
    () => layerNorm(f(2, 3), f(4), f(3)),
  ],
  [
    "Cannot compute the cross-entropy of float32 [2, 3] and int32 [3]: logits must be [n, classes], labels int32 [n]",
    () => crossEntropy(f(2, 3), i(3)),
  ],
  ["Cannot compare by less: choose one of eq, ne, lt, le, gt, ge", () => compare(f(2), "less" as "lt", f(2))],
  ["Cannot minimum float32 [2] and int32 [2]: cast one of them first", () => minimum(f(2), i(2))],
  ["Cannot add undefined: it is no tensor, make one by constant()", () => add(f(2), none)],
  ["Cannot exp a list: it is no tensor, make one by constant()", () => exp([1, 2] as unknown as Tensor)],
  [
    "Cannot not uint32 [2]: it takes bool values, compare it first",
    () => not(zeros([2], { dtype: "uint32" })),
  ],
];

for (const [message, fn] of words) {
  Deno.test(`an operation says "${message}"`, () => {
    assert.throws(
      fn,
      (thrown) => (thrown instanceof TypeError || thrown instanceof RangeError) && thrown.message === message,
    );
  });
}

Deno.test("shapes of 2^53 - 1 bytes and less are made", () => {
  assert.deepEqual(b(2 ** 53 - 1).shape, [2 ** 53 - 1]);
  assert.deepEqual(f(2 ** 25, 2 ** 25).shape, [2 ** 25, 2 ** 25]);
  assert.deepEqual(f(0, 3).shape, [0, 3]);
});

Deno.test("constant() takes whole numbers up to the ends of an integer type", async () => {
  const values = async (x: Tensor): Promise<number[]> => Array.from(await x.data());
  const ends = [-(2 ** 31), 2 ** 31 - 1];
  assert.deepEqual(await values(constant(ends, { dtype: "int32" })), ends);
  assert.deepEqual(await values(constant(Float64Array.from(ends), { dtype: "int32" })), ends);
  assert.deepEqual(await values(add(zeros([1], { dtype: "uint32" }), 2 ** 32 - 1)), [2 ** 32 - 1]);
  assert.deepEqual(await values(constant(Int32Array.of(3), { dtype: "float32" })), [3]);
});

Deno.test("operations give the shapes of NumPy", () => {
  const shapes: readonly (readonly [Tensor, readonly number[]])[] = [
    [add(f(4, 1), f(3)), [4, 3]],
    [compare(f(2, 1), "lt", f(1, 5)), [2, 5]],
    [reshape(f(2, 6), [-1, 4]), [3, 4]],
    [transpose(f(2, 3, 4)), [4, 3, 2]],
    [slice(f(4, 4), [1, 0], [3, 1]), [2, 1]],
    [pad(f(2, 3), [1, 0], [0, 2]), [3, 5]],
    [concat([f(2, 3), f(2, 1)], -1), [2, 4]],
    [stack([f(3), f(3)]), [2, 3]],
    [reduceSum(f(2, 3, 4), [0, -1]), [3]],
    [reduceMax(f(2, 3), [1], { keepDims: true }), [2, 1]],
    [gather(f(5, 2), i(3, 4)), [3, 4, 2]],
    [scatterAdd(i(3), f(3, 2), 7), [7, 2]],
    [matmul(f(2, 3, 4), f(4, 5)), [2, 3, 5]],
    [matmul(f(2, 3, 4), f(2, 4, 5)), [2, 3, 5]],
    [dot(f(2, 3, 4), f(4, 2, 5), { batch: [[0], [1]], contract: [[2], [0]] }), [2, 3, 5]],
    [oneHot(i(2, 3), 4), [2, 3, 4]],
    [softmax(f(2, 3)), [2, 3]],
    [argmax(f(2, 3)), [2]],
  ];
  for (const [tensor, shape] of shapes) assert.deepEqual(tensor.shape, shape);
});

Deno.test("layout functions return their operand when nothing changes", () => {
  const x = f(2, 3);
  assert.equal(reshape(x, [2, 3]), x);
  assert.equal(transpose(x, [0, 1]), x);
  assert.equal(broadcastTo(x, [2, 3]), x);
  assert.equal(slice(x, [0, 0], [2, 3]), x);
  assert.equal(pad(x, [0, 0], [0, 0]), x);
  assert.equal(concat([x]), x);
  assert.equal(cast(x, "float32"), x);
  assert.equal(dropout(x, 0, randomKey(1)), x);
});
