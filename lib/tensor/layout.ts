/**
 * Leaves and layout: constants, iota, reshape, transpose, broadcast, slice, pad, concat. None of them computes; they
 * say where values come from and how they are arranged.
 */
import { add } from "./arithmetic.ts";
import { checkConstant, checkWhole, naturalDType } from "./checks.ts";
import { asTensor, describe, hostArray, node, sameShape, sizeOf } from "./graph.ts";
import { reduceSum } from "./linear.ts";
import type { GradientRules } from "./rules.ts";
import type { DType, HostArray, Shape, Tensor } from "./types.ts";

type Nested = number | readonly Nested[];

function flatten(value: Nested, shape: number[], depth: number, out: number[]): void {
  if (typeof value === "number") {
    if (depth !== shape.length) {
      throw new RangeError("Cannot make a constant: the nested lists have unequal depth");
    }
    out.push(value);
    return;
  }
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      `Cannot make a constant: ${String(value)} is a ${typeof value}, no number and no list`,
    );
  }
  if (out.length === 0 && shape.length === depth) shape.push(value.length);
  if (shape[depth] !== value.length) {
    throw new RangeError(
      `Cannot make a constant: a list of ${value.length} stands where lists have ${shape[depth]} elements`,
    );
  }
  for (const element of value) flatten(element, shape, depth + 1, out);
}

/**
 * A constant from a number, nested lists or a typed array.
 *
 * @param value A number (a scalar, or a tensor filled with it when `shape` is given), nested lists, or a typed array in row-major order.
 * @param options `dtype`: default that of the typed array, else `"float32"`; `shape`: default that of the value.
 * @returns The constant.
 * @throws {RangeError} When lists are ragged, the number of values does not fit the shape, or an integer type does not hold a value.
 * @throws {TypeError} When it is no number, list or array of one of the kinds of `HostArray`.
 * @example
 * ```ts
 * import { constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(constant([[1, 2, 3], [4, 5, 6]]).shape, [2, 3]);
 * assert.deepEqual(Array.from(await constant(7, { shape: [2], dtype: "int32" }).data()), [7, 7]);
 * ```
 */
export function constant(
  value: Nested | HostArray,
  { dtype, shape }: { readonly dtype?: DType; readonly shape?: Shape } = {},
): Tensor {
  if (typeof value === "number") {
    const type = { dtype: dtype ?? "float32", shape: shape ?? [] };
    checkWhole([value], type.dtype, "make a constant", "cast the other operand first");
    return node("constant", [], { value }, type);
  }
  if (ArrayBuffer.isView(value)) return fromArray(value as HostArray, dtype, shape);
  const inferred: number[] = [];
  const values: number[] = [];
  flatten(value, inferred, 0, values);
  const type = { dtype: dtype ?? "float32", shape: shape ?? inferred };
  if (sizeOf(type.shape) !== values.length) throw misfit(values.length, type.shape);
  checkWhole(values, type.dtype, "make a constant");
  const array = hostArray(type.dtype, values.length);
  array.set(type.dtype === "bool" ? values.map((x) => x === 0 ? 0 : 1) : values);
  return node("constant", [], { value: array }, type);
}

function fromArray(value: HostArray, dtype: DType | undefined, shape: Shape | undefined): Tensor {
  const type = { dtype: dtype ?? naturalDType(value), shape: shape ?? [value.length] };
  checkConstant(value, type.dtype);
  if (sizeOf(type.shape) !== value.length) throw misfit(value.length, type.shape);
  return node("constant", [], { value: value.slice() }, type);
}

function misfit(count: number, shape: Shape): RangeError {
  return new RangeError(
    `Cannot make a constant of shape [${shape.join(", ")}]: it needs ${
      sizeOf(shape)
    } values, ${count} are given`,
  );
}

/**
 * A float32 tensor of zeros (or of another dtype), the given shape.
 *
 * @example
 * ```ts
 * import { zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await zeros([2]).data()), [0, 0]);
 * ```
 */
export function zeros(shape: Shape, { dtype = "float32" }: { readonly dtype?: DType } = {}): Tensor {
  return constant(0, { shape, dtype });
}

/**
 * A tensor of ones, the given shape.
 *
 * @example
 * ```ts
 * import { ones } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await ones([2], { dtype: "int32" }).data()), [1, 1]);
 * ```
 */
export function ones(shape: Shape, { dtype = "float32" }: { readonly dtype?: DType } = {}): Tensor {
  return constant(1, { shape, dtype });
}

/**
 * Each element is its index along `axis`: iota([2, 3], 1) is [[0, 1, 2], [0, 1, 2]].
 *
 * @example
 * ```ts
 * import { iota } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await iota([2, 3], 1).data()), [0, 1, 2, 0, 1, 2]);
 * ```
 */
export function iota(
  shape: Shape,
  axis: number,
  { dtype = "int32" }: { readonly dtype?: DType } = {},
): Tensor {
  if (dtype === "bool") throw new TypeError("Cannot make an iota of bool: compare one of int32 instead");
  return node("iota", [], { axis: axisOf(axis, shape, "make an iota") }, { dtype, shape });
}

