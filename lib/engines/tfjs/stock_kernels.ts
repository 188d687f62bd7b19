/**
 * The primitive operations on tfjs' own kernels: one entry per operation that says which kernels compute it. What tfjs
 * lacks or does wrong (integer bits, uint32 order, random bits, empty tensors) goes through the reference loops.
 */
import type { Comparison, OperationName, Tensor, TensorOf } from "../../tensor/mod.ts";
import { sizeOf } from "../../tensor/mod.ts";
import type { BackendName, Shade, TensorInfo } from "./backend.ts";

/** What kernels are written with. */
export type Context = {
  /** Runs a tfjs kernel. */
  readonly call: (kernel: string, inputs: object, attrs?: object) => TensorInfo;
  /** Computes the node by the reference loops on the host. */
  readonly host: (node: Tensor, inputs: readonly TensorInfo[]) => Promise<TensorInfo>;
  /** The same memory under another shape or type; counted as one more user. */
  readonly alias: (x: TensorInfo, shape: readonly number[]) => TensorInfo;
  /** Gives up one use of a value. */
  readonly free: (x: TensorInfo) => void;
  /** Runs a shader of our own (webgpu): WGSL with inputs A, B and C, over flat memory. */
  readonly shade: Shade;
  /** A scalar, kept with the program. */
  readonly scalar: (value: number, dtype: TensorInfo["dtype"]) => TensorInfo;
};

type Result = TensorInfo | Promise<TensorInfo>;
type Kernel<Name extends OperationName> = (
  context: Context,
  node: TensorOf<Name> & Tensor,
  inputs: readonly TensorInfo[],
) => Result;

/** One entry per operation; parameters are given, constants and iota are made at compilation, scans arrive unrolled. */
export type StockKernels = {
  readonly [Name in Exclude<OperationName, "parameter" | "constant" | "iota" | "scan" | "result">]: Kernel<
    Name
  >;
};

const first = (inputs: readonly TensorInfo[]): TensorInfo => inputs[0] as TensorInfo;
const isInteger = ({ dtype }: Pick<Tensor, "dtype">): boolean => dtype === "int32" || dtype === "uint32";
const input = (node: Tensor, i: number): Tensor => node.inputs[i] as Tensor;

const unary = (kernel: string) => (context: Context, node: Tensor, inputs: readonly TensorInfo[]): Result =>
  isInteger(node) ? context.host(node, inputs) : context.call(kernel, { x: first(inputs) });

const binary =
  (kernel: string, host: (node: Tensor) => boolean = () => false) =>
  (context: Context, node: Tensor, inputs: readonly TensorInfo[]): Result =>
    host(node) ? context.host(node, inputs) : context.call(kernel, { a: first(inputs), b: inputs[1] });

const unsigned = (node: Tensor): boolean => input(node, 0).dtype === "uint32";
const sameMemory = (context: Context, node: Tensor, inputs: readonly TensorInfo[]): TensorInfo =>
  context.alias(first(inputs), node.shape);

const comparisons: { readonly [Direction in Comparison]: string } = {
  eq: "Equal",
  ne: "NotEqual",
  lt: "Less",
  le: "LessEqual",
  gt: "Greater",
  ge: "GreaterEqual",
};

function cast(context: Context, node: TensorOf<"cast"> & Tensor, inputs: readonly TensorInfo[]): Result {
  const x = first(inputs);
  const from = input(node, 0).dtype;
  const to = node.dtype;
  if (from === "uint32" && to === "int32" || from === "int32" && to === "uint32") {
    return context.alias(x, x.shape);
  }
  // tfjs' own cast to bool truncates (0.5 becomes 0) instead of testing for zero.
  if (to === "bool") return context.call("NotEqual", { a: x, b: context.scalar(0, x.dtype) });
  if (from === "uint32" || to === "uint32" || (isInteger({ dtype: to }) && from === "float32")) {
    return context.host(node, inputs);
  }
  return context.call("Cast", { x }, { dtype: to });
}

function arrange(
  context: Context,
  x: TensorInfo,
  order: readonly number[],
  shape: readonly number[],
): TensorInfo {
  if (order.every((axis, i) => axis === i)) return context.alias(x, shape);
  const moved = context.call("Transpose", { x }, { perm: order });
  const out = context.alias(moved, shape);
  context.free(moved);
  return out;
}

/** Operands are brought to [batch, m, k] and [batch, k, n]: only plain products are fast in tfjs. */
function dot(context: Context, node: TensorOf<"dot"> & Tensor, inputs: readonly TensorInfo[]): Result {
  if (node.dtype !== "float32") return context.host(node, inputs);
  const { batch, contract } = node.attributes;
  const [a, b] = [input(node, 0).shape, input(node, 1).shape];
  const free = (shape: readonly number[], side: 0 | 1): number[] =>
    shape.map((_, axis) => axis).filter((axis) =>
      !batch[side].includes(axis) && !contract[side].includes(axis)
    );
  const size = (shape: readonly number[], axes: readonly number[]): number =>
    axes.reduce((product, axis) => product * (shape[axis] as number), 1);
  const [freeA, freeB] = [free(a, 0), free(b, 1)];
  const [n, m, k] = [size(a, batch[0]), size(a, freeA), size(a, contract[0])];
  const columns = size(b, freeB);
  const left = arrange(context, first(inputs), [...batch[0], ...freeA, ...contract[0]], [n, m, k]);
  const right = arrange(context, inputs[1] as TensorInfo, [...batch[1], ...contract[1], ...freeB], [
    n,
    k,
    columns,
  ]);
  const product = context.call("BatchMatMul", { a: left, b: right }, {
    transposeA: false,
    transposeB: false,
  });
  context.free(left);
  context.free(right);
  const out = context.alias(product, node.shape);
  context.free(product);
  return out;
}

