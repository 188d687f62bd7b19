/**
 * Every primitive operation in ONNX, one function each. The table is typed by the operations' names, so that the compiler
 * names a missing one; scans arrive unrolled. Facts: ONNX's operator schemas, version 17.
 */
import { freeDims, type OperationName, type Tensor, type TensorOf } from "../../tensor/mod.ts";
import { fixed, product, sameSize, type Size, type Sizes } from "./sizes.ts";
import type { SmallWeights } from "./weights.ts";
import { bytesOf, onnxType, type OnnxWriter, type Written } from "./writer.ts";

/** What the writing of a node may look at. */
export type Emitting = {
  readonly writer: OnnxWriter;
  readonly sizesOf: (tensor: Tensor) => Sizes;
  readonly limitsOf: (tensor: TensorOf<"slice">) => Sizes;
  /** Weights in bytes; without it all are ordinary. */
  readonly small?: SmallWeights;
};

/** Writes one node, given its inputs as they were written. */
export type Emit<Name extends OperationName> = (
  emitting: Emitting,
  node: TensorOf<Name>,
  inputs: readonly Written[],
) => Written;

type EmitTable = { readonly [Name in Exclude<OperationName, "parameter" | "scan" | "result">]: Emit<Name> };

/** The sizes that operands of these sizes broadcast to. */
function joined(operands: readonly Written[]): Sizes {
  const rank = Math.max(...operands.map(({ sizes }) => sizes.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = operands.map(({ sizes }) => sizes[axis - rank + sizes.length] ?? fixed(1));
    return sizes.find((size) => !sameSize(size, fixed(1))) ?? fixed(1);
  });
}

/** An operator on each element alone: ONNX broadcasts its operands as the graph's own broadcasts would. */
const each = (op: string): Emit<OperationName> => ({ writer }, _, inputs) => ({
  name: writer.node(op, inputs.map(({ name }) => name)),
  sizes: joined(inputs),
});

/** Logic on bool; on integers ONNX has it only from version 18 on, and no model here uses it. */
const logic = (op: string): Emit<OperationName> => (emitting, node, inputs) => {
  if (node.inputs[0]?.dtype !== "bool") throw refusal(node.op, "it is written for bool only");
  return each(op)(emitting, node, inputs);
};

const through: Emit<OperationName> = (_, __, [x]) => x as Written;

const refusal = (op: OperationName, reason: string): RangeError =>
  new RangeError(`Cannot write ${op} as ONNX: ${reason}`);
const onlyTraining = (): never => {
  throw new RangeError(
    "Cannot write ONNX: the graph draws or scatters, as training does; export one that only predicts",
  );
};

/** The input in its full shape, under its name. */
function whole(
  { writer, sizesOf }: Emitting,
  node: { readonly inputs: readonly Tensor[] },
  inputs: readonly Written[],
  at = 0,
): string {
  return writer.whole(inputs[at] as Written, sizesOf(node.inputs[at] as Tensor));
}

const constant: Emit<"constant"> = ({ writer, sizesOf }, node) => {
  const { value } = node.attributes;
  if (typeof value === "number") {
    return {
      name: writer.scalar(node.dtype === "bool" ? Number(value !== 0) : value, node.dtype),
      sizes: [],
    };
  }
  const type = onnxType(node.dtype);
  const values = node.dtype === "bool" ? Array.from(value, (x) => Number(x !== 0)) : value;
  const data = bytesOf(values, type);
  return {
    name: writer.tensor({ name: `constant:${writer.written.tensors.length}`, type, shape: node.shape, data }),
    sizes: sizesOf(node as Tensor),
  };
};

const iota: Emit<"iota"> = ({ writer, sizesOf }, node) => {
  const sizes = sizesOf(node as Tensor);
  const { axis } = node.attributes;
  const end = writer.node("Squeeze", [writer.shape([sizes[axis] as Size])]);
  const int64 = (value: number): string =>
    writer.tensor({ name: `int64:${value}`, type: "int64", shape: [], data: bytesOf([value], "int64") });
  const range = writer.node("Range", [int64(0), end, int64(1)]);
  const name = writer.node("Cast", [range], { to: typeNumber(node.dtype) });
  return writer.reshaped(
    { name, sizes: [sizes[axis] as Size] },
    sizes.map((size, i) => i === axis ? size : fixed(1)),
  );
};

