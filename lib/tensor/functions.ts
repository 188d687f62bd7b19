/**
 * What models are written with: ordinary functions composed of the primitives. Their gradients follow from those of
 * their parts.
 */
import { add, div, erf, exp, log, maximum, mul, rsqrt, sub, tanh } from "./arithmetic.ts";
import { cast, compare } from "./elementwise.ts";
import { describe, floating, isFloat } from "./graph.ts";
import { axisOf, iota, reshape } from "./layout.ts";
import { reduceMax, reduceSum, stopGradient } from "./linear.ts";
import type { Tensor } from "./types.ts";

/**
 * Mean over `axes` (default: all).
 *
 * @example
 * ```ts
 * import { constant, mean } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await mean(constant([[1, 2], [3, 4]]), [0]).data()), [2, 3]);
 * ```
 */
export function mean(
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, axis) => axis),
  { keepDims = false }: { readonly keepDims?: boolean } = {},
): Tensor {
  floating(x, "average");
  const count = axes.reduce(
    (product, axis) => product * (x.shape[axisOf(axis, x.shape, "average")] as number),
    1,
  );
  return mul(reduceSum(x, axes, { keepDims }), 1 / count);
}

/**
 * exp(x) / Σ exp(x) over the last axis, shifted by the maximum so that nothing overflows.
 *
 * @param x [..., n].
 * @returns [..., n], each row sums to 1.
 * @example
 * ```ts
 * import { constant, softmax } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await softmax(constant([[3, 3]])).data()), [0.5, 0.5]);
 * ```
 */
export function softmax(x: Tensor): Tensor {
  axisOf(-1, floating(x, "softmax").shape, "softmax");
  const shifted = exp(sub(x, stopGradient(reduceMax(x, [-1], { keepDims: true }))));
  return div(shifted, reduceSum(shifted, [-1], { keepDims: true }));
}

/**
 * log(softmax(x)) over the last axis, computed without overflow: [..., n] -> [..., n].
 *
 * @example
 * ```ts
 * import { constant, logSoftmax } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [y = 0] = await logSoftmax(constant([1000, 1000])).data();
 * assert.ok(Math.abs(y + Math.log(2)) < 1e-6);
 * ```
 */
export function logSoftmax(x: Tensor): Tensor {
  axisOf(-1, floating(x, "logSoftmax").shape, "logSoftmax");
  const shifted = sub(x, stopGradient(reduceMax(x, [-1], { keepDims: true })));
  return sub(shifted, log(reduceSum(exp(shifted), [-1], { keepDims: true })));
}

/**
 * 1 where the last axis' index equals the label: int32 [...] -> [..., count] of the given dtype.
 *
 * @example
 * ```ts
 * import { constant, oneHot } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await oneHot(constant([2, 0], { dtype: "int32" }), 3).data()), [0, 0, 1, 1, 0, 0]);
 * ```
 */
export function oneHot(labels: Tensor, count: number, dtype: "float32" | "int32" = "float32"): Tensor {
  if (labels.dtype !== "int32") {
    throw new TypeError(`Cannot oneHot ${describe(labels)}: labels must be int32`);
  }
  const shape = [...labels.shape, count];
  return cast(compare(iota(shape, -1), "eq", reshape(labels, [...labels.shape, 1])), dtype);
}

