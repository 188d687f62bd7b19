/**
 * Reverse mode as a transformation of the graph: from a scalar to the cotangents of any tensors it depends on. There is
 * no tape and nothing to dispose; the result is again a graph.
 */
import { elementwiseGradients } from "./elementwise.ts";
import { describe, isFloat, topological } from "./graph.ts";
import { accumulate, layoutGradients, ones, zeros } from "./layout.ts";
import { linearGradients } from "./linear.ts";
import { randomGradients } from "./random_bits.ts";
import type { GradientRule, GradientRules } from "./rules.ts";
import { scanCotangents } from "./scan.ts";
import type { OperationName, Tensor, TensorOf } from "./types.ts";

const rules = (): GradientRules => ({
  ...elementwiseGradients,
  ...layoutGradients,
  ...linearGradients,
  ...randomGradients,
});

function needed(order: readonly Tensor[], wrt: readonly Tensor[]): Set<Tensor> {
  const reached = new Set<Tensor>(wrt);
  for (const tensor of order) if (tensor.inputs.some((input) => reached.has(input))) reached.add(tensor);
  return reached;
}

/**
 * The cotangents of `wrt`, given those of the outputs; `undefined` where nothing flows.
 */
export function cotangents(
  outputs: readonly Tensor[],
  seeds: readonly (Tensor | undefined)[],
  wrt: readonly Tensor[],
): (Tensor | undefined)[] {
  const table = rules();
  const order = topological(outputs);
  const reached = needed(order, wrt);
  const collected = new Map<Tensor, Tensor | undefined>();
  const scans = new Map<Tensor, (Tensor | undefined)[]>();
  const give = (tensor: Tensor, g: Tensor | undefined): void => {
    if (g !== undefined && reached.has(tensor)) collected.set(tensor, accumulate(collected.get(tensor), g));
  };
  outputs.forEach((output, i) => give(output, seeds[i]));
  for (const tensor of order.reverse()) {
    if (!reached.has(tensor)) continue;
    if (tensor.op === "scan") {
      const results = scans.get(tensor);
      if (results !== undefined) {
        scanCotangents(tensor, results).forEach((g, i) => give(tensor.inputs[i] as Tensor, g));
      }
      continue;
    }
    const g = collected.get(tensor);
    if (g === undefined) continue;
    if (tensor.op === "result") {
      const scan = tensor.inputs[0] as Tensor;
      const results = scans.get(scan) ?? [];
      results[tensor.attributes.index] = accumulate(results[tensor.attributes.index], g);
      scans.set(scan, results);
    } else {
      const rule = table[tensor.op] as GradientRule<OperationName>;
      rule(tensor as TensorOf<OperationName> & Tensor, g).forEach((part, i) =>
        give(tensor.inputs[i] as Tensor, part)
      );
    }
  }
  return wrt.map((tensor) => collected.get(tensor));
}

/**
 * The gradient of a scalar.
 *
 * @param loss A floating scalar.
 * @param wrt Floating tensors of its graph; parameters or any intermediate values.
 * @returns One gradient per tensor, of its shape; zeros where the loss does not depend on it.
 * @throws {TypeError} When the loss is not a floating scalar or a tensor is not floating.
 * @example
 * ```ts
 * import { constant, grad, mul, reduceSum } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const x = constant([1, 2, 3]);
 * const [dx] = grad(reduceSum(mul(x, x)), [x]);
 * assert.deepEqual(Array.from(await dx!.data()), [2, 4, 6]); // ! one gradient per tensor
 * ```
 */
export function grad(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0 || !isFloat(loss.dtype)) {
    throw new TypeError(
      `Cannot take the gradient of ${describe(loss)}: the loss must be a floating scalar, reduce it first`,
    );
  }
  for (const tensor of wrt) {
    if (!isFloat(tensor.dtype)) {
      throw new TypeError(`Cannot take a gradient with respect to ${describe(tensor)}: it must be floating`);
    }
  }
  const found = cotangents([loss], [ones([], { dtype: loss.dtype })], wrt);
  return wrt.map((tensor, i) => found[i] ?? zeros(tensor.shape, { dtype: tensor.dtype }));
}
