/**
 * One plain loop per primitive operation, in float64: the oracle that other engines are compared with, so nothing here
 * is clever. Integers wrap modulo 2^32.
 */
import { hashBits } from "../../tensor/mod.ts";
import type { OperationName, Tensor, TensorOf } from "../../tensor/mod.ts";
import { erf, saturate } from "./special.ts";
import { countOf, makeValues, offsets, stridesOf } from "./values.ts";
import type { Values } from "./values.ts";

/** Computes a node from the values of its inputs. */
export type Kernel<Name extends OperationName> = (
  node: TensorOf<Name>,
  inputs: readonly Values[],
) => Values;

/** One kernel per operation; parameters are given, scans arrive unrolled. */
export type Kernels = {
  readonly [Name in Exclude<OperationName, "parameter" | "scan" | "result">]: Kernel<Name>;
};

const outputOf = ({ dtype, shape }: Pick<Tensor, "dtype" | "shape">): Values =>
  makeValues(dtype, countOf(shape));

function unary(
  fn: (x: number) => number,
): (node: Pick<Tensor, "dtype" | "shape">, inputs: readonly Values[]) => Values {
  return (node, [x]) => {
    const out = outputOf(node);
    const from = x as Values;
    for (let i = 0; i < out.length; i++) out[i] = fn(from[i] as number);
    return out;
  };
}

type Fn2 = (a: number, b: number) => number;

function binary(fn: Fn2): (node: Pick<Tensor, "dtype" | "shape">, inputs: readonly Values[]) => Values {
  return (node, [a, b]) => {
    const out = outputOf(node);
    const left = a as Values;
    const right = b as Values;
    for (let i = 0; i < out.length; i++) out[i] = fn(left[i] as number, right[i] as number);
    return out;
  };
}

const copy = (node: Pick<Tensor, "dtype" | "shape">, [x]: readonly Values[]): Values => {
  const out = outputOf(node);
  out.set(x as Values);
  return out;
};

const larger: Fn2 = (a, b) => Number.isNaN(a) || Number.isNaN(b) ? NaN : a > b ? a : b;
const smaller: Fn2 = (a, b) => Number.isNaN(a) || Number.isNaN(b) ? NaN : a < b ? a : b;

const comparisons: { readonly [Name in "eq" | "ne" | "lt" | "le" | "gt" | "ge"]: Fn2 } = {
  eq: (a, b) => a === b ? 1 : 0,
  ne: (a, b) => a !== b ? 1 : 0,
  lt: (a, b) => a < b ? 1 : 0,
  le: (a, b) => a <= b ? 1 : 0,
  gt: (a, b) => a > b ? 1 : 0,
  ge: (a, b) => a >= b ? 1 : 0,
};

/** Gathers by offsets: out[i] = x[where[i]]. */
function pick(node: Pick<Tensor, "dtype" | "shape">, x: Values, where: Int32Array): Values {
  const out = outputOf(node);
  for (let i = 0; i < out.length; i++) out[i] = x[where[i] as number] as number;
  return out;
}

function reduce(
  node: TensorOf<"reduce_sum"> | TensorOf<"reduce_max">,
  x: Values,
  start: number,
  fn: Fn2,
): Values {
  const { shape } = node.inputs[0] as Tensor;
  const kept = shape.map((_, axis) => axis).filter((axis) => !node.attributes.axes.includes(axis));
  const strides = stridesOf(node.shape);
  const where = offsets(shape, shape.map((_, axis) => strides[kept.indexOf(axis)] ?? 0));
  const out = outputOf(node).fill(start);
  for (let i = 0; i < x.length; i++) {
    const to = where[i] as number;
    out[to] = fn(out[to] as number, x[i] as number);
  }
  return out;
}

