/**
 * Computes rows only where they are read. A loss reads few rows of the last layer (the masked positions, the first piece),
 * so what stands before that reading is wanted at those rows only, and the gradient that comes back is zero everywhere
 * else. This pass finds both by two walks over a graph and rewrites row-by-row operations to the rows in question:
 * forward values by gathering earlier, gradients by scattering later. Nothing is specific to a model.
 *
 * Facts it rests on, for row numbers I that may repeat: f(x)[I] = f(x[I]) for f that works row by row; and for linear f,
 * f(scatter(I, g)) = scatter(I, f(g)), aᵀ scatter(I, g) = a[I]ᵀ g. Row numbers outside the table are not allowed, and a
 * NaN in a row that nothing reads no longer reaches a gradient.
 */
import {
  concat,
  gather,
  reduceSum,
  reshape,
  scatterAdd,
  slice,
  topological,
  zeros,
} from "../../tensor/mod.ts";
import type { Graph, Tensor } from "../../tensor/mod.ts";
import { node } from "../../tensor/graph.ts";
import { withInputs } from "../../tensor/rebuild.ts";
import { firstRows } from "./first_rows.ts";

/** Gathering pays when at most this share of the rows is read. */
const largestShare = 0.6;

const elementwise: ReadonlySet<string> = new Set([
  ...["neg", "exp", "log", "tanh", "erf", "sqrt", "rsqrt", "abs", "sign", "floor", "not"],
  ...["add", "sub", "mul", "div", "max", "min", "pow", "and", "or", "xor", "shift_right_logical"],
  ...["compare", "select", "cast", "stop_gradient"],
]);

/** What a walk needs to know: how many rows there are, and which row numbers are read. */
type Plan = {
  readonly rows: number;
  /** The lists of row numbers with their place in the joined list. */
  readonly places: ReadonlyMap<Tensor, number>;
  readonly count: number;
};

const countOf = ({ shape }: Tensor): number => shape.reduce((product, size) => product * size, 1);
const hasRows = ({ shape }: Tensor, rows: number): boolean => shape.length >= 1 && shape[0] === rows;
const isZero = (x: Tensor): boolean => x.op === "constant" && x.attributes.value === 0;

/** How an operation treats rows: the inputs that it reads row by row, or undefined when it mixes rows. */
function rowInputs(x: Tensor, rows: number): readonly Tensor[] | undefined {
  if (!hasRows(x, rows)) return undefined;
  const [a, b] = x.inputs;
  if (elementwise.has(x.op)) return x.inputs;
  switch (x.op) {
    case "constant":
      return typeof x.attributes.value === "number" ? [] : undefined;
    case "iota":
      return x.attributes.axis === 0 ? undefined : [];
    case "broadcast": {
      const from = x.attributes.dims.indexOf(0);
      const size = from < 0 ? 1 : (a as Tensor).shape[from];
      return size === rows ? (from === 0 ? [a as Tensor] : undefined) : [];
    }
    case "reshape":
      return hasRows(a as Tensor, rows) ? [a as Tensor] : undefined;
    case "reduce_sum":
    case "reduce_max":
      return x.attributes.axes.includes(0) || !hasRows(a as Tensor, rows) ? undefined : [a as Tensor];
    case "dot": {
      const { batch, contract } = x.attributes;
      const plain = batch[0].length === 0 && hasRows(a as Tensor, rows) && !contract[0].includes(0);
      return plain && a !== b ? [a as Tensor] : undefined;
    }
    default:
      return undefined;
  }
}

