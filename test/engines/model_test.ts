/**
 * The model on every engine: outputs, losses and gradients of the original program, and a short run of training that
 * gives the losses of another engine and learns.
 */
import assert from "node:assert/strict";
import { compile, grad, openEngine, pretrain } from "albert-guide";
import { pretrainingLoss } from "../../lib/model/mod.ts";
import { type Tensor } from "../../lib/tensor/mod.ts";
import { caseNames, goldenCase, inputsOf, weightsOf, worst } from "../model/golden.ts";
import { enginesHere } from "./here.ts";
import { config, examples, runOf } from "./small_run.ts";

// On XLA the stage `xla` runs all tests of the model.
for (const { name, ignore, note } of enginesHere.filter(({ name }) => name !== "xla-cpu")) {
  for (const caseName of caseNames) {
    Deno.test({
      name: `the model gives the losses and gradients of the original for ${caseName} on ${name}${note}`,
      ignore,
    }, async () => {
      const golden = goldenCase(caseName);
      const { types, values } = weightsOf(golden.params);
      const names = Object.keys(types);
      const engine = await openEngine(name);
      const program = await compile(
        ({ parameters }) => {
          const out = pretrainingLoss(parameters, inputsOf(golden), golden.albert);
          const slopes = grad(out.loss, names.map((each) => parameters[each] as Tensor));
          return {
            seq: out.sequence,
            mlm_example_loss: out.maskedLmLosses,
            sop_example_loss: out.sentenceOrderLosses,
            gradients: Object.fromEntries(names.map((each, i) => [each, slopes[i] as Tensor])),
          };
        },
        { parameters: types },
        { engine },
      );
      const { gradients, ...rest } = await program.run({ parameters: values });
      for (const [key, value] of Object.entries(rest)) {
        const gap = worst(await value.data(), golden.outputs[key]?.data ?? []);
        assert.ok(gap < 5e-4, `${key} is off by ${gap}`);
      }
      for (const [key, value] of Object.entries(gradients)) {
        const gap = worst(await value.data(), golden.grads[key]?.data ?? []);
        assert.ok(gap < 5e-4, `the gradient of ${key} is off by ${gap}`);
      }
      program.dispose();
    });
  }
}

const run = runOf({ num_train_steps: 12 });
const losses = async (name: string): Promise<number[]> => {
  const { log } = await pretrain({ config, run, examples: examples.slice(0, 8) }, {
    engine: await openEngine(name),
  });
  return log.map(({ loss }) => loss);
};
const usual = losses("tfjs-wasm");

for (const { name, ignore, note } of enginesHere) {
  if (name === "tfjs-wasm") continue;
  Deno.test({
    name: `pretrain() on ${name} gives the losses of tfjs-wasm, dropout included, and they fall${note}`,
    ignore,
  }, async () => {
    const [actual, expected] = [await losses(name), await usual];
    assert.equal(actual.length, 12);
    expected.forEach((want, i) => {
      const got = actual[i] as number;
      assert.ok(Math.abs(got - want) < 1e-3, `step ${i + 1}: ${got}, on tfjs-wasm ${want}`);
    });
    assert.ok((actual.at(-1) as number) < (actual[0] as number) - 0.2, actual.join(" "));
  });
}