function dot(node: TensorOf<"dot">, a: Values, b: Values): Values {
  const [left, right] = node.inputs as readonly [Tensor, Tensor];
  const { batch, contract } = node.attributes;
  const free = ({ shape }: Tensor, side: 0 | 1): number[] =>
    shape.map((_, axis) => axis).filter((axis) =>
      !batch[side].includes(axis) && !contract[side].includes(axis)
    );
  const walk = ({ shape }: Tensor, axes: readonly number[]): Int32Array => {
    const strides = stridesOf(shape);
    return offsets(axes.map((axis) => shape[axis] as number), axes.map((axis) => strides[axis] as number));
  };
  const [batchA, batchB] = [walk(left, batch[0]), walk(right, batch[1])];
  const [rows, columns] = [walk(left, free(left, 0)), walk(right, free(right, 1))];
  const [innerA, innerB] = [walk(left, contract[0]), walk(right, contract[1])];
  const out = outputOf(node);
  const whole = node.dtype === "int32" || node.dtype === "uint32";
  let at = 0;
  for (let n = 0; n < batchA.length; n++) {
    for (const row of rows) {
      for (const column of columns) {
        const fromA = (batchA[n] as number) + row;
        const fromB = (batchB[n] as number) + column;
        let sum = 0;
        for (let k = 0; k < innerA.length; k++) {
          const x = a[fromA + (innerA[k] as number)] as number;
          const y = b[fromB + (innerB[k] as number)] as number;
          sum = whole ? (sum + Math.imul(x, y)) | 0 : sum + x * y;
        }
        out[at++] = sum;
      }
    }
  }
  return out;
}

function pad(node: TensorOf<"pad">, x: Values): Values {
  const { low, value } = node.attributes;
  const { shape } = node.inputs[0] as Tensor;
  const strides = stridesOf(node.shape);
  const base = low.reduce((sum, count, axis) => sum + count * (strides[axis] as number), 0);
  const out = outputOf(node).fill(value);
  offsets(shape, strides, base).forEach((to, i) => out[to] = x[i] as number);
  return out;
}

function concat(node: TensorOf<"concat">, inputs: readonly Values[]): Values {
  const out = outputOf(node);
  const { axis } = node.attributes;
  const strides = stridesOf(node.shape);
  let at = 0;
  node.inputs.forEach(({ shape }, n) => {
    const x = inputs[n] as Values;
    offsets(shape, strides, at * (strides[axis] as number)).forEach((to, i) => out[to] = x[i] as number);
    at += shape[axis] as number;
  });
  return out;
}

function gather(node: TensorOf<"gather">, table: Values, indices: Values): Values {
  const [rows = 0, ...rest] = (node.inputs[0] as Tensor).shape;
  const width = countOf(rest);
  const out = outputOf(node);
  for (let i = 0; i < indices.length; i++) {
    const row = Math.min(Math.max(indices[i] as number, 0), rows - 1);
    for (let j = 0; j < width; j++) out[i * width + j] = table[row * width + j] as number;
  }
  return out;
}

function scatterAdd(node: TensorOf<"scatter_add">, indices: Values, updates: Values): Values {
  const out = outputOf(node);
  const { rows } = node.attributes;
  const width = rows === 0 ? 0 : out.length / rows;
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i] as number;
    if (row < 0 || row >= rows) continue;
    for (let j = 0; j < width; j++) {
      out[row * width + j] = (out[row * width + j] as number) + (updates[i * width + j] as number);
    }
  }
  return out;
}

function cast(node: TensorOf<"cast">, x: Values): Values {
  const out = outputOf(node);
  const source = (node.inputs[0] as Tensor).dtype;
  const fromFloat = source === "float32" || source === "bfloat16";
  for (let i = 0; i < out.length; i++) {
    const value = x[i] as number;
    if (node.dtype === "bool") out[i] = value === 0 ? 0 : 1;
    else if (node.dtype === "int32" && fromFloat) out[i] = saturate(value, -(2 ** 31), 2 ** 31 - 1);
    else if (node.dtype === "uint32" && fromFloat) out[i] = saturate(value, 0, 2 ** 32 - 1);
    else out[i] = value;
  }
  return out;
}

