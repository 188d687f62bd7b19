/**
 * Products, sums and rows: dot with batch dimensions, reduce, gather rows, scatter-add rows, and what controls
 * evaluation (stop_gradient, barrier, all_reduce).
 */
import { div, mul } from "./arithmetic.ts";
import { cast, compare } from "./elementwise.ts";
import { asTensor, describe, node, sizeOf } from "./graph.ts";
import { axisOf, broadcastTo, reshape, transpose } from "./layout.ts";
import type { GradientRules } from "./rules.ts";
import type { DotDims, Shape, Tensor } from "./types.ts";

const without = (rank: number, used: readonly number[]): number[] =>
  Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !used.includes(axis));

/**
 * The free dimensions of both operands of a dot, in order.
 *
 * @example
 * ```ts
 * import { freeDims } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const dims = { batch: [[0], [0]], contract: [[2], [1]] } as const;
 * assert.deepEqual(freeDims([8, 4, 16], [8, 16, 5], dims), [[1], [2]]);
 * ```
 */
export function freeDims(a: Shape, b: Shape, { batch, contract }: DotDims): readonly [number[], number[]] {
  return [without(a.length, [...batch[0], ...contract[0]]), without(b.length, [...batch[1], ...contract[1]])];
}

function refuseFactors(action: string, a: Tensor, b: Tensor): void {
  const [left, right] = [asTensor(a, action), asTensor(b, action)];
  if (left.dtype === right.dtype && left.dtype !== "bool") return;
  throw new TypeError(
    `Cannot ${action} ${describe(left)} with ${describe(right)}: ` +
      (left.dtype === right.dtype ? "they must be numbers, cast them first" : "cast one first"),
  );
}

/**
 * The general product: sums over pairs of contracted dimensions, one product per index of the batch dimensions.
 *
 * @param a Left operand.
 * @param b Right operand, same dtype.
 * @param dims Which dimensions are batch and which are contracted.
 * @returns Shape: batch dimensions, free dimensions of a, free dimensions of b.
 * @throws {RangeError} When paired sizes differ.
 * @example
 * ```ts
 * import { constant, dot } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const product = dot(constant([[1, 2]]), constant([[3, 4]]), { batch: [[], []], contract: [[1], [1]] });
 * assert.deepEqual(Array.from(await product.data()), [11]);
 * ```
 */
export function dot(a: Tensor, b: Tensor, dims: DotDims): Tensor {
  const { batch, contract } = dims;
  refuseFactors("dot", a, b);
  for (const used of [[...batch[0], ...contract[0]], [...batch[1], ...contract[1]]]) {
    if (new Set(used).size < used.length) {
      throw new RangeError(
        `Cannot dot ${describe(a)} with ${describe(b)}: [${used.join(", ")}] names a dimension twice`,
      );
    }
  }
  for (const [left, right] of [batch, contract]) {
    const fits = left.length === right.length && left.every((axis, i) => {
      const size = a.shape[axis];
      return size !== undefined && size === b.shape[right[i] as number];
    });
    if (!fits) {
      throw new RangeError(
        `Cannot dot ${describe(a)} with ${describe(b)}: dimensions [${left.join(", ")}] and ` +
          `[${right.join(", ")}] must have equal sizes`,
      );
    }
  }
  const [freeA, freeB] = freeDims(a.shape, b.shape, dims);
  const sizes = (shape: Shape, axes: readonly number[]): number[] =>
    axes.map((axis) => shape[axis] as number);
  const shape = [...sizes(a.shape, batch[0]), ...sizes(a.shape, freeA), ...sizes(b.shape, freeB)];
  return node("dot", [a, b], dims, { dtype: a.dtype, shape });
}

