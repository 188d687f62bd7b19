/**
 * Our own WebGPU kernels, for what tfjs lacks there or computes as floats (integers beyond 2^24 lose bits, even where they
 * are only moved): integers one by one, moved integers, random bits and scattered sums. Each is a line of WGSL over flat
 * memory; uint32 lives as the bits of an int32.
 */
import type { Comparison, Tensor, TensorOf } from "../../tensor/mod.ts";
import { sizeOf } from "../../tensor/mod.ts";
import type { TensorInfo } from "./backend.ts";
import type { Context, StockKernels } from "./stock_kernels.ts";
import { stockKernels } from "./stock_kernels.ts";

const isInteger = ({ dtype }: Pick<Tensor, "dtype">): boolean => dtype === "int32" || dtype === "uint32";
const shapeOf = (node: Tensor, i: number): readonly number[] => (node.inputs[i] as Tensor).shape;

/** `expression` says what stands at `index` of the result, of inputs A, B and C. */
function shade(
  context: Context,
  node: Tensor,
  inputs: readonly TensorInfo[],
  expression: string,
  before: string = "",
): TensorInfo {
  const dtype = node.dtype === "uint32" ? "int32" : node.dtype as TensorInfo["dtype"];
  const code =
    `fn main(index : i32) { if (index < uniforms.size) { ${before} result[index] = ${expression}; } }`;
  const made = context.shade(code, inputs, { elements: sizeOf(node.shape), dtype });
  return { ...made, shape: [...node.shape] };
}

type Binary = (context: Context, node: Tensor, inputs: readonly TensorInfo[]) => TensorInfo;

/** On integers by the expression, where there is an unsigned one for those; on other types by tfjs' kernel. */
function onIntegers(kernel: keyof StockKernels, signed: string, unsigned: string = signed) {
  const stock = stockKernels()[kernel] as (...given: Parameters<Binary>) => TensorInfo | Promise<TensorInfo>;
  return (context: Context, node: Tensor, inputs: readonly TensorInfo[]): TensorInfo | Promise<TensorInfo> =>
    isInteger(node)
      ? shade(context, node, inputs, node.dtype === "uint32" ? unsigned : signed)
      : stock(context, node, inputs);
}

const word = (name: string): string => `bitcast<u32>(${name}[index])`;

const signs: { readonly [Direction in Comparison]: string } = {
  ...{ eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=" },
};

function compare(context: Context, node: TensorOf<"compare"> & Tensor, inputs: readonly TensorInfo[]) {
  const given = node.inputs[0] as Tensor;
  if (!isInteger(given)) return stockKernels().compare(context, node, inputs);
  const sign = signs[node.attributes.direction];
  const test = given.dtype === "uint32" ? `${word("A")} ${sign} ${word("B")}` : `A[index] ${sign} B[index]`;
  return shade(context, node, inputs, `select(0, 1, ${test})`);
}

const stridesOf = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));

/** Where the element at `index` of a result lies in its input, which is walked by `steps` from `start`. */
function place(shape: readonly number[], steps: readonly number[], start: number = 0): string {
  const strides = stridesOf(shape);
  const terms = shape.flatMap((size, axis) =>
    size === 1 || steps[axis] === 0 ? [] : [`index / ${strides[axis]} % ${size} * ${steps[axis]}`]
  );
  return [String(start), ...terms].join(" + ");
}

/** Moves integers; tfjs moves the rest. */
function moved<Name extends "transpose" | "broadcast" | "slice">(
  name: Name,
  where: (node: TensorOf<Name> & Tensor) => string,
): StockKernels[Name] {
  const stock = stockKernels()[name] as (...given: Parameters<Binary>) => TensorInfo | Promise<TensorInfo>;
  return ((context: Context, node: TensorOf<Name> & Tensor, inputs: readonly TensorInfo[]) =>
    isInteger(node)
      ? shade(context, node, inputs, `A[${where(node)}]`)
      : stock(context, node, inputs)) as StockKernels[Name];
}

function gather(context: Context, node: TensorOf<"gather"> & Tensor, inputs: readonly TensorInfo[]) {
  if (!isInteger(node)) return stockKernels().gather(context, node, inputs);
  const [rows = 0, ...row] = shapeOf(node, 0);
  const width = sizeOf(row);
  return shade(
    context,
    node,
    inputs,
    `A[clamp(B[index / ${width}], 0, ${rows - 1}) * ${width} + index % ${width}]`,
  );
}

