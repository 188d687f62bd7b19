/**
 * What a shape and a value must be before an engine sees them. Engines stop with words of their own, or with their
 * process, at sizes beyond what they count with; here the caller's line is still known. 2^53 - 1 is the largest whole
 * number up to which a JavaScript number counts exactly.
 */
import type { DType, TensorType } from "./types.ts";

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
