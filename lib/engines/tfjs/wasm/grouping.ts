/**
 * Which operations share a kernel. Elementwise operations over the same number of elements join one loop, as long as
 * no path leads out of the loop and back into it; a sum or maximum joins the loop that makes its operand. Layout
 * operations are no work at all: they are walks over memory (views.ts).
 */
import type { OperationName, Shape, Tensor } from "../../../tensor/mod.ts";
import { barrier, sizeOf, topological, transpose } from "../../../tensor/mod.ts";
import { recompute } from "./recompute.ts";
import { baseOf, externalInputs, isPassing, moving } from "./units.ts";
import type { Unit } from "./units.ts";
import { contiguous, layoutWalk, reshapeWalk } from "./views.ts";
import type { Walk } from "./views.ts";

const elementwise: ReadonlySet<OperationName> = new Set<OperationName>([
  ...["neg", "exp", "log", "tanh", "erf", "sqrt", "rsqrt", "abs", "sign", "floor", "not"] as const,
  ...["add", "sub", "mul", "div", "max", "min", "pow", "and", "or", "xor", "shift_right_logical"] as const,
  ...["compare", "select", "cast", "random_bits"] as const,
]);
// Longer chains gain nothing: their values no longer fit in registers.
const mostMembers = 64;

/** The grouping of a graph. */
export type Grouping = {
  /** The unit that computes a base node; none for parameters, constants and iota. */
  readonly unitOf: (base: Tensor) => Unit | undefined;
  /** How to walk over a node's elements, and the node whose memory that is. */
  readonly place: (node: Tensor) => { readonly owner: Tensor; readonly walk: Walk };
  /** A node with the same elements in own memory, row-major with its dimensions in the given order. */
  readonly copyOf: (node: Tensor, permutation?: readonly number[]) => Tensor;
};

type State = {
  readonly order: ReadonlyMap<Tensor, number>;
  readonly owners: Map<Tensor, Unit>;
  /** Owners of what a unit reads, kept because units do not change once made. */
  readonly reads: WeakMap<Unit, readonly Tensor[]>;
  readonly places: Map<Tensor, { readonly owner: Tensor; readonly walk: Walk }>;
};

function sourceWalk(node: Tensor): Walk {
  if (node.op === "iota") {
    // One row of counting numbers, walked along its axis.
    return {
      offset: 0,
      shape: node.shape,
      strides: node.shape.map((_, i) => i === node.attributes.axis ? 1 : 0),
    };
  }
  if (node.op === "constant" && typeof node.attributes.value === "number") {
    return { offset: 0, shape: node.shape, strides: node.shape.map(() => 0) };
  }
  return contiguous(node.shape);
}

function placeOf(state: State, node: Tensor): { readonly owner: Tensor; readonly walk: Walk } {
  const known = state.places.get(node);
  if (known !== undefined) return known;
  let found: { readonly owner: Tensor; readonly walk: Walk } | undefined;
  if (isPassing(node) || moving.has(node.op)) {
    const { owner, walk } = placeOf(state, node.inputs[0] as Tensor);
    const moved = moving.has(node.op) ? layoutWalk(node, walk) : reshapeWalk(walk, node.shape);
    if (moved !== undefined) found = { owner, walk: moved };
    else {
      // The steps do not allow the new shape: a loop copies the elements in order.
      state.owners.set(node, { kind: "loop", members: [node], reductions: [], shape: walk.shape });
    }
  }
  found ??= { owner: node, walk: sourceWalk(node) };
  state.places.set(node, found);
  return found;
}

function unitsBefore(state: State, unit: Unit): Set<Unit> {
  const reads = state.reads.get(unit) ?? externalInputs(unit).map((input) => placeOf(state, input).owner);
  state.reads.set(unit, reads);
  const before = new Set<Unit>();
  for (const owner of reads) {
    const other = state.owners.get(owner);
    if (other !== undefined) before.add(other);
  }
  return before;
}

/** First and last place of a unit's nodes in the order of the graph. */
function span(state: State, unit: Unit): readonly [number, number] {
  const places = [...unit.members, ...unit.reductions].map((node) => state.order.get(node) ?? 0);
  return [Math.min(...places), Math.max(...places)];
}

/** Whether `unit` needs `target`, directly or through others. */
function needs(state: State, unit: Unit, target: Unit): boolean {
  const [first] = span(state, target);
  const seen = new Set<Unit>();
  const stack = [unit];
  while (stack.length > 0) {
    const top = stack.pop() as Unit;
    if (top === target) return true;
    // What ends before the target begins cannot need it.
    if (seen.has(top) || span(state, top)[1] < first) continue;
    seen.add(top);
    stack.push(...unitsBefore(state, top));
  }
  return false;
}

