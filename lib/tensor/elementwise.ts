/**
 * Comparison, selection and casts, and the gradient rules of all elementwise operations (the others: arithmetic.ts).
 */
import { broadcastShapes, div, exp, log, mul, neg, operands, pow, sign, sub } from "./arithmetic.ts";
import type { Binary, Operand, Unary } from "./arithmetic.ts";
import { asTensor, describe, isFloat, node } from "./graph.ts";
import { broadcastTo, constant } from "./layout.ts";
import type { GradientRules } from "./rules.ts";
import type { Comparison, DType, Tensor, TensorType } from "./types.ts";

/**
 * Compares elementwise, broadcast; comparisons with NaN are false, except `ne`.
 *
 * @param a Left operand.
 * @param direction `"lt"` asks for a < b.
 * @param b Right operand.
 * @returns bool, the common shape.
 * @example
 * ```ts
 * import { compare, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await compare(constant([1, 5]), "lt", 3).data()), [1, 0]);
 * ```
 */
export function compare(a: Operand, direction: Comparison, b: Operand): Tensor {
  const [left, right] = operands("compare", a, b);
  if (!["eq", "ne", "lt", "le", "gt", "ge"].includes(direction)) {
    throw new TypeError(`Cannot compare by ${direction}: choose one of eq, ne, lt, le, gt, ge`);
  }
  return node("compare", [left, right], { direction }, { dtype: "bool", shape: left.shape });
}
/**
 * Takes a where the condition holds, b elsewhere; all three are broadcast.
 *
 * @param condition bool.
 * @param a Values where true.
 * @param b Values where false.
 * @returns The common shape, dtype of the values.
 * @throws {TypeError} When the condition is not bool or the values differ in type.
 * @example
 * ```ts
 * import { compare, constant, select } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const x = constant([-1, 2]);
 * assert.deepEqual(Array.from(await select(compare(x, "gt", 0), x, 0).data()), [0, 2]);
 * ```
 */
export function select(condition: Tensor, a: Operand, b: Operand): Tensor {
  if (asTensor(condition, "select by").dtype !== "bool") {
    throw new TypeError(`Cannot select by ${describe(condition)}: the condition must be bool`);
  }
  const [left, right] = operands("select", a, b);
  const shape = broadcastShapes(condition.shape, left.shape, "select");
  return node(
    "select",
    [broadcastTo(condition, shape), broadcastTo(left, shape), broadcastTo(right, shape)],
    {},
    {
      dtype: left.dtype,
      shape,
    },
  );
}
/**
 * Converts to another element type; floating to integer truncates, to bool asks for "not zero".
 *
 * @param x Any shape.
 * @param dtype Wanted type.
 * @returns Same shape.
 * @example
 * ```ts
 * import { cast, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await cast(constant([1.9, -1.9]), "int32").data()), [1, -1]);
 * ```
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  return asTensor(x, "cast").dtype === dtype ? x : node("cast", [x], {}, { dtype, shape: x.shape });
}

const like = (value: number, { dtype }: TensorType): Tensor => constant(value, { dtype });
const halfWhenEqual = (a: Tensor, b: Tensor, wins: Comparison): Tensor =>
  select(compare(a, "eq", b), like(0.5, a), select(compare(a, wins, b), like(1, a), like(0, a)));

/** Gradient rules of the operations above: d(node) times the cotangent, for each input. */
export const elementwiseGradients: Pick<
  GradientRules,
  Unary | Binary | "not" | "compare" | "select" | "cast"
> = {
  neg: (_, g) => [neg(g)],
  exp: (y, g) => [mul(g, y)],
  log: ({ inputs: [x] }, g) => [div(g, x as Tensor)],
  tanh: (y, g) => [mul(g, sub(1, mul(y, y)))],
  erf: ({ inputs: [x] }, g) => [mul(g, mul(2 / Math.sqrt(Math.PI), exp(neg(mul(x as Tensor, x as Tensor)))))],
  sqrt: (y, g) => [div(mul(g, 0.5), y)],
  rsqrt: (y, g) => [mul(mul(g, -0.5), mul(y, mul(y, y)))],
  abs: ({ inputs: [x] }, g) => [mul(g, sign(x as Tensor))],
  sign: () => [undefined],
  floor: () => [undefined],
  add: (_, g) => [g, g],
  sub: (_, g) => [g, neg(g)],
  mul: ({ inputs: [a, b] }, g) => [mul(g, b as Tensor), mul(g, a as Tensor)],
  div: (y, g) => {
    const b = y.inputs[1] as Tensor;
    const share = div(g, b);
    return [share, neg(mul(share, y))];
  },
  max: ({ inputs: [a, b] }, g) => [
    mul(g, halfWhenEqual(a as Tensor, b as Tensor, "gt")),
    mul(g, halfWhenEqual(b as Tensor, a as Tensor, "gt")),
  ],
  min: ({ inputs: [a, b] }, g) => [
    mul(g, halfWhenEqual(a as Tensor, b as Tensor, "lt")),
    mul(g, halfWhenEqual(b as Tensor, a as Tensor, "lt")),
  ],
  pow: (y, g) => {
    const [a, b] = y.inputs as [Tensor, Tensor];
    const positive = select(compare(a, "gt", 0), a, 1);
    return [mul(g, mul(b, pow(a, sub(b, 1)))), mul(g, mul(y, log(positive)))];
  },
  and: () => [undefined, undefined],
  or: () => [undefined, undefined],
  xor: () => [undefined, undefined],
  shift_right_logical: () => [undefined, undefined],
  not: () => [undefined],
  compare: () => [undefined, undefined],
  select: ({ inputs: [condition] }, g) => [
    undefined,
    select(condition as Tensor, g, 0),
    select(condition as Tensor, 0, g),
  ],
  cast: ({ inputs: [x] }, g) => [isFloat((x as Tensor).dtype) ? cast(g, (x as Tensor).dtype) : undefined],
};
