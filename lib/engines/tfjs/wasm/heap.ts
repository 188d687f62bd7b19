/**
 * The memory of tfjs' wasm backend as our kernels use it: values allocated and counted by the backend, and an arena for
 * what lives only during a run.
 */
import type { HostArray } from "../../../tensor/mod.ts";
import type { Backend, OpenBackend } from "../backend.ts";

/** The heap. Pointers are byte addresses; they stay valid until their value is freed. */
export type Heap = {
  /** The WebAssembly.Memory; typed loosely, because declarations are read where that name is unknown. */
  readonly memory: object;
  readonly allocate: (elements: number, dtype: "float32" | "int32") => object;
  readonly free: (dataId: object) => void;
  readonly pointer: (dataId: object) => number;
  readonly write: (pointer: number, values: HostArray) => void;
  readonly read: (pointer: number, bytes: number) => ArrayBuffer;
  /** Bytes that the memory has grown to. */
  readonly size: () => number;
  /** At least that many bytes, shared by all programs. */
  readonly arena: (bytes: number) => number;
};

type WasmBackend = Backend & {
  readonly dataIdMap: { readonly get: (dataId: object) => { readonly memoryOffset: number } };
  readonly wasm: {
    readonly asm: { readonly memory: WebAssembly.Memory };
  };
};

/** Opens the heap of a wasm backend. */
export function openHeap({ backend: opened }: OpenBackend): Heap {
  const backend = opened as WasmBackend;
  let arena: { readonly dataId: object; readonly bytes: number } | undefined;
  const bytesNow = (): Uint8Array => new Uint8Array(backend.wasm.asm.memory.buffer);
  const pointer = (dataId: object): number => backend.dataIdMap.get(dataId).memoryOffset;
  const allocate = (elements: number, dtype: "float32" | "int32"): object => {
    const dataId = backend.write(null, [Math.max(1, elements)], dtype);
    if (pointer(dataId) === 0) {
      throw new RangeError(
        `Cannot allocate ${4 * elements} bytes: the 4 GB of WebAssembly are used up, ` +
          "use a smaller batch or model, remat, or another engine",
      );
    }
    return dataId;
  };
  return {
    memory: backend.wasm.asm.memory,
    allocate,
    free: (dataId) => void backend.disposeData(dataId),
    pointer,
    write: (at, values) =>
      bytesNow().set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at),
    read: (at, bytes) => backend.wasm.asm.memory.buffer.slice(at, at + bytes) as ArrayBuffer,
    size: () => backend.wasm.asm.memory.buffer.byteLength,
    arena: (bytes) => {
      if (arena === undefined || arena.bytes < bytes) {
        if (arena !== undefined) backend.disposeData(arena.dataId);
        arena = { dataId: allocate(Math.ceil(bytes / 4), "int32"), bytes };
      }
      return pointer(arena.dataId);
    },
  };
}
