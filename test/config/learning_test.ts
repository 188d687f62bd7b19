import assert from "node:assert/strict";
import { learningRecipe, parsePretrainingConfig, parseStages } from "../../lib/config/mod.ts";
import { albertParameters } from "../../lib/model/mod.ts";

Deno.test("learningRecipe() has the parameter counts of the study", () => {
  const count = (name: "P1" | "P2" | "P3"): number =>
    albertParameters(learningRecipe(name).config)
      .reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
  assert.deepEqual((["P1", "P2", "P3"] as const).map(count), [92_682, 366_098, 496_098]);
});

Deno.test("learningRecipe() holds together: lengths fit the model, predictions the length, stages the config", () => {
  for (const name of ["P1", "P2", "P3", "best15", "larger"] as const) {
    const { config, tokenizer, masking, stages } = learningRecipe(name);
    assert.equal(tokenizer.vocab_size, config.vocab_size);
    assert.ok(config.embedding_size < config.hidden_size, "there is a mapping layer");
    for (const { name: _, dupe_factor: _2, moments, ...run } of stages) {
      assert.ok(run.max_seq_length <= config.max_position_embeddings);
      assert.equal(run.max_predictions_per_seq, Math.round(masking.masked_lm_prob * run.max_seq_length));
      assert.ok(run.stop_after_steps <= run.num_train_steps && run.num_warmup_steps < run.stop_after_steps);
      assert.equal(parsePretrainingConfig(run).train_batch_size, run.train_batch_size);
      assert.ok(moments === undefined || ["fresh", "carried"].includes(moments));
    }
  }
  assert.throws(() => learningRecipe("P4" as "P1"), /the presets are P1, P2, P3/);
});

Deno.test("parseStages() takes flags of the stage over those of the run, and names stage and key of a mistake", () => {
  const run = parsePretrainingConfig({
    learning_rate: 0.5,
    output_dir: "out",
    seed: 3,
    stages: "stages.json",
  });
  const [first, second] = parseStages([{ learning_rate: 0.1 }, { moments: "carried" }], { run });
  assert.deepEqual([first?.run.learning_rate, second?.run.learning_rate], [0.1, 0.5]);
  assert.deepEqual([first?.run.seed, first?.run.output_dir, first?.run.stages], [3, "out", ""]);
  assert.deepEqual([first?.moments, second?.moments], ["fresh", "carried"]);
  assert.throws(
    () => parseStages([{}, { learning_rat: 1 }], { run }),
    /stage 2.*did you mean learning_rate/,
  );
  assert.throws(() => parseStages([{ output_dir: "b" }], { run }), /stage 1.*output_dir is no known key/);
  assert.throws(() => parseStages([{ max_seq_length: 8 }], { run }), /stage 1[^]*max_predictions_per_seq/);
  assert.throws(() => parseStages({}, { path: "s.json" }), TypeError);
  assert.throws(() => parseStages([]), RangeError);
});