/** All kernels. */
export const kernels = (): Kernels => ({
  constant: (node) => {
    const { value } = node.attributes;
    const out = outputOf(node);
    if (typeof value === "number") return out.fill(node.dtype === "bool" && value !== 0 ? 1 : value);
    if (node.dtype === "bool") value.forEach((x, i) => out[i] = x === 0 ? 0 : 1);
    else out.set(value);
    return out;
  },
  iota: (node) => {
    const strides = node.shape.map((_, axis) => axis === node.attributes.axis ? 1 : 0);
    const out = outputOf(node);
    out.set(offsets(node.shape, strides));
    return out;
  },
  neg: unary((x) => -x),
  exp: unary(Math.exp),
  log: unary(Math.log),
  tanh: unary(Math.tanh),
  erf: unary(erf),
  sqrt: unary(Math.sqrt),
  rsqrt: unary((x) => 1 / Math.sqrt(x)),
  abs: unary(Math.abs),
  sign: unary(Math.sign),
  floor: unary(Math.floor),
  not: unary((x) => x === 0 ? 1 : 0),
  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: (node, inputs) =>
    (node.dtype === "int32" || node.dtype === "uint32" ? binary(Math.imul) : binary((a, b) => a * b))(
      node,
      inputs,
    ),
  div: binary((a, b) => a / b),
  max: binary(larger),
  min: binary(smaller),
  pow: binary((a, b) => a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : Math.pow(a, b)),
  and: binary((a, b) => a & b),
  or: binary((a, b) => a | b),
  xor: binary((a, b) => a ^ b),
  shift_right_logical: binary((a, b) => a >>> b),
  compare: (node, inputs) => binary(comparisons[node.attributes.direction])(node, inputs),
  select: (node, [condition, a, b]) => {
    const out = outputOf(node);
    const chosen = condition as Values;
    for (let i = 0; i < out.length; i++) out[i] = ((chosen[i] === 0 ? b : a) as Values)[i] as number;
    return out;
  },
  cast: (node, [x]) => cast(node, x as Values),
  reshape: copy,
  transpose: (node, [x]) => {
    const strides = stridesOf((node.inputs[0] as Tensor).shape);
    const where = offsets(node.shape, node.attributes.permutation.map((axis) => strides[axis] as number));
    return pick(node, x as Values, where);
  },
  broadcast: (node, [x]) => {
    const { shape } = node.inputs[0] as Tensor;
    const strides = stridesOf(shape);
    const steps = node.shape.map((_, axis) => {
      const from = node.attributes.dims.indexOf(axis);
      return from < 0 || shape[from] === 1 ? 0 : strides[from] as number;
    });
    return pick(node, x as Values, offsets(node.shape, steps));
  },
  slice: (node, [x]) => {
    const strides = stridesOf((node.inputs[0] as Tensor).shape);
    const base = node.attributes.start.reduce((sum, from, axis) => sum + from * (strides[axis] as number), 0);
    return pick(node, x as Values, offsets(node.shape, strides, base));
  },
  pad: (node, [x]) => pad(node, x as Values),
  concat,
  dot: (node, [a, b]) => dot(node, a as Values, b as Values),
  reduce_sum: (node, [x]) => reduce(node, x as Values, 0, (a, b) => a + b),
  reduce_max: (node, [x]) =>
    reduce(
      node,
      x as Values,
      node.dtype === "int32" ? -(2 ** 31) : node.dtype === "uint32" ? 0 : -Infinity,
      larger,
    ),
  gather: (node, [table, indices]) => gather(node, table as Values, indices as Values),
  scatter_add: (node, [indices, updates]) => scatterAdd(node, indices as Values, updates as Values),
  random_bits: (node, [key]) => {
    const [k0 = 0, k1 = 0] = key as Values;
    const out = outputOf(node);
    for (let i = 0; i < out.length; i++) out[i] = hashBits(k0, k1, i);
    return out;
  },
  stop_gradient: copy,
  barrier: copy,
  all_reduce: copy,
});
