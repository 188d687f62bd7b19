/**
 * TensorFlow's operations written down instead of run: a GraphDef (tensorflow/core/framework/graph.proto, node_def.proto,
 * attr_value.proto, tensor.proto) made by the very kernels that `kernels.ts` calls one by one. Shapes are TensorFlow's to
 * find out; here only what the kernels ask for is known.
 */
import { protobufWriter } from "../../../formats/mod.ts";
import type { Backend, TensorInfo } from "../backend.ts";
import type { Attributes, TensorFlow } from "./binding.ts";

/** DataType (tensorflow/core/framework/types.proto). */
const typeNumbers: Readonly<Record<TensorInfo["dtype"], number>> = { float32: 1, int32: 3, bool: 10 };

/** The oldest version of GraphDefs in which nothing that is written here is missing (tensorflow/core/public/version.h). */
const producer = 1286;

/** Why a graph cannot be one function: something in it is computed on the host. */
export class HostNeeded extends Error {}

/** A graph that grows. */
export type Recorder = {
  readonly tensorFlow: TensorFlow;
  /** Adds an input. */
  readonly parameter: (dtype: TensorInfo["dtype"], shape: readonly number[]) => TensorInfo;
  /** Names the nodes that follow. */
  readonly within: (operation: string) => void;
  /** The node of a value. */
  readonly nameOf: (x: TensorInfo) => string;
  /** The graph as a serialized GraphDef. */
  readonly finish: () => Uint8Array;
};

const truths: ReadonlySet<string> = new Set([
  ...["Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"],
  ...["LogicalAnd", "LogicalOr", "LogicalNot"],
]);

/** The type of an operation's first output. */
function typeMade(op: string, attributes: Attributes, inputs: readonly TensorInfo[]): TensorInfo["dtype"] {
  if (truths.has(op)) return "bool";
  const named =
    attributes[op === "Cast" ? "DstT" : op === "GatherV2" ? "Tparams" : op === "Range" ? "Tidx" : "T"];
  return typeof named === "string" && op !== "Bitcast" ? named : inputs[0]?.dtype ?? "int32";
}

function writeShape(shape: readonly number[]): Uint8Array {
  const writer = protobufWriter();
  for (const size of shape) writer.message(2, (dim) => dim.varint(1, size));
  return writer.finish();
}

function attributeBytes(value: Attributes[string] | undefined): Uint8Array {
  const writer = protobufWriter();
  if (typeof value === "boolean") return writer.bool(5, value).finish();
  if (typeof value === "string") return writer.varint(6, typeNumbers[value]).finish();
  if (value !== undefined && "type" in value) return writer.varint(6, value.type).finish();
  return writer.varint(3, value?.count ?? 0).finish();
}

function nodeBytes(
  name: string,
  op: string,
  inputs: readonly string[],
  attributes: readonly (readonly [string, Uint8Array])[],
): Uint8Array {
  const writer = protobufWriter().string(1, name).string(2, op);
  for (const input of inputs) writer.string(3, input);
  for (const [key, value] of attributes) writer.message(5, (entry) => entry.string(1, key).bytes(2, value));
  return writer.finish();
}

/** Starts an empty graph. */
export function makeRecorder(): Recorder {
  const nodes = protobufWriter();
  const names = new Map<object, string>();
  let [prefix, count] = ["", 0];
  const add = (
    op: string,
    dtype: TensorInfo["dtype"],
    shape: readonly number[],
    inputs: readonly string[],
    attributes: readonly (readonly [string, Uint8Array])[],
  ): TensorInfo => {
    const name = `${prefix === "" ? "" : `${prefix}/`}${op}_${count++}`;
    nodes.bytes(1, nodeBytes(name, op, inputs, attributes));
    const dataId = {};
    names.set(dataId, name);
    return { dataId, shape: [...shape], dtype };
  };
  const nameOf = ({ dataId }: TensorInfo): string => {
    const name = names.get(dataId);
    if (name === undefined) {
      throw new Error("Cannot use a value in a graph of tfjs-node: it is not part of it");
    }
    return name;
  };
  const typed = (dtype: TensorInfo["dtype"]) => ["dtype", attributeBytes(dtype)] as const;
  const constant = (
    values: ArrayBufferView,
    shape: readonly number[],
    dtype: TensorInfo["dtype"],
  ): TensorInfo => {
    const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const tensor = protobufWriter().varint(1, typeNumbers[dtype]).bytes(2, writeShape(shape)).bytes(
      4,
      content,
    );
    const value = protobufWriter().bytes(8, tensor.finish()).finish();
    return add("Const", dtype, shape, [], [typed(dtype), ["value", value]]);
  };
  const onHost = (): never => {
    throw new HostNeeded("a value is needed on the host");
  };
  const backend: Backend = {
    write: (values, shape, dtype) => constant(values ?? onHost(), shape, dtype as TensorInfo["dtype"]).dataId,
    read: () => Promise.reject(new HostNeeded("a value is needed on the host")),
    incRef: () => {},
    disposeData: () => true,
    numDataIds: () => names.size,
  };
  const execute: TensorFlow["execute"] = (op, inputs, attributes) =>
    add(op, typeMade(op, attributes, inputs), [-1], inputs.map(nameOf), [
      ...Object.entries(attributes).map(([key, value]) => [key, attributeBytes(value)] as const),
    ]);
  const vectors = new Map<string, TensorInfo>();
  const vector: TensorFlow["vector"] = (values) => {
    const key = JSON.stringify(values);
    const shape = typeof values === "number" ? [] : [values.length];
    const found = vectors.get(key) ?? constant(Int32Array.from([values].flat()), shape, "int32");
    vectors.set(key, found);
    return found;
  };
  return {
    tensorFlow: { backend, execute, vector },
    parameter: (dtype, shape) => {
      const form = protobufWriter().bytes(7, writeShape(shape)).finish();
      return add("Placeholder", dtype, shape, [], [typed(dtype), ["shape", form]]);
    },
    within: (operation) => void (prefix = operation),
    nameOf,
    finish: () => nodes.bytes(4, protobufWriter().varint(1, producer).finish()).finish(),
  };
}
