/**
 * Values on a device, by hand: they live until they are disposed, donated to a program, or nobody holds them any more.
 */
import { checkDType, checkShape, checkValues, naturalDType } from "./checks.ts";
import { describe } from "./graph.ts";
import { engineInUse } from "./interactive.ts";
import type { Buffer, Engine, HostArray, TensorType } from "./types.ts";

/**
 * A value on a device.
 *
 * @example
 * ```ts
 * import { deviceArray, referenceEngine } from "albert-guide";
 * import type { DeviceArray } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const value: DeviceArray = await deviceArray(Float32Array.of(1, 2), { engine: referenceEngine() });
 * assert.deepEqual(Array.from(await value.data()), [1, 2]);
 * value.dispose();
 * ```
 */
export type DeviceArray = {
  readonly kind: "device array";
  readonly dtype: TensorType["dtype"];
  readonly shape: TensorType["shape"];
  /** Copies the value to host memory. */
  readonly data: () => Promise<HostArray>;
  /** Frees it; harmless when repeated. */
  readonly dispose: () => void;
  /** For the library: the engine's buffer; throws when it was donated or disposed. */
  readonly take: (options: { readonly donate: boolean; readonly engine: Engine }) => Buffer;
};

/** A buffer of an engine as a device array. */
export function wrap(engine: Engine, buffer: Buffer): DeviceArray {
  let live: Buffer | undefined = buffer;
  let why = "disposed";
  const alive = (): Buffer => {
    if (live === undefined) throw new Error(`Cannot use ${describe(buffer)}: this device array was ${why}`);
    return live;
  };
  return {
    kind: "device array",
    dtype: buffer.dtype,
    shape: buffer.shape,
    data: () => engine.download(alive()),
    dispose: () => {
      if (live !== undefined) engine.release(live);
      live = undefined;
    },
    take: ({ donate, engine: user }) => {
      if (user !== engine) {
        throw new Error(
          `Cannot give ${describe(buffer)} to ${user.name}: it lives on ${engine.name}, copy it by data()`,
        );
      }
      const taken = alive();
      if (donate) {
        live = undefined;
        why = "donated to a program";
      }
      return taken;
    },
  };
}

/**
 * Copies host values to an engine's device.
 *
 * @param values Row-major values.
 * @param options `engine`: default the one in use; `dtype`, `shape`: default those of the array; `split`: give each device
 * its part of the first dimension, default the whole.
 * @returns The value on the device.
 * @throws {RangeError} When the number of values does not fit the shape, or an integer type does not hold one.
 * @throws {TypeError} When the array is of another kind than the type: integers for floats, 64-bit integers.
 * @example
 * ```ts
 * import { deviceArray, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ids = await deviceArray(Int32Array.of(1, 2), { engine: referenceEngine(), shape: [2, 1] });
 * assert.deepEqual(ids.shape, [2, 1]);
 * ```
 */
export async function deviceArray(
  values: HostArray,
  { engine, dtype, shape, split = false }: {
    readonly engine?: Engine;
    readonly dtype?: TensorType["dtype"];
    readonly shape?: TensorType["shape"];
    readonly split?: boolean;
  } = {},
): Promise<DeviceArray> {
  const used = engine ?? await engineInUse();
  const type: TensorType = { dtype: dtype ?? naturalDType(values), shape: shape ?? [values.length] };
  checkDType(type.dtype, "upload values as");
  checkShape(type, (words) => `upload values as ${words}`);
  checkValues(values, type.dtype, "upload values");
  checkLength(values, type, "upload values");
  return wrap(used, await used.upload(values, type, { split }));
}

/** Refuses as many values as the type does not have. */
export function checkLength(values: HostArray, type: TensorType, action: string): void {
  const wanted = type.shape.reduce((product, size) => product * size, 1);
  if (values.length !== wanted) {
    throw new RangeError(
      `Cannot ${action}: ${describe(type)} needs ${wanted} values, ${values.length} are given`,
    );
  }
}
