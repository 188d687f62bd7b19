/**
 * Views: how a kernel walks over memory. Reshape, transpose, broadcast and slice only change offset, sizes and steps, so
 * they cost nothing as long as the next kernel can walk that way.
 */
import type { Shape, Tensor } from "../../../tensor/mod.ts";
import { sizeOf } from "../../../tensor/mod.ts";

/** A walk over memory, in elements. */
export type Walk = { readonly offset: number; readonly shape: Shape; readonly strides: readonly number[] };

/** Row-major steps. */
export function contiguous(shape: Shape): Walk {
  const strides: number[] = new Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return { offset: 0, shape, strides };
}

/** Whether a walk meets its memory in row-major order without gaps. */
export function isContiguous({ shape, strides }: Walk): boolean {
  const plain = contiguous(shape).strides;
  return shape.every((size, axis) => size === 1 || strides[axis] === plain[axis]);
}

/** The same walk under another shape, or undefined where the steps do not allow it. */
export function reshapeWalk({ offset, shape, strides }: Walk, wanted: Shape): Walk | undefined {
  if (sizeOf(shape) === 0) return contiguous(wanted);
  const old = shape.flatMap((size, axis) => size === 1 ? [] : [{ size, stride: strides[axis] as number }]);
  const steps: number[] = new Array(wanted.length).fill(0);
  let from = 0;
  let axis = 0;
  while (axis < wanted.length) {
    if (wanted[axis] === 1) {
      axis++;
      continue;
    }
    // One run of old dimensions against one run of new ones of equal product.
    let [last, end] = [from, axis];
    let have = old[last]?.size ?? 0;
    let want = wanted[end] as number;
    while (have !== want) {
      if (have < want) have *= old[++last]?.size ?? NaN;
      else want *= wanted[++end] ?? NaN;
      if (Number.isNaN(have) || Number.isNaN(want)) return undefined;
    }
    for (let i = from; i < last; i++) {
      const [outer, inner] = [old[i], old[i + 1]] as [typeof old[number], typeof old[number]];
      if (outer.stride !== inner.stride * inner.size) return undefined;
    }
    let step = (old[last] as typeof old[number]).stride;
    for (let i = end; i >= axis; i--) {
      steps[i] = step;
      step *= wanted[i] as number;
    }
    [from, axis] = [last + 1, end + 1];
  }
  return { offset, shape: wanted, strides: steps };
}

/** The walk of a transpose, broadcast or slice over the memory of its input. */
export function layoutWalk(node: Tensor, { offset, strides }: Walk): Walk | undefined {
  const input = node.inputs[0] as Tensor;
  switch (node.op) {
    case "transpose":
      return {
        offset,
        shape: node.shape,
        strides: node.attributes.permutation.map((axis) => strides[axis] as number),
      };
    case "broadcast": {
      const { dims } = node.attributes;
      const steps = node.shape.map((_, axis) => {
        const from = dims.indexOf(axis);
        return from < 0 || input.shape[from] === 1 ? 0 : strides[from] as number;
      });
      return { offset, shape: node.shape, strides: steps };
    }
    case "slice": {
      const start = node.attributes.start.reduce((sum, at, axis) => sum + at * (strides[axis] as number), 0);
      return { offset: offset + start, shape: node.shape, strides };
    }
    default:
      return undefined;
  }
}

/** Sizes of 1 dropped and neighbouring dimensions joined where every walk allows it; at least one dimension stays. */
export function collapse(
  shape: Shape,
  walks: readonly (readonly number[])[],
): { readonly shape: number[]; readonly strides: number[][] } {
  const sizes: number[] = [];
  const steps: number[][] = walks.map(() => []);
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const last = sizes.length - 1;
    const joins = last >= 0 &&
      walks.every((strides, i) => (steps[i] as number[])[last] === (strides[axis] as number) * size);
    if (joins) sizes[last] = (sizes[last] as number) * size;
    else sizes.push(size);
    walks.forEach((strides, i) => (steps[i] as number[])[sizes.length - 1] = strides[axis] as number);
  });
  if (sizes.length === 0) {
    sizes.push(1);
    steps.forEach((list) => list.push(0));
  }
  return { shape: sizes, strides: steps };
}
