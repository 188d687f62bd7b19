/**
 * Options of a plugin's client, by what it runs on. Older plugins know fewer and refuse the rest, so there is a list of
 * attempts. The names for CUDA and ROCm are those that JAX passes; the CPU's were found by trying (unknown names are
 * refused with an error).
 */
import type { Ffi } from "./ffi.ts";
import type { PluginName } from "./packages.ts";
import { layouts, namedValueKinds } from "./pjrt_layout.ts";

/** A value: a whole number is an int64, `{ float }` a float, a list holds int64s. */
export type CreateOption = number | boolean | string | readonly number[] | { readonly float: number };

/** Options by name. */
export type CreateOptions = Readonly<Record<string, CreateOption>>;

/** What to try, the best first. */
export function clientAttempts(kind: PluginName, { devices }: { readonly devices: number }): CreateOptions[] {
  const gpu = (platform: string): CreateOptions[] => {
    const visible = { visible_devices: Array.from({ length: devices }, (_, i) => i) };
    // Memory grows with use: other programs and the screen live on the same device.
    const memory = { allocator: "bfc", preallocate: false, memory_fraction: { float: 0.9 } };
    return [{ platform_name: platform, ...visible, ...memory }, { ...visible, ...memory }, visible];
  };
  switch (kind) {
    case "xla-cuda":
      return gpu("cuda");
    case "xla-rocm":
      return gpu("ROCM");
    case "xla-tpu":
      return [{}];
    case "xla-cpu":
      return [{ cpu_device_count: devices, asynchronous: false }, { cpu_device_count: devices }, {}];
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Memory of its own for C. */
function own(bytes: Uint8Array): ArrayBuffer {
  const memory = new ArrayBuffer(Math.max(8, bytes.length));
  new Uint8Array(memory).set(bytes);
  return memory;
}

/** Options as an array of `PJRT_NamedValue`; `keep` is what it points to. */
export function namedValues(
  ffi: Ffi,
  options: CreateOptions,
): { readonly list: ArrayBuffer; readonly count: number; readonly keep: readonly unknown[] } {
  const entries = Object.entries(options);
  const { size, name: nameAt, name_size, type, value: valueAt, value_size } = layouts.NamedValue;
  const list = new ArrayBuffer(Math.max(8, size * entries.length));
  const view = new DataView(list);
  const keep: unknown[] = [list];
  const pointTo = (at: number, bytes: Uint8Array): void => {
    const memory = own(bytes);
    keep.push(memory);
    view.setBigUint64(at, ffi.addressOf(memory), true);
  };
  entries.forEach(([name, value], i) => {
    const base = size * i;
    const put = (kind: number, length: number): void => {
      view.setInt32(base + type, kind, true);
      view.setBigUint64(base + value_size, BigInt(length), true);
    };
    view.setBigUint64(base, BigInt(size), true);
    pointTo(base + nameAt, encode(name));
    view.setBigUint64(base + name_size, BigInt(encode(name).length), true);
    if (typeof value === "string") {
      pointTo(base + valueAt, encode(value));
      put(namedValueKinds.string, encode(value).length);
    } else if (typeof value === "number" || typeof value === "boolean") {
      view.setBigInt64(base + valueAt, BigInt(value), true);
      put(typeof value === "boolean" ? namedValueKinds.bool : namedValueKinds.int64, 1);
    } else if ("float" in value) {
      view.setFloat32(base + valueAt, value.float, true);
      put(namedValueKinds.float, 1);
    } else {
      pointTo(base + valueAt, new Uint8Array(BigInt64Array.from(value, BigInt).buffer));
      put(namedValueKinds.int64List, value.length);
    }
  });
  return { list, count: entries.length, keep };
}
