/**
 * Values of the tfjs engine: a handle on the backend's memory under our own type.
 */
import type { Buffer, DType, HostArray, TensorType } from "../../tensor/mod.ts";
import { hostArray } from "../../tensor/mod.ts";
import { storedType } from "./backend.ts";
import type { OpenBackend, TensorInfo } from "./backend.ts";

/** A value on a tfjs backend. */
export type TfjsBuffer = Buffer & { readonly info: TensorInfo };

/** What a backend returned, as host memory of our type. */
export function toHost(read: ArrayBufferView, dtype: DType): HostArray {
  const values = read as HostArray;
  if (dtype === "uint32" && values instanceof Int32Array) {
    return new Uint32Array(values.buffer, values.byteOffset, values.length);
  }
  if (dtype !== "bool" || values instanceof Uint8Array) return values;
  return Uint8Array.from(values, (x) => x === 0 ? 0 : 1);
}

/** Copies host values to the backend. */
export function upload(
  { backend }: OpenBackend,
  values: HostArray,
  { dtype, shape }: TensorType,
): TfjsBuffer {
  const stored = storedType(dtype);
  const array = hostArray(dtype, values.length);
  if (dtype === "bool") values.forEach((x, i) => array[i] = x === 0 ? 0 : 1);
  else array.set(values);
  const bits = dtype === "uint32" ? new Int32Array(array.buffer) : array;
  return {
    dtype,
    shape,
    info: { dataId: backend.write(bits, shape, stored), shape: [...shape], dtype: stored },
  };
}

/** Copies a value to host memory. */
export async function download(
  { backend, takeError, watch }: OpenBackend,
  buffer: Buffer,
): Promise<HostArray> {
  const watched = watch?.();
  let read: ArrayBufferView | undefined;
  let failed: unknown;
  try {
    read = await backend.read((buffer as TfjsBuffer).info.dataId);
  } catch (cause) {
    failed = cause;
  }
  const error = await watched?.end({ failed: failed !== undefined }) ?? takeError() ??
    (failed instanceof Error ? failed.message : failed);
  if (error !== undefined || read === undefined) {
    throw new Error(`Cannot read a value from tfjs: ${error}`, { cause: failed });
  }
  return toHost(read, buffer.dtype).slice() as HostArray;
}
