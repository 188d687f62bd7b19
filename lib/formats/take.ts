/**
 * The beginning of a stream, where a loop cannot stand: a tslab cell takes no `for await` at its top level.
 */

/**
 * The first values of an iterable; the rest is not read.
 *
 * @param source Any iterable or async iterable.
 * @param count How many values at most.
 * @returns The values in order.
 * @example
 * ```ts
 * import { take } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(await take(["a", "b", "c"], 2), ["a", "b"]);
 * ```
 */
export async function take<Value>(
  source: Iterable<Value> | AsyncIterable<Value>,
  count: number,
): Promise<Value[]> {
  const values: Value[] = [];
  if (count <= 0) return values;
  for await (const value of source) {
    values.push(value);
    if (values.length >= count) break;
  }
  return values;
}
