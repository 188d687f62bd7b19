/**
 * Expressions in the form that XLA's CPU compiler runs fast, equal up to rounding. Each rule looks at one node and the
 * nodes under it; what gradients make of softmax, of scaled products and of labels is where they apply. Why these: a value
 * that is read once stays in the kernel that makes it, so the fewer values a backward pass asks for, the fewer are stored.
 */
import {
  add,
  barrier,
  broadcastTo,
  dot,
  mul,
  reduceSum,
  reshape,
  sub,
  topological,
  transpose,
} from "../../tensor/mod.ts";
import type { Graph, Tensor, TensorOf } from "../../tensor/mod.ts";
import { withInputs } from "../../tensor/rebuild.ts";
import { picked } from "./picks.ts";
import { countOf, filledWith } from "./row_plan.ts";

/** Gives another form of a node whose inputs are in their last form, or undefined. */
type Rule = (x: Tensor) => Tensor | undefined;

const swapped = (x: Tensor): readonly (readonly [Tensor, Tensor])[] => {
  const [a, b] = x.inputs as readonly [Tensor, Tensor];
  return [[a, b], [b, a]];
};

/** The operand and the number of a product with a constant. */
function scaled(x: Tensor): { readonly of: Tensor; readonly by: number } | undefined {
  if (x.op !== "mul") return undefined;
  for (const [of, factor] of swapped(x)) {
    const by = filledWith(factor);
    if (by !== undefined) return { of, by };
  }
  return undefined;
}

/** The operand under reshapes and one broadcast. */
const under = (x: Tensor): Tensor =>
  x.op === "reshape" || x.op === "broadcast" ? under(x.inputs[0] as Tensor) : x;

/** Whether x is equal along all of `axes`. */
function constantAlong(x: Tensor, axes: readonly number[]): boolean {
  if (x.op !== "broadcast") return false;
  const { dims } = x.attributes;
  const input = x.inputs[0] as Tensor;
  return axes.every((axis) => !dims.includes(axis) || input.shape[dims.indexOf(axis)] === 1);
}

/**
 * The cotangent of e in y = e / s, where s is a sum of e: (g/s + Σ −(g/s)·y)·e, as the rules of div, reduce_sum and exp
 * give it, is (g − Σ g·y)·y. Then only y is kept for the way back, not e and s, and softmax is one kernel.
 */
const quotient: Rule = (x) => {
  if (x.op !== "mul") return undefined;
  for (const [outer, e] of swapped(x)) {
    if (outer.op !== "add") continue;
    for (const [share, rest] of swapped(outer)) {
      const sum = under(rest);
      if (share.op !== "div" || sum.op !== "reduce_sum") continue;
      const [g, s] = share.inputs as readonly [Tensor, Tensor];
      const { axes } = sum.attributes;
      const product = sum.inputs[0]?.op === "neg" ? sum.inputs[0].inputs[0] : undefined;
      if (product?.op !== "mul" || !constantAlong(s, axes) || product.shape.join() !== x.shape.join()) {
        continue;
      }
      const y = swapped(product).find(([a]) => a === share)?.[1];
      if (y?.op !== "div" || y.inputs[0] !== e || y.inputs[1] !== s) continue;
      const kept = x.shape.map((size, axis) => axes.includes(axis) ? 1 : size);
      const total = reshape(reduceSum(mul(g, y), axes), kept);
      return mul(sub(g, broadcastTo(total, x.shape)), y);
    }
  }
  return undefined;
};

/** (c·a)·b as c·(a·b) or a·(c·b), where a is larger than the product, or than a c·b that exists already. */
function moveScale(x: TensorOf<"dot">, made: ReadonlyMap<string, Tensor>, keyOf: Key): Tensor | undefined {
  for (const i of [0, 1] as const) {
    const mine = scaled(x.inputs[i] as Tensor);
    const other = x.inputs[1 - i] as Tensor;
    if (mine === undefined || countOf(mine.of) <= countOf(other)) continue;
    const known = made.get(keyOf(other, mine.by));
    if (known === undefined && countOf(mine.of) <= countOf(x)) continue;
    const [a, b] = [known ?? other, mine.of];
    const product = i === 0 ? dot(b, a, x.attributes) : dot(a, b, x.attributes);
    return known === undefined ? mul(product, mine.by) : product;
  }
  return undefined;
}

