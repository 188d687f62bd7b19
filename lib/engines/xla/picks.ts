/**
 * Sums against one-hot rows as picks: Σ_j x[i, j]·(j = label[i]) is x[i, label[i]], one number a row instead of a pass over
 * the table. Cross-entropy, its gradient and accuracy are written with one-hot rows, which every engine can multiply.
 */
import {
  add,
  and,
  broadcastTo,
  compare,
  constant,
  gather,
  iota,
  mul,
  neg,
  reshape,
  select,
} from "../../tensor/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { node } from "../../tensor/graph.ts";
import { filledWith } from "./row_plan.ts";

const byElement: ReadonlySet<string> = new Set([
  "neg",
  "exp",
  "log",
  "add",
  "sub",
  "mul",
  "div",
  "stop_gradient",
]);

/** The labels [n] of one-hot rows [n, classes]: cast(iota = labels). */
function labelsOf(x: Tensor): Tensor | undefined {
  const equal = x.op === "cast" ? x.inputs[0] : undefined;
  if (equal?.op !== "compare" || equal.attributes.direction !== "eq" || x.shape.length !== 2) {
    return undefined;
  }
  const [a, b] = equal.inputs as readonly [Tensor, Tensor];
  const [counter, spread] = a.op === "iota" ? [a, b] : [b, a];
  if (counter.op !== "iota" || counter.attributes.axis !== 1 || spread.op !== "broadcast") return undefined;
  const labels = spread.inputs[0] as Tensor;
  const { dims } = spread.attributes;
  const perRow = dims.includes(0) && labels.shape[dims.indexOf(0)] === x.shape[0] &&
    (!dims.includes(1) || labels.shape[dims.indexOf(1)] === 1);
  return perRow ? reshape(labels, [x.shape[0] as number]) : undefined;
}

type Masked = { readonly labels: Tensor; readonly of: Tensor };

/** Finds y = of · one-hot(labels) in products and negations. */
function masked(y: Tensor): Masked | undefined {
  const [a, b] = y.inputs as readonly [Tensor, Tensor];
  if (y.op === "neg") {
    const inner = masked(a);
    return inner === undefined ? undefined : { ...inner, of: neg(inner.of) };
  }
  if (y.op !== "mul") return undefined;
  for (const [one, other] of [[a, b], [b, a]] as const) {
    const labels = labelsOf(one);
    if (labels !== undefined) return { labels, of: other };
  }
  for (const [one, other] of [[a, b], [b, a]] as const) {
    const inner = masked(one);
    if (inner !== undefined) return { ...inner, of: mul(inner.of, other) };
  }
  return undefined;
}

/** x[i, labels[i]] for x [n, classes], taken as early as it can be. */
function at(x: Tensor, labels: Tensor): Tensor {
  const [n, classes] = x.shape as readonly [number, number];
  const number = filledWith(x);
  if (number !== undefined) return constant(number, { dtype: x.dtype, shape: [n] });
  if (byElement.has(x.op)) {
    const inputs = x.inputs.map((input) => at(input, labels));
    return node(x.op, inputs, x.attributes, { dtype: x.dtype, shape: [n] }) as Tensor;
  }
  if (x.op === "broadcast") {
    const input = x.inputs[0] as Tensor;
    const { dims } = x.attributes;
    const along = (axis: number): boolean =>
      x.shape[axis] === 1 || (dims.includes(axis) && input.shape[dims.indexOf(axis)] === x.shape[axis]);
    if (!along(1)) return along(0) ? reshape(input, [n]) : broadcastTo(reshape(input, []), [n]);
    if (!along(0)) return gather(reshape(input, [classes]), labels);
  }
  return gather(reshape(x, [n * classes]), add(mul(iota([n], 0), classes), labels));
}

/** The sum over classes of something times one-hot rows, as a pick; undefined when x is none. */
export function picked(x: Tensor): Tensor | undefined {
  if (x.op !== "reduce_sum" || x.attributes.axes.join() !== "1") return undefined;
  const input = x.inputs[0] as Tensor;
  const found = input.shape.length === 2 ? masked(input) : undefined;
  if (found === undefined) return undefined;
  const { labels, of } = found;
  // A label outside the classes has a row of zeros.
  const within = and(compare(labels, "ge", 0), compare(labels, "lt", input.shape[1] as number));
  return select(within, at(of, labels), 0);
}
