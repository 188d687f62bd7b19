import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  albertConfigToJson,
  albertPreset,
  type AlbertPresetName,
  guideRecipe,
  parseAlbertConfig,
  parsePretrainingConfig,
  readAlbertConfig,
  readPretrainingConfig,
} from "../../lib/config/mod.ts";

/** A released config file's content (large, version 1). */
const released = {
  attention_probs_dropout_prob: 0.1,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  embedding_size: 128,
  hidden_size: 1024,
  initializer_range: 0.02,
  intermediate_size: 4096,
  max_position_embeddings: 512,
  num_attention_heads: 16,
  num_hidden_layers: 24,
  num_hidden_groups: 1,
  net_structure_type: 0,
  layers_to_keep: [],
  gap_size: 0,
  num_memory_blocks: 0,
  inner_group_num: 1,
  down_scale_factor: 1,
  type_vocab_size: 2,
  vocab_size: 30000,
};

Deno.test("parseAlbertConfig() keeps every key of a released file through reading and writing", () => {
  const json = albertConfigToJson(parseAlbertConfig(released));
  assert.deepEqual(JSON.parse(json), released);
  assert.deepEqual(Object.keys(JSON.parse(json)), Object.keys(released).sort());
  assert.ok(json.endsWith('  "vocab_size": 30000\n}\n'));
});

Deno.test("parseAlbertConfig() fills in the reference's defaults and nothing else", () => {
  assert.deepEqual(parseAlbertConfig({ vocab_size: 7 }), {
    vocab_size: 7,
    embedding_size: 128,
    hidden_size: 4096,
    num_hidden_layers: 12,
    num_hidden_groups: 1,
    num_attention_heads: 64,
    intermediate_size: 16384,
    inner_group_num: 1,
    down_scale_factor: 1,
    hidden_act: "gelu",
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    initializer_range: 0.02,
  });
  assert.equal(parseAlbertConfig({ vocab_size: 7, hidden_act: "GELU" }).hidden_act, "gelu");
});

Deno.test("parseAlbertConfig() names every mistake at once", () => {
  const wrong = {
    hiden_size: 64,
    hidden_size: "64",
    num_attention_heads: 0,
    hidden_act: "swish",
    hidden_dropout_prob: 1,
    intermediate_size: 2.5,
    layers_to_keep: ["a"],
  };
  assert.throws(() => parseAlbertConfig(wrong, { path: "c.json" }), (error) => {
    assert.ok(error instanceof TypeError);
    assert.deepEqual(error.message.split("\n"), [
      "Cannot use the ALBERT config c.json: 8 mistakes",
      "- hiden_size is no known key, did you mean hidden_size?",
      "- vocab_size is missing",
      '- hidden_size must be a whole number, it is "64"',
      "- num_attention_heads must be at least 1, it is 0",
      "- intermediate_size must be a whole number, it is 2.5",
      '- hidden_act must be one of "gelu", "relu", "tanh", "linear", "", it is "swish"',
      "- hidden_dropout_prob must be in [0, 1), it is 1",
      '- layers_to_keep must be a list of whole numbers, it is ["a"]',
    ]);
    return true;
  });
  for (const value of [null, [], "x", 5, undefined]) assert.throws(() => parseAlbertConfig(value), TypeError);
});

Deno.test("parseAlbertConfig() refuses contradictions with a RangeError", () => {
  const base = { vocab_size: 10, hidden_size: 10, num_attention_heads: 4 };
  assert.throws(() => parseAlbertConfig(base), (error) => {
    assert.ok(error instanceof RangeError);
    assert.match(error.message, /hidden_size must be a multiple of num_attention_heads, they are 10 and 4/);
    return true;
  });
  const groups = { ...base, num_attention_heads: 5, num_hidden_layers: 2, num_hidden_groups: 3 };
  assert.throws(() => parseAlbertConfig(groups), /num_hidden_groups must be at most num_hidden_layers/);
});

Deno.test("albertPreset() has the released sizes and dropouts of both versions", () => {
  const { layers_to_keep: _1, net_structure_type: _2, gap_size: _3, num_memory_blocks: _4, ...rest } =
    released;
  assert.deepEqual(albertPreset("large", { version: 1 }), parseAlbertConfig(rest));
  const sizes = (["base", "large", "xlarge", "xxlarge"] as const).map((name) => {
    const { hidden_size: H, num_hidden_layers: L, num_attention_heads: A, intermediate_size: I } =
      albertPreset(name);
    return [H, L, A, I];
  });
  assert.deepEqual(sizes, [[768, 12, 12, 3072], [1024, 24, 16, 4096], [2048, 24, 16, 8192], [
    4096,
    12,
    64,
    16384,
  ]]);
  for (const name of ["base", "large", "xlarge", "xxlarge"] as const) {
    const dropouts = ([1, 2] as const).map((version) => albertPreset(name, { version }).hidden_dropout_prob);
    assert.deepEqual(dropouts, name === "xxlarge" ? [0, 0] : [0.1, 0]);
  }
  assert.throws(() => albertPreset("huge" as AlbertPresetName), /the presets are tiny/);
  assert.throws(() => albertPreset("guide", { hidden_size: 65 }), RangeError);
});

