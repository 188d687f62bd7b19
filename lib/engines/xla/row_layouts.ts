/**
 * Where the rows of a table lie in the values that are made of it. A table of G·S rows is either flat, rows in axis 0, or
 * split into G groups (the sequences of a batch) of S rows (their places), each in an axis of its own, as attention has
 * them: [G, heads, S, d]. The rules here say for one operation which rows of its inputs a row of its value needs, and where
 * rows of an input end up. They know nothing about gradients or costs; `sparse_rows.ts` uses them.
 */
import { freeDims } from "../../tensor/mod.ts";
import type { Tensor, TensorOf } from "../../tensor/mod.ts";

/** Axis of the rows, and of the groups when the two are apart. */
export type Layout = { readonly axis: number; readonly group?: number };

/** How many groups, and rows in each. */
export type Table = { readonly groups: number; readonly size: number };

/** What an operation reads of one input for some rows of its value: those rows of it, or all of it. */
export type Reading = Layout | "all";

/** Rows in axis 0. */
export const flat: Layout = { axis: 0 };

const halves: Layout = { group: 0, axis: 1 };

/** Operations that work element by element. */
const elementwise: ReadonlySet<string> = new Set([
  ...["neg", "exp", "log", "tanh", "erf", "sqrt", "rsqrt", "abs", "sign", "floor", "not"],
  ...["add", "sub", "mul", "div", "max", "min", "pow", "and", "or", "xor", "shift_right_logical"],
  ...["compare", "select", "cast", "stop_gradient", "barrier"],
]);

/** Whether two layouts are one. */
export function sameLayout(a: Layout, b: Layout): boolean {
  return a.axis === b.axis && a.group === b.group;
}

/** Whether a value can hold the table's rows in this layout. */
export function fitsLayout({ shape }: Tensor, { axis, group }: Layout, { groups, size }: Table): boolean {
  return group === undefined
    ? shape[axis] === groups * size
    : shape[group] === groups && shape[axis] === size;
}

/** The layout with each axis moved; undefined where one has no place. */
function moved({ axis, group }: Layout, to: (axis: number) => number | undefined): Layout | undefined {
  const next = to(axis);
  if (next === undefined || next < 0) return undefined;
  if (group === undefined) return { axis: next };
  const nextGroup = to(group);
  return nextGroup === undefined || nextGroup < 0 ? undefined : { axis: next, group: nextGroup };
}

const equalUpTo = (a: Tensor, b: Tensor, axis: number): boolean =>
  axis < a.shape.length && axis < b.shape.length &&
  a.shape.slice(0, axis + 1).join() === b.shape.slice(0, axis + 1).join();

/** Rows of one side of a reshape as rows of the other; the rule is the same in both directions. */
function throughReshape(from: Tensor, to: Tensor, layout: Layout, table: Table): Layout | undefined {
  if (equalUpTo(from, to, Math.max(layout.axis, layout.group ?? 0))) return layout;
  const other = layout.group === undefined ? halves : flat;
  return (layout.group === undefined || sameLayout(layout, halves)) && fitsLayout(to, other, table)
    ? other
    : undefined;
}

/** Axes of a dot's value: which axis of which operand each of them is. */
function sourcesOf(
  { inputs, attributes }: TensorOf<"dot">,
): readonly { readonly a?: number; readonly b?: number }[] {
  const [a, b] = inputs as readonly [Tensor, Tensor];
  const [freeA, freeB] = freeDims(a.shape, b.shape, attributes);
  const { batch } = attributes;
  return [
    ...batch[0].map((axis, i) => ({ a: axis, b: batch[1][i] as number })),
    ...freeA.map((axis) => ({ a: axis })),
    ...freeB.map((axis) => ({ b: axis })),
  ];
}

function readByDot(x: TensorOf<"dot">, { axis, group }: Layout): readonly Reading[] | undefined {
  const sources = sourcesOf(x);
  const rows = sources[axis] ?? {};
  const groups = group === undefined ? undefined : sources[group];
  const side = rows.a === undefined ? "b" : "a";
  // Rows that both operands share are paired one to one; that does not occur where rows are worth the trouble.
  if (rows.a !== undefined && rows.b !== undefined) return undefined;
  const from = groups?.[side];
  if (groups !== undefined && from === undefined) return undefined;
  const mine: Layout = { axis: rows[side] as number, ...(from === undefined ? {} : { group: from }) };
  if (from === undefined && mine.axis !== 0) return undefined;
  return side === "a" ? [mine, "all"] : ["all", mine];
}

