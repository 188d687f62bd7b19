/**
 * Groups of nodes that ONNX has one operator for: softmax and layer normalisation as `tensor/functions.ts` composes them.
 * Runtimes compute these in one pass. Whatever does not look exactly so is written node by node.
 */
import type { Tensor } from "../../tensor/mod.ts";

const input = (tensor: Tensor, at: number = 0): Tensor => tensor.inputs[at] as Tensor;

/** The number that a constant spreads. */
function numberIn(tensor: Tensor): number | undefined {
  const leaf = tensor.op === "broadcast" ? input(tensor) : tensor;
  const value = leaf.op === "constant" ? leaf.attributes.value : undefined;
  return typeof value === "number" ? value : undefined;
}

/** What is spread over the last axis, [..., 1], of a value in which nothing else is spread. */
function spread(tensor: Tensor): Tensor | undefined {
  if (tensor.op !== "broadcast") return undefined;
  const from = input(tensor);
  const last = tensor.shape.length - 1;
  const fits = tensor.attributes.dims.every((dim, axis) => dim === axis) && from.shape.length === last + 1 &&
    from.shape.every((size, axis) => size === (axis === last ? 1 : tensor.shape[axis]));
  return fits ? from : undefined;
}

/** What a value [..., 1] is reduced from by this operation over its last axis. */
function reducedFrom(tensor: Tensor, op: "reduce_sum" | "reduce_max"): Tensor | undefined {
  const kept = tensor.op === "stop_gradient" ? input(tensor) : tensor;
  if (kept.op !== "reshape" || kept.shape.at(-1) !== 1) return undefined;
  const reduced = input(kept);
  if (reduced.op !== op || reduced.shape.length !== kept.shape.length - 1) return undefined;
  const { axes } = reduced.attributes as { readonly axes: readonly number[] };
  return axes.length === 1 && axes[0] === input(reduced).shape.length - 1 ? input(reduced) : undefined;
}

/** What a value [..., 1] is the mean of. */
function meanOf(tensor: Tensor): Tensor | undefined {
  if (tensor.op !== "mul") return undefined;
  const [from, share] = [reducedFrom(input(tensor), "reduce_sum"), numberIn(input(tensor, 1))];
  return from !== undefined && share === 1 / (from.shape.at(-1) as number) ? from : undefined;
}

/** The argument of a softmax over the last axis. */
export function softmaxOf(tensor: Tensor): Tensor | undefined {
  if (tensor.op !== "div" || tensor.dtype !== "float32") return undefined;
  const [power, sum] = [input(tensor), spread(input(tensor, 1))];
  if (power.op !== "exp" || sum === undefined || reducedFrom(sum, "reduce_sum") !== power) return undefined;
  const shifted = input(power);
  if (shifted.op !== "sub") return undefined;
  const most = spread(input(shifted, 1));
  const x = input(shifted);
  return most !== undefined && reducedFrom(most, "reduce_max") === x ? x : undefined;
}

export type Normalised = {
  readonly x: Tensor;
  readonly gamma: Tensor;
  readonly beta: Tensor;
  readonly epsilon: number;
};

/** A vector spread over all rows. */
function vectorIn(tensor: Tensor): Tensor | undefined {
  if (tensor.op !== "broadcast") return undefined;
  const { dims } = tensor.attributes;
  const [from, last] = [input(tensor), tensor.shape.length - 1];
  return dims.length === 1 && dims[0] === last && from.shape[0] === tensor.shape[last] ? from : undefined;
}

/** The parts of a layer normalisation over the last axis. */
export function normalisedOf(tensor: Tensor): Normalised | undefined {
  if (tensor.op !== "add" || tensor.dtype !== "float32") return undefined;
  const [scaled, beta] = [input(tensor), vectorIn(input(tensor, 1))];
  if (scaled.op !== "mul" || beta === undefined) return undefined;
  const [unit, gamma] = [input(scaled), vectorIn(input(scaled, 1))];
  if (unit.op !== "mul" || gamma === undefined) return undefined;
  const [centred, factor] = [input(unit), spread(input(unit, 1))];
  if (centred.op !== "sub" || factor?.op !== "rsqrt") return undefined;
  const safe = input(factor);
  if (safe.op !== "add") return undefined;
  const [variance, epsilon] = [meanOf(input(safe)), numberIn(input(safe, 1))];
  const square = variance?.op === "mul" && variance.inputs.every((same) => same === centred);
  const [x, mean] = [input(centred), spread(input(centred, 1))];
  if (!square || epsilon === undefined || mean === undefined || meanOf(mean) !== x) return undefined;
  return { x, gamma, beta, epsilon };
}
