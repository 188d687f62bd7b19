/**
 * A graph under construction: names, nodes, constants, shapes. A value may be written narrower than it is (a broadcast that
 * its users do themselves); `whole` spreads it for those that do not.
 */
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxType } from "../../formats/mod.ts";
import type { DType, HostArray } from "../../tensor/mod.ts";
import { fixed, isFixed, sameSize, sameSizes, type Size, sizeName, type Sizes } from "./sizes.ts";

/** A value as it was written. */
export type Written = { readonly name: string; readonly sizes: Sizes };

type Attributes = { readonly [name: string]: OnnxAttribute };

export type OnnxWriter = {
  readonly opset: number;
  /** Writes a node with one result and gives its name. */
  readonly node: (op: string, inputs: readonly string[], attributes?: Attributes) => string;
  /** Writes a node with several results and gives their names. */
  readonly nodes: (op: string, inputs: readonly string[], results: number) => string[];
  /** A named constant; the second of one name is the first. */
  readonly tensor: (tensor: OnnxTensor) => string;
  /** A list of whole numbers, as shapes and axes are given. */
  readonly integers: (values: readonly number[]) => string;
  /** A constant without dimensions. */
  readonly scalar: (value: number, type: DType | "uint8") => string;
  /** The sizes as a list of whole numbers. `from`: sizes of the value that is reshaped to them. */
  readonly shape: (sizes: Sizes, from?: Sizes) => string;
  /** The value in another shape. */
  readonly reshaped: (value: Written, sizes: Sizes) => Written;
  /** The value in its full shape. */
  readonly whole: (value: Written, sizes: Sizes) => string;
  /** Nodes and constants so far. */
  readonly written: { readonly nodes: readonly OnnxNode[]; readonly tensors: readonly OnnxTensor[] };
};

/** The ONNX type of a dtype. */
export function onnxType(dtype: DType): Exclude<DType, "bfloat16"> {
  if (dtype !== "bfloat16") return dtype;
  throw new RangeError(
    "Cannot write ONNX: a value is bfloat16, which its runtimes do not compute on processors",
  );
}

/** Values as the bytes of a type. */
export function bytesOf(values: HostArray | readonly number[], type: OnnxType): Uint8Array {
  const kinds = {
    ...{ float32: Float32Array, int32: Int32Array, uint32: Uint32Array, uint8: Uint8Array, bool: Uint8Array },
    int64: BigInt64Array,
  };
  if (values instanceof Float32Array && type === "float32") {
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const array = type === "int64"
    ? BigInt64Array.from(values as readonly number[], BigInt)
    : new kinds[type as "float32"](values);
  return new Uint8Array(array.buffer as ArrayBuffer);
}

/**
 * Starts a graph.
 *
 * @param opset Version of the operators.
 * @param source Where batch and length can be read: for each the name of a value, and which of its dimensions it is.
 */
export function onnxWriter(
  opset: number,
  source: (moving: "batch" | "length") => { readonly name: string; readonly axis: number },
): OnnxWriter {
  const nodes: OnnxNode[] = [];
  const tensors = new Map<string, OnnxTensor>();
  const vectors = new Map<string, string>();
  const counts = new Map<string, number>();
  const named = (op: string): string => {
    const n = counts.get(op) ?? 0;
    counts.set(op, n + 1);
    return `${op}_${n}`;
  };
  const many = (
    op: string,
    inputs: readonly string[],
    results: number,
    attributes: Attributes = {},
  ): string[] => {
    const name = named(op);
    const outputs = Array.from({ length: results }, (_, i) => i === 0 ? name : `${name}:${i}`);
    nodes.push({ op, inputs, outputs, attributes, name });
    return outputs;
  };
  const node: OnnxWriter["node"] = (op, inputs, attributes) => many(op, inputs, 1, attributes)[0] as string;
  const tensor: OnnxWriter["tensor"] = (made) => {
    if (!tensors.has(made.name)) tensors.set(made.name, made);
    return made.name;
  };
  const integers: OnnxWriter["integers"] = (values) =>
    tensor({
      name: `ints:${values.join(",")}`,
      type: "int64",
      shape: [values.length],
      data: bytesOf(values, "int64"),
    });
  const scalar: OnnxWriter["scalar"] = (value, type) => {
    const written = type === "uint8" ? type : onnxType(type);
    const text = Object.is(value, -0) ? "-0" : String(value);
    return tensor({ name: `${written}:${text}`, type: written, shape: [], data: bytesOf([value], written) });
  };
  const once = (key: string, make: () => string): string => {
    const name = vectors.get(key) ?? make();
    vectors.set(key, name);
    return name;
  };
  const moving = (which: "batch" | "length"): string =>
    once(which, () => {
      const { name, axis } = source(which);
      return node("Shape", [name], { start: BigInt(axis), end: BigInt(axis + 1) });
    });
  /** One size as a list of one number. */
  const vector = (size: Size): string =>
    isFixed(size) ? integers([size.times]) : once(sizeName(size), () => {
      const factors = [
        ...(size.times === 1 ? [] : [integers([size.times])]),
        ...Array.from({ length: size.batch }, () => moving("batch")),
        ...Array.from({ length: size.length }, () => moving("length")),
      ];
      return factors.reduce((product, factor) => node("Mul", [product, factor]));
    });
  const shape: OnnxWriter["shape"] = (sizes, from) => {
    // A reshape copies a size by 0 and computes one by -1; only what then still moves has to be read at run time.
    const copied = sizes.map((size, i) =>
      from !== undefined && !isFixed(size) && sameSize(size, from[i] ?? fixed(-1))
    );
    const left = sizes.filter((size, i) => !isFixed(size) && !copied[i]);
    if (left.length === 0 || (from !== undefined && left.length === 1)) {
      return integers(sizes.map((size, i) => isFixed(size) ? size.times : copied[i] ? 0 : -1));
    }
    const parts: string[] = [];
    for (let i = 0; i < sizes.length;) {
      const run: number[] = [];
      while (i < sizes.length && isFixed(sizes[i] as Size)) run.push((sizes[i++] as Size).times);
      if (run.length > 0) parts.push(integers(run));
      else parts.push(vector(sizes[i++] as Size));
    }
    return once(
      `[${sizes.map(sizeName).join()}]`,
      () => parts.length === 1 ? parts[0] as string : node("Concat", parts, { axis: 0n }),
    );
  };
  const reshaped: OnnxWriter["reshaped"] = (value, sizes) =>
    sameSizes(value.sizes, sizes)
      ? value
      : { name: node("Reshape", [value.name, shape(sizes, value.sizes)]), sizes };
  return {
    opset,
    node,
    nodes: many,
    tensor,
    integers,
    scalar,
    shape,
    reshaped,
    whole: (value, sizes) =>
      sameSizes(value.sizes, sizes) ? value.name : node("Expand", [value.name, shape(sizes)]),
    get written() {
      return { nodes, tensors: [...tensors.values()] };
    },
  };
}
