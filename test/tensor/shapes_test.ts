/** Shape rules: what operations refuse, and what they say. */
import assert from "node:assert/strict";
import {
  add,
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
  iota,
  keyWords,
  matmul,
  maximum,
  neg,
  not,
  oneHot,
  pad,
  randomBits,
  randomKey,
  reduceMax,
  reduceSum,
  reshape,
  scan,
  scatterAdd,
  select,
  shiftRightLogical,
  slice,
  softmax,
  stack,
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
    ["add() of bool", () => add(b(2), b(2)), TypeError, /wrong type/],
    ["div() of integers", () => div(i(2), i(2)), TypeError, /wrong type/],
    ["exp() of integers", () => exp(i(2)), TypeError, /takes floating values/],
    ["neg() of bool", () => neg(b(2)), TypeError, /takes floating values/],
    ["maximum() of bool", () => maximum(b(2), b(2)), TypeError, /wrong type/],
    ["and() of floats", () => and(f(2), f(2)), TypeError, /wrong type/],
    ["not() of integers", () => not(i(2)), TypeError, /takes bool values/],
    ["shiftRightLogical() of int32", () => shiftRightLogical(i(2), i(2)), TypeError, /wrong type/],
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
    ["pad() by a negative count", () => pad(f(4), [-1], [0]), RangeError, /one count >= 0/],
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
