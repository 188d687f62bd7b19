/**
 * The least memory that a graph needs, known before it is compiled: what cannot be away at one moment, whatever the
 * order of the operations. When a node is computed, every value that is computed from earlier ones and still read by
 * later ones is there; the largest such moment bounds the program from below. Counted are values that a compiler stores:
 * results and operands of products, sums, rows that were picked. What lies between is computed where it is read.
 */
import { topological } from "../../tensor/mod.ts";
import type { Graph, OperationName, Tensor } from "../../tensor/mod.ts";
import { valueGroups } from "./parts.ts";
import type { ValueGroup } from "./parts.ts";
import { bytesOf } from "./values.ts";

/** The least memory of a program on one device, bytes. */
export type LeastMemory = {
  /** Values that are given to it. */
  readonly arguments: number;
  /** Of the values that it computes, the most that are there at once, at least. */
  readonly temporary: number;
  /** Those values by what they belong to, the largest groups first. */
  readonly largest: () => readonly ValueGroup[];
};

/** Operations whose result is stored whatever follows. */
const stored = new Set<OperationName>([
  "dot",
  "reduce_sum",
  "reduce_max",
  "gather",
  "scatter_add",
  "result",
  "all_reduce",
]);

/** Operations that only lay an operand out anew. */
const layout = new Set<OperationName>(["reshape", "transpose", "broadcast", "stop_gradient", "barrier"]);

/** Values that cost nothing to make again, or that somebody else holds. */
const free = new Set<OperationName>(["parameter", "constant", "iota"]);

/** Moments that are looked at, spread over the program. */
const moments = 200;

type Numbered = {
  readonly nodes: readonly Tensor[];
  /** Numbers of the inputs of each node. */
  readonly inputs: readonly (readonly number[])[];
  readonly bytes: readonly number[];
  readonly isStored: readonly boolean[];
  /** Memory that a loop takes inside one iteration. */
  readonly inside: readonly number[];
  readonly outputs: ReadonlySet<number>;
  /** Outputs with memory of their own. */
  readonly kept: ReadonlySet<number>;
};

function numbered({ outputs }: Graph, inPlace: ReadonlySet<number>): Numbered {
  const nodes = topological(outputs);
  const numberOf = new Map(nodes.map((node, i) => [node, i]));
  const inputs = nodes.map((node) => node.inputs.map((input) => numberOf.get(input) as number));
  const isStored = nodes.map(({ op }) => stored.has(op));
  nodes.forEach((node, i) => {
    // An operand of a product is an array: the first value behind what only lays it out.
    if (node.op !== "dot") return;
    for (const input of inputs[i] as readonly number[]) {
      let at = input;
      while (layout.has((nodes[at] as Tensor).op)) at = inputs[at]?.[0] as number;
      isStored[at] = !free.has((nodes[at] as Tensor).op);
    }
  });
  return {
    nodes,
    inputs,
    bytes: nodes.map((node) => node.op === "scan" ? 0 : bytesOf(node)),
    isStored,
    inside: nodes.map((node) => node.op === "scan" ? leastMemory(node.attributes.body).temporary : 0),
    outputs: new Set(outputs.map((output) => numberOf.get(output) as number)),
    kept: new Set(outputs.flatMap((output, i) => inPlace.has(i) ? [] : [numberOf.get(output) as number])),
  };
}

/** The stored values that are there when a node is computed, itself among them. */
function thereAt({ nodes, inputs, isStored, outputs, kept }: Numbered, moment: number): number[] {
  const before = new Uint8Array(nodes.length);
  before[moment] = 1;
  for (let i = moment; i >= 0; i--) {
    if (before[i] === 1) { for (const input of inputs[i] as readonly number[]) before[input] = 1; }
  }
  const after = new Uint8Array(nodes.length);
  after[moment] = 1;
  for (let i = moment + 1; i < nodes.length; i++) {
    if ((inputs[i] as readonly number[]).some((input) => after[input] === 1)) after[i] = 1;
  }
  // Read by something stored that is computed now or later, through what is not stored itself.
  const read = new Uint8Array(nodes.length);
  for (let i = nodes.length - 1; i >= 0; i--) {
    const reads = isStored[i] === true || outputs.has(i) ? after[i] === 1 : read[i] === 1;
    if (reads) { for (const input of inputs[i] as readonly number[]) read[input] = 1; }
  }
  const found = [moment];
  for (let i = 0; i < moment; i++) {
    if (before[i] === 1 && (kept.has(i) || (isStored[i] === true && read[i] === 1))) found.push(i);
  }
  return found;
}

/** Bytes of all values of a graph, as if none ever made room for another: surely enough. */
export function everyValue({ parameters, outputs }: Graph): number {
  return [...parameters as readonly Tensor[], ...topological(outputs)].reduce(
    (sum, node) => sum + (node.op === "scan" ? everyValue(node.attributes.body) : bytesOf(node)),
    0,
  );
}

/**
 * The least memory of a graph.
 *
 * @param graph The graph as it is compiled, of one device.
 * @param inPlace Outputs, by their place, that take the memory of arguments.
 */
export function leastMemory(graph: Graph, inPlace: ReadonlySet<number> = new Set()): LeastMemory {
  const program = numbered(graph, inPlace);
  const { nodes, bytes, isStored, inside, kept } = program;
  const candidates = nodes.flatMap(({ op }, i) => isStored[i] === true || op === "scan" ? [i] : []);
  const step = Math.max(1, candidates.length / moments);
  const all = (there: readonly number[]): number => there.reduce((sum, i) => sum + (bytes[i] as number), 0);
  let most = { total: all([...kept]), there: [...kept] }; // the end
  for (let k = 0; k < candidates.length; k += step) {
    const moment = candidates[Math.floor(k)] as number;
    const there = thereAt(program, moment);
    const total = all(there) + (inside[moment] as number);
    if (total > most.total) most = { total, there };
  }
  const given = graph.parameters.reduce((sum, each) => sum + bytesOf(each), 0);
  return {
    arguments: given,
    temporary: most.total,
    largest: () => valueGroups(most.there.map((i) => nodes[i] as Tensor)),
  };
}
