/**
 * Host memory of the reference engine: floats as Float64Array, integers as their own arrays, bool as 0 and 1; and the
 * index arithmetic that its loops share.
 */
import type { DType, HostArray, Shape } from "../../tensor/mod.ts";

/** Memory of one value. */
export type Values = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

/** Zeros of the right kind. */
export function makeValues(dtype: DType, length: number): Values {
  switch (dtype) {
    case "int32":
      return new Int32Array(length);
    case "uint32":
      return new Uint32Array(length);
    case "bool":
      return new Uint8Array(length);
    default:
      return new Float64Array(length);
  }
}

/** A copy of host values in the engine's own kind of memory. */
export function fromHost(values: HostArray, dtype: DType): Values {
  const copy = makeValues(dtype, values.length);
  if (dtype === "bool") values.forEach((x, i) => copy[i] = x === 0 ? 0 : 1);
  else copy.set(values);
  return dtype === "bfloat16" ? roundToBfloat16(copy) : copy;
}

const scratch = { float: new Float32Array(1) };

/** Rounds floats to bfloat16 (nearest, ties to even), in place. */
export function roundToBfloat16(values: Values): Values {
  const bits = new Uint32Array(scratch.float.buffer);
  for (let i = 0; i < values.length; i++) {
    scratch.float[0] = values[i] as number;
    const word = bits[0] as number;
    if ((word & 0x7f800000) !== 0x7f800000) {
      bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
    }
    values[i] = scratch.float[0] as number;
  }
  return values;
}

/** Elements between neighbours along each dimension, row-major. */
export function stridesOf(shape: Shape): number[] {
  const strides: number[] = new Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return strides;
}

/** Number of elements. */
export function countOf(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * The offsets that a walk over `shape` in row-major order meets when it steps by `strides`, starting at `base`.
 */
export function offsets(shape: Shape, strides: readonly number[], base: number = 0): Int32Array {
  const total = countOf(shape);
  const found = new Int32Array(total);
  const index = new Array<number>(shape.length).fill(0);
  let at = base;
  for (let i = 0; i < total; i++) {
    found[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      at -= (strides[axis] as number) * (shape[axis] as number);
      index[axis] = 0;
    }
  }
  return found;
}
