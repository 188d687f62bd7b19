/**
 * From units to kernel calls: which memory each value has, in which order units run, and the spec of every kernel.
 */
import type { Graph, HostArray, Tensor, TensorOf } from "../../../tensor/mod.ts";
import { sizeOf } from "../../../tensor/mod.ts";
import { groupUnits, reductionWalk } from "./grouping.ts";
import type { Grouping } from "./grouping.ts";
import { baseOf, externalInputs, isPassing, numberOf } from "./units.ts";
import type { Unit } from "./units.ts";
import type { LoopSpec, Ref, Step } from "./loop_spec.ts";
import { scratchBytes } from "./product_kernel.ts";
import type { ProductSpec } from "./product_kernel.ts";
import type { RowsSpec } from "./row_kernels.ts";
import { productOperands, productSpec } from "./product_layout.ts";
import type { Operands } from "./product_layout.ts";
import { contiguous, isContiguous, reshapeWalk } from "./views.ts";

/** Memory of a value: an argument or result of the program, a constant, or a place in the shared arena. */
export type Place =
  | { readonly in: "slot"; readonly index: number }
  | { readonly in: "constants"; readonly index: number }
  | { readonly in: "arena"; readonly value: Tensor }
  | { readonly in: "scratch" };

/** A call of a kernel. */
export type Call = {
  readonly kernel:
    | { readonly kind: "loop"; readonly spec: LoopSpec }
    | { readonly kind: "product"; readonly spec: ProductSpec }
    | { readonly kind: "rows"; readonly spec: RowsSpec };
  readonly pointers: readonly Place[];
};

/** A program before its memory is planned. */
export type Lowered = {
  readonly calls: readonly Call[];
  /** Slots: parameters first, then outputs. */
  readonly slots: number;
  readonly constants: readonly HostArray[];
  /** Bytes of scratch memory that products need. */
  readonly scratch: number;
};

function constantValues(node: Tensor): HostArray {
  if (node.op === "iota") {
    const count = node.shape[node.attributes.axis] as number;
    const steps = Array.from({ length: count }, (_, i) => i);
    return node.dtype === "float32" ? Float32Array.from(steps) : Int32Array.from(steps);
  }
  if (node.op !== "constant") throw new TypeError(`Cannot make a constant of ${node.op}`);
  const { value } = node.attributes;
  const values = typeof value === "number" ? [value] : value;
  if (node.dtype === "float32") return Float32Array.from(values);
  if (node.dtype === "bool") return Int32Array.from(values, (x) => x === 0 ? 0 : -1);
  return node.dtype === "uint32" ? Uint32Array.from(values) : Int32Array.from(values);
}

type State = {
  readonly grouping: Grouping;
  readonly places: Map<Tensor, Place>;
  readonly constants: HostArray[];
  readonly products: Map<Tensor, Operands>;
  /** Operands that a kernel needs in row-major order. */
  readonly plain: Map<Tensor, Tensor>;
  /** Values that something reads from memory. */
  readonly read: Set<Tensor>;
};

function plainOperand(state: State, node: Tensor): Tensor {
  const known = state.plain.get(node);
  if (known !== undefined) return known;
  const { walk } = state.grouping.place(node);
  const plain = isContiguous(walk) && walk.offset === 0 ? node : state.grouping.copyOf(node);
  state.plain.set(node, plain);
  return plain;
}

/** The nodes whose memory a unit reads; copies that it needs are made here. */
function operandsOf(state: State, unit: Unit): readonly Tensor[] {
  const [node] = unit.members;
  if (unit.kind === "dot") {
    const known = state.products.get(node as Tensor) ??
      productOperands(state.grouping, node as TensorOf<"dot">);
    state.products.set(node as Tensor, known);
    return [known.a.node, known.b.node];
  }
  if (unit.kind === "rows") return (node as Tensor).inputs.map((input) => plainOperand(state, input));
  return externalInputs(unit);
}

