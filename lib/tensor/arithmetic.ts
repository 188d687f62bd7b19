/**
 * Arithmetic: the operations that act on each element alone, one line each. Operands of different shapes are broadcast as
 * in NumPy: by explicit `broadcast` nodes, so an engine never has to guess. A number stands for a scalar of the other
 * operand's type.
 */
import { asTensor, describe, floating, isFloat, node } from "./graph.ts";
import { broadcastTo, constant } from "./layout.ts";
import type { DType, Shape, Tensor } from "./types.ts";

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

/** Operations with one operand. */
export type Unary = "neg" | "exp" | "log" | "tanh" | "erf" | "sqrt" | "rsqrt" | "abs" | "sign" | "floor";
/** Operations with two operands of one type. */
export type Binary =
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

/** Both operands as tensors of one type and one shape. */
export function operands(action: string, a: Operand, b: Operand): readonly [Tensor, Tensor] {
  if (typeof a === "number" && typeof b === "number") {
    throw new TypeError(`Cannot ${action} two numbers: at least one operand must be a tensor`);
  }
  if (typeof a !== "number") asTensor(a, action);
  if (typeof b !== "number") asTensor(b, action);
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
  const whole = asTensor(x, op).dtype === "int32" && ["neg", "abs", "sign"].includes(op);
  if (!whole) floating(x, op);
  return node(op, [x], {}, x);
}

type Kind = { readonly words: string; readonly has: (dtype: DType) => boolean };

function binary(op: Binary, a: Operand, b: Operand, allowed: Kind, name: string = op): Tensor {
  const [left, right] = operands(name, a, b);
  if (!allowed.has(left.dtype)) {
    throw new TypeError(
      `Cannot ${name} ${describe(left)} and ${describe(right)}: it takes ${allowed.words}, cast them first`,
    );
  }
  return node(op, [left, right], {}, left);
}

const arithmetic: Kind = { words: "numbers", has: (dtype) => dtype !== "bool" };
const fractions: Kind = { words: "floating values", has: isFloat };
const logical: Kind = { words: "bool or integer values", has: (dtype) => !isFloat(dtype) };
const bits: Kind = { words: "uint32 values", has: (dtype) => dtype === "uint32" };

/**
 * -x, same shape.
 *
 * @example
 * ```ts
 * import { constant, neg } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await neg(constant([1, -2])).data()), [-1, 2]);
 * ```
 */
export function neg(x: Tensor): Tensor {
  return unary("neg", x);
}
/**
 * e to the power x, same shape.
 *
 * @example
 * ```ts
 * import { constant, exp } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await exp(constant([0, -Infinity])).data()), [1, 0]);
 * ```
 */
export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}
/**
 * Natural logarithm, same shape; -Infinity at 0, NaN below.
 *
 * @example
 * ```ts
 * import { constant, log } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await log(constant([1, 0, -1])).data()), [0, -Infinity, NaN]);
 * ```
 */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}
/**
 * Hyperbolic tangent, same shape.
 *
 * @example
 * ```ts
 * import { constant, tanh } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [y = 0] = await tanh(constant([0.5])).data();
 * assert.ok(Math.abs(y - Math.tanh(0.5)) < 1e-6);
 * ```
 */
export function tanh(x: Tensor): Tensor {
  return unary("tanh", x);
}
/**
 * The error function 2/√π ∫₀ˣ exp(-t²) dt, same shape.
 *
 * @example
 * ```ts
 * import { constant, erf } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [y = 0] = await erf(constant([1])).data();
 * assert.ok(Math.abs(y - 0.8427008) < 1e-6);
 * ```
 */
export function erf(x: Tensor): Tensor {
  return unary("erf", x);
}
/**
 * Square root, same shape.
 *
 * @example
 * ```ts
 * import { constant, sqrt } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await sqrt(constant([4, 0, -1])).data()), [2, 0, NaN]);
 * ```
 */
export function sqrt(x: Tensor): Tensor {
  return unary("sqrt", x);
}
/**
 * 1 / √x, same shape.
 *
 * @example
 * ```ts
 * import { constant, rsqrt } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await rsqrt(constant([4, 0])).data()), [0.5, Infinity]);
 * ```
 */
export function rsqrt(x: Tensor): Tensor {
  return unary("rsqrt", x);
}
/**
 * |x|, same shape.
 *
 * @example
 * ```ts
 * import { abs, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await abs(constant([1, -2])).data()), [1, 2]);
 * ```
 */
export function abs(x: Tensor): Tensor {
  return unary("abs", x);
}
/**
 * -1, 0 or 1, same shape; no gradient.
 *
 * @example
 * ```ts
 * import { constant, sign } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await sign(constant([-7, 0, 2])).data()), [-1, 0, 1]);
 * ```
 */