function readByBroadcast(x: TensorOf<"broadcast">, layout: Layout): readonly Reading[] | undefined {
  const input = x.inputs[0] as Tensor;
  const place = (axis: number): number => x.attributes.dims.indexOf(axis);
  const repeated = (axis: number): boolean => place(axis) < 0 || input.shape[place(axis)] !== x.shape[axis];
  if (repeated(layout.axis)) return ["all"];
  if (layout.group !== undefined && repeated(layout.group)) return undefined;
  const from = moved(layout, place);
  return from === undefined || (from.group === undefined && from.axis !== 0) ? undefined : [from];
}

/**
 * What an operation reads for the rows of its value in a layout.
 *
 * @returns One reading per input; undefined when the operation mixes rows, or depends on their numbers.
 */
export function readings(x: Tensor, layout: Layout, table: Table): readonly Reading[] | undefined {
  if (!fitsLayout(x, layout, table)) return undefined;
  if (elementwise.has(x.op)) return x.inputs.map(() => layout);
  const from = (found: Layout | undefined): readonly Reading[] | undefined =>
    found === undefined ? undefined : [found];
  switch (x.op) {
    case "constant":
      return typeof x.attributes.value === "number" ? [] : undefined;
    case "iota":
      return x.attributes.axis === layout.axis ? undefined : [];
    case "broadcast":
      return readByBroadcast(x, layout);
    case "reshape":
      return from(throughReshape(x, x.inputs[0] as Tensor, layout, table));
    case "transpose":
      return from(moved(layout, (axis) => x.attributes.permutation[axis]));
    case "reduce_sum":
    case "reduce_max": {
      const { axes } = x.attributes;
      const kept = (x.inputs[0] as Tensor).shape.map((_, axis) => axis).filter((axis) =>
        !axes.includes(axis)
      );
      return from(moved(layout, (axis) => kept[axis]));
    }
    case "dot":
      return readByDot(x, layout);
    default:
      return undefined;
  }
}

/** Where rows of input `i` lie in the value, when the operation keeps rows apart. */
export function follows(x: Tensor, i: number, layout: Layout, table: Table): Layout | undefined {
  const candidate = ((): Layout | undefined => {
    if (elementwise.has(x.op)) return layout;
    switch (x.op) {
      case "broadcast":
        return moved(layout, (axis) => x.attributes.dims[axis]);
      case "reshape":
        return throughReshape(x.inputs[0] as Tensor, x, layout, table);
      case "transpose":
        return moved(layout, (axis) => x.attributes.permutation.indexOf(axis));
      case "reduce_sum": {
        const { axes } = x.attributes;
        const shift = (axis: number): number =>
          axes.includes(axis) ? -1 : axis - axes.filter((a) => a < axis).length;
        return moved(layout, shift);
      }
      case "dot": {
        const sources = sourcesOf(x);
        return moved(layout, (axis) => sources.findIndex(({ a, b }) => (i === 0 ? a : b) === axis));
      }
      default:
        return undefined;
    }
  })();
  if (candidate === undefined) return undefined;
  const back = readings(x, candidate, table)?.[i];
  return back !== undefined && back !== "all" && sameLayout(back, layout) ? candidate : undefined;
}

/**
 * Where the rows of the other operand lie when a dot sums over the rows of operand `i`; undefined when it does not, or
 * sums over rows that are not paired with each other.
 */
export function summedWith(x: TensorOf<"dot">, i: number, { axis, group }: Layout): Layout | undefined {
  const { batch, contract } = x.attributes;
  const [mine, other] = i === 0 ? [0, 1] as const : [1, 0] as const;
  const at = contract[mine].indexOf(axis);
  if (at < 0) return undefined;
  const partner = contract[other][at] as number;
  if (group === undefined) return partner === 0 ? flat : undefined;
  const [inBatch, inContract] = [batch[mine].indexOf(group), contract[mine].indexOf(group)];
  const partnerGroup = inBatch >= 0 ? batch[other][inBatch] : contract[other][inContract];
  return partnerGroup === undefined ? undefined : { axis: partner, group: partnerGroup };
}
