/**
 * Finds which rows of a table are read: the lists of row numbers by which gathers read values that a program makes. Lists
 * of the form `place + S · iota` read a fixed number of places in each of G groups of S rows (a batch of sequences); then
 * rows keep their group, and operations that work group by group, as attention does, can work on the read rows too. That
 * holds for places that are sure to lie within 0 .. S-1: a number, or one held there by a minimum and a maximum.
 */
import {
  and,
  broadcastTo,
  compare,
  concat,
  gather,
  reshape,
  scatterAdd,
  select,
  slice,
  topological,
  transpose,
  zeros,
} from "../../tensor/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import type { Layout, Table } from "./row_layouts.ts";

/** Gathering pays when at most this share of the rows is read. */
const largestShare = 0.6;

/** The read rows of a table. Without groups, everything is one group. */
export type Plan = Table & {
  /** The lists of row numbers, each with the place of its first row among those of a group. */
  readonly places: ReadonlyMap<Tensor, number>;
  /** How many rows are read in a group. */
  readonly count: number;
};

/** The number of elements. */
export const countOf = ({ shape }: Tensor): number => shape.reduce((product, size) => product * size, 1);

/** The number that fills a constant. */
export const filledWith = (x: Tensor | undefined): number | undefined =>
  x?.op === "constant" && typeof x.attributes.value === "number" ? x.attributes.value : undefined;

/** Whether [group, place] numbers are `group · size`: a product of an iota over the groups. */
function startsOfGroups(x: Tensor): Table | undefined {
  const [a, b] = x.op === "mul" ? x.inputs as readonly [Tensor, Tensor] : [];
  const [counter, size] = a?.op === "iota" ? [a, filledWith(b)] : [b, filledWith(a)];
  if (counter?.op !== "iota" || counter.attributes.axis !== 0 || size === undefined) return undefined;
  return { groups: counter.shape[0] as number, size };
}

/** The least and the greatest number that integers can have, as far as the last operations tell. */
function boundsOf(x: Tensor, depth = 12): readonly [number, number] {
  const any = [-(2 ** 31), 2 ** 31 - 1] as const;
  if (depth === 0) return any;
  const [a, b] = x.inputs as readonly [Tensor, Tensor];
  const pairs = (by: (p: number, q: number) => number): readonly [number, number] => {
    const [p, q] = [boundsOf(a, depth - 1), boundsOf(b, depth - 1)];
    const all = p.flatMap((one) => q.map((other) => by(one, other)));
    return [Math.min(...all), Math.max(...all)];
  };
  const found = ((): readonly [number, number] => {
    const value = filledWith(x);
    if (value !== undefined) return [value, value];
    switch (x.op) {
      case "iota":
        return [0, (x.shape[x.attributes.axis] as number) - 1];
      case "reshape":
      case "broadcast":
        return boundsOf(a, depth - 1);
      case "add":
        return pairs((p, q) => p + q);
      case "mul":
        return pairs((p, q) => p * q);
      case "min":
      case "max": {
        const [[low, high], [low2, high2]] = [boundsOf(a, depth - 1), boundsOf(b, depth - 1)];
        return [Math[x.op](low, low2), Math[x.op](high, high2)];
      }
      default:
        return any;
    }
  })();
  return found[0] < any[0] || found[1] > any[1] ? any : found;
}

const isWithin = (x: Tensor, size: number): boolean => {
  const [low, high] = boundsOf(x);
  return low >= 0 && high < size;
};

/** The groups whose places a list names, where every place is sure to lie within its group. */
function groupsOf(list: Tensor): Table | undefined {
  if (list.op === "reshape") return groupsOf(list.inputs[0] as Tensor);
  if (list.op !== "add") return undefined;
  const [a, b] = list.inputs as readonly [Tensor, Tensor];
  const [place, table] = startsOfGroups(b) === undefined ? [b, startsOfGroups(a)] : [a, startsOfGroups(b)];
  return table !== undefined && isWithin(place, table.size) ? table : undefined;
}

function planFor(rows: number, lists: readonly Tensor[]): Plan | undefined {
  const grouped = lists.map(groupsOf);
  const [first] = grouped;
  const agree = first !== undefined && first.groups * first.size === rows &&
    grouped.every((each) => each?.groups === first.groups && each.size === first.size);
  const table = agree ? first : { groups: 1, size: rows };
  const places = new Map<Tensor, number>();
  let count = 0;
  for (const list of lists) {
    places.set(list, count);
    count += countOf(list) / table.groups;
  }
  // Row numbers that come from the rows themselves would be needed before they are made.
  const circular = topological(lists).some(({ shape }) => shape[0] === rows);
  return count > 0 && count <= largestShare * table.size && !circular
    ? { ...table, places, count }
    : undefined;
}

