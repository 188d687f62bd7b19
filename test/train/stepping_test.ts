// Batches are read ahead of the steps that take them, and an error does not come before its step.
import assert from "node:assert/strict";
import { readAhead } from "../../lib/train/stepping.ts";

const batch = (position: number, values: number) => ({ ids: new Int32Array(values), size: 1, position });

Deno.test("readAhead() hands out all batches before what failed behind them, and closes the source", async () => {
  let closed = false;
  async function* failing() {
    try {
      for (let position = 1; position <= 20; position++) yield batch(position, 4);
      throw new RangeError("record 21 is damaged");
    } finally {
      closed = true;
    }
  }
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const { position } of readAhead(failing())) seen.push(position);
  }, /record 21 is damaged/);
  assert.deepEqual(seen, Array.from({ length: 20 }, (_, i) => i + 1));
  assert.ok(closed);
});

Deno.test("readAhead() reads 16 small batches at a time, one large one, and closes a source that is left early", async () => {
  for (const [values, expected] of [[4, 16], [1 << 18, 1]] as const) {
    let read = 0;
    let closed = false;
    const endless = async function* () {
      try {
        for (;;) yield batch(++read, values);
      } finally {
        closed = true;
      }
    };
    for await (const { position } of readAhead(endless())) {
      assert.equal(position, 1);
      break;
    }
    assert.equal(read, expected);
    assert.ok(closed);
  }
});