/**
 * The sum of all updates of a row, in their order: for each row its first update, for each update the next one of the same
 * row; then every element follows that chain.
 */
function scatterAdd(
  context: Context,
  node: TensorOf<"scatter_add"> & Tensor,
  [indices, updates]: readonly TensorInfo[],
): TensorInfo {
  const { rows } = node.attributes;
  const count = sizeOf(shapeOf(node, 0));
  const width = sizeOf(node.shape) / rows;
  const search = (from: string, what: string, elements: number): TensorInfo =>
    context.shade(
      `fn main(index : i32) { if (index < uniforms.size) {
        var found = -1;
        for (var i = ${from}; i < ${count}; i++) { if (A[i] == ${what}) { found = i; break; } }
        result[index] = found; } }`,
      [indices as TensorInfo],
      { elements, dtype: "int32" },
    );
  const first = search("0", "index", rows);
  const next = search("index + 1", "A[index]", count);
  const zero = node.dtype === "float32" ? "0.0" : "0";
  const out = shade(
    context,
    node,
    [first, next, updates as TensorInfo],
    "sum",
    `var sum = ${zero}; var at = A[index / ${width}];
     while (at >= 0) { sum += C[at * ${width} + index % ${width}]; at = B[at]; }`,
  );
  context.free(first);
  context.free(next);
  return out;
}

/** The hash that `random_bits.ts` states. */
function randomBits(context: Context, node: Tensor, inputs: readonly TensorInfo[]): TensorInfo {
  const mix = `x ^= x >> 16u; x *= 0x7feb352du; x ^= x >> 15u; x *= 0x846ca68bu; x ^= x >> 16u;`;
  return shade(
    context,
    node,
    inputs,
    "bitcast<i32>(x)",
    `let i = bitcast<u32>(index); var x = i * 0x9e3779b9u + bitcast<u32>(A[0]); ${mix}
     x = (x ^ bitcast<u32>(A[1])) + i; ${mix}`,
  );
}

/** The entries that differ from those on tfjs' kernels. */
export const webgpuOperations = (): Partial<StockKernels> => ({
  add: onIntegers("add", "A[index] + B[index]"),
  sub: onIntegers("sub", "A[index] - B[index]"),
  mul: onIntegers("mul", "A[index] * B[index]"),
  max: onIntegers("max", "max(A[index], B[index])", `bitcast<i32>(max(${word("A")}, ${word("B")}))`),
  min: onIntegers("min", "min(A[index], B[index])", `bitcast<i32>(min(${word("A")}, ${word("B")}))`),
  and: onIntegers("and", "A[index] & B[index]"),
  or: onIntegers("or", "A[index] | B[index]"),
  xor: onIntegers("xor", "A[index] ^ B[index]"),
  // WGSL takes a shift modulo 32.
  shift_right_logical: onIntegers(
    "shift_right_logical",
    `select(0, bitcast<i32>(${word("A")} >> (${word("B")} & 31u)), ${word("B")} < 32u)`,
  ),
  compare,
  select: onIntegers("select", "select(C[index], B[index], A[index] != 0)"),
  cast: (context, node, inputs) =>
    (node.inputs[0] as Tensor).dtype === "uint32" && node.dtype === "float32"
      ? shade(context, node, inputs, `f32(${word("A")})`)
      : stockKernels().cast(context, node, inputs),
  transpose: moved("transpose", (node) => {
    const strides = stridesOf(shapeOf(node, 0));
    return place(node.shape, node.attributes.permutation.map((axis) => strides[axis] as number));
  }),
  broadcast: moved("broadcast", (node) => {
    const shape = shapeOf(node, 0);
    const strides = stridesOf(shape);
    const { dims } = node.attributes;
    const steps = node.shape.map((_, axis) => {
      const from = dims.indexOf(axis);
      return from < 0 || shape[from] === 1 ? 0 : strides[from] as number;
    });
    return place(node.shape, steps);
  }),
  slice: moved("slice", (node) => {
    const strides = stridesOf(shapeOf(node, 0));
    const start = node.attributes.start.reduce(
      (sum, from, axis) => sum + from * (strides[axis] as number),
      0,
    );
    return place(node.shape, strides, start);
  }),
  gather,
  scatter_add: scatterAdd,
  random_bits: randomBits,
});