/**
 * The matrix product of the last two dimensions; leading dimensions of a are kept, b is a matrix or has the same
 * leading dimensions.
 *
 * @param a [..., m, k].
 * @param b [k, n] or [..., k, n].
 * @returns [..., m, n].
 * @throws {RangeError} When the sizes do not fit.
 * @example
 * ```ts
 * import { constant, matmul } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const product = matmul(constant([[1, 2], [3, 4]]), constant([[1], [1]]));
 * assert.deepEqual(Array.from(await product.data()), [3, 7]);
 * ```
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  refuseFactors("matmul", a, b);
  const rank = a.shape.length;
  const refuse = (reason: string): RangeError =>
    new RangeError(`Cannot matmul ${describe(a)} with ${describe(b)}: ${reason}`);
  if (rank < 2 || b.shape.length < 2) throw refuse("both need at least two dimensions");
  const [columns, rows] = [a.shape[rank - 1], b.shape[b.shape.length - 2]];
  if (columns !== rows) throw refuse(`the left has ${columns} columns, the right ${rows} rows`);
  const sameLeading = b.shape.length === rank && a.shape.slice(0, -2).every((size, i) => size === b.shape[i]);
  if (b.shape.length > 2 && !sameLeading) throw refuse("leading sizes differ");
  if (b.shape.length === 2) {
    // One large product instead of many small ones.
    const rows = reshape(a, [sizeOf(a.shape.slice(0, -1)), columns as number]);
    const flat = dot(rows, b, { batch: [[], []], contract: [[1], [0]] });
    return reshape(flat, [...a.shape.slice(0, -1), b.shape[1] as number]);
  }
  const leading = Array.from({ length: b.shape.length - 2 }, (_, axis) => axis);
  return dot(a, b, { batch: [leading, leading], contract: [[rank - 1], [b.shape.length - 2]] });
}

function reduce(
  op: "reduce_sum" | "reduce_max",
  x: Tensor,
  axes: readonly number[],
  keepDims: boolean,
): Tensor {
  const sorted = [...new Set(axes.map((axis) => axisOf(axis, x.shape, "reduce")))].sort((a, b) => a - b);
  if (x.dtype === "bool") {
    const name = op === "reduce_sum" ? "reduceSum" : "reduceMax";
    throw new TypeError(`Cannot ${name} ${describe(x)}: cast it to a number first`);
  }
  const shape = without(x.shape.length, sorted).map((axis) => x.shape[axis] as number);
  const reduced = sorted.length === 0 ? x : node(op, [x], { axes: sorted }, { dtype: x.dtype, shape });
  return keepDims ? reshape(reduced, x.shape.map((size, axis) => sorted.includes(axis) ? 1 : size)) : reduced;
}

/**
 * Options of the reductions.
 *
 * @example
 * ```ts
 * import { reduceSum, zeros } from "albert-guide";
 * import type { ReduceOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: ReduceOptions = { keepDims: true };
 * assert.deepEqual(reduceSum(zeros([2, 3]), [1], options).shape, [2, 1]);
 * ```
 */
export type ReduceOptions = {
  /** Keep reduced dimensions with size 1, default false. */
  readonly keepDims?: boolean;
};

/**
 * Sum over `axes` (default: all); the sum of nothing is 0.
 *
 * @example
 * ```ts
 * import { constant, reduceSum } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const x = constant([[1, 2], [3, 4]]);
 * assert.deepEqual(Array.from(await reduceSum(x, [0]).data()), [4, 6]);
 * assert.deepEqual(reduceSum(x, [0], { keepDims: true }).shape, [1, 2]);
 * ```
 */
export function reduceSum(
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, axis) => axis),
  { keepDims = false }: ReduceOptions = {},
): Tensor {
  return reduce("reduce_sum", x, axes, keepDims);
}

/**
 * Largest value over `axes` (default: all); the gradient is shared among equal maxima.
 *
 * @example
 * ```ts
 * import { constant, reduceMax } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await reduceMax(constant([[1, 5], [3, 4]]), [-1]).data()), [5, 4]);
 * ```
 */
export function reduceMax(
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, axis) => axis),
  { keepDims = false }: ReduceOptions = {},
): Tensor {
  return reduce("reduce_max", x, axes, keepDims);
}

/**
 * Takes rows of a table: the lookup of an embedding.
 *
 * @param table [rows, ...].
 * @param indices int32, any shape; an index outside 0 .. rows-1 is clamped, so check ids where they are read.
 * @returns [...indices.shape, ...table.shape without the first].
 * @throws {TypeError} When the indices are not int32.
 * @example
 * ```ts
 * import { constant, gather } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rows = gather(constant([[1, 1], [2, 2]]), constant([1, 0], { dtype: "int32" }));
 * assert.deepEqual(Array.from(await rows.data()), [2, 2, 1, 1]);
 * ```
 */
export function gather(table: Tensor, indices: Tensor): Tensor {
  if (indices.dtype !== "int32") {
    throw new TypeError(`Cannot gather by ${describe(indices)}: indices must be int32`);
  }
  if (table.shape.length === 0) throw new RangeError(`Cannot gather from ${describe(table)}: it has no rows`);
  return node("gather", [table, indices], {}, {
    dtype: table.dtype,
    shape: [...indices.shape, ...table.shape.slice(1)],
  });
}

/**
 * A table of zeros to whose rows updates are added; updates of one row add up.
 *
 * @param indices int32, any shape; an update whose index is outside is dropped.
 * @param updates [...indices.shape, ...row].
 * @param rows Number of rows of the result.
 * @returns [rows, ...row].
 * @throws {RangeError} When the updates do not fit the indices.
 * @example
 * ```ts
 * import { constant, scatterAdd } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const sums = scatterAdd(constant([2, 0, 2], { dtype: "int32" }), constant([1, 5, 10]), 3);
 * assert.deepEqual(Array.from(await sums.data()), [5, 0, 11]);
 * ```
 */