/** Units in an order in which inputs come first. */
function schedule(state: State, outputs: readonly Tensor[]): Unit[] {
  const order: Unit[] = [];
  const done = new Set<Unit>();
  const stack: { readonly unit: Unit; readonly before: Unit[] }[] = [];
  const start = (node: Tensor): void => {
    const { owner } = state.grouping.place(node);
    state.read.add(owner);
    const unit = state.grouping.unitOf(owner);
    if (unit !== undefined && !done.has(unit)) enter(unit);
  };
  const enter = (unit: Unit): void => {
    done.add(unit);
    const before = operandsOf(state, unit).flatMap((input) => {
      const { owner } = state.grouping.place(input);
      state.read.add(owner);
      return state.grouping.unitOf(owner) ?? [];
    });
    stack.push({ unit, before });
  };
  for (const output of outputs) {
    start(output);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.before.shift();
      if (next === undefined) order.push((stack.pop() as typeof top).unit);
      else if (!done.has(next)) enter(next);
    }
  }
  return order;
}

function placeOf(state: State, owner: Tensor): Place {
  const known = state.places.get(owner);
  if (known !== undefined) return known;
  let place: Place;
  if (owner.op === "constant" || owner.op === "iota") {
    place = { in: "constants", index: state.constants.push(constantValues(owner)) - 1 };
  } else place = { in: "arena", value: owner };
  state.places.set(owner, place);
  return place;
}

/** Collects the pointers of one call: equal places share one. */
function pointerList(state: State): { readonly list: Place[]; readonly of: (owner: Tensor) => number } {
  const list: Place[] = [];
  return {
    list,
    of: (owner) => {
      const place = placeOf(state, owner);
      const known = list.indexOf(place);
      return known >= 0 ? known : list.push(place) - 1;
    },
  };
}

function lowerLoop(state: State, unit: Unit): Call {
  const { grouping } = state;
  const pointers = pointerList(state);
  const loads: LoopSpec["loads"][number][] = [];
  const known = new Map<Tensor, number>();
  const stepOf = new Map(unit.members.map((node, i) => [node, i]));
  const load = (input: Tensor): Ref => {
    const { owner, walk } = grouping.place(input);
    const { offset, strides } = reshapeWalk(walk, unit.shape) as typeof walk;
    if (!known.has(input)) known.set(input, loads.push({ pointer: pointers.of(owner), offset, strides }) - 1);
    return { load: known.get(input) as number };
  };
  const refOf = (node: Tensor, input: Tensor): Ref => {
    const step = isPassing(node) ? undefined : stepOf.get(baseOf(input));
    if (step !== undefined) return { step };
    const number = numberOf(input);
    return number === undefined ? load(input) : { number, dtype: input.dtype };
  };
  const keyWords = (key: Tensor): Ref[] => {
    const { owner, walk } = grouping.place(key);
    const strides = unit.shape.map(() => 0);
    return [0, 1].map((i) => {
      const offset = walk.offset + i * (walk.strides[0] as number);
      return { load: loads.push({ pointer: pointers.of(owner), offset, strides }) - 1 };
    });
  };
  const steps = unit.members.map((node): Step => ({
    op: node.op,
    inputs: node.op === "random_bits"
      ? keyWords(node.inputs[0] as Tensor)
      : node.inputs.map((input) => refOf(node, input)),
    from: (node.inputs[0] as Tensor).dtype,
    to: node.dtype,
    ...(node.op === "compare" ? { direction: node.attributes.direction } : {}),
  }));
  const stores = unit.members.flatMap((node, i) => {
    // A value computed again is stored by the loop that made it first.
    if (!state.read.has(node) || grouping.unitOf(node) !== unit) return [];
    const { strides } = contiguous(unit.shape);
    return [{ pointer: pointers.of(node), offset: 0, strides, value: { step: i } }];
  });
  const reductions = unit.reductions.flatMap((node) => {
    if (!state.read.has(node)) return [];
    const { strides } = reductionWalk(node, unit.shape) as { readonly strides: readonly number[] };
    const value = refOf(node, node.inputs[0] as Tensor);
    const kind = node.op === "reduce_sum" ? "sum" as const : "max" as const;
    const { dtype } = node;
    return [{
      pointer: pointers.of(node),
      offset: 0,
      strides,
      value,
      kind,
      dtype,
      count: sizeOf(node.shape),
    }];
  });
  const spec = { shape: unit.shape, loads, steps, stores, reductions, pointers: pointers.list.length };
  return { kernel: { kind: "loop", spec }, pointers: pointers.list };
}

