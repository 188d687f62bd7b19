// What a run says when its numbers are none any more: the step, the first value, the records; and what it keeps.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { xlaEngine } from "../../lib/engines/mod.ts";
import { initialParameters, latestCheckpoint, pretrain } from "../../lib/train/mod.ts";
import { saveCheckpoint } from "../../lib/train/checkpoint.ts";
import { add, constant, div, mul, sub } from "../../lib/tensor/mod.ts";
import { watch } from "../../lib/train/watch.ts";
import { xlaHere, xlaNote } from "../engines/xla.ts";
import { config, examples, runOf } from "./tiny.ts";
import { openTestEngine } from "../engine.ts";

const engine = await openTestEngine();

const block = "bert/encoder/transformer/group_0/inner_group_0";

/** A folder with a checkpoint in which all values of one weight are this one. */
function damaged(weight: string, value: number): string {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  addEventListener("unload", () => rmSync(folder, { recursive: true, force: true }));
  const fresh = initialParameters(config, 1);
  const parameters = { ...fresh, [weight]: Float32Array.from(fresh[weight] ?? [], () => value) };
  const state = { step: 0, position: 0, totals: [], steps_in_totals: 0, run: {} };
  saveCheckpoint(folder, { config, parameters, m: fresh, v: fresh, state }, { keep: 0 });
  return folder;
}

const cases = [
  {
    weight: `${block}/ffn_1/intermediate/dense/kernel`,
    value: 3e38, // times 1.14 it overflows alone, so that it matters to no engine in which order it sums
    says: new RegExp(
      `in step 1 the loss is NaN; the first value that is no number is in dot float32 \\[24, 8\\], ` +
        `\\d+ of 192 values, in layer 1, with ${block}/ffn_1/intermediate/dense/kernel, ` +
        "computed from records 1 to 3 in the run's order",
    ),
  },
  {
    weight: "bert/embeddings/word_embeddings",
    value: 1e38,
    says: /reduce_sum float32 \[24\].* behind bert\/embeddings\/word_emb/,
  },
  {
    weight: "bert/pooler/dense/kernel",
    value: 1e38,
    // On xla the norm of step 1 stays finite, and the weight overflows in its update.
    says: engine.name.startsWith("xla")
      ? /in step 2 the loss is NaN; the weight bert\/pooler\/dense\/kernel holds 64 of 64 values that are no numbers/
      : /gradient norm is Infinity; the first value .* in mul float32/,
  },
];
for (const { weight, value, says } of cases) {
  Deno.test(`pretrain() names the first value that is no number when ${weight} is ${value}`, async () => {
    const run = runOf({ init_checkpoint: damaged(weight, value), log_every: 1 });
    await assert.rejects(pretrain({ config, run, examples }, { engine }), says);
  });
}

Deno.test({
  name: `pretrain() names the first value that is no number on two devices of xla${xlaNote}`,
  ignore: !xlaHere,
  fn: async () => {
    const two = await xlaEngine({ devices: 2 });
    const [{ weight, value }] = cases as [typeof cases[number]];
    const run = runOf({ init_checkpoint: damaged(weight, value), log_every: 1, train_batch_size: 4 });
    await assert.rejects(
      pretrain({ config, run, examples }, { engine: two }),
      new RegExp(
        `in step 1 the loss is NaN; the first value that is no number is in dot float32 \\[32, 8\\], ` +
          `\\d+ of 256 values, in layer 1, with ${weight}, computed from records 1 to 4 in the run's order`,
      ),
    );
    await two.dispose();
  },
});

Deno.test("pretrain() goes back to the last good checkpoint to find the value, inside accumulation too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const run = runOf({
    output_dir: folder,
    learning_rate: 1e30,
    num_warmup_steps: 2,
    gradient_accumulation_steps: 2,
    save_checkpoints_steps: 1,
  });
  await assert.rejects(
    pretrain({ config, run, examples }, { engine }),
    /in step 3 the loss is NaN; .* in dot float32 \[24, 8\], 192 of 192 values, with bert\/encoder\/embedding_hidden_mapping_in\/kernel, computed from records 13 to 15 .*step-000002$/,
  );
  assert.equal(latestCheckpoint(folder), join(folder, "step-000002"));
  rmSync(folder, { recursive: true });
});

Deno.test("pretrain() does not save weights that are no numbers, and names the first", async () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  // The rate of the second step is beyond float32: the loss before it is a number, the weights after it are none.
  const run = runOf({
    output_dir: folder,
    learning_rate: 3e38,
    num_warmup_steps: 0,
    optimizer: "adamw",
    save_checkpoints_steps: 1,
    log_every: 0,
  });
  await assert.rejects(
    pretrain({ config, run, examples }, { engine }),
    /in step 1 the weight bert\/\S+ holds -?Infinity; the first value that is no number is in /,
  );
  assert.equal(latestCheckpoint(folder), undefined);
  rmSync(folder, { recursive: true });
});

Deno.test("watch() finds the first bad value among many, and none in a good program", async () => {
  const chain = (length: number, bad: number) => (args: { readonly x: Parameters<typeof add>[0] }) => {
    let y = add(args.x, 0.5);
    for (let i = 0; i < length; i++) y = i === bad ? div(y, sub(constant(1), 1)) : add(mul(y, 0.5), 1);
    return { forward: { y }, results: { twice: mul(y, 2) } };
  };
  const specs = { x: { dtype: "float32", shape: [3] } } as const;
  const args = { x: Float32Array.of(1, 2, 3) };
  const { finding } = await watch(chain(300, 211) as never, specs, args, engine);
  assert.match(finding ?? "", /is in div float32 \[3\], 3 of 3 values/);
  const good = await watch(chain(300, -1) as never, specs, args, engine);
  assert.equal(good.finding, undefined);
  assert.equal(good.values["twice"]?.length, 3);
});