export function sign(x: Tensor): Tensor {
  return unary("sign", x);
}
/**
 * The largest whole number not above x, same shape; no gradient.
 *
 * @example
 * ```ts
 * import { constant, floor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await floor(constant([1.5, -1.5])).data()), [1, -2]);
 * ```
 */
export function floor(x: Tensor): Tensor {
  return unary("floor", x);
}
/**
 * a + b, broadcast.
 *
 * @example
 * ```ts
 * import { add, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await add(constant([[1], [2]]), constant([10, 20])).data()), [11, 21, 12, 22]);
 * ```
 */
export function add(a: Operand, b: Operand): Tensor {
  return binary("add", a, b, arithmetic);
}
/**
 * a - b, broadcast.
 *
 * @example
 * ```ts
 * import { constant, sub } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await sub(1, constant([1, 3])).data()), [0, -2]);
 * ```
 */
export function sub(a: Operand, b: Operand): Tensor {
  return binary("sub", a, b, arithmetic);
}
/**
 * a × b elementwise, broadcast.
 *
 * @example
 * ```ts
 * import { constant, mul } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await mul(constant([1, 2]), 3).data()), [3, 6]);
 * ```
 */
export function mul(a: Operand, b: Operand): Tensor {
  return binary("mul", a, b, arithmetic);
}
/**
 * a / b, broadcast, floating values only.
 *
 * @example
 * ```ts
 * import { constant, div } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await div(constant([1, -1]), constant([4, 0])).data()), [0.25, -Infinity]);
 * ```
 */
export function div(a: Operand, b: Operand): Tensor {
  return binary("div", a, b, fractions);
}
/**
 * The larger of both, broadcast.
 *
 * @example
 * ```ts
 * import { constant, maximum } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await maximum(constant([-1, 2]), 0).data()), [0, 2]);
 * ```
 */
export function maximum(a: Operand, b: Operand): Tensor {
  return binary("max", a, b, arithmetic, "maximum");
}
/**
 * The smaller of both, broadcast.
 *
 * @example
 * ```ts
 * import { constant, minimum } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await minimum(constant([-1, 2]), 0).data()), [-1, 0]);
 * ```
 */
export function minimum(a: Operand, b: Operand): Tensor {
  return binary("min", a, b, arithmetic, "minimum");
}
/**
 * a to the power b, broadcast, floating values only.
 *
 * @example
 * ```ts
 * import { constant, pow } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await pow(constant([2, 3]), 2).data()), [4, 9]);
 * ```
 */
export function pow(a: Operand, b: Operand): Tensor {
  return binary("pow", a, b, fractions);
}
/**
 * Logical or bitwise and, broadcast.
 *
 * @example
 * ```ts
 * import { and, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [a, b] = [constant([12], { dtype: "int32" }), constant([10], { dtype: "int32" })];
 * assert.deepEqual(Array.from(await and(a, b).data()), [8]);
 * ```
 */
export function and(a: Operand, b: Operand): Tensor {
  return binary("and", a, b, logical);
}
/**
 * Logical or bitwise or, broadcast.
 *
 * @example
 * ```ts
 * import { constant, or } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [a, b] = [constant([1, 0], { dtype: "bool" }), constant([0, 0], { dtype: "bool" })];
 * assert.deepEqual(Array.from(await or(a, b).data()), [1, 0]);
 * ```
 */
export function or(a: Operand, b: Operand): Tensor {
  return binary("or", a, b, logical);
}
/**
 * Exclusive or, broadcast.
 *
 * @example
 * ```ts
 * import { constant, xor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [a, b] = [constant([12], { dtype: "int32" }), constant([10], { dtype: "int32" })];
 * assert.deepEqual(Array.from(await xor(a, b).data()), [6]);
 * ```
 */
export function xor(a: Operand, b: Operand): Tensor {
  return binary("xor", a, b, logical);
}
/**
 * Shifts uint32 bits to the right by b places (0 to 31), filling with zeros.
 *
 * @example
 * ```ts
 * import { constant, shiftRightLogical } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await shiftRightLogical(constant(Uint32Array.of(2 ** 31)), 30).data()), [2]);
 * ```
 */
export function shiftRightLogical(a: Operand, b: Operand): Tensor {
  return binary("shift_right_logical", a, b, bits, "shiftRightLogical");
}
/**
 * Logical not of bool values.
 *
 * @example
 * ```ts
 * import { constant, not } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await not(constant([1, 0], { dtype: "bool" })).data()), [0, 1]);
 * ```
 */
export function not(x: Tensor): Tensor {
  if (asTensor(x, "not").dtype !== "bool") {
    throw new TypeError(`Cannot not ${describe(x)}: it takes bool values, compare it first`);
  }
  return node("not", [x], {}, x);
}