/** Copies each part to its place; a pad first fills everything with its value. */
function lowerJoin(state: State, node: Tensor): Call[] {
  const whole = contiguous(node.shape);
  const copy = (input: Tensor, offset: number): Call => {
    const pointers = pointerList(state);
    const { owner, walk } = state.grouping.place(input);
    const from = { pointer: pointers.of(owner), offset: walk.offset, strides: walk.strides };
    const to = { pointer: pointers.of(node), offset, strides: whole.strides, value: { load: 0 } };
    const rest = { steps: [], reductions: [], pointers: pointers.list.length };
    return {
      kernel: { kind: "loop", spec: { shape: input.shape, loads: [from], stores: [to], ...rest } },
      pointers: pointers.list,
    };
  };
  if (node.op === "concat") {
    let at = 0;
    return node.inputs.map((input) => {
      const offset = at * (whole.strides[node.attributes.axis] as number);
      at += input.shape[node.attributes.axis] as number;
      return copy(input, offset);
    });
  }
  if (node.op !== "pad") throw new TypeError(`Cannot lower ${node.op} as a join`);
  const value: Ref = { number: node.attributes.value, dtype: node.dtype };
  const fill: LoopSpec = {
    shape: node.shape,
    loads: [],
    steps: [],
    stores: [{ pointer: 0, offset: 0, strides: whole.strides, value }],
    reductions: [],
    pointers: 1,
  };
  const low = node.attributes.low.reduce((sum, count, i) => sum + count * (whole.strides[i] as number), 0);
  return [
    { kernel: { kind: "loop", spec: fill }, pointers: [placeOf(state, node)] },
    copy(node.inputs[0] as Tensor, low),
  ];
}

function lowerRows(state: State, node: Tensor): Call {
  const operands = node.inputs.map((input) => state.plain.get(input) as Tensor);
  const [table, indices] = node.op === "gather" ? [operands[0], operands[1]] : [undefined, operands[0]];
  const shape = node.op === "gather" ? (table as Tensor).shape : node.shape;
  const spec: RowsSpec = {
    kind: node.op === "gather" ? "gather" : "scatter_add",
    count: sizeOf((indices as Tensor).shape),
    rows: shape[0] as number,
    width: sizeOf(shape.slice(1)),
    dtype: node.dtype,
  };
  // The offset of a contiguous slice would be lost: such operands were copied.
  const from = operands.map((operand) => placeOf(state, state.grouping.place(operand).owner));
  const out = placeOf(state, node);
  const pointers = node.op === "gather" ? [...from, out] : [out, ...from];
  return { kernel: { kind: "rows", spec }, pointers };
}

function lowerUnit(state: State, unit: Unit): Call[] {
  const node = unit.members[0] as Tensor;
  if (unit.kind === "loop") return [lowerLoop(state, unit)];
  if (unit.kind === "join") return lowerJoin(state, node);
  if (unit.kind === "rows") return [lowerRows(state, node)];
  const operands = state.products.get(node) as Operands;
  const [a, b] = [operands.a, operands.b].map((side) =>
    placeOf(state, state.grouping.place(side.node).owner)
  ) as [Place, Place];
  const { spec, swapped } = productSpec(state.grouping, node, operands);
  const sides = swapped ? [b, a] : [a, b];
  return [{
    kernel: { kind: "product", spec },
    pointers: [...sides, placeOf(state, node), { in: "scratch" }],
  }];
}

/** Lowers a graph. */
export function lower(graph: Graph): Lowered {
  const grouping = groupUnits(graph.outputs);
  const state: State = {
    grouping,
    places: new Map(),
    constants: [],
    products: new Map(),
    plain: new Map(),
    read: new Set(),
  };
  graph.parameters.forEach((node, index) => state.places.set(node as Tensor, { in: "slot", index }));
  const results = graph.outputs.map((output, i) => {
    const { owner, walk } = grouping.place(output);
    const own = grouping.unitOf(owner) !== undefined && !state.places.has(owner) && isContiguous(walk) &&
      walk.offset === 0 && sizeOf(owner.shape) === sizeOf(output.shape);
    const result = own ? owner : grouping.copyOf(output);
    state.places.set(result, { in: "slot", index: graph.parameters.length + i });
    return result;
  });
  const order = schedule(state, results);
  const calls = order.flatMap((unit) => lowerUnit(state, unit));
  const scratch = Math.max(
    0,
    ...calls.map(({ kernel }) => kernel.kind === "product" ? scratchBytes(kernel.spec) : 0),
  );
  return {
    calls,
    slots: graph.parameters.length + graph.outputs.length,
    constants: state.constants,
    scratch,
  };
}
