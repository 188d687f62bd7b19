/**
 * A graph as one WebAssembly module that works in place on the memory of tfjs' wasm backend: kernels for every unit,
 * and a `run` that calls them in order. Intermediate values live in an arena that all programs of an engine share,
 * because programs run one at a time; only arguments, results and constants have memory of their own.
 */
import { freemem } from "node:os";
import { memoryUsage } from "node:process";
import type { Buffer, DType, Graph, HostArray, MemoryNeed, Program, Tensor } from "../../../tensor/mod.ts";
import { sizeOf } from "../../../tensor/mod.ts";
import type { TfjsBuffer } from "../memory.ts";
import { functionBuilder, makeModule } from "./assembler.ts";
import { power } from "./power.ts";
import { barrier } from "./share.ts";
import type { Team } from "./team.ts";
import { loopKernel } from "./loop_kernel.ts";
import { lower } from "./lower.ts";
import type { Call, Lowered, Place } from "./lower.ts";
import type { Heap } from "./heap.ts";
import { productKernel } from "./product_kernel.ts";
import { rowsKernel } from "./row_kernels.ts";

const align = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

/** Offsets of intermediate values: a value's place is free again after the last call that uses it. */
function planArena(
  { calls, scratch }: Lowered,
  team: number,
): { readonly offsets: Map<Tensor, number>; readonly bytes: number } {
  const last = new Map<Tensor, number>();
  calls.forEach(({ pointers }, i) =>
    pointers.forEach((place) => place.in === "arena" && last.set(place.value, i))
  );
  const offsets = new Map<Tensor, number>();
  const live: { readonly value: Tensor; readonly from: number; readonly to: number }[] = [];
  const start = team * align(scratch);
  let bytes = start;
  calls.forEach(({ pointers }, i) => {
    for (const place of pointers) {
      if (place.in !== "arena" || offsets.has(place.value)) continue;
      const size = align(4 * sizeOf(place.value.shape));
      // The first gap that is large enough; live values are kept in order of their places.
      let from = start;
      let at = 0;
      while (at < live.length && (live[at] as typeof live[number]).from - from < size) {
        from = (live[at++] as typeof live[number]).to;
      }
      live.splice(at, 0, { value: place.value, from, to: from + size });
      offsets.set(place.value, from);
      bytes = Math.max(bytes, from + size);
    }
    for (let k = live.length - 1; k >= 0; k--) {
      if (last.get((live[k] as typeof live[number]).value) === i) live.splice(k, 1);
    }
  });
  return { offsets, bytes };
}

/** Index of the function in which the threads of a team wait for each other. */
const sync = 1;

function kernelBody({ kernel }: Call, team: number, scratch: number): number[] {
  switch (kernel.kind) {
    case "loop":
      return loopKernel(kernel.spec, team, sync);
    case "product":
      return productKernel(kernel.spec, team, scratch);
    case "rows":
      return rowsKernel(kernel.spec, team);
  }
}

/**
 * The module: every different kernel once, then `run(constants, arena)`; the table of slots heads the constants. The threads
 * of a team wait for each other behind every kernel.
 */
function assemble(
  lowered: Lowered,
  offsets: ReadonlyMap<Tensor, number>,
  constantOffsets: readonly number[],
  { team, shared }: { readonly team: number; readonly shared: boolean },
): Uint8Array {
  const functions: { readonly parameters: number; readonly body: readonly number[] }[] = team > 1
    ? [{ parameters: 0, body: barrier(team) }]
    : [];
  const known = new Map<string, number>();
  const run = functionBuilder(2);
  const pointer = (place: Place): void => {
    if (place.in === "slot") {
      run.get(0);
      run.memory("i32Load", 4 * place.index);
      return;
    }
    run.get(place.in === "constants" ? 0 : 1);
    run.i32(
      place.in === "constants"
        ? constantOffsets[place.index] as number
        : place.in === "arena"
        ? offsets.get(place.value) as number
        : 0,
    );
    run.emit("add");
  };
  for (const call of lowered.calls) {
    const key = JSON.stringify(
      call.kernel,
      (_, value) =>
        typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))
          ? `${1 / value}/${value}`
          : value,
    );
    let index = known.get(key);
    if (index === undefined) {
      index = functions.push({
        parameters: call.pointers.length,
        body: kernelBody(call, team, align(lowered.scratch)),
      });
      known.set(key, index);
    }
    call.pointers.forEach(pointer);
    run.call(index);
    if (team > 1) run.call(sync);
  }
  functions.push({ parameters: 2, body: run.finish() });
  return makeModule(functions, shared);
}

function layConstants(lowered: Lowered): { readonly offsets: number[]; readonly bytes: number } {
  let bytes = align(4 * lowered.slots);
  const offsets = lowered.constants.map((values) => {
    const at = bytes;
    bytes += align(values.byteLength);
    return at;
  });
  return { offsets, bytes };
}

/** The most that one WebAssembly memory can hold. */
const addressable = 2 ** 32;

