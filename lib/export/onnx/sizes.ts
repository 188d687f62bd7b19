/**
 * Which sizes of a graph move with the batch and the length. A graph is traced at fixed shapes; here it is traced at four
 * pairs of batch and length, the four graphs are laid over one another, and every size that differs among them must be a
 * whole number times powers of both. What cannot be said so is refused: nothing is guessed.
 */
import { type Graph, type Tensor, type TensorOf, topological, unroll } from "../../tensor/mod.ts";

/** times × batch^batch × length^length. */
export type Size = { readonly times: number; readonly batch: number; readonly length: number };
export type Sizes = readonly Size[];

/** A graph whose sizes are known for every batch and length. */
export type SizedGraph = {
  /** The graph at one batch and length. */
  readonly graph: Graph;
  /** The sizes of a node's value. */
  readonly sizesOf: (tensor: Tensor) => Sizes;
  /** The ends of a slice. */
  readonly limitsOf: (tensor: TensorOf<"slice">) => Sizes;
};

export const fixed = (times: number): Size => ({ times, batch: 0, length: 0 });
export const isFixed = ({ batch, length }: Size): boolean => batch === 0 && length === 0;
export const sameSize = (a: Size, b: Size): boolean =>
  a.times === b.times && a.batch === b.batch && a.length === b.length;
export const sameSizes = (a: Sizes, b: Sizes): boolean =>
  a.length === b.length && a.every((size, axis) => sameSize(size, b[axis] as Size));
/** The product of sizes. */
export const product = (sizes: Sizes): Size =>
  sizes.reduce((all, { times, batch, length }) => ({
    times: all.times * times,
    batch: all.batch + batch,
    length: all.length + length,
  }), fixed(1));

/** `4*batch_size*sequence_length`, as ONNX names a size. */
export function sizeName({ times, batch, length }: Size): string {
  const moving = [...Array(batch).fill("batch_size"), ...Array(length).fill("sequence_length")];
  return [...(times === 1 ? [] : [times]), ...moving].join("*");
}

// No size of one pair equals one of another, and the lengths fit into any position table.
const batches = [5, 7] as const;
const lengths = [2, 3] as const;
const corners = lengths.flatMap((length) => batches.map((batch) => ({ batch, length })));

/** The power p with small^p × x = y, where small and large are what is raised. */
function power(x: number, y: number, [small, large]: readonly [number, number]): number {
  for (let p = 0, factor = 1; p <= 4; p++, factor *= large / small) {
    if (Math.abs(x * factor - y) < 1e-6 * y) return p;
  }
  return NaN;
}

/** The size that takes these values at the four corners. */
function sizeAt(values: readonly number[]): Size | undefined {
  const [first = 0, wider = 0, longer = 0] = values;
  if (values.every((value) => value === first)) return fixed(first);
  const [batch, length] = [power(first, wider, batches), power(first, longer, lengths)];
  const times = first / (batches[0] ** batch * lengths[0] ** length);
  const fits = corners.every((at, i) => times * at.batch ** batch * at.length ** length === values[i]);
  return fits && Number.isInteger(times) ? { times, batch, length } : undefined;
}

const refusal = (reason: string): RangeError =>
  new RangeError(`Cannot write ONNX for any batch and length: ${reason}`);

function sizesAt(shapes: readonly (readonly number[])[], what: string): Sizes {
  const [first = []] = shapes;
  return first.map((_, axis) => {
    const values = shapes.map((shape) => shape[axis] as number);
    const size = sizeAt(values);
    if (size === undefined) throw refusal(`a size of ${what} is ${values.join(", ")} at four of them`);
    return size;
  });
}

/** What an operation is told, but for the ends of a slice, which may move. */
function told({ op, attributes }: Tensor): string {
  return JSON.stringify(op === "slice" ? { start: attributes.start } : attributes);
}

/**
 * A graph for any batch and length.
 *
 * @param make Makes the graph for one batch and length.
 * @throws {RangeError} When an operation depends on them in a way that ONNX cannot say.
 */
export function sizedGraph(make: (batch: number, length: number) => Graph): SizedGraph {
  const graphs = corners.map(({ batch, length }) => unroll(make(batch, length)));
  const orders = graphs.map(({ parameters, outputs }) => topological([...parameters, ...outputs]));
  const [graph, order] = [graphs[0] as Graph, orders[0] as Tensor[]];
  if (orders.some((other) => other.length !== order.length)) throw refusal("their graphs have unequal nodes");
  const sizes = new Map<Tensor, Sizes>();
  const limits = new Map<Tensor, Sizes>();
  const places = orders.map((all) => new Map(all.map((tensor, i) => [tensor, i])));
  order.forEach((tensor, i) => {
    const all = orders.map((other) => other[i] as Tensor);
    const inputs = all.map((same, k) => same.inputs.map((input) => places[k]?.get(input)).join());
    const equal = all.every((same, k) =>
      same.op === tensor.op && inputs[k] === inputs[0] && told(same) === told(tensor)
    );
    if (!equal) throw refusal(`${tensor.op} is told another thing at each`);
    sizes.set(tensor, sizesAt(all.map(({ shape }) => shape), `the result of ${tensor.op}`));
    if (tensor.op === "slice") {
      const ends = (all as TensorOf<"slice">[]).map(({ attributes }) => attributes.limit);
      limits.set(tensor, sizesAt(ends, "a slice's end"));
    }
  });
  return {
    graph,
    sizesOf: (tensor) => sizes.get(tensor) as Sizes,
    limitsOf: (slice) => limits.get(slice) as Sizes,
  };
}
