import assert from "node:assert/strict";
import { take } from "../../lib/formats/mod.ts";

Deno.test("take() reads no more than asked and closes the source", async () => {
  let read = 0;
  let closed = false;
  async function* source(): AsyncGenerator<number> {
    try {
      for (;;) yield await Promise.resolve(read++);
    } finally {
      closed = true;
    }
  }
  assert.deepEqual(await take(source(), 3), [0, 1, 2]);
  assert.deepEqual([read, closed], [3, true]);
  assert.deepEqual(await take([1], 5), [1]);
  assert.deepEqual(await take([1], 0), []);
});
