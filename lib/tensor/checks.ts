/**
 * What a shape and a value must be before an engine sees them. Engines stop with words of their own, or with their
 * process, at sizes beyond what they count with; here the caller's line is still known. 2^53 - 1 is the largest whole
 * number up to which a JavaScript number counts exactly.
 */
import type { DType, HostArray, TensorType } from "./types.ts";

const bytesOf: Readonly<Record<DType, number>> = { float32: 4, bfloat16: 2, int32: 4, uint32: 4, bool: 1 };

/** Refuses an element type that does not exist; `action` is what is attempted, for the message. */
export function checkDType(dtype: DType, action: string): void {
  if (Object.hasOwn(bytesOf, dtype)) return;
  throw new TypeError(`Cannot ${action} ${dtype}: element types are ${Object.keys(bytesOf).join(", ")}`);
}

/** Refuses a shape that no engine can hold; `attempt` gives the words from `type`, the type in words. */
export function checkShape({ dtype, shape }: TensorType, attempt: (type: string) => string): void {
  const refuse = (reason: string): RangeError =>
    new RangeError(`Cannot ${attempt(`${dtype} [${shape.join(", ")}]`)}: ${reason}`);
  let count = 1;
  for (const size of shape) {
    if (!(Number.isSafeInteger(size) && size >= 0)) throw refuse("sizes must be whole numbers from 0 on");
    // Sizes of 0 are passed over: engines multiply the others, too.
    if (size !== 0) count *= size;
  }
  if (count * bytesOf[dtype] > Number.MAX_SAFE_INTEGER) {
    throw refuse(`it needs ${count * bytesOf[dtype]} bytes, at most 2^53 - 1 can be counted`);
  }
}

type Kind = "Float32Array" | "Float64Array" | "Int32Array" | "Uint32Array" | "Uint8Array";

/** For each element type its own kind of array, the kinds taken as they are, and those whose values are looked at. */
const kinds: Readonly<
  Record<DType, { readonly own: Kind; readonly free: readonly string[]; readonly looked: readonly string[] }>
> = {
  float32: { own: "Float32Array", free: ["Float32Array", "Float64Array"], looked: [] },
  bfloat16: { own: "Float32Array", free: ["Float32Array", "Float64Array"], looked: [] },
  int32: {
    own: "Int32Array",
    free: ["Int32Array", "Uint8Array"],
    looked: ["Uint32Array", "Float32Array", "Float64Array"],
  },
  uint32: {
    own: "Uint32Array",
    free: ["Uint32Array", "Uint8Array"],
    looked: ["Int32Array", "Float32Array", "Float64Array"],
  },
  // Everything but 0 is true.
  bool: {
    own: "Uint8Array",
    free: ["Uint8Array", "Int32Array", "Uint32Array", "Float32Array", "Float64Array"],
    looked: [],
  },
};

const ranges: Readonly<Partial<Record<DType, readonly [least: number, most: number]>>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
};

/** The kind of an array by its own name, which holds for arrays of another context, too. */
function kindOf(values: unknown): string {
  const tag = (values as { readonly [Symbol.toStringTag]?: string } | undefined)?.[Symbol.toStringTag];
  return tag ?? (Array.isArray(values) ? "list" : typeof values);
}

/** The element type that an array has when none is said. */
export function naturalDType(values: HostArray): DType {
  const kind = kindOf(values);
  return kind === "Int32Array"
    ? "int32"
    : kind === "Uint32Array"
    ? "uint32"
    : kind === "Uint8Array"
    ? "bool"
    : "float32";
}

/** Refuses what an integer type would wrap or cut: values out of range, fractions, NaN. */
export function checkWhole(
  values: ArrayLike<number>,
  dtype: DType,
  action: string,
  fraction: string = "round it first",
): void {
  const range = ranges[dtype];
  if (range === undefined) return;
  const [least, most] = range;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    throw new RangeError(
      `Cannot ${action}: ${value}${values.length > 1 ? ` (value ${i})` : ""} is no ${dtype}, ` +
        (Number.isInteger(value) ? `give values from ${least} to ${most}` : fraction),
    );
  }
}

/**
 * Refuses an array that holds no values of the type: integers are not turned to floats unasked, values that an integer
 * type would wrap or cut are named. Arrays of the type's own kind are not looked at.
 */
export function checkValues(values: HostArray, dtype: DType, action: string): void {
  const kind = kindOf(values);
  const { own, free, looked } = kinds[dtype];
  if (free.includes(kind)) return;
  if (looked.includes(kind)) return checkWhole(values, dtype, action);
  const convert = kind.startsWith("Big") ? `${own}.from(values, Number)` : `${own}.from(values)`;
  throw new TypeError(
    `Cannot ${action}: ${dtype} takes ${own}, ${kind} is given, convert it by ${convert}`,
  );
}

/** Refuses an array of a constant; one of another kind is turned to the type, as said there, where it keeps its values. */
export function checkConstant(values: HostArray, dtype: DType): void {
  const kind = kindOf(values);
  if (!kinds.bool.free.includes(kind)) checkValues(values, dtype, "make a constant");
  else if (!kinds[dtype].free.includes(kind)) checkWhole(values, dtype, "make a constant");
}
