/**
 * Elementwise operations. Operands of different shapes are broadcast as in NumPy: by explicit `broadcast` nodes, so an
 * engine never has to guess. A number stands for a scalar of the other operand's type.
 */
import { describe, isFloat, node } from "./graph.ts";
import { broadcastTo, constant } from "./layout.ts";
import type { GradientRules } from "./rules.ts";
import type { Comparison, DType, Shape, Tensor, TensorType } from "./types.ts";

/**
 * A tensor or a number, which stands for a scalar of the other operand's type.
 *
 * @example
 * ```ts
 * import { add, constant } from "albert-guide";
 * import type { Operand } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const one: Operand = 1;
 * assert.deepEqual(Array.from(await add(constant([1, 2]), one).data()), [2, 3]);
 * ```
 */
export type Operand = Tensor | number;

type Unary = "neg" | "exp" | "log" | "tanh" | "erf" | "sqrt" | "rsqrt" | "abs" | "sign" | "floor";
type Binary =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "max"
  | "min"
  | "pow"
  | "and"
  | "or"
  | "xor"
  | "shift_right_logical";

/**
 * The shape that both shapes broadcast to: sizes are aligned at the end, 1 stretches.
 *
 * @param a One shape.
 * @param b The other.
 * @param action What is attempted, for the message.
 * @returns The common shape.
 * @throws {RangeError} When two sizes differ and neither is 1.
 * @example
 * ```ts
 * import { broadcastShapes } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(broadcastShapes([4, 1], [3]), [4, 3]);
 * assert.throws(() => broadcastShapes([4], [3]), RangeError);
 * ```
 */
export function broadcastShapes(a: Shape, b: Shape, action: string = "broadcast"): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(
        `Cannot ${action} [${a.join(", ")}] and [${b.join(", ")}]: ` +
          `sizes ${left} and ${right} of dimension ${axis} differ and neither is 1`,
      );
    }
    return left === 1 ? right : left;
  });
}

function operands(action: string, a: Operand, b: Operand): readonly [Tensor, Tensor] {
  if (typeof a === "number" && typeof b === "number") {
    throw new TypeError(`Cannot ${action} two numbers: at least one operand must be a tensor`);
  }
  const dtype = typeof a === "number" ? (b as Tensor).dtype : a.dtype;
  const left = typeof a === "number" ? constant(a, { dtype }) : a;
  const right = typeof b === "number" ? constant(b, { dtype }) : b;
  if (left.dtype !== right.dtype) {
    throw new TypeError(`Cannot ${action} ${describe(left)} and ${describe(right)}: cast one of them first`);
  }
  const shape = broadcastShapes(left.shape, right.shape, action);
  return [broadcastTo(left, shape), broadcastTo(right, shape)];
}

function unary(op: Unary, x: Tensor): Tensor {
  if (!isFloat(x.dtype) && !(x.dtype === "int32" && ["neg", "abs", "sign"].includes(op))) {
    throw new TypeError(`Cannot ${op} ${describe(x)}: it takes floating values, cast it first`);
  }
  return node(op, [x], {}, x);
}

function binary(op: Binary, a: Operand, b: Operand, allowed: (dtype: DType) => boolean): Tensor {
  const [left, right] = operands(op, a, b);
  if (!allowed(left.dtype)) {
    throw new TypeError(`Cannot ${op} ${describe(left)} and ${describe(right)}: wrong type`);
  }
  return node(op, [left, right], {}, left);
}

const arithmetic = (dtype: DType): boolean => dtype !== "bool";
const logical = (dtype: DType): boolean => dtype === "bool" || dtype === "uint32" || dtype === "int32";

/** -x, same shape. */
export function neg(x: Tensor): Tensor {
  return unary("neg", x);
}
/** e to the power x, same shape. */
export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}
/** Natural logarithm, same shape; -Infinity at 0, NaN below. */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}
/** Hyperbolic tangent, same shape. */
export function tanh(x: Tensor): Tensor {
  return unary("tanh", x);
}
/** The error function 2/√π ∫₀ˣ exp(-t²) dt, same shape. */
export function erf(x: Tensor): Tensor {
  return unary("erf", x);
}
/** Square root, same shape. */
export function sqrt(x: Tensor): Tensor {
  return unary("sqrt", x);
}
/** 1 / √x, same shape. */
export function rsqrt(x: Tensor): Tensor {
  return unary("rsqrt", x);
}
/** |x|, same shape. */
export function abs(x: Tensor): Tensor {
  return unary("abs", x);
}
/** -1, 0 or 1, same shape; no gradient. */
export function sign(x: Tensor): Tensor {
  return unary("sign", x);
}
/** The largest whole number not above x, same shape; no gradient. */
export function floor(x: Tensor): Tensor {
  return unary("floor", x);
}
/** a + b, broadcast. */
export function add(a: Operand, b: Operand): Tensor {
  return binary("add", a, b, arithmetic);
}
/** a - b, broadcast. */
export function sub(a: Operand, b: Operand): Tensor {
  return binary("sub", a, b, arithmetic);
}
/** a × b elementwise, broadcast. */
export function mul(a: Operand, b: Operand): Tensor {
  return binary("mul", a, b, arithmetic);
}
/** a / b, broadcast, floating values only. */
export function div(a: Operand, b: Operand): Tensor {
  return binary("div", a, b, isFloat);
}
/** The larger of both, broadcast. */
export function maximum(a: Operand, b: Operand): Tensor {
  return binary("max", a, b, arithmetic);
}
/** The smaller of both, broadcast. */
export function minimum(a: Operand, b: Operand): Tensor {
  return binary("min", a, b, arithmetic);
}
/** a to the power b, broadcast, floating values only. */
export function pow(a: Operand, b: Operand): Tensor {
  return binary("pow", a, b, isFloat);
}
/** Logical or bitwise and, broadcast. */
export function and(a: Operand, b: Operand): Tensor {
  return binary("and", a, b, logical);
}
/** Logical or bitwise or, broadcast. */
export function or(a: Operand, b: Operand): Tensor {
  return binary("or", a, b, logical);
}
/** Exclusive or, broadcast. */
export function xor(a: Operand, b: Operand): Tensor {
  return binary("xor", a, b, logical);
}
/** Shifts uint32 bits to the right by b places (0 to 31), filling with zeros. */
export function shiftRightLogical(a: Operand, b: Operand): Tensor {
  return binary("shift_right_logical", a, b, (dtype) => dtype === "uint32");
}
/** Logical not of bool values. */
export function not(x: Tensor): Tensor {
  if (x.dtype !== "bool") throw new TypeError(`Cannot negate ${describe(x)}: not() takes bool values`);
  return node("not", [x], {}, x);
}
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
  if (condition.dtype !== "bool") {
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
  return x.dtype === dtype ? x : node("cast", [x], {}, { dtype, shape: x.shape });
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
