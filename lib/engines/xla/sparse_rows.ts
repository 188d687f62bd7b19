/**
 * Computes rows only where they are read. A loss reads few rows of the last layer (the masked positions, the first piece),
 * so what stands before that reading is wanted at those rows only, and the gradient that comes back is zero everywhere
 * else. This pass finds both by two walks over a graph and rewrites row-by-row operations to the rows in question:
 * forward values by gathering earlier, gradients by scattering later. Nothing is specific to a model.
 *
 * Facts it rests on, for row numbers I that may repeat: f(x)[I] = f(x[I]) for f that works row by row; and for linear f,
 * f(scatter(I, g)) = scatter(I, f(g)), aᵀ scatter(I, g) = a[I]ᵀ g. A row number outside the table is clamped where
 * it reads, and its gradient is zero. A NaN in a row that nothing reads no longer reaches a gradient.
 */
import { reduceSum, topological } from "../../tensor/mod.ts";
import type { Graph, Tensor } from "../../tensor/mod.ts";
import { node } from "../../tensor/graph.ts";
import { withInputs } from "../../tensor/rebuild.ts";
import { firstRows } from "./first_rows.ts";
import { flat, follows, readings, sameLayout, summedWith } from "./row_layouts.ts";
import type { Layout, Reading } from "./row_layouts.ts";
import {
  filledWith,
  findPlan,
  joinLists,
  listAsRows,
  rowsOfList,
  shapeOfRows,
  spreadRows,
  takeRows,
  withoutDropped,
} from "./row_plan.ts";
import type { Plan } from "./row_plan.ts";

/** Values that are zero but for the read rows, and where these lie. */
type Sparse = ReadonlyMap<Tensor, Layout>;

/** Whether a linear operation keeps x sparse, given which inputs are. */
function staysLinear(x: Tensor, sparse: Sparse): boolean {
  const [a, b, c] = x.inputs as readonly [Tensor, Tensor, Tensor];
  const none = (each: Tensor): boolean => sparse.has(each) || filledWith(each) === 0;
  switch (x.op) {
    case "neg":
    case "stop_gradient":
    case "broadcast":
    case "reshape":
    case "transpose":
    case "reduce_sum":
      return true;
    case "cast":
      return x.dtype === "float32" || x.dtype === "bfloat16";
    case "add":
    case "sub":
      return none(a) && none(b);
    case "mul":
    case "dot":
      return sparse.has(a) !== sparse.has(b);
    case "div":
      return sparse.has(a) && !sparse.has(b);
    case "select":
      return !sparse.has(a) && none(b) && none(c);
    default:
      return false;
  }
}

/** Where the rows of x lie when it is sparse, given which of its inputs are. */
function sparseLayout(x: Tensor, sparse: Sparse, plan: Plan): Layout | undefined {
  if (x.op === "scatter_add") {
    const fits = x.attributes.rows === plan.groups * plan.size && plan.places.has(x.inputs[0] as Tensor);
    return fits ? flat : undefined;
  }
  if (!x.inputs.some((input) => sparse.has(input)) || !staysLinear(x, sparse)) return undefined;
  let found: Layout | undefined;
  for (const [i, input] of x.inputs.entries()) {
    const layout = sparse.get(input);
    if (layout === undefined) continue;
    const next = follows(x, i, layout, plan);
    if (next === undefined || (found !== undefined && !sameLayout(found, next))) return undefined;
    found = next;
  }
  return found;
}

/** When x sums over rows of which one operand has only the read ones: which rows it needs of its inputs. */
function summedRows(x: Tensor, sparse: Sparse): readonly Layout[] | undefined {
  if (x.op === "reduce_sum") {
    const layout = sparse.get(x.inputs[0] as Tensor);
    return layout !== undefined && x.attributes.axes.includes(layout.axis) ? [layout] : undefined;
  }
  if (x.op !== "dot") return undefined;
  const [a, b] = x.inputs.map((input) => sparse.get(input));
  if ((a === undefined) === (b === undefined)) return undefined;
  const i = a === undefined ? 1 : 0;
  const mine = (a ?? b) as Layout;
  const other = summedWith(x, i, mine);
  return other === undefined ? undefined : i === 0 ? [mine, other] : [other, mine];
}

/** How a node is made: as it is, or at the read rows of its value, or from the read rows of its inputs. */
type Way =
  | { readonly kind: "whole" }
  | { readonly kind: "rows"; readonly layout: Layout; readonly reads: readonly Reading[] }
  | { readonly kind: "sum"; readonly reads: readonly Layout[] }
  | { readonly kind: "scatter" }
  | { readonly kind: "gather" };

/** Decides for every wanted node, from the outputs back, how it is made. */
function decide(
  order: readonly Tensor[],
  outputs: readonly Tensor[],
  sparse: Sparse,
  plan: Plan,
): Map<Tensor, Way> {
  const wanted = new Map<Tensor, Reading>();
  const ways = new Map<Tensor, Way>();
  const ask = (x: Tensor, reading: Reading): void => {
    const before = wanted.get(x);
    const same = before === undefined ||
      (before !== "all" && reading !== "all" && sameLayout(before, reading));
    wanted.set(x, same ? reading : "all");
  };
  [...plan.places.keys(), ...outputs].forEach((x) => ask(x, "all"));
  for (const x of [...order].reverse()) {
    const reading = wanted.get(x);
    if (reading === undefined) continue;
    const way = wayOf(x, sparse.get(x) ?? reading, sparse, plan);
    ways.set(x, way);
    if (way.kind === "rows" || way.kind === "sum") {
      way.reads.forEach((each, i) => ask(x.inputs[i] as Tensor, each));
    } else if (way.kind === "gather") {
      ask(x.inputs[0] as Tensor, flat);
      ask(x.inputs[1] as Tensor, "all");
    } else x.inputs.forEach((input) => ask(input, "all"));
  }
  return ways;
}

