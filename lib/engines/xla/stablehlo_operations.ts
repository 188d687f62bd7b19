/**
 * Every primitive operation in StableHLO, one function each. The table is typed by the operations' names, so that the
 * compiler names a missing one; scans and their results are written by `stablehlo_scan.ts`.
 */
import type { OperationName, Tensor, TensorOf, TensorType } from "../../tensor/mod.ts";
import { typeText } from "./stablehlo_text.ts";
import type { Writer } from "./stablehlo_text.ts";

/** Writes one node, given the names of its inputs; gives the name of its value. */
export type Emit<Name extends OperationName> = (
  writer: Writer,
  node: TensorOf<Name>,
  inputs: readonly string[],
) => string;

/** One per operation that has a value of its own. */
export type EmitTable = {
  readonly [Name in Exclude<OperationName, "parameter" | "scan" | "result">]: Emit<Name>;
};

type AnyEmit = (writer: Writer, node: TensorType, inputs: readonly string[]) => string;

/** `stablehlo.add %a, %b : type`: operands and result of one type. */
const same = (name: string): AnyEmit => (writer, node, inputs) =>
  writer.value(`${name} ${inputs.join(", ")} : ${typeText(node)}`);

const first = ({ inputs }: { readonly inputs: readonly Tensor[] }): Tensor => inputs[0] as Tensor;
const second = ({ inputs }: { readonly inputs: readonly Tensor[] }): Tensor => inputs[1] as Tensor;

/** `name %x, rest : (from) -> to`. */
const convert = (name: string, rest: string = ""): Emit<OperationName> => (writer, node, [x]) =>
  writer.value(`${name} ${x}${rest} : (${typeText(first(node))}) -> ${typeText(node)}`);

/** The value of the input under its own name. */
const through: Emit<OperationName> = (_, __, [x]) => x as string;

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const list = (values: readonly number[]): string => `[${values.join(", ")}]`;

const comparisons = { eq: "EQ", ne: "NE", lt: "LT", le: "LE", gt: "GT", ge: "GE" } as const;
const comparedAs = {
  float32: "FLOAT",
  bfloat16: "FLOAT",
  int32: "SIGNED",
  uint32: "UNSIGNED",
  bool: "UNSIGNED",
};

/**
 * A sum of bfloat16 values made in float32 and rounded once: the compiler itself would round after each addition.
 *
 * @param inputs The summands' types, and their names.
 * @param sum Writes the sum of the wider summands, given their names.
 */
function inFloat32(
  writer: Writer,
  node: TensorType,
  inputs: readonly (readonly [type: TensorType, name: string])[],
  sum: (wide: TensorType, names: readonly string[]) => string,
): string {
  const wide = (type: TensorType): TensorType => ({ dtype: "float32", shape: type.shape });
  const names = inputs.map(([type, name]) =>
    writer.value(`stablehlo.convert ${name} : (${typeText(type)}) -> ${typeText(wide(type))}`)
  );
  const made = sum(wide(node), names);
  return writer.value(`stablehlo.convert ${made} : (${typeText(wide(node))}) -> ${typeText(node)}`);
}

function reduce(fold: "add" | "maximum", start: number): Emit<"reduce_sum"> & Emit<"reduce_max"> {
  const emit = (
    writer: Writer,
    node: TensorOf<"reduce_sum" | "reduce_max">,
    [x]: readonly string[],
  ): string => {
    if (fold === "add" && node.dtype === "bfloat16") {
      const input = first(node);
      return inFloat32(writer, node, [[input, x as string]], (type, names) => {
        const widened = { ...input, dtype: "float32" } as Tensor;
        return emit(writer, { ...node, ...type, inputs: [widened] } as TensorOf<"reduce_sum">, names);
      });
    }
    const scalar = { dtype: node.dtype, shape: [] };
    const least = node.dtype === "int32" ? -(2 ** 31) : node.dtype === "uint32" ? 0 : start;
    const init = writer.splat(fold === "add" ? 0 : least, scalar);
    const types = `(${typeText(first(node))}, ${typeText(scalar)}) -> ${typeText(node)}`;
    const dims = node.attributes.axes.join(", ");
    return writer.value(
      `stablehlo.reduce(${x} init: ${init}) applies stablehlo.${fold} across dimensions = [${dims}] : ${types}`,
    );
  };
  return emit;
}

