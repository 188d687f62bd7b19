/**
 * What the tensor formats share: how many bytes a value of each type takes, the array that holds it, the order of names,
 * and the check of a tensor before it is written. Not part of the public door.
 */
import type { SafetensorsData, SafetensorsTensor, SafetensorsType } from "./safetensors.ts";

/** Bytes a value takes, and a view of values in memory. */
type Layout = {
  readonly bytes: number;
  readonly view: (buffer: ArrayBuffer, at: number, length: number) => SafetensorsData;
};

// The order of the lines is the safetensors reference writer's order of types.
export const layouts: Readonly<Record<SafetensorsType, Layout>> = {
  U64: { bytes: 8, view: (b, at, n) => new BigUint64Array(b, at, n) },
  I64: { bytes: 8, view: (b, at, n) => new BigInt64Array(b, at, n) },
  F64: { bytes: 8, view: (b, at, n) => new Float64Array(b, at, n) },
  F32: { bytes: 4, view: (b, at, n) => new Float32Array(b, at, n) },
  U32: { bytes: 4, view: (b, at, n) => new Uint32Array(b, at, n) },
  I32: { bytes: 4, view: (b, at, n) => new Int32Array(b, at, n) },
  BF16: { bytes: 2, view: (b, at, n) => new Uint16Array(b, at, n) },
  F16: { bytes: 2, view: (b, at, n) => new Uint16Array(b, at, n) },
  U16: { bytes: 2, view: (b, at, n) => new Uint16Array(b, at, n) },
  I16: { bytes: 2, view: (b, at, n) => new Int16Array(b, at, n) },
  I8: { bytes: 1, view: (b, at, n) => new Int8Array(b, at, n) },
  U8: { bytes: 1, view: (b, at, n) => new Uint8Array(b, at, n) },
  BOOL: { bytes: 1, view: (b, at, n) => new Uint8Array(b, at, n) },
};

/** The order of UTF-8 bytes, which is the order of code points and not that of UTF-16 units. */
export function compareNames(a: string, b: string): number {
  const [x, y] = [new TextEncoder().encode(a), new TextEncoder().encode(b)];
  const differs = x.findIndex((byte, i) => byte !== y[i]);
  return differs < 0 ? x.length - y.length : (x[differs] ?? 0) - (y[differs] ?? -1);
}

/** Values of a shape. */
export const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Refuses a tensor whose type, shape and values do not fit each other. */
export function checkTensor(name: string, { dtype, shape, data }: SafetensorsTensor): void {
  const bytes = layouts[dtype]?.bytes;
  if (bytes === undefined) {
    throw new TypeError(
      `Cannot write tensor ${name}: dtype ${dtype} is none of ${Object.keys(layouts).join(", ")}`,
    );
  }
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0)) {
    throw new RangeError(`Cannot write tensor ${name}: [${shape.join(", ")}] is no shape`);
  }
  if (data.BYTES_PER_ELEMENT !== bytes) {
    throw new TypeError(
      `Cannot write tensor ${name}: ${dtype} has ${bytes} bytes a value, the array has ${data.BYTES_PER_ELEMENT}`,
    );
  }
  if (data.length !== count(shape)) {
    throw new RangeError(
      `Cannot write tensor ${name}: shape [${shape.join(", ")}] needs ${
        count(shape)
      } values, ${data.length} are given`,
    );
  }
}
