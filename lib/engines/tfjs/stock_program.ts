/**
 * Runs a graph on tfjs' own kernels: a flat list of instructions made once, each with the values that die after it.
 * Memory is counted by the backend's reference counts; nothing else of tfjs' engine takes part.
 */
import type { Buffer, Graph, OperationName, Program, Tensor, TensorOf } from "../../tensor/mod.ts";
import { hostArray, topological } from "../../tensor/mod.ts";
import { hostKernels } from "../reference/mod.ts";
import type { HostKernels, Values } from "../reference/mod.ts";
import type { BackendName, OpenBackend, TensorInfo } from "./backend.ts";
import { storedType } from "./backend.ts";
import { toHost } from "./memory.ts";
import type { TfjsBuffer } from "./memory.ts";
import { nodeOperations } from "./node/operations.ts";
import { needsHost, stockKernels } from "./stock_kernels.ts";
import type { Context, StockKernels } from "./stock_kernels.ts";
import { webgpuOperations } from "./webgpu_kernels.ts";

/** One step of a program. */
export type Instruction = {
  readonly node: Tensor;
  readonly inputs: readonly number[];
  readonly out: number;
  /** Slots whose last use is this instruction. */
  readonly dead: readonly number[];
};

/** What the kernels of a backend are written with; scalars are put into `kept`. */
export function makeContext(
  { name, backend, kernel, reshape, shade }: OpenBackend,
  table: HostKernels,
  kept: Map<string, TensorInfo>,
): Context {
  const known = new Map<string, ReturnType<OpenBackend["kernel"]>>();
  const write = (values: Values, { dtype, shape }: Pick<Tensor, "dtype" | "shape">): TensorInfo => {
    const array = hostArray(dtype, values.length);
    array.set(values);
    const bits = dtype === "uint32" ? new Int32Array(array.buffer) : array;
    const stored = storedType(dtype);
    return { dataId: backend.write(bits, shape, stored), shape: [...shape], dtype: stored };
  };
  return {
    call: (name, inputs, attrs = {}) => {
      let found = known.get(name);
      if (found === undefined) known.set(name, found = kernel(name));
      return found({ inputs, backend, attrs }) as TensorInfo;
    },
    host: async (node, inputs) => {
      const values = await Promise.all(
        inputs.map(async (x, i) => toHost(await backend.read(x.dataId), (node.inputs[i] as Tensor).dtype)),
      );
      return write(table(node, values), node);
    },
    alias: (x, shape) => {
      const same = shape.length === x.shape.length && shape.every((size, axis) => size === x.shape[axis]);
      if (reshape !== undefined && !same) return reshape(x, shape);
      backend.incRef(x.dataId);
      return { dataId: x.dataId, shape: [...shape], dtype: x.dtype };
    },
    free: (x) => void backend.disposeData(x.dataId),
    shade: shade ?? (() => {
      throw new Error(`Cannot run a shader: tfjs-${name} has none`);
    }),
    scalar: (value, dtype) => {
      const key = `${dtype} ${value}`;
      let found = kept.get(key);
      if (found === undefined) kept.set(key, found = write(Float64Array.of(value), { dtype, shape: [] }));
      return found;
    },
  };
}

/** The instructions of a graph, in order, and the slot of every value. */
export function plan(graph: Graph): { readonly list: Instruction[]; readonly slots: Map<Tensor, number> } {
  const slots = new Map<Tensor, number>();
  const order = topological(graph.outputs);
  for (const p of graph.parameters) slots.set(p as Tensor, slots.size);
  for (const node of order) if (!slots.has(node)) slots.set(node, slots.size);
  const last = new Map<number, Tensor>();
  for (const node of order) for (const input of node.inputs) last.set(slots.get(input) as number, node);
  const kept = new Set(graph.outputs.map((output) => slots.get(output)));
  const list = order.filter(({ op }) => op !== "parameter" && op !== "constant" && op !== "iota").map(
    (node) => {
      const inputs = node.inputs.map((input) => slots.get(input) as number);
      const dead = [...new Set(inputs)].filter((slot) => last.get(slot) === node && !kept.has(slot));
      return { node, inputs, out: slots.get(node) as number, dead };
    },
  );
  return { list, slots };
}

