/**
 * Pieces of StableHLO text: types, literals and names. Floats are written as bit patterns, so a constant is exact and
 * NaN and infinities need no words. The syntax is what plugins with StableHLO 1.13 to 1.22 parse.
 */
import type { DType, HostArray, TensorType } from "../../tensor/types.ts";
import { toDeviceBytes } from "./host_values.ts";

/** Names of the element types in MLIR. */
export const mlirTypes: { readonly [Name in DType]: string } = {
  float32: "f32",
  bfloat16: "bf16",
  int32: "i32",
  uint32: "ui32",
  bool: "i1",
};

/** `tensor<2x3xf32>`. */
export function typeText({ dtype, shape }: TensorType): string {
  return `tensor<${[...shape, mlirTypes[dtype]].join("x")}>`;
}

const hex = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0").toUpperCase();
  return text;
};

/** The literal of one element: `0x3F800000`, `-5`, `true`. */
export function literal(value: number, dtype: DType): string {
  switch (dtype) {
    case "bool":
      return value === 0 ? "false" : "true";
    case "int32":
      return String(value | 0);
    case "uint32":
      return String(value >>> 0);
    default:
      return `0x${hex(toDeviceBytes(Float32Array.of(value), dtype).reverse())}`;
  }
}

/** The bytes of an array constant as MLIR's hexadecimal literal, little-endian; not for bool. */
export function blob(values: HostArray, dtype: DType): string {
  return `"0x${hex(toDeviceBytes(values, dtype))}"`;
}

/** What an operation needs to write itself. */
export type Writer = {
  /** Devices that run the program together. */
  readonly replicas: number;
  /** Writes `%n = right` and gives the name. */
  readonly value: (right: string) => string;
  /** Writes a line as it is. */
  readonly line: (text: string) => void;
  /** A new name, without `%`. */
  readonly name: () => string;
  /** A constant filled with one number. */
  readonly splat: (value: number, type: TensorType) => string;
  /** An array constant: in the text when small, otherwise an argument that the program keeps. */
  readonly array: (values: HostArray, type: TensorType) => string;
};

/** A writer that collects lines. */
export function makeWriter(
  replicas: number,
  hide: (values: HostArray, type: TensorType) => string,
): Writer & { readonly lines: string[] } {
  const lines: string[] = [];
  let names = 0;
  const name = (): string => `v${names++}`;
  const value = (right: string): string => {
    const made = `%${name()}`;
    lines.push(`${made} = ${right}`);
    return made;
  };
  const array = (values: HostArray, type: TensorType): string => {
    const text = typeText(type);
    if (values.length === 0) return value(`stablehlo.constant dense<> : ${text}`);
    if (values.length > 1024) return hide(values, type);
    if (type.dtype !== "bool") {
      return value(`stablehlo.constant dense<${blob(values, type.dtype)}> : ${text}`);
    }
    const words = { dtype: "int32", shape: type.shape } as const;
    const number = array(Int32Array.from(values, (x) => x === 0 ? 0 : 1), words);
    return value(`stablehlo.convert ${number} : (${typeText(words)}) -> ${text}`);
  };
  return {
    replicas,
    lines,
    name,
    value,
    line: (text) => void lines.push(text),
    splat: (number, type) =>
      type.shape.includes(0)
        ? value(`stablehlo.constant dense<> : ${typeText(type)}`)
        : value(`stablehlo.constant dense<${literal(number, type.dtype)}> : ${typeText(type)}`),
    array,
  };
}