type Key = (x: Tensor, by: number) => string;

/** Numbers stand at the smallest of the three values of a product, where they are one pass over less, or none. */
function scaleRule(uses: (x: Tensor) => number): Rule {
  const ids = new Map<Tensor, number>();
  const made = new Map<string, Tensor>();
  const keyOf: Key = (x, by) => {
    if (!ids.has(x)) ids.set(x, ids.size);
    return `${ids.get(x)}*${by}`;
  };
  return (x) => {
    if (x.op === "dot") return moveScale(x, made, keyOf);
    const outer = scaled(x);
    const product = outer?.of;
    if (outer === undefined || product?.op !== "dot" || uses(product) > 1) return undefined;
    const [a, b] = product.inputs as readonly [Tensor, Tensor];
    if (Math.min(countOf(a), countOf(b)) >= countOf(x)) return undefined;
    const i = countOf(a) <= countOf(b) ? 0 : 1;
    const side = mul(i === 0 ? a : b, outer.by);
    made.set(keyOf(i === 0 ? a : b, outer.by), side);
    return i === 0 ? dot(side, b, product.attributes) : dot(a, side, product.attributes);
  };
}

/** The narrower and the wider operand of a product over the rows of two matrices, aᵀ g, as gradients of weights are. */
function overRows(x: Tensor): { readonly wideFirst: boolean } | undefined {
  if (x.op !== "dot") return undefined;
  const [a, b] = x.inputs as readonly [Tensor, Tensor];
  const { batch, contract } = x.attributes;
  const rows = batch[0].length === 0 && a.shape.length === 2 && b.shape.length === 2 &&
    contract[0].join() === "0" && contract[1].join() === "0";
  return rows ? { wideFirst: (a.shape[1] as number) > (b.shape[1] as number) } : undefined;
}

/**
 * The gradient of a weight has its narrower operand on the left: that is the one which is copied transposed. A result that
 * is read turned has a barrier before: the compiler would turn the operands instead, and the slow form is back.
 */
const narrowLeft: Rule = (x) => {
  const product = x.op === "transpose" ? x.inputs[0] as Tensor : x;
  const found = overRows(product);
  if (found === undefined) return undefined;
  if (x.op === "transpose") {
    return found.wideFirst ? undefined : transpose(barrier(product), x.attributes.permutation);
  }
  const [a, b] = product.inputs as readonly [Tensor, Tensor];
  return found.wideFirst ? transpose(barrier(dot(b, a, (x as TensorOf<"dot">).attributes))) : undefined;
};

/** aᵀ + bᵀ = (a + b)ᵀ; and 0 + b = b, which is where sums over layers start. */
const sumOfTransposed: Rule = (x) => {
  if (x.op !== "add") return undefined;
  const [a, b] = x.inputs as readonly [Tensor, Tensor];
  if (filledWith(a) === 0) return b;
  if (a.op !== "transpose" || b.op !== "transpose") return undefined;
  const { permutation } = a.attributes;
  if (permutation.join() !== b.attributes.permutation.join()) return undefined;
  return transpose(add(a.inputs[0] as Tensor, b.inputs[0] as Tensor), permutation);
};

/** The graph with every node in the form that its rule gives. */
export function faster(graph: Graph): Graph {
  const counts = new Map<Tensor, number>();
  const order = topological(graph.outputs);
  for (const x of [...order.flatMap(({ inputs }) => inputs), ...graph.outputs]) {
    counts.set(x, (counts.get(x) ?? 0) + 1);
  }
  const made = new Map<Tensor, Tensor>();
  const rules: readonly Rule[] = [
    quotient,
    scaleRule((x) => counts.get(x) ?? 1),
    picked,
    narrowLeft,
    sumOfTransposed,
  ];
  for (const x of order) {
    let form = withInputs(x, x.inputs.map((input) => made.get(input) as Tensor));
    for (const rule of rules) form = rule(form) ?? form;
    counts.set(form, Math.max(counts.get(form) ?? 0, counts.get(x) ?? 0));
    made.set(x, form);
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map((output) => made.get(output) as Tensor) };
}