/** Indices [..] as [.., 1]: one row number per place, as gather and scatter want it. */
function indexVectors(
  writer: Writer,
  indices: Tensor,
  name: string,
): { readonly name: string; readonly type: string } {
  const type = typeText({ dtype: "int32", shape: [...indices.shape, 1] });
  return { name: writer.value(`stablehlo.reshape ${name} : (${typeText(indices)}) -> ${type}`), type };
}

const gather: Emit<"gather"> = (writer, node, [table, indices]) => {
  const leading = second(node).shape.length;
  const index = indexVectors(writer, second(node), indices as string);
  const rest = first(node).shape.slice(1);
  const numbers = `offset_dims = [${range(leading, leading + rest.length).join(", ")}], ` +
    `collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = ${leading}`;
  return writer.value(
    `"stablehlo.gather"(${table}, ${index.name}) {dimension_numbers = #stablehlo.gather<${numbers}>, ` +
      `indices_are_sorted = false, slice_sizes = array<i64: ${[1, ...rest].join(", ")}>} : ` +
      `(${typeText(first(node))}, ${index.type}) -> ${typeText(node)}`,
  );
};

const scatterAdd: Emit<"scatter_add"> = (writer, node, [indices, updates]) => {
  if (node.dtype === "bfloat16") {
    const [rows, input] = [first(node), second(node)];
    return inFloat32(writer, node, [[input, updates as string]], (type, [name]) => {
      const inputs = [rows, { ...input, dtype: "float32" } as Tensor];
      return scatterAdd(writer, { ...node, ...type, inputs }, [indices as string, name as string]);
    });
  }
  const leading = first(node).shape.length;
  const index = indexVectors(writer, first(node), indices as string);
  const zeros = writer.splat(0, node);
  const window = range(leading, second(node).shape.length);
  const numbers = `update_window_dims = [${window.join(", ")}], inserted_window_dims = [0], ` +
    `scatter_dims_to_operand_dims = [0], index_vector_dim = ${leading}`;
  const scalar = typeText({ dtype: node.dtype, shape: [] });
  const [made, a, b, sum] = [writer.name(), writer.name(), writer.name(), writer.name()];
  writer.line(`%${made} = "stablehlo.scatter"(${zeros}, ${index.name}, ${updates}) ({`);
  writer.line(`^bb0(%${a}: ${scalar}, %${b}: ${scalar}):`);
  writer.line(`%${sum} = stablehlo.add %${a}, %${b} : ${scalar}`);
  writer.line(`stablehlo.return %${sum} : ${scalar}`);
  writer.line(
    `}) {scatter_dimension_numbers = #stablehlo.scatter<${numbers}>, indices_are_sorted = false, ` +
      `unique_indices = false} : (${typeText(node)}, ${index.type}, ${typeText(second(node))}) -> ${
        typeText(node)
      }`,
  );
  return `%${made}`;
};

/** Left operands of at least so many rows are turned around when they are contracted over their rows. */
const turnedRows = 128;

const dot: Emit<"dot"> = (writer, node, [a, b]) => {
  const { batch, contract } = node.attributes;
  const [left, right] = [first(node), second(node)];
  const product = (x: string, type: string, over: readonly number[]): string => {
    const dims = [
      ...(batch[0].length > 0 ? [`batching_dims = ${list(batch[0])} x ${list(batch[1])}`] : []),
      `contracting_dims = ${list(over)} x ${list(contract[1])}`,
    ];
    return writer.value(
      `stablehlo.dot_general ${x}, ${b}, ${dims.join(", ")} : (${type}, ${typeText(right)}) -> ${
        typeText(node)
      }`,
    );
  };
  const overRows = batch[0].length === 0 && left.shape.length === 2 && contract[0].length === 1 &&
    contract[0][0] === 0 && (left.shape[0] as number) >= turnedRows;
  if (!overRows) return product(a as string, typeText(left), contract[0]);
  // The gradient of a weight. XLA's CPU compiler has its fast kernel for left operands contracted over their last
  // dimension; the barrier keeps it from folding the copy back into the product.
  const type = typeText({ dtype: left.dtype, shape: [left.shape[1] as number, left.shape[0] as number] });
  const turned = writer.value(`stablehlo.transpose ${a}, dims = [1, 0] : (${typeText(left)}) -> ${type}`);
  return product(writer.value(`stablehlo.optimization_barrier ${turned} : ${type}`), type, [1]);
};

