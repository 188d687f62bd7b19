/**
 * Memory and operations of TensorFlow behind tfjs-node's native addon: handles are numbers, a call of an operation names
 * its attributes one by one. tfjs' own wrapper around it is left aside: it makes host tensors for every axis and
 * permutation, reads indices back to check them, and keeps TensorFlow's shape where we only give another view.
 */
import type { Backend, Functions, TensorInfo } from "../backend.ts";

type TypeName = TensorInfo["dtype"];
type Attribute = { readonly name: string; readonly type: number; readonly value: unknown };

/** What the addon exports, as far as it is used here. */
export type Binding = {
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_INT: number;
  /** TensorFlow's version. */
  readonly TF_Version: string;
  readonly createTensor: (shape: readonly number[], dtype: number, values: ArrayBufferView) => number;
  readonly deleteTensor: (id: number) => void;
  readonly tensorDataSync: (id: number) => ArrayBufferView;
  readonly executeOp: (
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: number,
  ) => readonly { readonly id: number; readonly shape: number[]; readonly dtype: number }[];
  readonly isUsingGpuDevice: () => boolean;
  /** Of addons that this library built: registers a graph under a name that `executeOp` then takes. */
  readonly addFunction?: (
    name: string,
    graph: Uint8Array,
    inputs: readonly string[],
    outputs: readonly string[],
  ) => void;
  readonly removeFunction?: (name: string) => void;
};

/** Attributes by name: the type of a value, a flag, TensorFlow's number of a type, or how many inputs there are. */
export type Attributes = Readonly<
  Record<string, TypeName | boolean | { readonly type: number } | { readonly count: number }>
>;

/** TensorFlow's numbers of types that tfjs has no name for (tensorflow/c/tf_datatype.h). */
export const uint32Type = { type: 22 } as const;
export const int64Type = { type: 9 } as const;

/** A backend on the addon. */
export type TensorFlow = {
  readonly backend: Backend;
  /** Runs an operation with one output. */
  readonly execute: (name: string, inputs: readonly TensorInfo[], attributes: Attributes) => TensorInfo;
  /** A vector of int32 (or a scalar), kept for ever: axes, permutations and sizes are few. */
  readonly vector: (values: readonly number[] | number) => TensorInfo;
  /** Whole graphs as functions, where the addon takes them. */
  readonly functions?: Functions;
};

type Held = { readonly id: number; references: number };

/** TF_RESOURCE_EXHAUSTED (tensorflow/c/tf_status.h), as the addon words it. */
const outOfMemory = /TF_Status: 8\b/;

type ExecuteAll = (
  name: string,
  inputs: readonly TensorInfo[],
  attributes: Attributes,
  outputs: number,
) => readonly TensorInfo[];

function functionsOn({ addFunction, removeFunction }: Binding, execute: ExecuteAll): Functions | undefined {
  if (addFunction === undefined || removeFunction === undefined) return undefined;
  let count = 0;
  return {
    add: (graph, inputs, outputs, { often }) => {
      const name = `albert_program_${count++}`;
      addFunction(name, graph, inputs, outputs);
      let [compiled, ran] = [often, false];
      const run = (given: readonly TensorInfo[]): readonly TensorInfo[] => {
        // The attribute by which TensorFlow's eager runtime hands a function to XLA (tensorflow/core/common_runtime/eager).
        return execute(name, given, compiled ? { _XlaMustCompile: true } : {}, outputs.length);
      };
      return {
        run: (given) => {
          try {
            return run(given);
          } catch (error) {
            if (!compiled || ran || outOfMemory.test((error as Error).message)) throw error;
            compiled = false; // XLA cannot, TensorFlow's executor may
            return run(given);
          } finally {
            ran = true;
          }
        },
        dispose: () => removeFunction(name),
      };
    },
  };
}

/** Makes a backend of an addon. */
export function tensorFlowOn(binding: Binding): TensorFlow {
  const held = new Map<object, Held>();
  const numbers: Readonly<Record<TypeName, number>> = {
    float32: binding.TF_FLOAT,
    int32: binding.TF_INT32,
    bool: binding.TF_BOOL,
  };
  const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name as TypeName]));
  const hold = (id: number): object => {
    const dataId = {};
    held.set(dataId, { id, references: 1 });
    return dataId;
  };
  const find = (dataId: object): Held => {
    const found = held.get(dataId);
    if (found === undefined) throw new Error("Cannot use a value of tfjs-node: it was released");
    return found;
  };
  const backend: Backend = {
    write: (values, shape, dtype) => {
      if (values === null) throw new TypeError("Cannot write a value to tfjs-node: no values are given");
      return hold(binding.createTensor(shape, numbers[dtype as TypeName], values));
    },
    read: (dataId) => Promise.resolve(binding.tensorDataSync(find(dataId).id)),
    incRef: (dataId) => void find(dataId).references++,
    disposeData: (dataId, force = false) => {
      const found = held.get(dataId);
      if (found === undefined) return true;
      if (--found.references > 0 && !force) return false;
      binding.deleteTensor(found.id);
      return held.delete(dataId);
    },
    numDataIds: () => held.size,
  };
  const attribute = ([name, value]: [string, Attributes[string] | undefined]): Attribute => {
    if (typeof value === "boolean") return { name, type: binding.TF_ATTR_BOOL, value };
    if (typeof value === "string") return { name, type: binding.TF_ATTR_TYPE, value: numbers[value] };
    if (value !== undefined && "type" in value) {
      return { name, type: binding.TF_ATTR_TYPE, value: value.type };
    }
    return { name, type: binding.TF_ATTR_INT, value: value?.count };
  };
  const executeAll: ExecuteAll = (name, inputs, attributes, outputs) => {
    const ids = inputs.map(({ dataId }) => find(dataId).id);
    const made = binding.executeOp(name, Object.entries(attributes).map(attribute), ids, outputs);
    // A type without a name lives between two operations only.
    return made.map(({ id, shape, dtype }) => ({
      dataId: hold(id),
      shape,
      dtype: names.get(dtype) ?? "int32",
    }));
  };
  const execute: TensorFlow["execute"] = (name, inputs, attributes) => {
    const [made] = executeAll(name, inputs, attributes, 1);
    if (made === undefined) throw new Error(`Cannot run ${name}: TensorFlow gave nothing back`);
    return made;
  };
  const vectors = new Map<string, TensorInfo>();
  const vector = (values: readonly number[] | number): TensorInfo => {
    const key = JSON.stringify(values);
    const shape = typeof values === "number" ? [] : [values.length];
    const found = vectors.get(key) ?? {
      dataId: backend.write(Int32Array.from([values].flat() as number[]), shape, "int32"),
      shape,
      dtype: "int32",
    };
    vectors.set(key, found);
    return found;
  };
  const functions = functionsOn(binding, executeAll);
  return { backend, execute, vector, ...functions === undefined ? {} : { functions } };
}
