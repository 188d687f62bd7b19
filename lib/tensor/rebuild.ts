/**
 * Transformations that keep meaning: replacing nodes, instantiating a graph, merging equal nodes, unrolling scans.
 */
import { node, topological } from "./graph.ts";
import { reshape, slice, stack } from "./layout.ts";
import type { Graph, HostArray, Tensor, TensorOf } from "./types.ts";

/** The same node with other inputs of the same types. */
export function withInputs(tensor: Tensor, inputs: readonly Tensor[]): Tensor {
  if (inputs.every((input, i) => input === tensor.inputs[i])) return tensor;
  return node(tensor.op, inputs, tensor.attributes, tensor) as Tensor;
}

/** Rebuilds outputs with some nodes replaced; what does not depend on them is kept as it is. */
export function substitute(outputs: readonly Tensor[], replacements: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  const made = new Map<Tensor, Tensor>(replacements);
  for (const tensor of topological(outputs)) {
    if (!made.has(tensor)) {
      made.set(
        tensor,
        withInputs(tensor, tensor.inputs.map((input) => made.get(input) as Tensor)),
      );
    }
  }
  return outputs.map((output) => made.get(output) as Tensor);
}

/** A graph's outputs with its parameters replaced by values. */
export function instantiate(graph: Graph, values: readonly Tensor[]): Tensor[] {
  return substitute(
    graph.outputs,
    new Map(graph.parameters.map((p, i) => [p as Tensor, values[i] as Tensor])),
  );
}

/**
 * Called for every copy of a loop's body: which iteration it is, what it takes and what it gives.
 *
 * @example
 * ```ts
 * import { constant, mul, type OnCopy, scan, trace, unroll } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const seen: number[] = [];
 * const onCopy: OnCopy = (iteration) => void seen.push(iteration);
 * const double = () => scan(([x]) => ({ carries: [mul(x!, 2)] }), { carries: [constant(1)], length: 3 }).carries; // ! one carry
 * unroll(trace(double, []), { onCopy });
 * assert.deepEqual(seen, [0, 1, 2]);
 * ```
 */
export type OnCopy = (iteration: number, inputs: readonly Tensor[], outputs: readonly Tensor[]) => void;

type Unrolled = { readonly carries: readonly Tensor[]; readonly stacks: readonly (readonly Tensor[])[] };

function unrollScan(
  { inputs, attributes: { body, length, carries, sliced, reverse } }: TensorOf<"scan">,
  parts: (tensor: Tensor) => readonly Tensor[] | undefined,
  onCopy: OnCopy | undefined,
): Unrolled {
  const slices = inputs.slice(carries, carries + sliced);
  const captures = inputs.slice(carries + sliced);
  const flat = unroll(body);
  const stacks: Tensor[][] = Array.from({ length: body.outputs.length - carries }, () => new Array(length));
  const part = (whole: Tensor, i: number): Tensor => {
    const known = parts(whole)?.[i];
    if (known !== undefined) return known;
    const rest = whole.shape.slice(1);
    return reshape(slice(whole, [i, ...rest.map(() => 0)], [i + 1, ...rest]), rest);
  };
  let state: readonly Tensor[] = inputs.slice(0, carries);
  for (let step = 0; step < length; step++) {
    const i = reverse ? length - 1 - step : step;
    const given = [...state, ...slices.map((whole) => part(whole, i)), ...captures];
    const results = instantiate(flat, given);
    onCopy?.(i, given, results);
    state = results.slice(0, carries);
    stacks.forEach((list, k) => list[i] = results[carries + k] as Tensor);
  }
  return { carries: state, stacks };
}

/**
 * The graph with every scan written out as repeated bodies, for engines without loops.
 *
 * @param graph The graph; its parameters stay.
 * @param options `onCopy`: told of every copy of an outer loop's body.
 * @returns The graph without scans.
 * @example
 * ```ts
 * import { add, constant, scan, topological, trace, unroll } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const sum = () => scan(([x]) => ({ carries: [add(x!, 1)] }), { carries: [constant(0)], length: 3 }).carries; // ! one carry
 * const { outputs } = unroll(trace(sum, []));
 * assert.equal(topological(outputs).filter(({ op }) => op === "add").length, 3);
 * ```
 */