/** Whether x is scattered rows, given which of its inputs are: only linear operations keep that. */
function staysSparse(x: Tensor, sparse: ReadonlySet<Tensor>, { rows, places }: Plan): boolean {
  if (x.op === "scatter_add") return x.attributes.rows === rows && places.has(x.inputs[0] as Tensor);
  const read = rowInputs(x, rows);
  if (read === undefined || !x.inputs.some((input) => sparse.has(input))) return false;
  const [a, b, c] = x.inputs as readonly [Tensor, Tensor, Tensor];
  const none = (each: Tensor): boolean => sparse.has(each) || isZero(each);
  switch (x.op) {
    case "neg":
    case "stop_gradient":
    case "broadcast":
    case "reshape":
    case "reduce_sum":
      return true;
    case "cast":
      return x.dtype === "float32" || x.dtype === "bfloat16";
    case "add":
    case "sub":
      return none(a) && none(b);
    case "mul":
      return sparse.has(a) !== sparse.has(b);
    case "div":
    case "dot":
      return sparse.has(a) && !sparse.has(b);
    case "select":
      return !sparse.has(a) && none(b) && none(c);
    default:
      return false;
  }
}

/** Whether x sums over rows of which at least one operand is scattered: then only those rows count. */
function sumsSparse(x: Tensor, sparse: ReadonlySet<Tensor>, rows: number): boolean {
  const [a, b] = x.inputs;
  if (x.op === "reduce_sum") return x.attributes.axes.includes(0) && sparse.has(a as Tensor);
  if (x.op !== "dot") return false;
  const { batch, contract } = x.attributes;
  const overRows = batch[0].length === 0 && contract[0].length === 1 && contract[0][0] === 0 &&
    contract[1][0] === 0 && hasRows(a as Tensor, rows) && hasRows(b as Tensor, rows);
  return overRows && sparse.has(a as Tensor) !== sparse.has(b as Tensor);
}

type Wanted = "rows" | "all";

/** Which values are wanted whole and which at the rows in question; what is missing is not wanted as it stands. */
function demands(
  order: readonly Tensor[],
  outputs: readonly Tensor[],
  sparse: ReadonlySet<Tensor>,
  { rows, places }: Plan,
): Map<Tensor, Wanted> {
  const wanted = new Map<Tensor, Wanted>();
  const all = (x: Tensor): void => void wanted.set(x, "all");
  const some = (x: Tensor): void => void (wanted.has(x) || wanted.set(x, "rows"));
  [...places.keys(), ...outputs].forEach(all);
  for (const x of [...order].reverse()) {
    const how = wanted.get(x);
    if (how === undefined) continue;
    const read = rowInputs(x, rows);
    if (sparse.has(x)) {
      // Scattered inputs are used as they are; a dense one at its rows; weights and updates whole.
      for (const input of x.inputs) {
        if (read?.includes(input)) some(input);
        else all(input);
      }
    } else if (how === "rows" && read !== undefined) {
      for (const input of x.inputs) {
        if (read.includes(input) && !sparse.has(input)) some(input);
        else all(input);
      }
    } else if (sumsSparse(x, sparse, rows)) {
      x.inputs.forEach(some);
    } else if (
      x.op === "gather" && places.has(x.inputs[1] as Tensor) && hasRows(x.inputs[0] as Tensor, rows)
    ) {
      if (sparse.has(x.inputs[0] as Tensor)) all(x.inputs[0] as Tensor);
      else some(x.inputs[0] as Tensor);
      all(x.inputs[1] as Tensor);
    } else x.inputs.forEach(all);
  }
  return wanted;
}

/** The same operation on fewer rows. */
function onRows(x: Tensor, inputs: readonly Tensor[], count: number): Tensor {
  return node(x.op, inputs, x.attributes, { dtype: x.dtype, shape: [count, ...x.shape.slice(1)] }) as Tensor;
}