const numbers = { float32: 1n, int32: 6n, bool: 9n, uint32: 12n } as const;
const typeNumber = (dtype: Tensor["dtype"]): bigint => numbers[onnxType(dtype)];

const cast: Emit<"cast"> = ({ writer }, node, [x]) => ({
  ...x as Written,
  name: writer.node("Cast", [(x as Written).name], { to: typeNumber(node.dtype) }),
});

/** The operator, and whether its answer is to be negated. */
const comparisons = {
  eq: ["Equal", false],
  ne: ["Equal", true],
  lt: ["Less", false],
  le: ["LessOrEqual", false],
  gt: ["Greater", false],
  ge: ["GreaterOrEqual", false],
} as const;

const compare: Emit<"compare"> = (emitting, node, inputs) => {
  const [op, negated] = comparisons[node.attributes.direction];
  const same = each(op)(emitting, node, inputs);
  return negated ? { ...same, name: emitting.writer.node("Not", [same.name]) } : same;
};

const reshape: Emit<"reshape"> = (emitting, node, inputs) => {
  const { writer, sizesOf } = emitting;
  const from = { name: whole(emitting, node, inputs), sizes: sizesOf(node.inputs[0] as Tensor) };
  return writer.reshaped(from, sizesOf(node as Tensor));
};

const transpose: Emit<"transpose"> = (emitting, node, inputs) => ({
  name: emitting.writer.node("Transpose", [whole(emitting, node, inputs)], {
    perm: node.attributes.permutation,
  }),
  sizes: emitting.sizesOf(node as Tensor),
});

/** Only the places of the dimensions are written: their spreading is left to who uses the value. */
const broadcast: Emit<"broadcast"> = (emitting, node, inputs) => {
  const { writer, sizesOf } = emitting;
  const [input] = node.inputs as readonly [Tensor];
  if ((inputs[0] as Written).sizes.length === 0) return inputs[0] as Written;
  const { dims } = node.attributes;
  const from = { name: whole(emitting, node, inputs), sizes: sizesOf(input) };
  const leading = dims.length === 0 ? 0 : dims[0] as number; // dimensions before the first need no place
  const rank = node.shape.length;
  const places = Array.from(
    { length: rank - leading },
    (_, i) => from.sizes[dims.indexOf(i + leading)] ?? fixed(1),
  );
  return writer.reshaped(from, places);
};

const slice: Emit<"slice"> = (emitting, node, inputs) => {
  const { writer, limitsOf, sizesOf } = emitting;
  const limits = limitsOf(node);
  const full = sizesOf(node.inputs[0] as Tensor);
  const axes = limits.map((_, axis) => axis).filter((axis) =>
    node.attributes.start[axis] !== 0 || !sameSize(limits[axis] as Size, full[axis] as Size)
  );
  const starts = writer.integers(axes.map((axis) => node.attributes.start[axis] as number));
  const ends = writer.shape(axes.map((axis) => limits[axis] as Size));
  const x = whole(emitting, node, inputs);
  return {
    name: writer.node("Slice", [x, starts, ends, writer.integers(axes)]),
    sizes: sizesOf(node as Tensor),
  };
};

const pad: Emit<"pad"> = (emitting, node, inputs) => {
  const { writer, sizesOf } = emitting;
  const { low, high, value } = node.attributes;
  if ([...low, ...high].some((count) => count < 0)) throw refusal("pad", "it cuts where it should pad");
  const x = whole(emitting, node, inputs);
  const [counts, fill] = [writer.integers([...low, ...high]), writer.scalar(value, node.dtype)];
  return { name: writer.node("Pad", [x, counts, fill]), sizes: sizesOf(node as Tensor) };
};

const concat: Emit<"concat"> = (emitting, node, inputs) => ({
  name: emitting.writer.node("Concat", inputs.map((_, i) => whole(emitting, node, inputs, i)), {
    axis: BigInt(node.attributes.axis),
  }),
  sizes: emitting.sizesOf(node as Tensor),
});

