import assert from "node:assert/strict";
import { memoryUsage } from "node:process";
import { startTeam } from "../../lib/tokenizer/em_team.ts";
import { makePace } from "../../lib/tokenizer/pace.ts";
import { pieceList } from "../../lib/tokenizer/piece_list.ts";

Deno.test("startTeam() hands large arrays to threads without listing their indexes", async () => {
  const bytes = 1 << 24;
  const before = memoryUsage().rss;
  const team = startTeam(2, {
    words: {
      count: 0,
      starts: new Int32Array(0),
      lengths: new Int32Array(0),
      frequencies: new Float32Array(0),
      total: 0,
    },
    store: {
      bases: new Int32Array(1),
      first: new Int32Array(1),
      ids: new Int32Array(new SharedArrayBuffer(bytes)),
      spans: new Uint16Array(new SharedArrayBuffer(bytes / 2)),
    },
    partitions: 2,
    seeds: 1,
  });
  try {
    const resultOf = await team.count(pieceList(1), makePace());
    assert.deepEqual([resultOf(1).own, resultOf(1).objective], [new Float32Array(1), 0]);
    const grown = memoryUsage().rss - before;
    // A thread takes 30 MB; indexes would take 11 times the arrays' bytes.
    assert.ok(grown < 6 * bytes, `memory grew by ${grown} bytes`);
  } finally {
    await team.close();
  }
});
