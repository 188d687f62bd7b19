// A process of its own, so that no other test's memory counts: hands large arrays to a team of threads and prints by how
// many bytes this process grew.
import { memoryUsage } from "node:process";
import { startTeam } from "../../lib/tokenizer/em_team.ts";
import { makePace } from "../../lib/tokenizer/pace.ts";
import { pieceList } from "../../lib/tokenizer/piece_list.ts";

const bytes = Number(Deno.args[0]);
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
const resultOf = await team.count(pieceList(1), makePace());
const { own, objective } = resultOf(1);
const grown = memoryUsage().rss - before;
await team.close();
Deno.stdout.writeSync(
  new TextEncoder().encode(JSON.stringify({ own: Array.from(own), objective, grown })),
);
