/** What is said while the step of a run is made: that it is compiled, or that it is too large and what would do. */
import assert from "node:assert/strict";
import { referenceEngine } from "../../lib/engines/mod.ts";
import type { Progress } from "../../lib/progress.ts";
import type { Engine } from "../../lib/tensor/mod.ts";
import { pretrain } from "../../lib/train/mod.ts";
import { config, examples, runOf } from "./tiny.ts";

Deno.test("pretrain() says that it compiles while an engine takes long, as a note of its own stage", async () => {
  const reference = referenceEngine();
  const reports: Progress[] = [];
  let told = (): void => {};
  const first = new Promise<void>((resolve) => told = resolve);
  const slow: Engine = {
    ...reference,
    compile: async (...given) => {
      await first; // until the word has come
      return await reference.compile(...given);
    },
  };
  await pretrain({ config, run: runOf({ num_train_steps: 1, num_warmup_steps: 0 }), examples }, {
    engine: slow,
    onProgress: (progress) => {
      reports.push(progress);
      told();
    },
  });
  const { note, ...at } = reports[0] as Progress;
  assert.deepEqual(at, { stage: "pretrain", done: 0, total: 1, unit: "steps" });
  assert.match(note ?? "", /^compiling, \d+ s$/);
  assert.equal(reports.at(-1)?.done, 1);
});

const refusing = (fits: number): Engine => ({
  ...referenceEngine(),
  compile: () => Promise.reject(Object.assign(new Error("Cannot run this program: too large"), { fits })),
});

for (
  const [fits, changes, expected] of [
    [
      0.7,
      {},
      "--train_batch_size=2 --gradient_accumulation_steps=2 would do, about, for as many records a step; so may --remat",
    ],
    [
      0.4,
      { gradient_accumulation_steps: 2, remat: true },
      "--train_batch_size=1 --gradient_accumulation_steps=6 would do, about, for as many records a step",
    ],
    [0.1, {}, "--remat may do"],
  ] as const
) {
  Deno.test(`pretrain() names the flags that would do when ${fits} of a batch fits ${JSON.stringify(changes)}`, async () => {
    const run = pretrain({ config, run: runOf(changes), examples }, { engine: refusing(fits) });
    await assert.rejects(run, {
      name: "RangeError",
      message: `Cannot run this program: too large: ${expected}`,
    });
  });
}

Deno.test("pretrain() leaves a refusal as it is when no flag would help", async () => {
  const run = pretrain({ config, run: runOf({ remat: true }), examples }, { engine: refusing(0.1) });
  await assert.rejects(run, { name: "Error", message: "Cannot run this program: too large" });
});