/** Whether every outside input of a loop (random keys aside) can be walked in a shape. */
function walkable(state: State, unit: Unit, shape: Shape): boolean {
  const inputs = externalInputs(unit).every((input) => {
    const size = sizeOf(input.shape);
    if (size !== sizeOf(shape)) return true;
    return reshapeWalk(placeOf(state, input).walk, shape) !== undefined;
  });
  return inputs && unit.reductions.every((node) => reductionWalk(node, shape) !== undefined);
}

/** How a loop over `shape` walks the result of a reduction: without steps along the dimensions that are summed. */
export function reductionWalk(node: Tensor, shape: Shape): Walk | undefined {
  if (node.op !== "reduce_sum" && node.op !== "reduce_max") return undefined;
  const { axes } = node.attributes;
  const from = (node.inputs[0] as Tensor).shape;
  const kept = from.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const { strides } = contiguous(node.shape);
  const steps = from.map((_, axis) => axes.includes(axis) ? 0 : strides[kept.indexOf(axis)] as number);
  return reshapeWalk({ offset: 0, shape: from, strides: steps }, shape);
}

function joinLoop(state: State, node: Tensor, role: "members" | "reductions"): void {
  const size = role === "members" ? node.shape : (node.inputs[0] as Tensor).shape;
  const alone: Unit = { kind: "loop", members: [], reductions: [], shape: size };
  alone[role] = [node];
  const candidates = new Set<Unit>();
  for (const input of node.inputs) {
    const base = baseOf(input);
    const unit = state.owners.get(base);
    const fits = unit?.kind === "loop" && unit.members.includes(base) && elementwise.has(base.op) &&
      sizeOf(base.shape) === sizeOf(size) && node.op !== "random_bits";
    if (fits) candidates.add(unit);
  }
  let unit = alone;
  settle(state, unit);
  for (const candidate of candidates) {
    const joined = merged(state, unit, candidate);
    if (joined === undefined) continue;
    unit = joined;
    settle(state, unit);
  }
}

function settle(state: State, unit: Unit): void {
  for (const node of [...unit.members, ...unit.reductions]) state.owners.set(node, unit);
}

/** Both loops as one, or undefined where a path between them runs through a third or no common shape exists. */
function merged(state: State, later: Unit, earlier: Unit): Unit | undefined {
  if (later.members.length + earlier.members.length > mostMembers) return undefined;
  const made = (shape: Shape): Unit => ({
    kind: "loop",
    members: [...earlier.members, ...later.members].sort((a, b) =>
      (state.order.get(a) as number) - (state.order.get(b) as number)
    ),
    reductions: [...earlier.reductions, ...later.reductions],
    shape,
  });
  const one = made(earlier.shape);
  // What the joined loop reads from outside must not come from either part.
  for (const before of unitsBefore(state, one)) {
    if (needs(state, before, earlier) || needs(state, before, later)) return undefined;
  }
  for (const shape of [earlier.shape, later.shape]) {
    const unit = made(shape);
    if (walkable(state, unit, shape)) return unit;
  }
  return undefined;
}

/** Groups the operations of a graph. */
export function groupUnits(outputs: readonly Tensor[]): Grouping {
  const order = topological(outputs);
  const state: State = {
    order: new Map(order.map((node, i) => [node, i])),
    owners: new Map(),
    places: new Map(),
    reads: new WeakMap(),
  };
  for (const node of order) {
    if (elementwise.has(node.op)) joinLoop(state, node, "members");
    else if (node.op === "reduce_sum" || node.op === "reduce_max") joinLoop(state, node, "reductions");
    else if (node.op === "dot" || node.op === "gather" || node.op === "scatter_add") {
      const kind = node.op === "dot" ? "dot" : "rows";
      state.owners.set(node, { kind, members: [node], reductions: [], shape: node.shape });
    } else if (node.op === "concat" || node.op === "pad") {
      state.owners.set(node, { kind: "join", members: [node], reductions: [], shape: node.shape });
    } else if (node.op === "scan" || node.op === "result") {
      throw new TypeError(`Cannot compile ${node.op} for tfjs-wasm: this engine takes unrolled graphs`);
    }
  }
  const owners = {
    unitOf: (base: Tensor) => state.owners.get(base),
    ownerOf: (node: Tensor) => placeOf(state, node).owner,
    orderOf: (node: Tensor) => state.order.get(node) ?? 0,
    walkable: (unit: Unit) => walkable(state, unit, unit.shape),
  };
  for (const unit of new Set(state.owners.values())) recompute(unit, owners);
  return {
    unitOf: (base) => state.owners.get(base),
    place: (node) => placeOf(state, node),
    copyOf: (node, permutation) => {
      const moved = permutation === undefined ? node : transpose(node, permutation);
      const copy = barrier(moved);
      state.places.set(copy, { owner: copy, walk: contiguous(copy.shape) });
      state.owners.set(copy, { kind: "loop", members: [copy], reductions: [], shape: copy.shape });
      return copy;
    },
  };
}