/** What a program will need. Every result has a place of its own, also where it follows a donated argument. */
function memoryOf(heap: Heap, { parameters, outputs }: Graph, temporary: number): MemoryNeed {
  const bytes = (values: Graph["outputs"]): number =>
    values.reduce((sum, { shape }) => sum + align(4 * sizeOf(shape)), 0);
  const held = heap.size();
  const needed = { arguments: bytes(parameters), temporary, outputs: bytes(outputs) };
  const before = Math.max(0, memoryUsage().rss - held);
  return {
    ...needed,
    process: before,
    peak: before + needed.arguments + temporary + needed.outputs,
    free: Math.min(freemem(), addressable - held),
  };
}

/** Multiplications from which a program is worth the start of threads, and that they wait for each other: some ms of one. */
const worthThreads = 2 ** 25;

/** Whether threads share a program. */
function isLarge({ calls }: Lowered): boolean {
  const work = calls.reduce((sum, { kernel }) => {
    if (kernel.kind !== "product") return sum;
    const { m, n, k, batch } = kernel.spec;
    return sum + batch.reduce((product, { size }) => product * size, m * n * k);
  }, 0);
  return work >= worthThreads;
}

/** Threads on a shared memory, and the address of their words. */
export type Sharing = { readonly team: Team; readonly address: number };

/**
 * Makes a program of own kernels on a heap.
 *
 * @param sharing The threads of the heap; without it its memory is not shared.
 */
export async function compileOwn(
  heap: Heap,
  graph: Graph,
  { donate }: { readonly donate: readonly number[] },
  sharing?: Sharing,
): Promise<Program> {
  const lowered = lower(graph);
  const size = sharing !== undefined && isLarge(lowered) ? sharing.team.size : 1;
  const team = size > 1 ? sharing?.team : undefined;
  const arena = planArena(lowered, size);
  const constants = layConstants(lowered);
  const how = { team: size, shared: sharing !== undefined };
  const module = await WebAssembly.compile(
    assemble(lowered, arena.offsets, constants.offsets, how) as BufferSource,
  );
  const constant = (value: number): WebAssembly.Global =>
    new WebAssembly.Global({ value: "i32", mutable: false }, value);
  const instance = await WebAssembly.instantiate(module, {
    e: {
      m: heap.memory as WebAssembly.Memory,
      p: power,
      ...(sharing === undefined ? {} : { t: constant(0), c: constant(sharing.address) }),
    },
  });
  const id = await team?.load(module) ?? 0;
  const call = instance.exports.run as (constants: number, arena: number) => void;
  let block: object | undefined = heap.allocate(constants.bytes / 4, "int32");
  const base = heap.pointer(block);
  lowered.constants.forEach((values, i) => heap.write(base + (constants.offsets[i] as number), values));
  const run = async (inputs: readonly Buffer[]): Promise<readonly Buffer[]> => {
    if (block === undefined) throw new Error("Cannot run the program: it was disposed");
    const outputs = graph.outputs.map((type): TfjsBuffer => makeBuffer(heap, type));
    const pointers = [...inputs, ...outputs].map((buffer) =>
      heap.pointer((buffer as TfjsBuffer).info.dataId)
    );
    const own = (start?: (constants: number, arena: number) => void): void => {
      const scratch = heap.arena(arena.bytes);
      heap.write(base, Int32Array.from(pointers));
      start?.(base, scratch);
      call(base, scratch);
    };
    if (team === undefined) own();
    else {
      const turn = team.run(id, own);
      if (turn !== undefined) await turn;
    }
    for (const index of donate) heap.free((inputs[index] as TfjsBuffer).info.dataId);
    return outputs;
  };
  return {
    run,
    memory: memoryOf(heap, graph, arena.bytes + constants.bytes),
    dispose: () => {
      if (block === undefined) return;
      heap.free(block);
      team?.unload(id);
      block = undefined;
    },
  };
}

function makeBuffer(
  heap: Heap,
  { dtype, shape }: { readonly dtype: DType; readonly shape: readonly number[] },
): TfjsBuffer {
  const stored = dtype === "float32" ? "float32" : "int32";
  const dataId = heap.allocate(sizeOf(shape), stored);
  return { dtype, shape, info: { dataId, shape: [...shape], dtype: stored } };
}

/** Copies host values to the heap; bool becomes a mask. */
export function uploadOwn(
  heap: Heap,
  values: HostArray,
  type: { readonly dtype: DType; readonly shape: readonly number[] },
): TfjsBuffer {
  const buffer = makeBuffer(heap, type);
  const array = type.dtype === "bool"
    ? Int32Array.from(values, (x) => x === 0 ? 0 : -1)
    : type.dtype === "float32"
    ? (values instanceof Float32Array ? values : Float32Array.from(values))
    : type.dtype === "uint32"
    ? Uint32Array.from(values)
    : Int32Array.from(values);
  heap.write(heap.pointer(buffer.info.dataId), array);
  return buffer;
}

/** Copies a value to host memory. */
export function downloadOwn(heap: Heap, { dtype, shape, info }: TfjsBuffer): HostArray {
  const bytes = heap.read(heap.pointer(info.dataId), 4 * sizeOf(shape));
  if (dtype === "float32") return new Float32Array(bytes);
  if (dtype === "uint32") return new Uint32Array(bytes);
  const whole = new Int32Array(bytes);
  return dtype === "bool" ? Uint8Array.from(whole, (x) => x === 0 ? 0 : 1) : whole;
}
