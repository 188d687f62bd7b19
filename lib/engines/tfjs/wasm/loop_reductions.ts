/**
 * Sums and maxima of loops: how they start, combine and end.
 */
import type { DType } from "../../../tensor/mod.ts";
import { isFloat } from "./loop_spec.ts";
import type { Reduction } from "./loop_spec.ts";
import type { MathContext } from "./vector_math.ts";

/** The value with which a maximum starts. */
function lowest({ float, int }: MathContext, dtype: DType): void {
  if (isFloat(dtype)) float(-Infinity);
  else int(dtype === "uint32" ? 0 : -(2 ** 31));
}

/** Adds the vector on the stack to the one below it, or takes the larger. */
export function combine({ f }: MathContext, { kind, dtype }: Reduction): void {
  if (kind === "sum") f.emit(isFloat(dtype) ? "f32x4Add" : "i32x4Add");
  else f.emit(isFloat(dtype) ? "f32x4Max" : dtype === "uint32" ? "i32x4MaxU" : "i32x4MaxS");
}

/** Pushes the value with which a reduction starts. */
export function startOf(math: MathContext, { kind, dtype }: Reduction): void {
  if (kind === "sum") math.int(0);
  else lowest(math, dtype);
}

/** Fills a result with the value that a reduction starts with. */
export function clear(math: MathContext, reduction: Reduction): void {
  const { f } = math;
  const bytes = 4 * reduction.count;
  if (reduction.kind === "sum" || bytes === 0) {
    f.get(reduction.pointer);
    if (reduction.offset > 0) {
      f.i32(4 * reduction.offset);
      f.emit("add");
    }
    f.i32(0);
    f.i32(bytes);
    f.bulk("fill");
    return;
  }
  const left = f.local("i32");
  f.i32(bytes);
  f.set(left);
  f.repeat(left, 4, () => {
    f.get(reduction.pointer, left);
    f.emit("add");
    f.i32(4);
    f.emit("sub");
    startOf(math, reduction);
    f.memory("storeLane", 4 * reduction.offset, 0);
  });
}

/** Joins the four lanes of a row's sum and adds them to its place (or stores them where nothing else adds). */
export function finishRow(
  math: MathContext,
  reduction: Reduction,
  sum: number,
  cursor: number,
  alone: boolean,
): void {
  const { f } = math;
  for (const lanes of [[2, 3, 0, 1], [1, 0, 3, 2]]) {
    f.get(sum, sum, sum);
    f.shuffle(lanes);
    combine(math, reduction);
    f.set(sum);
  }
  f.get(cursor, sum);
  if (!alone) {
    f.get(cursor);
    f.memory("loadZero", 4 * reduction.offset);
    combine(math, reduction);
  }
  f.memory("storeLane", 4 * reduction.offset, 0);
}
