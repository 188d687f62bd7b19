/**
 * Units: what becomes one kernel, and which nodes it reads. A node that only hands its operand on (reshape, barrier and
 * the like) is no work: its base has the same elements in the same order.
 */
import type { OperationName, Shape, Tensor } from "../../../tensor/mod.ts";

/** A kernel to be: one loop, or one operation of another kind. */
export type Unit = {
  readonly kind: "loop" | "dot" | "rows" | "join";
  /** Nodes computed, in order: elementwise steps, or the one operation. */
  members: Tensor[];
  /** Reductions that ride on a loop. */
  reductions: Tensor[];
  /** What a loop walks. */
  shape: Shape;
};

const passing: ReadonlySet<OperationName> = new Set<OperationName>([
  "reshape",
  "stop_gradient",
  "barrier",
  "all_reduce",
]);
/** Operations that are only another walk over memory. */
export const moving: ReadonlySet<OperationName> = new Set<OperationName>(["transpose", "broadcast", "slice"]);

/** Whether a node only hands its operand on in row-major order. */
export function isPassing({ op }: Tensor): boolean {
  return passing.has(op);
}

/** The node whose elements, in the same order, are those of `node`. */
export function baseOf(node: Tensor): Tensor {
  let base = node;
  while (passing.has(base.op)) base = base.inputs[0] as Tensor;
  return base;
}

/** The number that fills a node, if it is known to be one. */
export function numberOf(node: Tensor): number | undefined {
  let base = node;
  while (passing.has(base.op) || moving.has(base.op)) base = base.inputs[0] as Tensor;
  return base.op === "constant" && typeof base.attributes.value === "number"
    ? base.attributes.value
    : undefined;
}

/** The inputs of a unit that it reads from memory: made by other units or given from outside. */
export function externalInputs(unit: Unit): Tensor[] {
  const members = new Set(unit.members);
  const found = new Set<Tensor>();
  for (const node of [...unit.members, ...unit.reductions]) {
    for (const input of node.inputs) {
      // A copy reads memory by its nature, random bits read their key from it.
      const reads = isPassing(node) || node.op === "random_bits";
      if (!reads && members.has(baseOf(input))) continue;
      if (unit.kind === "loop" && numberOf(input) !== undefined) continue;
      found.add(input);
    }
  }
  return [...found];
}