/** The plan of a graph; tables that are arguments are no use here, since nothing is saved by reading less of them. */
export function findPlan(order: readonly Tensor[]): Plan | undefined {
  const lists = new Map<number, Set<Tensor>>();
  for (const x of order) {
    if (x.op !== "gather") continue;
    const [table, list] = x.inputs as readonly [Tensor, Tensor];
    if (table.op === "parameter" || table.op === "constant") continue;
    const rows = table.shape[0] as number;
    lists.set(rows, (lists.get(rows) ?? new Set()).add(list));
  }
  for (const [rows, found] of lists) {
    const plan = planFor(rows, [...found]);
    if (plan !== undefined) return plan;
  }
  return undefined;
}

/** A value's shape with other sizes where its rows lie. */
export function shapeOfRows(
  shape: readonly number[],
  { axis, group }: Layout,
  { groups, count }: Plan,
): number[] {
  return shape.map((size, i) => i === axis ? (group === undefined ? groups * count : count) : size);
}

/** All read row numbers, int32 [groups · count]. */
export function joinLists({ groups, places }: Plan, made: (list: Tensor) => Tensor): Tensor {
  const parts = [...places.keys()].map((list) => reshape(made(list), [groups, countOf(list) / groups]));
  return reshape(concat(parts, 1), [-1]);
}

/** Moves rows to the front, works on [rows, ...], and moves them back. */
function inFront(x: Tensor, layout: Layout, fn: (x: Tensor) => Tensor): Tensor {
  const { axis, group } = layout;
  if (group === undefined && axis === 0) return fn(x);
  const front = group === undefined ? [axis] : [group, axis];
  const order = [...front, ...x.shape.map((_, i) => i).filter((i) => !front.includes(i))];
  const turned = transpose(x, order);
  const rest = turned.shape.slice(front.length);
  const done = fn(reshape(turned, [-1, ...rest]));
  const groups = group === undefined ? [] : [x.shape[group] as number];
  return transpose(reshape(done, [...groups, -1, ...rest]), order.map((_, i) => order.indexOf(i)));
}

/** The read rows of a whole value. */
export function takeRows(x: Tensor, layout: Layout, index: Tensor): Tensor {
  return inFront(x, layout, (rows) => gather(rows, index));
}

/** A whole value from its read rows, zero elsewhere; rows that are read twice add up. */
export function spreadRows(x: Tensor, layout: Layout, index: Tensor, { groups, size }: Plan): Tensor {
  return inFront(x, layout, (rows) => scatterAdd(index, rows, groups * size));
}

/** Updates of the rows that a list names, zero for rows outside the table, as scatter_add drops them and gather does not. */
export function withoutDropped(updates: Tensor, list: Tensor, { groups, size }: Plan): Tensor {
  const rows = groups * size;
  if (isWithin(list, rows)) return updates;
  const inside = and(compare(list, "ge", 0), compare(list, "lt", rows));
  const shape = updates.shape.map((each, i) => i < list.shape.length ? each : 1);
  return select(broadcastTo(reshape(inside, shape), updates.shape), updates, 0);
}

/** What one list reads, of the rows that all lists read. */
export function rowsOfList(part: Tensor, list: Tensor, { groups, count, places }: Plan): Tensor {
  const rest = part.shape.slice(1);
  const from = places.get(list) as number;
  const mine = countOf(list) / groups;
  const none = rest.map(() => 0);
  const inGroups = reshape(part, [groups, count, ...rest]);
  return reshape(slice(inGroups, [0, from, ...none], [groups, from + mine, ...rest]), [
    ...list.shape,
    ...rest,
  ]);
}

/** The read rows of a value that one list fills, zero where the others read. */
export function listAsRows(updates: Tensor, list: Tensor, { groups, count, places }: Plan): Tensor {
  const rest = updates.shape.slice(list.shape.length);
  const before = places.get(list) as number;
  const mine = countOf(list) / groups;
  const none = (length: number): Tensor[] =>
    length === 0 ? [] : [zeros([groups, length, ...rest], { dtype: updates.dtype })];
  const parts = [...none(before), reshape(updates, [groups, mine, ...rest]), ...none(count - before - mine)];
  return reshape(concat(parts, 1), [groups * count, ...rest]);
}
