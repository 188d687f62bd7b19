/** A run of the model on xla gives the losses that it gives on tfjs. */
import assert from "node:assert/strict";
import { openEngine, pretrain } from "albert-guide";
import { config, examples, runOf } from "./small_run.ts";
import { startXla, xlaHere, xlaNote } from "./xla.ts";

await startXla();

Deno.test({
  name: `pretrain() on xla gives the losses of tfjs, dropout included${xlaNote}`,
  ignore: !xlaHere,
}, async () => {
  const run = runOf({ num_train_steps: 5 });
  const losses = async (name: string): Promise<number[]> => {
    const { log } = await pretrain({ config, run, examples }, { engine: await openEngine(name) });
    return log.map(({ loss }) => loss);
  };
  const [actual, expected] = [await losses("xla"), await losses("tfjs-wasm")];
  assert.equal(actual.length, 5);
  expected.forEach((want, i) => assert.ok(Math.abs((actual[i] as number) - want) < 1e-4, `step ${i + 1}`));
});