Deno.test("parsePretrainingConfig() has the reference's defaults and reads its TPU flags", () => {
  const config = parsePretrainingConfig({
    use_tpu: false,
    iterations_per_loop: 1000,
    num_tpu_cores: 8,
    master: "",
  });
  const expected = {
    max_seq_length: 512,
    max_predictions_per_seq: 20,
    do_train: true,
    do_eval: false,
    train_batch_size: 4096,
    eval_batch_size: 64,
    optimizer: "lamb",
    learning_rate: 0.00176,
    poly_power: 1,
    num_train_steps: 125000,
    num_warmup_steps: 3125,
    start_warmup_step: 0,
    save_checkpoints_steps: 5000,
    keep_checkpoint_max: 5,
    max_eval_steps: 100,
    init_from_group0: false,
  };
  for (const [key, value] of Object.entries(expected)) {
    assert.equal((config as unknown as Record<string, unknown>)[key], value, key);
  }
  assert.equal("use_tpu" in config, false);
});

Deno.test("parsePretrainingConfig() refuses what cannot work, all at once", () => {
  const wrong = {
    use_tpu: true,
    masked_lm_budget: 2,
    do_train: false,
    max_predictions_per_seq: 600,
    optimzer: "lamb",
  };
  assert.throws(() => parsePretrainingConfig(wrong), (error) => {
    assert.ok(error instanceof TypeError);
    for (
      const text of [
        "5 mistakes",
        "did you mean optimizer?",
        "use_tpu",
        "masked_lm_budget",
        "do_train or do_eval",
      ]
    ) {
      assert.ok(error.message.includes(text), text);
    }
    return true;
  });
});

Deno.test("readAlbertConfig() reads JSON and YAML and names file and place of a broken one", () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const yaml = write("a.yaml", "vocab_size: 1000\nhidden_size: 64\nnum_attention_heads: 4 # heads\n");
  const json = write("a.json", '{"vocab_size": 1000, "hidden_size": 64, "num_attention_heads": 4}');
  assert.deepEqual(readAlbertConfig(yaml), readAlbertConfig(json));
  assert.throws(() => readAlbertConfig(write("b.json", "{")), SyntaxError);
  assert.throws(() => readAlbertConfig(write("b.yaml", "a: [")), SyntaxError);
  assert.throws(() => readAlbertConfig(join(folder, "none.json")), /there is no such file/);
  assert.equal(readPretrainingConfig(write("run.yml", "seed: 3\n")).seed, 3);
  rmSync(folder, { recursive: true });
});

Deno.test("guideRecipe() holds together: lengths fit the model, predictions the length, stages the config", () => {
  const { config, tokenizer, masking, stages } = guideRecipe();
  assert.equal(tokenizer.vocab_size, config.vocab_size);
  for (const { name: _, dupe_factor: _2, ...run } of stages) {
    assert.ok(run.max_seq_length <= config.max_position_embeddings);
    assert.equal(run.max_predictions_per_seq, Math.round(masking.masked_lm_prob * run.max_seq_length));
    assert.ok(run.stop_after_steps <= run.num_train_steps);
    assert.equal(parsePretrainingConfig(run).train_batch_size, run.train_batch_size);
  }
});

Deno.test("readAlbertConfig() says in one line where a file is no JSON or no YAML", () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-config-"));
  try {
    const refused = (name: string, text: string, pattern: RegExp): void => {
      writeFileSync(join(folder, name), text);
      assert.throws(() => readAlbertConfig(join(folder, name)), (error: Error) => {
        assert.ok(error instanceof SyntaxError, String(error));
        assert.match(error.message, pattern);
        return !error.message.includes("\n");
      });
    };
    refused(
      "a.json",
      '{\n  "vocab_size": 30k,\n  "a": 1\n}',
      /^Cannot read the config .*a\.json: it is no JSON, at byte 18/,
    );
    refused("a.yaml", "vocab_size: [1\nhidden_size: 2\n", /^Cannot read the config .*a\.yaml: /);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