/** Computes one instruction by the table's kernels, or on the host. */
export async function compute(
  { node, inputs }: Instruction,
  known: readonly (TensorInfo | undefined)[],
  context: Context,
  table: StockKernels,
  backend: BackendName,
): Promise<TensorInfo> {
  const values = inputs.map((slot) => known[slot] as TensorInfo);
  if (needsHost(node, backend)) return await context.host(node, values);
  const { op } = node;
  if (!(op in table)) throw new TypeError(`Cannot compute ${op} on tfjs: this engine takes unrolled graphs`);
  const kernel = table[op as keyof StockKernels] as (
    context: Context,
    node: TensorOf<OperationName>,
    inputs: readonly TensorInfo[],
  ) => TensorInfo | Promise<TensorInfo>;
  return await kernel(context, node, values);
}

type Interpreter = {
  readonly context: Context;
  readonly table: StockKernels;
  /** Gives every operation to the device on its own, so that an error found there has its name. */
  readonly each: boolean;
};

const failure = (op: string, reason: string, cause?: unknown): Error =>
  new Error(`Cannot compute ${op} on tfjs: ${reason}`, { cause });

/** Computes the instructions in order, and frees what dies on the way. */
async function interpret(
  list: readonly Instruction[],
  known: (TensorInfo | undefined)[],
  opened: OpenBackend,
  { context, table, each }: Interpreter,
): Promise<void> {
  const complaints: Promise<{ readonly op: string; readonly reason: string | undefined }>[] = [];
  for (const instruction of list) {
    const { op } = instruction.node;
    const watch = opened.watch?.();
    try {
      known[instruction.out] = await compute(instruction, known, context, table, opened.name);
      if (each) watch?.flush();
    } catch (cause) {
      // What the device says of itself explains more than what a kernel stumbled over.
      const reason = await watch?.end({ failed: true }) ?? opened.takeError();
      if (reason === undefined) throw cause;
      throw failure(op, reason, cause);
    }
    if (watch !== undefined) complaints.push(watch.end().then((reason) => ({ op, reason })));
    for (const slot of instruction.dead) {
      context.free(known[slot] as TensorInfo);
      known[slot] = undefined;
    }
    const error = opened.takeError();
    if (error !== undefined) throw failure(op, error);
  }
  // The first is the cause: what follows on it reads values that are not there.
  const found = (await Promise.all(complaints)).find(({ reason }) => reason !== undefined);
  if (found?.reason !== undefined) throw failure(found.op, found.reason);
}

/** The kernels of every operation on a backend. */
export function tableFor(name: BackendName): StockKernels {
  if (name === "webgpu") return { ...stockKernels(), ...webgpuOperations() };
  return name === "node" || name === "node-gpu" ? { ...stockKernels(), ...nodeOperations() } : stockKernels();
}

/** Makes a program of tfjs kernels. */
export async function compileStock(
  opened: OpenBackend,
  graph: Graph,
  { donate, table = tableFor(opened.name) }: {
    readonly donate: readonly number[];
    readonly table?: StockKernels;
  },
): Promise<Program> {
  const { backend } = opened;
  const kept = new Map<string, TensorInfo>();
  const context = makeContext(opened, hostKernels(), kept);
  const { list, slots } = plan(graph);
  const fixed: { readonly slot: number; readonly info: TensorInfo }[] = [];
  for (const [node, slot] of slots) {
    if (node.op === "constant" || node.op === "iota") {
      fixed.push({ slot, info: await context.host(node, []) });
    }
  }
  const donated = new Set(donate);
  let first = true;
  const run = async (given: readonly Buffer[]): Promise<readonly Buffer[]> => {
    const known: (TensorInfo | undefined)[] = new Array(slots.size);
    const hold = (slot: number, info: TensorInfo): void => {
      backend.incRef(info.dataId);
      known[slot] = info;
    };
    given.forEach((buffer, i) => {
      const { info } = buffer as TfjsBuffer;
      if (donated.has(i)) known[i] = info;
      else hold(i, info);
    });
    fixed.forEach(({ slot, info }) => hold(slot, info));
    try {
      await interpret(list, known, opened, { context, table, each: first });
      first = false;
      return graph.outputs.map(({ dtype, shape }, i): TfjsBuffer => ({
        dtype,
        shape,
        info: context.alias(known[slots.get(graph.outputs[i] as Tensor) as number] as TensorInfo, shape),
      }));
    } finally {
      for (const info of known) if (info !== undefined) context.free(info);
    }
  };
  return {
    run,
    dispose: () => {
      fixed.splice(0).forEach(({ info }) => backend.disposeData(info.dataId));
      kept.forEach(({ dataId }) => backend.disposeData(dataId));
      kept.clear();
    },
  };
}
