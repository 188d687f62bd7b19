// One process of `bench mpi`: adds up a gradient of so many numbers again and again; the first process prints the median
// milliseconds of a sum.
import process from "node:process";
import { joinMpi } from "../../lib/mod.ts";

const world = await joinMpi(process.env);
const gradient = new Float32Array(Number(process.argv[2])).fill(1 / 3);
const times: number[] = [];
for (let i = 0; i < 12; i++) {
  const start = performance.now();
  world.sum(gradient);
  times.push(performance.now() - start);
}
world.finalize();
if (world.rank === 0) process.stdout.write(`${times.sort((a, b) => a - b)[times.length >> 1]}\n`);