/** 0, 1, …; with `split` a further replica goes on where the one before ends, as if the first dimension were whole. */
function indices(writer: Writer, count: number, type: string, split: boolean): string {
  const index = writer.value(`stablehlo.iota dim = 0 : ${type}`);
  if (writer.replicas === 1 || !split) return index;
  const replica = writer.value("stablehlo.replica_id : tensor<ui32>");
  const size = writer.splat(count, { dtype: "uint32", shape: [] });
  const start = writer.value(`stablehlo.multiply ${replica}, ${size} : tensor<ui32>`);
  const starts = writer.value(
    `stablehlo.broadcast_in_dim ${start}, dims = [] : (tensor<ui32>) -> ${type}`,
  );
  return writer.value(`stablehlo.add ${index}, ${starts} : ${type}`);
}

/** The sum over all replicas; of one it is the value itself. */
const allReduce: Emit<"all_reduce"> = (writer, node, [x]) => {
  if (writer.replicas === 1) return x as string;
  const scalar = typeText({ dtype: node.dtype, shape: [] });
  const [made, a, b, sum] = [writer.name(), writer.name(), writer.name(), writer.name()];
  writer.line(`%${made} = "stablehlo.all_reduce"(${x}) ({`);
  writer.line(`^bb0(%${a}: ${scalar}, %${b}: ${scalar}):`);
  writer.line(`%${sum} = stablehlo.add %${a}, %${b} : ${scalar}`);
  writer.line(`stablehlo.return %${sum} : ${scalar}`);
  const groups = `dense<[${list(range(0, writer.replicas))}]> : tensor<1x${writer.replicas}xi64>`;
  writer.line(`}) {replica_groups = ${groups}} : (${typeText(node)}) -> ${typeText(node)}`);
  return `%${made}`;
};

/** Draws of at most so many numbers are kept as they are made: they may be keys. */
const keyBits = 4096;

/** The hash of random_bits.ts: h = mix(i × 0x9E3779B9 + k0), then mix((h ^ k1) + i). */
const randomBits: Emit<"random_bits"> = (writer, node, [key]) => {
  const count = node.shape.reduce((product, size) => product * size, 1);
  const flat: TensorType = { dtype: "uint32", shape: [count] };
  const type = typeText(flat);
  const binary = (name: string, x: string, y: string): string =>
    writer.value(`stablehlo.${name} ${x}, ${y} : ${type}`);
  const shifted = (x: string, places: number): string =>
    binary("xor", x, binary("shift_right_logical", x, writer.splat(places, flat)));
  const times = (x: string, factor: number): string => binary("multiply", x, writer.splat(factor, flat));
  const mix = (x: string): string =>
    shifted(times(shifted(times(shifted(x, 16), 0x7feb352d), 15), 0x846ca68b), 16);
  const word = (at: number): string => {
    const one = writer.value(`stablehlo.slice ${key} [${at}:${at + 1}] : (tensor<2xui32>) -> tensor<1xui32>`);
    const scalar = writer.value(`stablehlo.reshape ${one} : (tensor<1xui32>) -> tensor<ui32>`);
    return writer.value(`stablehlo.broadcast_in_dim ${scalar}, dims = [] : (tensor<ui32>) -> ${type}`);
  };
  const index = indices(writer, count, type, node.attributes.split);
  const h = mix(binary("add", times(index, 0x9e3779b9), word(0)));
  const bits = mix(binary("add", binary("xor", h, word(1)), index));
  // Keys are few bits from which many are made: without the barrier their hash is computed anew for each of those.
  const made = count > keyBits ? bits : writer.value(`stablehlo.optimization_barrier ${bits} : ${type}`);
  return writer.value(`stablehlo.reshape ${made} : (${type}) -> ${typeText(node)}`);
};

