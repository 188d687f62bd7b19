/**
 * How a dot becomes one product kernel: its dimensions sorted into rows, columns, summed ones and outer loops, joined
 * where their steps allow it. Operands are read where they are; only summed dimensions that no single step can walk
 * force a copy.
 */
import type { Tensor, TensorOf } from "../../../tensor/mod.ts";
import type { Grouping } from "./grouping.ts";
import type { ProductSpec } from "./product_kernel.ts";
import { collapse, contiguous } from "./views.ts";

type Side = {
  readonly node: Tensor;
  readonly batch: readonly number[];
  readonly free: readonly number[];
  readonly contract: readonly number[];
};

/** The operands of a product with the roles of their dimensions. */
export type Operands = { readonly a: Side; readonly b: Side };

const pick = (list: readonly number[], axes: readonly number[]): number[] =>
  axes.map((axis) => list[axis] as number);

function sideOf(node: Tensor, batch: readonly number[], contract: readonly number[]): Side {
  const free = node.shape.map((_, axis) => axis).filter((axis) =>
    !batch.includes(axis) && !contract.includes(axis)
  );
  return { node, batch, free, contract };
}

/** The same operand in own memory, ordered batch, free, contract. */
function copied(grouping: Grouping, { node, batch, free, contract }: Side): Side {
  const copy = grouping.copyOf(node, [...batch, ...free, ...contract]);
  const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
  return {
    node: copy,
    batch: range(0, batch.length),
    free: range(batch.length, free.length),
    contract: range(batch.length + free.length, contract.length),
  };
}

function sumsInOneStep(grouping: Grouping, { node, contract }: Side): boolean {
  const { strides } = grouping.place(node).walk;
  return collapse(pick(node.shape, contract), [pick(strides, contract)]).shape.length === 1;
}

/** The operands of a dot, copied where their summed dimensions cannot be walked in one step. */
export function productOperands(grouping: Grouping, { inputs, attributes }: TensorOf<"dot">): Operands {
  const { batch, contract } = attributes;
  const side = (i: 0 | 1): Side => {
    const made = sideOf(inputs[i] as Tensor, batch[i], contract[i]);
    return sumsInOneStep(grouping, made) ? made : copied(grouping, made);
  };
  return { a: side(0), b: side(1) };
}

type Loop = ProductSpec["batch"][number];

/** The kernel of a dot; `swapped` when the right operand takes the place of the left one. */
export function productSpec(
  grouping: Grouping,
  node: Tensor,
  { a, b }: Operands,
): { readonly spec: ProductSpec; readonly swapped: boolean } {
  const [wa, wb] = [grouping.place(a.node).walk, grouping.place(b.node).walk];
  const out = contiguous(node.shape).strides;
  const outBatch = out.slice(0, a.batch.length);
  const outRows = out.slice(a.batch.length, a.batch.length + a.free.length);
  const outColumns = out.slice(a.batch.length + a.free.length);
  const batch = collapse(pick(a.node.shape, a.batch), [
    pick(wa.strides, a.batch),
    pick(wb.strides, b.batch),
    outBatch,
  ]);
  const m = collapse(pick(a.node.shape, a.free), [pick(wa.strides, a.free), outRows]);
  const n = collapse(pick(b.node.shape, b.free), [pick(wb.strides, b.free), outColumns]);
  const k = collapse(pick(a.node.shape, a.contract), [pick(wa.strides, a.contract)]);
  const kb = collapse(pick(b.node.shape, b.contract), [pick(wb.strides, b.contract)]);
  const loops: Loop[] = batch.shape.map((size, i) => ({
    size,
    a: batch.strides[0]?.[i] as number,
    b: batch.strides[1]?.[i] as number,
    c: batch.strides[2]?.[i] as number,
  }));
  m.shape.slice(0, -1).forEach((size, i) =>
    loops.push({ size, a: m.strides[0]?.[i] as number, b: 0, c: m.strides[1]?.[i] as number })
  );
  n.shape.slice(0, -1).forEach((size, i) =>
    loops.push({ size, a: 0, b: n.strides[0]?.[i] as number, c: n.strides[1]?.[i] as number })
  );
  const last = (list: readonly number[] | undefined): number => list?.at(-1) as number;
  const left = { offset: wa.offset, free: last(m.strides[0]), k: last(k.strides[0]), size: last(m.shape) };
  const right = { offset: wb.offset, free: last(n.strides[0]), k: last(kb.strides[0]), size: last(n.shape) };
  // One column is one row of the transposed product, whose columns are neighbours.
  const swapped = right.size === 1 && left.size > 1 && last(m.strides[1]) === 1;
  const [rows, columns] = swapped ? [right, left] : [left, right];
  const spec: ProductSpec = {
    m: rows.size,
    n: columns.size,
    k: last(k.shape),
    a: { offset: rows.offset, m: rows.free, k: rows.k },
    b: { offset: columns.offset, k: columns.k, n: columns.free },
    c: { m: last(swapped ? n.strides[1] : m.strides[1]) },
    batch: loops.filter(({ size }) => size !== 1).map((loop) =>
      swapped ? { size: loop.size, a: loop.b, b: loop.a, c: loop.c } : loop
    ),
    integer: node.dtype !== "float32",
  };
  return { spec, swapped };
}
