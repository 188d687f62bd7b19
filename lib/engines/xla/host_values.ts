/**
 * Host arrays as the bytes of the device and back: bool as one byte of 0 or 1, bfloat16 as the upper half of a rounded
 * float32, everything else as it lies in memory (little-endian, as on every platform that has a plugin).
 */
import type { DType, HostArray } from "../../tensor/types.ts";

function toBfloat16(values: HostArray): Uint16Array {
  const floats = Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer);
  // Nearest, ties to even; NaN stays NaN.
  return Uint16Array.from(
    bits,
    (word) =>
      (word & 0x7f800000) === 0x7f800000
        ? (word >>> 16) | ((word & 0xffff) === 0 ? 0 : 0x40)
        : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16,
  );
}

const raw = (array: HostArray | Uint16Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice();

/** A copy of host values as the device holds them. */
export function toDeviceBytes(values: HostArray, dtype: DType): Uint8Array {
  switch (dtype) {
    case "bool":
      return Uint8Array.from(values, (x) => x === 0 ? 0 : 1);
    case "bfloat16":
      return raw(toBfloat16(values));
    case "float32":
      return raw(values instanceof Float32Array ? values : Float32Array.from(values));
    case "int32":
      return raw(values instanceof Int32Array ? values : Int32Array.from(values));
    case "uint32":
      return raw(values instanceof Uint32Array ? values : Uint32Array.from(values));
  }
}

/** Host values from the device's bytes, which are taken over. */
export function fromDeviceBytes(bytes: Uint8Array, dtype: DType): HostArray {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  switch (dtype) {
    case "bool":
      return aligned;
    case "bfloat16": {
      const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
      return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
    }
    case "float32":
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case "int32":
      return new Int32Array(buffer, byteOffset, byteLength / 4);
    case "uint32":
      return new Uint32Array(buffer, byteOffset, byteLength / 4);
  }
}