function wayOf(x: Tensor, reading: Reading, sparse: Sparse, plan: Plan): Way {
  if (sparse.has(x) && x.op === "scatter_add") return { kind: "scatter" };
  if (reading !== "all") {
    const reads = readings(x, reading, plan);
    if (reads !== undefined) return { kind: "rows", layout: reading, reads };
  }
  const sums = summedRows(x, sparse);
  if (sums !== undefined) return { kind: "sum", reads: sums };
  const read = x.op === "gather" && plan.places.has(x.inputs[1] as Tensor) &&
    (x.inputs[0] as Tensor).shape[0] === plan.groups * plan.size;
  return { kind: read ? "gather" : "whole" };
}

/** Values made so far, whole and at the read rows; each is made from the other when it is asked for. */
function makeStore(plan: Plan, sparse: Sparse) {
  const whole = new Map<Tensor, Tensor>();
  const terms = new Map<Tensor, Tensor>();
  const parts = new Map<Tensor, { readonly layout: Layout; readonly value: Tensor }[]>();
  let joined: Tensor | undefined;
  const index = (): Tensor => joined ??= joinLists(plan, full);
  const keep = (x: Tensor, layout: Layout, value: Tensor): void => {
    if (sparse.has(x)) terms.set(x, value);
    else parts.set(x, [...parts.get(x) ?? [], { layout, value }]);
  };
  const full = (x: Tensor): Tensor => {
    const made = whole.get(x);
    if (made !== undefined) return made;
    const term = terms.get(x);
    if (term === undefined) throw new Error(`Cannot simplify the graph: ${x.op} is used before it is made`);
    const spread = spreadRows(term, sparse.get(x) as Layout, index(), plan);
    whole.set(x, spread);
    return spread;
  };
  const part = (x: Tensor, layout: Layout): Tensor => {
    const made = parts.get(x)?.find((each) => sameLayout(each.layout, layout));
    if (made !== undefined) return made.value;
    const value = repeated(x, layout) ?? takeRows(full(x), layout, index());
    parts.set(x, [...parts.get(x) ?? [], { layout, value }]);
    return value;
  };
  // Where all rows are one, fewer are made anew: layers share such values, some for all rows and some for a few.
  const repeated = (x: Tensor, layout: Layout): Tensor | undefined => {
    const reads = readings(x, layout, plan);
    if (reads === undefined || reads.some((each) => each !== "all")) return undefined;
    const type = { dtype: x.dtype, shape: shapeOfRows(x.shape, layout, plan) };
    return node(x.op, x.inputs.map(full), x.attributes, type) as Tensor;
  };
  // What a sparse value is the sum of: a row that is read twice has two terms, where `part` has its sum twice.
  const term = (x: Tensor, layout: Layout): Tensor => terms.get(x) ?? part(x, layout);
  return { full, part, term, keep, set: (x: Tensor, value: Tensor): void => void whole.set(x, value) };
}

function rewrite(graph: Graph, order: readonly Tensor[], sparse: Sparse, plan: Plan): Graph {
  const ways = decide(order, graph.outputs, sparse, plan);
  const { full, part, term, keep, set } = makeStore(plan, sparse);
  for (const x of order) {
    const way = ways.get(x);
    if (way === undefined) continue;
    const [a, b] = x.inputs as readonly [Tensor, Tensor];
    switch (way.kind) {
      case "rows": {
        const type = { dtype: x.dtype, shape: shapeOfRows(x.shape, way.layout, plan) };
        const rows = sparse.has(x) ? term : part;
        const inputs = x.inputs.map((input, i) => {
          const reading = way.reads[i] as Reading;
          return reading === "all" ? full(input) : rows(input, reading);
        });
        keep(x, way.layout, node(x.op, inputs, x.attributes, type) as Tensor);
        break;
      }
      case "sum": {
        const inputs = x.inputs.map((input, i) => term(input, way.reads[i] as Layout));
        set(
          x,
          x.op === "reduce_sum"
            ? reduceSum(inputs[0] as Tensor, x.attributes.axes)
            : node(x.op, inputs, x.attributes, x) as Tensor,
        );
        break;
      }
      case "scatter":
        keep(x, flat, listAsRows(withoutDropped(full(b), full(a), plan), a, plan));
        break;
      case "gather":
        set(x, rowsOfList(part(a, flat), b, plan));
        break;
      default:
        set(x, withInputs(x, x.inputs.map(full)));
    }
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map(full) };
}

/** The graph with rows computed only where they are read; the graph itself where there is nothing to gain. */
export function onlyReadRows(graph: Graph): Graph {
  const prepared = firstRows(graph);
  const plan = findPlan(topological(prepared.outputs));
  if (plan === undefined) return graph;
  const order = topological([...plan.places.keys(), ...prepared.outputs]);
  const sparse = new Map<Tensor, Layout>();
  for (const x of order) {
    const layout = sparseLayout(x, sparse, plan);
    if (layout !== undefined) sparse.set(x, layout);
  }
  return rewrite(prepared, order, sparse, plan);
}