const slice: Emit<"slice"> = (writer, node, [x]) => {
  const bounds = node.attributes.start.map((from, axis) => `${from}:${node.attributes.limit[axis]}`);
  return convert("stablehlo.slice", ` [${bounds.join(", ")}]`)(writer, node, [x as string]);
};

const pad: Emit<"pad"> = (writer, node, [x]) => {
  const { low, high, value } = node.attributes;
  const scalar = { dtype: node.dtype, shape: [] };
  const fill = writer.splat(value, scalar);
  const between = low.map(() => 0);
  return writer.value(
    `stablehlo.pad ${x}, ${fill}, low = ${list(low)}, high = ${list(high)}, interior = ${list(between)} : ` +
      `(${typeText(first(node))}, ${typeText(scalar)}) -> ${typeText(node)}`,
  );
};

const constant: Emit<"constant"> = (writer, node) => {
  const { value } = node.attributes;
  return typeof value === "number" ? writer.splat(value, node) : writer.array(value, node);
};

const select: Emit<"select"> = (writer, node, [condition, a, b]) =>
  writer.value(
    `stablehlo.select ${condition}, ${a}, ${b} : ${typeText({ dtype: "bool", shape: node.shape })}, ${
      typeText(node)
    }`,
  );

const compare: Emit<"compare"> = (writer, node, [a, b]) => {
  const type = typeText(first(node));
  const how = `${comparisons[node.attributes.direction]}, ${a}, ${b}, ${comparedAs[first(node).dtype]}`;
  return writer.value(`stablehlo.compare ${how} : (${type}, ${type}) -> ${typeText(node)}`);
};

const concat: Emit<"concat"> = (writer, node, inputs) =>
  writer.value(
    `stablehlo.concatenate ${inputs.join(", ")}, dim = ${node.attributes.axis} : ` +
      `(${node.inputs.map(typeText).join(", ")}) -> ${typeText(node)}`,
  );

/** All operations. */
export const emitTable = (): EmitTable => ({
  constant,
  iota: (writer, node) => writer.value(`stablehlo.iota dim = ${node.attributes.axis} : ${typeText(node)}`),
  neg: same("stablehlo.negate"),
  exp: same("stablehlo.exponential"),
  log: same("stablehlo.log"),
  tanh: same("stablehlo.tanh"),
  erf: (writer, node, [x]) => writer.value(`chlo.erf ${x} : ${typeText(node)} -> ${typeText(node)}`),
  sqrt: same("stablehlo.sqrt"),
  rsqrt: same("stablehlo.rsqrt"),
  abs: same("stablehlo.abs"),
  sign: same("stablehlo.sign"),
  floor: same("stablehlo.floor"),
  not: same("stablehlo.not"),
  add: same("stablehlo.add"),
  sub: same("stablehlo.subtract"),
  mul: same("stablehlo.multiply"),
  div: same("stablehlo.divide"),
  max: same("stablehlo.maximum"),
  min: same("stablehlo.minimum"),
  pow: same("stablehlo.power"),
  and: same("stablehlo.and"),
  or: same("stablehlo.or"),
  xor: same("stablehlo.xor"),
  shift_right_logical: same("stablehlo.shift_right_logical"),
  compare,
  select,
  cast: convert("stablehlo.convert"),
  reshape: convert("stablehlo.reshape"),
  transpose: (writer, node, inputs) =>
    convert("stablehlo.transpose", `, dims = ${list(node.attributes.permutation)}`)(writer, node, inputs),
  broadcast: (writer, node, inputs) =>
    convert("stablehlo.broadcast_in_dim", `, dims = ${list(node.attributes.dims)}`)(writer, node, inputs),
  slice,
  pad,
  concat,
  dot,
  reduce_sum: reduce("add", 0),
  reduce_max: reduce("maximum", -Infinity),
  gather,
  scatter_add: scatterAdd,
  random_bits: randomBits,
  stop_gradient: through,
  barrier: same("stablehlo.optimization_barrier"),
  all_reduce: allReduce,
});