export function scatterAdd(indices: Tensor, updates: Tensor, rows: number): Tensor {
  const leading = indices.shape.length;
  if (indices.dtype !== "int32") {
    throw new TypeError(`Cannot scatter by ${describe(indices)}: indices must be int32`);
  }
  if (updates.dtype === "bool") {
    throw new TypeError(`Cannot scatter ${describe(updates)}: cast it to a number first`);
  }
  if (indices.shape.some((size, axis) => size !== updates.shape[axis])) {
    throw new RangeError(`Cannot scatter ${describe(updates)} by ${describe(indices)}: leading sizes differ`);
  }
  return node("scatter_add", [indices, updates], { rows }, {
    dtype: updates.dtype,
    shape: [rows, ...updates.shape.slice(leading)],
  });
}

/**
 * The value of x, through which no gradient flows.
 *
 * @example
 * ```ts
 * import { constant, grad, mul, stopGradient } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const x = constant(3);
 * const [dx] = grad(mul(x, stopGradient(x)), [x]);
 * assert.deepEqual(Array.from(await dx!.data()), [3]); // ! one gradient per tensor
 * ```
 */
export function stopGradient(x: Tensor): Tensor {
  return node("stop_gradient", [x], {}, x);
}

/**
 * The value of x, which a compiler must not look through (it keeps a recomputation from being merged away).
 *
 * @example
 * ```ts
 * import { barrier, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await barrier(constant([1, 2])).data()), [1, 2]);
 * ```
 */
export function barrier(x: Tensor): Tensor {
  return node("barrier", [x], {}, x);
}

/**
 * The sum of x over all devices that run the program; x itself where there is one.
 *
 * A loss made of such sums is the same on every device, and its gradient counts every device's copy of it: the mean of
 * the gradients over the devices, `allReduce(g)` divided by their number, is the gradient of the loss.
 *
 * @param x Any shape, a number type.
 * @returns Same shape.
 * @throws {TypeError} When x is bool.
 * @example
 * ```ts
 * import { allReduce, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await allReduce(constant([1, 2])).data()), [1, 2]);
 * ```
 */
export function allReduce(x: Tensor): Tensor {
  if (x.dtype === "bool") {
    throw new TypeError(`Cannot allReduce ${describe(x)}: cast it to a number first`);
  }
  return node("all_reduce", [x], {}, x);
}

function dotGradient(a: Tensor, b: Tensor, dims: DotDims, g: Tensor): readonly [Tensor, Tensor] {
  const { batch, contract } = dims;
  const [freeA, freeB] = freeDims(a.shape, b.shape, dims);
  const count = batch[0].length;
  const range = (from: number, length: number): number[] => Array.from({ length }, (_, i) => from + i);
  const gBatch = range(0, count);
  const gFreeA = range(count, freeA.length);
  const gFreeB = range(count + freeA.length, freeB.length);
  // Both products come out as batch, free, contracted (in the other operand's order): put each back in place.
  const restore = (x: Tensor, order: readonly number[]): Tensor =>
    transpose(x, order.map((_, axis) => order.indexOf(axis)));
  const byOther = (mine: readonly number[], other: readonly number[]): number[] =>
    [...other.keys()].sort((i, j) => (other[i] as number) - (other[j] as number)).map((i) =>
      mine[i] as number
    );
  const da = dot(g, b, { batch: [gBatch, batch[1]], contract: [gFreeB, freeB] });
  const db = dot(a, g, { batch: [batch[0], gBatch], contract: [freeA, gFreeA] });
  return [
    restore(da, [...batch[0], ...freeA, ...byOther(contract[0], contract[1])]),
    restore(db, [...batch[1], ...byOther(contract[1], contract[0]), ...freeB]),
  ];
}

/** Gradient rules of the operations above. */
export const linearGradients: Pick<
  GradientRules,
  | "dot"
  | "reduce_sum"
  | "reduce_max"
  | "gather"
  | "scatter_add"
  | "stop_gradient"
  | "barrier"
  | "all_reduce"
> = {
  dot: ({ inputs: [a, b], attributes }, g) => dotGradient(a as Tensor, b as Tensor, attributes, g),
  reduce_sum: ({ inputs: [x], attributes: { axes } }, g) => {
    const { shape } = x as Tensor;
    return [broadcastTo(reshape(g, shape.map((size, axis) => axes.includes(axis) ? 1 : size)), shape)];
  },
  reduce_max: (y, g) => {
    const x = y.inputs[0] as Tensor;
    const { axes } = y.attributes;
    const keep = (t: Tensor): Tensor =>
      broadcastTo(reshape(t, x.shape.map((size, axis) => axes.includes(axis) ? 1 : size)), x.shape);
    const winners = cast(compare(x, "eq", keep(y)), x.dtype);
    return [mul(keep(g), div(winners, keep(reduceSum(winners, axes))))];
  },
  gather: ({ inputs: [table, indices] }, g) => [
    scatterAdd(indices as Tensor, g, (table as Tensor).shape[0] as number),
    undefined,
  ],
  // A dropped update gets the clamped row's cotangent only if an index is out of range, which reading forbids.
  scatter_add: ({ inputs: [indices] }, g) => [undefined, gather(g, indices as Tensor)],
  stop_gradient: () => [undefined],
  barrier: (_, g) => [g],
  all_reduce: (_, g) => [allReduce(g)],
};
