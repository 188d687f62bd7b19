/** How near the values of an engine must be to those of the reference. */
import assert from "node:assert/strict";
import type { HostArray } from "albert-guide";

/** Each value within `unit` millionths of what is expected, or of 1 where that is less. */
export function assertClose(actual: HostArray, expected: HostArray, unit: number, where: string): void {
  assert.equal(actual.length, expected.length, `${where}: length`);
  expected.forEach((want, i) => {
    const got = actual[i] as number;
    const rounded = actual instanceof Float32Array ? Math.fround(want) : want;
    if (Object.is(got, rounded) || got === rounded) return;
    const allowed = unit * 1e-6 * Math.max(1, Math.abs(want));
    assert.ok(Math.abs(got - want) <= allowed, `${where}[${i}]: ${got}, expected ${want}`);
  });
}
