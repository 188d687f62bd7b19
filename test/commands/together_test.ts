// What processes of one job tell each other: who is slow, and what is not the same everywhere.
import assert from "node:assert/strict";
import { requireSame, slowWatch } from "../../lib/commands/together.ts";
import { alone } from "../../lib/engines/mod.ts";

Deno.test("slowWatch() names the process that holds up the others, once, and again after it was fine", () => {
  const said: string[] = [];
  const means: (readonly number[])[] = [];
  const watch = slowWatch((line) => void said.push(line), (each) => void means.push(each));
  const fifty = (...milliseconds: number[]): void => {
    for (let i = 0; i < 50; i++) watch(milliseconds);
  };
  fifty(100, 110, 90);
  assert.deepEqual([said.length, means], [0, [[100, 110, 90]]]);
  fifty(100, 300, 100);
  fifty(100, 300, 100);
  assert.deepEqual(said, [
    "process 1 holds up the others: it computes 3.0 times as long between two sums (300 ms, the others 100 ms)",
  ]);
  fifty(100, 100, 100);
  fifty(100, 300, 100);
  assert.equal(said.length, 2);
  fifty(1, 1, 9); // nine times as long, but nobody waits for it
  assert.equal(said.length, 2);
});

/** The sum over three processes of which the last one has other texts. */
function worldOf(rank: number, texts: readonly Readonly<Record<string, string>>[]) {
  const parts: Float32Array[] = [];
  const collect = (values: Float32Array | Float64Array): void => void parts.push(Float32Array.from(values));
  texts.forEach((what, other) => {
    try {
      requireSame({ ...alone(), rank: other, size: texts.length, sum: collect }, what);
    } catch {
      // It has summed nothing and sees itself alone.
    }
  });
  const sum = (values: Float32Array | Float64Array): void =>
    values.forEach((_, i) => values[i] = parts.reduce((all, part) => all + (part[i] ?? 0), 0));
  return { ...alone(), rank, size: texts.length, sum };
}

Deno.test("requireSame() names in every process what differs and where", () => {
  const same = { flags: "a", "version of the library": "1", records: "x" };
  const other = { ...same, "version of the library": "2", records: "y" };
  const all = [same, same, other];
  for (const rank of [0, 1, 2]) {
    assert.throws(
      () => requireSame(worldOf(rank, all), all[rank] ?? same),
      /Cannot train over 3 processes: what differs from process 0 is the version of the library of process 2, the records of process 2;/,
    );
  }
  requireSame(worldOf(1, [same, same]), same);
});