/** Turns a possibly negative axis into 0 .. rank-1. */
export function axisOf(axis: number, shape: Shape, action: string): number {
  const positive = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= shape.length) {
    throw new RangeError(`Cannot ${action}: axis ${axis} is not a dimension of [${shape.join(", ")}]`);
  }
  return positive;
}

/**
 * The same values in another shape, in row-major order; one size may be -1 and is then computed.
 *
 * @param x Any shape.
 * @param shape Wanted shape.
 * @returns The same number of elements.
 * @throws {RangeError} When the number of elements differs.
 * @example
 * ```ts
 * import { iota, reshape } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(reshape(iota([6], 0), [2, -1]).shape, [2, 3]);
 * ```
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  asTensor(x, "reshape");
  const known = shape.reduce((product, size) => size === -1 ? product : product * size, 1);
  const full = shape.map((size) => size === -1 ? sizeOf(x.shape) / known : size);
  if (sizeOf(full) !== sizeOf(x.shape) || full.some((size) => !Number.isInteger(size) || size < 0)) {
    throw new RangeError(
      `Cannot reshape ${describe(x)} to [${shape.join(", ")}]: it has ${sizeOf(x.shape)} elements`,
    );
  }
  if (sameShape(full, x.shape)) return x;
  if (x.op === "reshape") return reshape(x.inputs[0] as Tensor, full);
  return node("reshape", [x], {}, { dtype: x.dtype, shape: full });
}

/**
 * Permutes dimensions: dimension i of the result is dimension `permutation[i]` of x.
 *
 * @param x Any shape.
 * @param permutation Default: all dimensions in reverse.
 * @returns The permuted shape.
 * @throws {RangeError} When it is not a permutation of the dimensions.
 * @example
 * ```ts
 * import { transpose, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(transpose(zeros([2, 3, 4]), [0, 2, 1]).shape, [2, 4, 3]);
 * ```
 */
export function transpose(
  x: Tensor,
  permutation: readonly number[] = x.shape.map((_, i) => i).reverse(),
): Tensor {
  const sorted = [...permutation].sort((a, b) => a - b);
  if (permutation.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
    throw new RangeError(
      `Cannot transpose ${describe(x)}: [${permutation.join(", ")}] is no order of its dimensions`,
    );
  }
  if (permutation.every((axis, i) => axis === i)) return x;
  const shape = permutation.map((axis) => x.shape[axis] as number);
  return node("transpose", [x], { permutation }, { dtype: x.dtype, shape });
}

/**
 * Stretches x to a shape: its dimensions are aligned at the end, size 1 is repeated (NumPy's rule).
 *
 * @param x Any shape.
 * @param shape Wanted shape.
 * @returns The wanted shape.
 * @throws {RangeError} When a size is neither 1 nor the wanted one.
 * @example
 * ```ts
 * import { broadcastTo, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await broadcastTo(constant([1, 2]), [2, 2]).data()), [1, 2, 1, 2]);
 * ```
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const offset = shape.length - x.shape.length;
  if (offset < 0 || x.shape.some((size, axis) => size !== 1 && size !== shape[axis + offset])) {
    throw new RangeError(`Cannot broadcast ${describe(x)} to [${shape.join(", ")}]: sizes do not fit`);
  }
  if (x.op === "constant" && typeof x.attributes.value === "number") {
    return constant(x.attributes.value, { dtype: x.dtype, shape });
  }
  return node("broadcast", [x], { dims: x.shape.map((_, axis) => axis + offset) }, { dtype: x.dtype, shape });
}

/** Sums a cotangent down to the shape that was broadcast to it. */
export function reduceToShape(g: Tensor, shape: Shape): Tensor {
  const offset = g.shape.length - shape.length;
  const axes = g.shape.flatMap((size, axis) =>
    axis < offset || (shape[axis - offset] === 1 && size !== 1) ? [axis] : []
  );
  return reshape(axes.length === 0 ? g : reduceSum(g, axes), shape);
}

/**
 * The part of x from `start` (inclusive) to `limit` (exclusive) in each dimension.
 *
 * @param x Any shape.
 * @param start First index per dimension.
 * @param limit Index after the last per dimension.
 * @returns Shape limit - start.
 * @throws {RangeError} When the bounds leave x.
 * @example
 * ```ts
 * import { constant, slice } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await slice(constant([1, 2, 3, 4]), [1], [3]).data()), [2, 3]);
 * ```
 */
export function slice(x: Tensor, start: readonly number[], limit: readonly number[]): Tensor {
  const fits = start.length === x.shape.length && limit.length === x.shape.length &&
    x.shape.every((size, axis) => {
      const from = start[axis] as number;
      const to = limit[axis] as number;
      return Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= size;
    });
  if (!fits) {
    throw new RangeError(
      `Cannot slice ${describe(x)} from [${start.join(", ")}] to [${limit.join(", ")}]: out of bounds`,
    );
  }
  const shape = start.map((from, axis) => (limit[axis] as number) - from);
  return sameShape(shape, x.shape) ? x : node("slice", [x], { start, limit }, { dtype: x.dtype, shape });
}

