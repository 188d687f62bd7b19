/**
 * Values that are cheaper to compute again than to store and load: where a loop already reads what a sum or product of
 * another loop is made of, it makes that value itself. The gradient of gelu then reads two arrays instead of six, and
 * the forward loop stores two instead of six.
 */
import type { OperationName, Tensor } from "../../../tensor/mod.ts";
import { sizeOf } from "../../../tensor/mod.ts";
import { baseOf, externalInputs, numberOf } from "./units.ts";
import type { Unit } from "./units.ts";

const cheap: ReadonlySet<OperationName> = new Set<OperationName>([
  ...[
    "add",
    "sub",
    "mul",
    "neg",
    "abs",
    "max",
    "min",
    "compare",
    "select",
    "cast",
    "and",
    "or",
    "xor",
  ] as const,
  ...["not", "sign", "floor"] as const,
]);

// Each loop may grow by this many steps.
const mostAdded = 24;
// And looks back over this many steps at once.
const deepest = 3;

/** What this pass needs to know of a grouping. */
export type Owners = {
  readonly unitOf: (base: Tensor) => Unit | undefined;
  readonly ownerOf: (node: Tensor) => Tensor;
  readonly orderOf: (node: Tensor) => number;
  readonly walkable: (unit: Unit) => boolean;
};

type Remade = { readonly nodes: Set<Tensor>; readonly reads: Set<Tensor> };

/** Whether another loop makes this value by a cheap step over the same elements. */
function isRemakeable(node: Tensor, unit: Unit, owners: Owners): boolean {
  const maker = owners.unitOf(node);
  return maker !== undefined && maker !== unit && maker.kind === "loop" && maker.members.includes(node) &&
    cheap.has(node.op) && sizeOf(node.shape) === sizeOf(unit.shape);
}

/** What it takes to make `node` in a loop that reads `known`: steps to add, and whole arrays to read besides. */
function remake(
  node: Tensor,
  unit: Unit,
  known: ReadonlySet<Tensor>,
  owners: Owners,
  depth: number,
  found: Remade,
): Remade {
  found.nodes.add(node);
  for (const input of node.inputs) {
    const base = baseOf(input);
    if (numberOf(input) !== undefined || unit.members.includes(base) || found.nodes.has(base)) continue;
    const owner = owners.ownerOf(input);
    if (sizeOf(owner.shape) !== sizeOf(unit.shape) || known.has(owner)) continue;
    if (depth > 0 && isRemakeable(base, unit, owners)) remake(base, unit, known, owners, depth - 1, found);
    else found.reads.add(owner);
  }
  return found;
}

/** Steps that make one of the values the loop reads, or undefined where none is worth it. */
function candidate(unit: Unit, owners: Owners): ReadonlySet<Tensor> | undefined {
  const inputs = externalInputs(unit);
  const known = new Set(inputs.map(owners.ownerOf));
  const bases = [...new Set(inputs.map(baseOf))].sort((a, b) => owners.orderOf(b) - owners.orderOf(a));
  const fromOne = new Map<Tensor, ReadonlySet<Tensor>>();
  for (const node of bases) {
    if (!isRemakeable(node, unit, owners)) continue;
    const others = new Set([...known].filter((owner) => owner !== node));
    const { nodes, reads } = remake(node, unit, others, owners, deepest, {
      nodes: new Set(),
      reads: new Set(),
    });
    const [one] = reads;
    // Nothing new to read, or one array instead of this one that lies in memory anyway.
    if (one === undefined || (reads.size === 1 && owners.unitOf(one)?.kind !== "loop")) return nodes;
    // Or one array instead of two that are made from it.
    const twin = fromOne.get(one);
    if (reads.size === 1 && twin !== undefined) return new Set([...twin, ...nodes]);
    if (reads.size === 1) fromOne.set(one, nodes);
  }
  return undefined;
}

/** Lets a loop compute again what is cheaper than to load. */
export function recompute(unit: Unit, owners: Owners): void {
  if (unit.kind !== "loop") return;
  const most = unit.members.length + mostAdded;
  for (let nodes = candidate(unit, owners); nodes !== undefined; nodes = candidate(unit, owners)) {
    const before = unit.members;
    unit.members = [...new Set([...before, ...nodes])].sort((a, b) => owners.orderOf(a) - owners.orderOf(b));
    if (unit.members.length > most || !owners.walkable(unit)) {
      unit.members = before;
      return;
    }
  }
}
