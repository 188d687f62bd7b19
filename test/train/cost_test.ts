// The estimate of activations against what engines say of their programs.
import assert from "node:assert/strict";
import { type AlbertConfig, albertPreset, parsePretrainingConfig } from "../../lib/config/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import { pretrainingObjective } from "../../lib/train/pretraining_objective.ts";
import { makeTrainStep } from "../../lib/train/step.ts";
import { estimateCost } from "../../lib/train/mod.ts";
import { startXla, xlaHere, xlaNote } from "../engines/xla.ts";

await startXla();

const wide = albertPreset("base", {
  vocab_size: 8192,
  hidden_size: 256,
  intermediate_size: 1024,
  num_attention_heads: 4,
  num_hidden_layers: 4,
});
const cases: readonly (readonly [string, AlbertConfig, batch: number, S: number])[] = [
  ["guide", albertPreset("guide"), 16, 16],
  ["small", albertPreset("small"), 16, 128],
  ["H 256", wide, 4, 512],
  ["H 256 with dropout", { ...wide, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 }, 8, 128],
];

async function check(engineName: string, [name, config, batch, S]: typeof cases[number]): Promise<void> {
  const run = parsePretrainingConfig({
    train_batch_size: batch,
    max_seq_length: S,
    max_predictions_per_seq: Math.min(20, S / 4),
  });
  const engine = await openEngine(engineName);
  const { total, activationBytes } = estimateCost(config, run, { loops: engine.loops });
  const step = await makeTrainStep(pretrainingObjective({ config, run }), run, engine);
  const { temporary } = step.memory ?? assert.fail(`${engineName} does not tell`);
  const ratio = activationBytes / (temporary - 4 * total); // without the gradients
  assert.ok(ratio > 0.85 && ratio < 1.15, `${engineName}, ${name}: estimate / measured is ${ratio}`);
  step.dispose();
}

for (const one of cases) {
  Deno.test(`estimateCost() knows the activations of tfjs within 15 %, ${one[0]}`, () =>
    check("tfjs-wasm", one));
}

Deno.test({
  name: `estimateCost() knows the activations of xla within 15 %, guide${xlaNote}`,
  ignore: !xlaHere,
  fn: () => check("xla", cases[0] as typeof cases[number]),
});