/** Sums take their axes as an input; maxima do so from version 18 on. */
const reduce =
  (op: "ReduceSum" | "ReduceMax"): Emit<"reduce_sum"> & Emit<"reduce_max"> => (emitting, node, inputs) => {
    const { writer, sizesOf } = emitting;
    const { axes } = node.attributes;
    const x = whole(emitting, node, inputs);
    const asInput = op === "ReduceSum" || writer.opset >= 18;
    const name = asInput
      ? writer.node(op, [x, writer.integers(axes)], { keepdims: 0n })
      : writer.node(op, [x], { axes, keepdims: 0n });
    return { name, sizes: sizesOf(node as Tensor) };
  };

/** An operand as [batch…, rows, columns], transposed and reshaped where it is not so. */
function matrix(
  { writer, sizesOf }: Emitting,
  operand: Tensor,
  name: string,
  groups: readonly (readonly number[])[],
): Written {
  const order = groups.flat();
  const sizes = order.map((axis) => sizesOf(operand)[axis] as Size);
  const moved = order.every((axis, i) => axis === i)
    ? name
    : writer.node("Transpose", [name], { perm: order });
  const [batch = [], ...rest] = groups;
  const merged = rest.map((axes) => product(axes.map((axis) => sizesOf(operand)[axis] as Size)));
  return writer.reshaped({ name: moved, sizes }, [...sizes.slice(0, batch.length), ...merged]);
}

const dot: Emit<"dot"> = (emitting, node, inputs) => {
  const { writer, sizesOf } = emitting;
  const sizes = sizesOf(node as Tensor);
  const [left, right] = node.inputs as readonly [Tensor, Tensor];
  const { batch, contract } = node.attributes;
  const [freeLeft, freeRight] = freeDims(left.shape, right.shape, node.attributes);
  const a = matrix(emitting, left, whole(emitting, node, inputs), [batch[0], freeLeft, contract[0]]);
  const small = emitting.small?.product(node, a.name);
  if (small !== undefined) return { name: small, sizes };
  const b = matrix(emitting, right, whole(emitting, node, inputs, 1), [batch[1], contract[1], freeRight]);
  const made = [...a.sizes.slice(0, -1), b.sizes.at(-1) as Size];
  return writer.reshaped({ name: writer.node("MatMul", [a.name, b.name]), sizes: made }, sizes);
};

/** A row outside the table is refused by runtimes; the engines take the nearest one. */
const gather: Emit<"gather"> = (emitting, node, inputs) => {
  const rows = whole(emitting, node, inputs, 1);
  const name = emitting.small?.rows(node, rows) ??
    emitting.writer.node("Gather", [whole(emitting, node, inputs), rows], { axis: 0n });
  return { name, sizes: emitting.sizesOf(node as Tensor) };
};

const rsqrt: Emit<"rsqrt"> = ({ writer }, _, [x]) => ({
  ...x as Written,
  name: writer.node("Reciprocal", [writer.node("Sqrt", [(x as Written).name])]),
});

const table: EmitTable = {
  constant,
  iota,
  neg: each("Neg"),
  exp: each("Exp"),
  log: each("Log"),
  tanh: each("Tanh"),
  erf: each("Erf"),
  sqrt: each("Sqrt"),
  rsqrt,
  abs: each("Abs"),
  sign: each("Sign"),
  floor: each("Floor"),
  not: logic("Not"),
  add: each("Add"),
  sub: each("Sub"),
  mul: each("Mul"),
  div: each("Div"),
  max: each("Max"),
  min: each("Min"),
  pow: each("Pow"),
  and: logic("And"),
  or: logic("Or"),
  xor: logic("Xor"),
  shift_right_logical: onlyTraining,
  compare,
  select: each("Where"),
  cast,
  reshape,
  transpose,
  broadcast,
  slice,
  pad,
  concat,
  dot,
  reduce_sum: reduce("ReduceSum"),
  reduce_max: reduce("ReduceMax"),
  gather,
  scatter_add: onlyTraining,
  random_bits: onlyTraining,
  stop_gradient: through,
  barrier: through,
  all_reduce: through,
};

/** Writes a node of any operation but a parameter. */
export function emit(emitting: Emitting, node: Tensor, inputs: readonly Written[]): Written {
  if (node.op === "parameter" || node.op === "scan" || node.op === "result") {
    throw new TypeError(`Cannot write ${node.op} as ONNX: it has no operator`);
  }
  return (table[node.op] as Emit<OperationName>)(emitting, node, inputs);
}
