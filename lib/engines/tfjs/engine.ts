/**
 * The engine on TensorFlow.js 4.22: its backends hold the memory and compute what they are good at.
 */
import { availableParallelism } from "node:os";
import { ownFile } from "../../own_file.ts";
import { topological } from "../../tensor/mod.ts";
import type { Engine, Graph } from "../../tensor/mod.ts";
import { openBackend, storedType } from "./backend.ts";
import type { BackendName, OpenBackend } from "./backend.ts";
import { download, upload } from "./memory.ts";
import type { TfjsBuffer } from "./memory.ts";
import { compileStock } from "./stock_program.ts";
import { openHeap } from "./wasm/heap.ts";
import { makeOwnHeap } from "./wasm/own_heap.ts";
import { compileOwn, downloadOwn, uploadOwn } from "./wasm/program.ts";

/**
 * Options of `tfjsEngine`.
 *
 * @example
 * ```ts
 * import { tfjsEngine } from "albert-guide";
 * import type { TfjsOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: TfjsOptions = { backend: "cpu" };
 * assert.equal((await tfjsEngine(options)).name, "tfjs-cpu");
 * ```
 */
export type TfjsOptions = {
  /**
   * Backend: `"wasm"` (default) runs everywhere, `"webgpu"` on any GPU, `"cpu"` is plain JavaScript; `"node"` and
   * `"node-gpu"` are TensorFlow's own kernels, once tfjs-node is installed.
   */
  readonly backend?: BackendName;
  /** Threads of `"wasm"`, default the processor's; results do not depend on their number. */
  readonly threads?: number;
};

/** Refuses types that tfjs does not have before anything is made. */
function checkTypes(graph: Graph): void {
  topological(graph.outputs).forEach(({ dtype }) => storedType(dtype));
}

/**
 * The wasm backend with our own kernels: tfjs' are slow on transposed products and chains. One thread works on the memory of
 * tfjs, several on one of their own.
 */
function ownEngine(opened: OpenBackend, threads: number): WasmEngine {
  const own = threads > 1 ? makeOwnHeap(threads) : undefined;
  const heap = own ?? openHeap(opened);
  return {
    name: "tfjs-wasm",
    loops: false,
    devices: () => [{ name: threads > 1 ? `tfjs wasm, ${threads} threads` : "tfjs wasm", kind: "cpu" }],
    held: () => own?.held() ?? opened.backend.numDataIds(),
    compile: async (graph, options) => {
      checkTypes(graph);
      return await compileOwn(heap, graph, options, own);
    },
    upload: async (values, type) => {
      storedType(type.dtype);
      return await Promise.resolve(uploadOwn(heap, values, type));
    },
    download: (buffer) => Promise.resolve(downloadOwn(heap, buffer as TfjsBuffer)),
    release: (buffer) => heap.free((buffer as TfjsBuffer).info.dataId),
    dispose: async () => await own?.team.close(),
  };
}

/** The engine with what tests look at. */
export type WasmEngine = Engine & {
  /** Values that it holds. */
  readonly held: () => number;
};

/** Threads that may share WebAssembly here: a bundle or a page without shared memory has one. */
function mostThreads(): number {
  try {
    if (typeof SharedArrayBuffer !== "function") return 1;
    ownFile("engine");
    return availableParallelism();
  } catch {
    return 1;
  }
}

/**
 * Opens the engine on TensorFlow.js.
 *
 * @param options The backend.
 * @returns The engine, named `tfjs-wasm`, `tfjs-cpu`, `tfjs-webgpu`, `tfjs-node` or `tfjs-node-gpu`.
 * @throws {Error} When the backend cannot start, for example without a WebGPU adapter or tfjs-node.
 * @example
 * ```ts
 * import { compile, mul, tfjsEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const engine = await tfjsEngine({ backend: "wasm" });
 * const square = await compile(({ x }) => ({ y: mul(x, x) }), { x: { dtype: "float32", shape: [2] } }, { engine });
 * const { y } = await square.run({ x: Float32Array.of(3, 4) });
 * assert.deepEqual(Array.from(await y.data()), [9, 16]);
 * ```
 */
export async function tfjsEngine({ backend = "wasm", threads }: TfjsOptions = {}): Promise<Engine> {
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 64)) {
    throw new RangeError(`Cannot open tfjs: threads must be a whole number from 1 to 64, it is ${threads}`);
  }
  const opened = await openBackend(backend);
  if (backend === "wasm" && opened.simd) {
    return ownEngine(opened, threads ?? Math.min(16, mostThreads()));
  }
  const whole = opened.functions === undefined
    ? undefined
    : (await import("./node/function_program.ts")).compileFunction; // late: the browser's page has no such addon
  return {
    name: `tfjs-${backend}`,
    loops: false,
    devices: () => [{ name: opened.device, kind: backend.endsWith("gpu") ? "gpu" : "cpu" }],
    compile: async (graph, options) => {
      checkTypes(graph);
      return await whole?.(opened, graph, options) ?? await compileStock(opened, graph, options);
    },
    upload: async (values, type) => await Promise.resolve(upload(opened, values, type)),
    download: (buffer) => download(opened, buffer),
    release: (buffer) => void opened.backend.disposeData((buffer as TfjsBuffer).info.dataId),
    // The backend belongs to tfjs and may have other users: its values are freed one by one.
    dispose: () => Promise.resolve(),
  };
}