/**
 * The cross-entropy of each row against its label: -log softmax(logits)[label].
 *
 * @param logits [n, classes].
 * @param labels int32 [n], 0 to classes - 1.
 * @returns [n], nats.
 * @throws {TypeError} When the labels are not int32 of one dimension.
 * @example
 * ```ts
 * import { constant, crossEntropy } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [loss] = await crossEntropy(constant([[0, 0]]), constant([1], { dtype: "int32" })).data();
 * assert.ok(Math.abs(loss! - Math.log(2)) < 1e-6); // ! one row
 * ```
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const fits = labels.dtype === "int32" && labels.shape.length === 1 && logits.shape.length === 2 &&
    labels.shape[0] === logits.shape[0];
  if (!fits) {
    throw new TypeError(
      `Cannot compute the cross-entropy of ${describe(logits)} and ${describe(labels)}: ` +
        "logits must be [n, classes], labels int32 [n]",
    );
  }
  const classes = logits.shape[1] as number;
  return mul(reduceSum(mul(logSoftmax(logits), oneHot(labels, classes)), [-1]), -1);
}

/**
 * Layer normalisation over the last axis: (x - mean) / √(variance + epsilon) × gamma + beta, biased variance.
 *
 * @param x [..., n].
 * @param gamma [n].
 * @param beta [n].
 * @param options `epsilon`: default 1e-12, ALBERT's value.
 * @returns [..., n].
 * @example
 * ```ts
 * import { constant, layerNorm, ones, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const y = await layerNorm(constant([[1, 3]]), ones([2]), zeros([2])).data();
 * assert.ok(Math.abs(y[0]! + 1) < 1e-6 && Math.abs(y[1]! - 1) < 1e-6); // ! two elements
 * ```
 */
export function layerNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  { epsilon = 1e-12 }: { readonly epsilon?: number } = {},
): Tensor {
  const width = floating(x, "layerNorm").shape[x.shape.length - 1];
  if (
    width === undefined || [gamma, beta].some(({ shape }) => shape.length > 1 || (shape[0] ?? 1) !== width)
  ) {
    throw new RangeError(
      `Cannot layerNorm ${describe(x)} with ${describe(gamma)} and ${describe(beta)}: ` +
        `both must be [${width ?? ""}]`,
    );
  }
  const centred = sub(x, mean(x, [-1], { keepDims: true }));
  const variance = mean(mul(centred, centred), [-1], { keepDims: true });
  return add(mul(mul(centred, rsqrt(add(variance, epsilon))), gamma), beta);
}

/**
 * The tanh form of the Gaussian error linear unit, "gelu" in ALBERT and `gelu_new` in Hugging Face: same shape.
 *
 * @example
 * ```ts
 * import { constant, gelu } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [y = 0] = await gelu(constant([1])).data();
 * assert.ok(Math.abs(y - 0.841192) < 1e-5);
 * ```
 */
export function gelu(x: Tensor): Tensor {
  floating(x, "gelu");
  const inner = mul(Math.sqrt(2 / Math.PI), add(x, mul(0.044715, mul(x, mul(x, x)))));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

/**
 * The exact form x/2 × (1 + erf(x/√2)), `gelu` in Hugging Face: same shape.
 *
 * @example
 * ```ts
 * import { constant, geluErf } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [y = 0] = await geluErf(constant([1])).data();
 * assert.ok(Math.abs(y - 0.841345) < 1e-5);
 * ```
 */
export function geluErf(x: Tensor): Tensor {
  floating(x, "geluErf");
  return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
}

/**
 * max(x, 0), same shape.
 *
 * @example
 * ```ts
 * import { constant, relu } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await relu(constant([-1, 2])).data()), [0, 2]);
 * ```
 */
export function relu(x: Tensor): Tensor {
  return maximum(floating(x, "relu"), 0);
}

/**
 * The index of the largest value of the last axis, the first one among equals.
 *
 * @param x [..., n], floating.
 * @returns int32 [...].
 * @throws {TypeError} When x is not floating.
 * @example
 * ```ts
 * import { argmax, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await argmax(constant([[1, 9, 9], [4, 0, 1]])).data()), [1, 0]);
 * ```
 */
export function argmax(x: Tensor): Tensor {
  if (!isFloat(x.dtype)) {
    throw new TypeError(`Cannot take the argmax of ${describe(x)}: it takes floating values`);
  }
  const count = x.shape[axisOf(-1, x.shape, "take the argmax")] as number;
  const winners = cast(compare(x, "eq", reduceMax(x, [-1], { keepDims: true })), "float32");
  const backward = sub(count, iota(x.shape, -1, { dtype: "float32" }));
  return cast(sub(count, reduceMax(mul(winners, backward), [-1])), "int32");
}