export function unroll(graph: Graph, { onCopy }: { readonly onCopy?: OnCopy } = {}): Graph {
  const made = new Map<Tensor, Tensor>();
  const scans = new Map<Tensor, Unrolled>();
  const lists = new Map<Tensor, readonly Tensor[]>();
  for (const tensor of topological(graph.outputs)) {
    const inputs = tensor.inputs.map((input) => made.get(input) as Tensor);
    if (tensor.op === "scan") {
      scans.set(
        tensor,
        unrollScan(withInputs(tensor, inputs) as TensorOf<"scan">, (whole) => lists.get(whole), onCopy),
      );
      made.set(tensor, tensor);
    } else if (tensor.op === "result") {
      const { carries, stacks } = scans.get(tensor.inputs[0] as Tensor) as Unrolled;
      const { index } = tensor.attributes;
      if (index < carries.length) made.set(tensor, carries[index] as Tensor);
      else {
        const list = stacks[index - carries.length] as readonly Tensor[];
        const whole = stack(list);
        lists.set(whole, list);
        made.set(tensor, whole);
      }
    } else made.set(tensor, withInputs(tensor, inputs));
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map((output) => made.get(output) as Tensor) };
}

/**
 * The graph for one device, where a sum over all devices is the value itself; bodies of scans are left as they are.
 *
 * @param graph For any number of devices.
 * @returns The graph in which every `allReduce` is replaced by its input.
 * @example
 * ```ts
 * import { allReduce, constant, mul, trace, withoutAllReduce } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { outputs } = withoutAllReduce(trace(() => [mul(allReduce(constant(2)), 3)], []));
 * assert.deepEqual(outputs[0]?.inputs.map(({ op }) => op).includes("all_reduce"), false);
 * ```
 */
export function withoutAllReduce(graph: Graph): Graph {
  const made = new Map<Tensor, Tensor>();
  for (const tensor of topological(graph.outputs)) {
    const inputs = tensor.inputs.map((input) => made.get(input) as Tensor);
    made.set(tensor, tensor.op === "all_reduce" ? inputs[0] as Tensor : withInputs(tensor, inputs));
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map((output) => made.get(output) as Tensor) };
}

/** A key under which two nodes with equal inputs are the same computation. */
function keyOf(tensor: Tensor, ids: ReadonlyMap<Tensor, number>, objects: Map<object, number>): string {
  const attributes = JSON.stringify(tensor.attributes, (_, value) => {
    if (typeof value === "number") {
      return Number.isFinite(value) && !Object.is(value, -0) ? value : `${1 / value}/${value}`;
    }
    if (value === null || typeof value !== "object" || Array.isArray(value) || value === tensor.attributes) {
      return value;
    }
    if (!objects.has(value)) objects.set(value, objects.size);
    return `#${objects.get(value)}`;
  });
  const inputs = tensor.inputs.map((input) => ids.get(input)).join(",");
  return `${tensor.op}|${tensor.dtype}|${tensor.shape.join("x")}|${inputs}|${attributes}`;
}

/** The graph with repeated nodes merged; unused nodes are gone because nothing reaches them. */
export function mergeEqual(graph: Graph): Graph {
  const ids = new Map<Tensor, number>();
  const objects = new Map<object, number>();
  const canonical = new Map<string, Tensor>();
  const made = new Map<Tensor, Tensor>();
  for (const tensor of topological(graph.outputs)) {
    const rebuilt = withInputs(tensor, tensor.inputs.map((input) => made.get(input) as Tensor));
    const key = keyOf(rebuilt, ids, objects);
    const known = canonical.get(key) ?? rebuilt;
    if (known === rebuilt) {
      canonical.set(key, rebuilt);
      ids.set(rebuilt, ids.size);
    }
    made.set(tensor, known);
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map((output) => made.get(output) as Tensor) };
}

/**
 * The graph with array constants turned into parameters, and a text that is equal for equal structures.
 *
 * @returns The lifted graph (its own parameters first), the values of the added parameters, and the key.
 */
export function liftConstants(
  graph: Graph,
): { readonly graph: Graph; readonly values: HostArray[]; readonly key: string } {
  const parameters: TensorOf<"parameter">[] = [...graph.parameters];
  const values: HostArray[] = [];
  const replacements = new Map<Tensor, Tensor>();
  for (const tensor of topological(graph.outputs)) {
    if (tensor.op !== "constant" || typeof tensor.attributes.value === "number") continue;
    const lifted = node("parameter", [], { index: parameters.length, name: "constant" }, tensor);
    parameters.push(lifted);
    values.push(tensor.attributes.value);
    replacements.set(tensor, lifted);
  }
  const outputs = substitute(graph.outputs, replacements);
  const ids = new Map<Tensor, number>();
  const objects = new Map<object, number>();
  const lines = topological(outputs).map((tensor) => {
    const key = keyOf(tensor, ids, objects);
    ids.set(tensor, ids.size);
    return key;
  });
  // Bodies of scans are objects of their own: only graphs without them can share a program.
  const unique = objects.size > 0 ? `|unique ${Math.random()}` : "";
  const key = `${lines.join("\n")}=>${outputs.map((output) => ids.get(output)).join(",")}${unique}`;
  return { graph: { parameters, outputs }, values, key };
}
