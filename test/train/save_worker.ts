/** Saves one checkpoint after the other in the folder given as argument; checkpoint_test.ts kills it in the middle. */
import { writeSync } from "node:fs";
import { initialParameters } from "../../lib/train/initial.ts";
import { latestCheckpoint, saveCheckpoint } from "../../lib/train/checkpoint.ts";
import { config } from "./tiny.ts";

const folder = Deno.args[0] ?? "";
const [parameters, m, v] = [1, 2, 3].map((seed) => initialParameters(config, seed)) as [
  Record<string, Float32Array>,
  Record<string, Float32Array>,
  Record<string, Float32Array>,
];
const last = latestCheckpoint(folder);
const say = (line: string): number => writeSync(1, `${line}\n`);
for (let step = last === undefined ? 1 : Number(last.slice(-6)) + 1;; step++) {
  say(`begin ${step}`);
  const state = { step, position: step, totals: [], steps_in_totals: 0, run: {} };
  saveCheckpoint(folder, { config, parameters, m, v, state }, { keep: 2 });
  say(`end ${step}`);
}
