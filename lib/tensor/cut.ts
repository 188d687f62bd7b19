/**
 * A graph cut where sums over all replicas are taken, for replicas that are processes: what lies between two sums is a
 * program of one process. Every node is computed as late as its uses allow, so that the forward and the backward pass of a
 * step share a program and only gradients and a few scalars cross.
 */
import { node, sizeOf, topological } from "./graph.ts";
import { reshape, slice } from "./layout.ts";
import { randomBits } from "./random_bits.ts";
import { withInputs } from "./rebuild.ts";
import type { Graph, Tensor, TensorOf, TensorType } from "./types.ts";

/**
 * Where a value comes from: a parameter of the whole graph, or one that a stage before has made.
 *
 * @example
 * ```ts
 * import type { CutValue } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const value: CutValue = { kind: "parameter", index: 0 };
 * assert.equal(value.kind, "parameter");
 * ```
 */
export type CutValue = { readonly kind: "parameter" | "made" | "summed"; readonly index: number };

/**
 * A part of a graph between two sums.
 *
 * @example
 * ```ts
 * import { type CutStage, cutAtSums, trace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const stages: readonly CutStage[] = cutAtSums(trace((x) => [x], [{ dtype: "float32", shape: [] }])).stages;
 * assert.equal(stages.length, 1);
 * ```
 */
export type CutStage = {
  /** Values that are summed over the processes before the stage runs, each with the number of its sum. */
  readonly sums: readonly { readonly of: CutValue; readonly sum: number; readonly type: TensorType }[];
  /** The program; without outputs it need not run. */
  readonly graph: Graph;
  /** What its parameters are, in their order. */
  readonly inputs: readonly CutValue[];
  /** Numbers of the values that its outputs are. */
  readonly made: readonly number[];
};

/**
 * A graph in stages.
 *
 * @example
 * ```ts
 * import { allReduce, type CutGraph, cutAtSums, mul, trace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const cut: CutGraph = cutAtSums(trace((x) => [mul(allReduce(x), 2)], [{ dtype: "float32", shape: [3] }]));
 * assert.equal(cut.stages.length, 2);
 * ```
 */
export type CutGraph = { readonly stages: readonly CutStage[]; readonly outputs: readonly CutValue[] };

/** The stage of every node: the last one that its uses allow. */
function stagesOf(nodes: readonly Tensor[], outputs: readonly Tensor[]): Map<Tensor, number> {
  const levels = new Map<Tensor, number>();
  for (const tensor of nodes) {
    const before = tensor.inputs.reduce((most, input) => Math.max(most, levels.get(input) ?? 0), 0);
    levels.set(tensor, before + (tensor.op === "all_reduce" ? 1 : 0));
  }
  const last = Math.max(0, ...outputs.map((output) => levels.get(output) ?? 0));
  const stages = new Map<Tensor, number>(outputs.map((output) => [output, last]));
  for (const tensor of [...nodes].reverse()) {
    const own = stages.get(tensor) ?? last;
    stages.set(tensor, own);
    for (const input of tensor.inputs) {
      const latest = tensor.op === "all_reduce" ? own - 1 : own;
      stages.set(input, Math.min(stages.get(input) ?? last, latest));
    }
  }
  // A loop is no value that could cross: its results are made where it runs.
  for (const tensor of nodes) {
    if (tensor.op === "result") stages.set(tensor, stages.get(tensor.inputs[0] as Tensor) ?? last);
  }
  return stages;
}

/**
 * Cuts a graph at its `allReduce` operations.
 *
 * @param graph A graph of one replica; in bodies of scans there must be no `allReduce`.
 * @returns Stages to run in order, and where the outputs come from.
 * @throws {TypeError} When a sum is of anything but float32.
 * @example
 * ```ts
 * import { allReduce, cutAtSums, mul, trace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const graph = trace((x, y) => [mul(allReduce(mul(x, x)), y)], [
 *   { dtype: "float32", shape: [2] },
 *   { dtype: "float32", shape: [2] },
 * ]);
 * const { stages: [first, second] } = cutAtSums(graph);
 * assert.deepEqual(first?.inputs, [{ kind: "parameter", index: 0 }]);
 * assert.deepEqual(second?.inputs.map(({ kind }) => kind), ["summed", "parameter"]);
 * ```
 */