/**
 * Adds `low` elements of `value` before and `high` after, per dimension.
 *
 * @param x Any shape.
 * @param low Count before, per dimension, at least 0.
 * @param high Count after, per dimension, at least 0.
 * @param options `value`: what is added, default 0.
 * @returns Shape low + x.shape + high.
 * @throws {RangeError} When a count is negative or missing, or an integer type does not hold the value.
 * @example
 * ```ts
 * import { constant, pad } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await pad(constant([5]), [1], [2]).data()), [0, 5, 0, 0]);
 * ```
 */
export function pad(
  x: Tensor,
  low: readonly number[],
  high: readonly number[],
  { value = 0 }: { readonly value?: number } = {},
): Tensor {
  if (
    low.length !== x.shape.length || high.length !== x.shape.length ||
    [...low, ...high].some((count) => !(Number.isInteger(count) && count >= 0))
  ) {
    throw new RangeError(
      `Cannot pad ${describe(x)} by [${low.join(", ")}] and [${
        high.join(", ")
      }]: one whole count >= 0 per dimension`,
    );
  }
  checkWhole([value], x.dtype, `pad ${describe(x)}`);
  if ([...low, ...high].every((count) => count === 0)) return x;
  const shape = x.shape.map((size, axis) => size + (low[axis] as number) + (high[axis] as number));
  return node("pad", [x], { low, high, value }, { dtype: x.dtype, shape });
}

/**
 * Joins tensors along one axis.
 *
 * @param parts At least one; equal in dtype and in all other sizes.
 * @param axis Default 0.
 * @returns The joined tensor.
 * @throws {RangeError} When there is no part or the sizes do not fit.
 * @example
 * ```ts
 * import { concat, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await concat([constant([1]), constant([2, 3])]).data()), [1, 2, 3]);
 * ```
 */
export function concat(parts: readonly Tensor[], axis: number = 0): Tensor {
  const first = parts[0];
  if (first === undefined) throw new RangeError("Cannot concatenate: there is no tensor");
  const along = axisOf(axis, asTensor(first, "concatenate").shape, "concatenate");
  if (parts.length === 1) return first;
  for (const part of parts) {
    const fits = part.dtype === first.dtype && part.shape.length === first.shape.length &&
      part.shape.every((size, i) => i === along || size === first.shape[i]);
    if (!fits) {
      throw new RangeError(
        `Cannot concatenate ${describe(first)} and ${describe(part)} along axis ${along}: ` +
          "types and all other sizes must be equal",
      );
    }
  }
  const shape = first.shape.map((size, i) =>
    i === along ? parts.reduce((sum, part) => sum + (part.shape[along] as number), 0) : size
  );
  return node("concat", parts, { axis: along }, { dtype: first.dtype, shape });
}

/**
 * Joins tensors of one shape along a new first axis: n parts [..] -> [n, ..].
 *
 * @example
 * ```ts
 * import { constant, stack } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rows = stack([constant([1, 2]), constant([3, 4])]);
 * assert.deepEqual(rows.shape, [2, 2]);
 * assert.deepEqual(Array.from(await rows.data()), [1, 2, 3, 4]);
 * ```
 */
export function stack(parts: readonly Tensor[]): Tensor {
  return concat(parts.map((part) => reshape(part, [1, ...part.shape])), 0);
}

/** Gradient rules of the operations above. */
export const layoutGradients: Pick<
  GradientRules,
  "parameter" | "constant" | "iota" | "reshape" | "transpose" | "broadcast" | "slice" | "pad" | "concat"
> = {
  parameter: () => [],
  constant: () => [],
  iota: () => [],
  reshape: ({ inputs: [x] }, g) => [reshape(g, (x as Tensor).shape)],
  transpose: ({ attributes: { permutation } }, g) => [
    transpose(g, permutation.map((_, axis) => permutation.indexOf(axis))),
  ],
  broadcast: ({ inputs: [x] }, g) => [reduceToShape(g, (x as Tensor).shape)],
  slice: ({ inputs: [x], attributes: { start, limit } }, g) => [
    pad(g, start, (x as Tensor).shape.map((size, axis) => size - (limit[axis] as number))),
  ],
  pad: ({ inputs: [x], attributes: { low } }, g) => [
    slice(g, low, (x as Tensor).shape.map((size, axis) => size + (low[axis] as number))),
  ],
  concat: ({ inputs, attributes: { axis } }, g) => {
    let at = 0;
    return inputs.map(({ shape }) => {
      const start = shape.map((_, i) => i === axis ? at : 0);
      at += shape[axis] as number;
      return slice(g, start, shape.map((size, i) => i === axis ? at : size));
    });
  },
};

/** Adds two cotangents where either may be absent. */
export function accumulate(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  return a === undefined ? b : b === undefined ? a : add(a, b);
}