function rewrite(graph: Graph, order: readonly Tensor[], sparse: ReadonlySet<Tensor>, plan: Plan): Graph {
  const { rows, places, count } = plan;
  const wanted = demands(order, graph.outputs, sparse, plan);
  const whole = new Map<Tensor, Tensor>();
  const parts = new Map<Tensor, Tensor>();
  let joined: Tensor | undefined;
  const index = (): Tensor =>
    joined ??= concat([...places.keys()].map((list) => reshape(full(list), [countOf(list)])));
  const full = (x: Tensor): Tensor => {
    let made = whole.get(x);
    if (made === undefined && sparse.has(x)) {
      made = scatterAdd(index(), part(x), rows);
      whole.set(x, made);
    }
    if (made === undefined) throw new Error(`Cannot simplify the graph: ${x.op} is used before it is made`);
    return made;
  };
  const part = (x: Tensor): Tensor => {
    const made = parts.get(x) ?? gather(full(x), index());
    parts.set(x, made);
    return made;
  };
  for (const x of order) {
    const how = wanted.get(x);
    if (how === undefined) continue;
    const [a, b] = x.inputs as readonly [Tensor, Tensor];
    const read = rowInputs(x, rows);
    if (sparse.has(x)) {
      if (x.op === "scatter_add") {
        const before = places.get(a) as number;
        const updates = reshape(full(b), [countOf(a), ...x.shape.slice(1)]);
        const none = (length: number): Tensor[] =>
          length === 0 ? [] : [zeros([length, ...x.shape.slice(1)], { dtype: x.dtype })];
        parts.set(x, concat([...none(before), updates, ...none(count - before - countOf(a))]));
      } else {
        parts.set(
          x,
          onRows(x, x.inputs.map((input) => read?.includes(input) ? part(input) : full(input)), count),
        );
      }
    } else if (how === "rows" && read !== undefined) {
      parts.set(
        x,
        onRows(x, x.inputs.map((input) => read.includes(input) ? part(input) : full(input)), count),
      );
    } else if (sumsSparse(x, sparse, rows)) {
      const fewer = x.inputs.map(part);
      whole.set(
        x,
        x.op === "reduce_sum"
          ? reduceSum(fewer[0] as Tensor, x.attributes.axes)
          : node(x.op, fewer, x.attributes, x) as Tensor,
      );
    } else if (
      x.op === "gather" && places.has(b) && hasRows(a, rows) && wanted.get(a) === "rows" && !sparse.has(a)
    ) {
      const from = places.get(b) as number;
      const rest = a.shape.slice(1);
      const mine = slice(part(a), [from, ...rest.map(() => 0)], [from + countOf(b), ...rest]);
      whole.set(x, reshape(mine, x.shape));
    } else whole.set(x, withInputs(x, x.inputs.map(full)));
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map(full) };
}

/** Lists of row numbers by the number of rows of what they read; tables that are arguments are no use here. */
function findPlan(order: readonly Tensor[]): Plan | undefined {
  const lists = new Map<number, Set<Tensor>>();
  for (const x of order) {
    if (x.op !== "gather") continue;
    const [table, list] = x.inputs as readonly [Tensor, Tensor];
    if (table.op === "parameter" || table.op === "constant") continue;
    const rows = table.shape[0] as number;
    lists.set(rows, (lists.get(rows) ?? new Set()).add(list));
  }
  for (const [rows, found] of lists) {
    const places = new Map<Tensor, number>();
    let count = 0;
    for (const list of found) {
      places.set(list, count);
      count += countOf(list);
    }
    // Row numbers that come from the rows themselves would be needed before they are made.
    const circular = topological([...places.keys()]).some((x) => hasRows(x, rows));
    if (count > 0 && count <= largestShare * rows && !circular) return { rows, places, count };
  }
  return undefined;
}

/** The graph with rows computed only where they are read; the graph itself where there is nothing to gain. */
export function onlyReadRows(graph: Graph): Graph {
  const prepared = firstRows(graph);
  const plan = findPlan(topological(prepared.outputs));
  if (plan === undefined) return graph;
  const order = topological([...plan.places.keys(), ...prepared.outputs]);
  const sparse = new Set<Tensor>();
  for (const x of order) if (staysSparse(x, sparse, plan)) sparse.add(x);
  return rewrite(prepared, order, sparse, plan);
}