export function cutAtSums(graph: Graph): CutGraph {
  const nodes = topological(graph.outputs);
  const stages = stagesOf(nodes, graph.outputs);
  const places = new Map(graph.parameters.map((parameter, index) => [parameter as Tensor, index]));
  const count = Math.max(0, ...stages.values()) + 1;
  const made = new Map<Tensor, number>();
  const valueOf = (tensor: Tensor): CutValue => {
    const index = places.get(tensor);
    if (index !== undefined) return { kind: "parameter", index };
    if (!made.has(tensor)) made.set(tensor, made.size);
    return { kind: tensor.op === "all_reduce" ? "summed" : "made", index: made.get(tensor) as number };
  };
  const isFree = (tensor: Tensor): boolean => places.has(tensor) || tensor.op === "all_reduce";
  /** Values that leave each stage: used in a later one, summed, or outputs of the whole. */
  const leaving = Array.from({ length: count }, () => new Set<Tensor>());
  const leave = (tensor: Tensor): void =>
    void (isFree(tensor) || leaving[stages.get(tensor) ?? 0]?.add(tensor));
  const sums: Tensor[][] = Array.from({ length: count }, () => []);
  for (const tensor of nodes) {
    const stage = stages.get(tensor) as number;
    if (tensor.op === "all_reduce") {
      checkSum(tensor);
      sums[stage]?.push(tensor);
      leave(tensor.inputs[0] as Tensor);
    } else {
      for (const input of tensor.inputs) {
        if (stages.get(input) !== stage && input.op !== "constant") leave(input);
      }
    }
  }
  graph.outputs.forEach(leave);
  return {
    stages: leaving.map((outputs, stage) => ({
      sums: (sums[stage] as Tensor[]).map((sum) => ({
        of: valueOf(sum.inputs[0] as Tensor),
        sum: valueOf(sum).index,
        type: { dtype: sum.dtype, shape: sum.shape },
      })),
      ...stageGraph(nodes, stages, stage, [...outputs], valueOf, isFree),
      made: [...outputs].map((tensor) => valueOf(tensor).index),
    })),
    outputs: graph.outputs.map(valueOf),
  };
}

function checkSum(tensor: Tensor): void {
  if (tensor.dtype === "float32") return;
  throw new TypeError(`Cannot sum ${tensor.dtype} over processes: cast it to float32 before allReduce`);
}

/** The graph of one stage: what comes from elsewhere is a parameter. */
function stageGraph(
  nodes: readonly Tensor[],
  stages: ReadonlyMap<Tensor, number>,
  stage: number,
  outputs: readonly Tensor[],
  valueOf: (tensor: Tensor) => CutValue,
  isFree: (tensor: Tensor) => boolean,
): Pick<CutStage, "graph" | "inputs"> {
  const parameters: TensorOf<"parameter">[] = [];
  const inputs: CutValue[] = [];
  const built = new Map<Tensor, Tensor>();
  const built1 = (tensor: Tensor): Tensor => {
    const known = built.get(tensor);
    if (known !== undefined) return known;
    if (tensor.op === "constant") return tensor;
    const parameter = node("parameter", [], { index: parameters.length, name: "value" }, tensor);
    parameters.push(parameter);
    inputs.push(valueOf(tensor));
    built.set(tensor, parameter);
    return parameter;
  };
  for (const tensor of nodes) {
    if (stages.get(tensor) !== stage || isFree(tensor) || tensor.op === "constant") continue;
    built.set(tensor, withInputs(tensor, tensor.inputs.map(built1)));
  }
  return { graph: { parameters, outputs: outputs.map(built1) }, inputs };
}

/**
 * The graph of one replica of several, where each draws its own part of random bits that are split.
 *
 * @param graph The graph; bodies of scans are changed as well.
 * @param replica Which one, from 0.
 * @param replicas How many.
 * @returns The graph for an engine that knows of one replica alone.
 * @example
 * ```ts
 * import { compile, ownReplica, randomBits, randomKey, referenceEngine, trace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const graph = trace(() => [randomBits(randomKey(1), [4], { split: true })], []);
 * const { outputs } = ownReplica(graph, 1, 2);
 * const { bits } = await (await compile(() => ({ bits: outputs[0]! }), {}, { engine: referenceEngine() })).run({}); // ! one
 * const whole = await (await compile(() => ({ bits: randomBits(randomKey(1), [8]) }), {}, { engine: referenceEngine() })).run({});
 * assert.deepEqual(await bits.data(), (await whole.bits.data()).slice(4));
 * ```
 */
export function ownReplica(graph: Graph, replica: number, replicas: number): Graph {
  const bodies = new Map<Graph, Graph>();
  const inside = (body: Graph): Graph => {
    const known = bodies.get(body) ?? ownReplica(body, replica, replicas);
    bodies.set(body, known);
    return known;
  };
  const made = new Map<Tensor, Tensor>();
  for (const tensor of topological(graph.outputs)) {
    const inputs = tensor.inputs.map((input) => made.get(input) as Tensor);
    made.set(tensor, ownNode(tensor, inputs, { replica, replicas, inside }));
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map((output) => made.get(output) as Tensor) };
}

function ownNode(
  tensor: Tensor,
  inputs: readonly Tensor[],
  { replica, replicas, inside }: {
    readonly replica: number;
    readonly replicas: number;
    readonly inside: (body: Graph) => Graph;
  },
): Tensor {
  if (tensor.op === "random_bits" && tensor.attributes.split) {
    const size = sizeOf(tensor.shape);
    // An engine that fuses computes of the whole only the part that is taken.
    const whole = randomBits(inputs[0] as Tensor, [replicas * size]);
    return reshape(slice(whole, [replica * size], [(replica + 1) * size]), tensor.shape);
  }
  if (tensor.op === "scan") {
    const { attributes } = tensor;
    return node(
      "scan",
      inputs,
      { ...attributes, body: inside(attributes.body), backward: undefined },
      tensor,
    ) as Tensor;
  }
  return withInputs(tensor, inputs);
}