function broadcast(
  context: Context,
  node: TensorOf<"broadcast"> & Tensor,
  inputs: readonly TensorInfo[],
): Result {
  const { shape } = input(node, 0);
  const { dims } = node.attributes;
  const lifted = node.shape.map((_, axis) => dims.includes(axis) ? shape[dims.indexOf(axis)] as number : 1);
  const x = context.alias(first(inputs), lifted);
  const reps = node.shape.map((size, axis) => lifted[axis] === size ? 1 : size);
  const out = context.call("Tile", { x }, { reps });
  context.free(x);
  return out;
}

function gather(context: Context, node: TensorOf<"gather"> & Tensor, inputs: readonly TensorInfo[]): Result {
  const rows = input(node, 0).shape[0] as number;
  const above = context.call("Maximum", { a: inputs[1], b: context.scalar(0, "int32") });
  const indices = context.call("Minimum", { a: above, b: context.scalar(rows - 1, "int32") });
  context.free(above);
  const out = context.call("GatherV2", { x: first(inputs), indices }, { axis: 0, batchDims: 0 });
  context.free(indices);
  return out;
}

const logical = (kernel: string) => (context: Context, node: Tensor, inputs: readonly TensorInfo[]): Result =>
  node.dtype === "bool"
    ? context.call(kernel, { a: first(inputs), b: inputs[1] })
    : context.host(node, inputs);

/** All entries. */
export const stockKernels = (): StockKernels => ({
  neg: unary("Neg"),
  exp: unary("Exp"),
  log: unary("Log"),
  tanh: unary("Tanh"),
  erf: unary("Erf"),
  sqrt: unary("Sqrt"),
  rsqrt: unary("Rsqrt"),
  abs: unary("Abs"),
  sign: unary("Sign"),
  floor: unary("Floor"),
  not: (context, _, inputs) => context.call("LogicalNot", { x: first(inputs) }),
  add: binary("Add"),
  sub: binary("Sub"),
  mul: binary("Multiply", isInteger),
  div: binary("RealDiv"),
  max: binary("Maximum", unsigned),
  min: binary("Minimum", unsigned),
  pow: binary("Pow"),
  and: logical("LogicalAnd"),
  or: logical("LogicalOr"),
  xor: logical("NotEqual"),
  shift_right_logical: (context, node, inputs) => context.host(node, inputs),
  compare: (context, node, inputs) =>
    binary(comparisons[node.attributes.direction], unsigned)(context, node, inputs),
  select: (context, _, [condition, t, e]) => context.call("Select", { condition, t, e }),
  cast,
  reshape: sameMemory,
  transpose: (context, { attributes }, inputs) =>
    context.call("Transpose", { x: first(inputs) }, { perm: attributes.permutation }),
  broadcast,
  slice: (context, { attributes, shape }, inputs) =>
    context.call("Slice", { x: first(inputs) }, { begin: attributes.start, size: shape }),
  pad: (context, node, inputs) => {
    const { low, high, value } = node.attributes;
    if (node.dtype !== "float32") return context.host(node, inputs);
    const paddings = low.map((before, axis) => [before, high[axis]]);
    return context.call("PadV2", { x: first(inputs) }, { paddings, constantValue: value });
  },
  concat: (context, { attributes: { axis } }, inputs) => context.call("Concat", inputs, { axis }),
  dot,
  reduce_sum: (context, { attributes: { axes } }, inputs) =>
    context.call("Sum", { x: first(inputs) }, { axis: axes, keepDims: false }),
  reduce_max: (context, node, inputs) =>
    unsigned(node) ? context.host(node, inputs) : context.call("Max", { x: first(inputs) }, {
      reductionIndices: node.attributes.axes,
      keepDims: false,
    }),
  gather,
  scatter_add: (context, node, inputs) => context.host(node, inputs),
  random_bits: (context, node, inputs) => context.host(node, inputs),
  stop_gradient: sameMemory,
  barrier: sameMemory,
  all_reduce: sameMemory,
});

// tfjs' WebGPU kernels compute integers as floats, which lose bits beyond 2^24; ours (webgpu_kernels.ts) have no such.
const inexactOnGpu: ReadonlySet<OperationName> = new Set<OperationName>([
  "concat",
  "reduce_sum",
  "reduce_max",
]);

/**
 * Whether a node goes to the reference loops: empty values, for which tfjs kernels are not made, and what WebGPU cannot do
 * with integers.
 */
export function needsHost(node: Tensor, backend: BackendName): boolean {
  if (backend === "webgpu" && isInteger(node) && inexactOnGpu.has(node.op)) return true;
  return sizeOf(node.shape) === 0 || node.inputs.some(({ shape }) => sizeOf(shape) === 0);
}
