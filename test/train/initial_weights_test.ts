// Where a warm start takes its weights from: own checkpoints and TensorFlow's, by name and by shape.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AlbertConfig, albertPreset, parsePretrainingConfig } from "../../lib/config/mod.ts";
import { type SafetensorsTensor, writeTfCheckpoint } from "../../lib/formats/mod.ts";
import { albertParameters } from "../../lib/model/mod.ts";
import { initialParameters, readInitialWeights, saveWeights } from "../../lib/train/mod.ts";
import { withPretraining } from "../../lib/train/pretraining_objective.ts";
import { startOf } from "../../lib/train/start.ts";

const config = albertPreset("tiny", { vocab_size: 20 });
const weights = initialParameters(config, 5);

/** A checkpoint as Google's trainer leaves it: weights, both moments, the step. */
function googleTensors(of: AlbertConfig = config): Record<string, SafetensorsTensor> {
  const tensors: Record<string, SafetensorsTensor> = {
    global_step: { dtype: "I64", shape: [], data: BigInt64Array.of(125000n) },
  };
  for (const { name, shape } of albertParameters(of)) {
    const data = weights[name] ?? new Float32Array(shape.reduce((a, b) => a * b, 1));
    tensors[name] = { dtype: "F32", shape, data };
    for (const slot of ["adam_m", "adam_v"]) {
      tensors[`${name}/${slot}`] = { dtype: "F32", shape, data: data.map(() => 9) };
    }
  }
  return tensors;
}

async function inFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-warm-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("readInitialWeights() takes Google's names as they are and leaves moments and step aside", async () => {
  await inFolder((folder) => {
    const prefix = join(folder, "model.ckpt-best");
    writeTfCheckpoint(prefix, googleTensors(), { shards: 2 });
    for (const path of [prefix, `${prefix}.index`, folder]) {
      const { parameters, missing, unexpected } = readInitialWeights(path, config);
      assert.deepEqual(parameters, weights);
      assert.deepEqual([missing, unexpected], [[], []]);
    }
  });
});

Deno.test("readInitialWeights() takes names that TF-Hub put below module/", async () => {
  await inFolder((folder) => {
    const named = Object.entries(googleTensors()).map(([name, tensor]) => [`module/${name}`, tensor]);
    writeTfCheckpoint(join(folder, "variables"), Object.fromEntries(named));
    assert.deepEqual(readInitialWeights(folder, config).parameters, weights);
  });
});

Deno.test("readInitialWeights() lists what is missing, what is unexpected and every misshapen name", async () => {
  await inFolder((folder) => {
    const { "bert/pooler/dense/bias": _, ...tensors } = googleTensors();
    tensors["bert/other/kernel"] = { dtype: "F32", shape: [1], data: Float32Array.of(1) };
    writeTfCheckpoint(join(folder, "a"), tensors);
    const { missing, unexpected } = readInitialWeights(folder, config);
    assert.deepEqual(missing, ["bert/pooler/dense/bias"]);
    assert.deepEqual(unexpected, ["bert/other/kernel"]);
    const other = albertPreset("tiny", { vocab_size: 21, intermediate_size: 8 });
    assert.throws(() => readInitialWeights(folder, other), (error) => {
      assert.ok(error instanceof RangeError);
      assert.match(error.message, /word_embeddings is \[20, \d+\] there and \[21, \d+\] here; /);
      assert.match(error.message, /ffn_1\/intermediate\/dense\/kernel is /);
      assert.match(error.message, /cls\/predictions\/output_bias is \[20\] there and \[21\] here/);
      return true;
    });
    const wider = albertPreset("tiny", { vocab_size: 20, hidden_size: 2 * config.hidden_size });
    assert.throws(
      () => readInitialWeights(folder, wider),
      /; and \d+ more; give the config the checkpoint was/,
    );
  });
});

Deno.test("readInitialWeights() refuses a checkpoint of another model, a folder without one, and says what to do", async () => {
  await inFolder((folder) => {
    assert.throws(() => readInitialWeights(folder, config), /there is no checkpoint there; give a step-…/);
    assert.throws(() => readInitialWeights(join(folder, "none"), config), /there is no checkpoint there/);
    writeFileSync(join(folder, "config.json"), "{}");
    assert.throws(() => readInitialWeights(folder, config), /albert import makes a checkpoint of it/);
    writeTfCheckpoint(join(folder, "gpt"), { wte: { dtype: "F32", shape: [1], data: Float32Array.of(1) } });
    assert.throws(
      () => readInitialWeights(folder, config),
      /none of this architecture's weights \(it has wte/,
    );
  });
});

Deno.test("startOf() begins with the weights of a TensorFlow checkpoint, fresh moments and step 0", async () => {
  await inFolder((folder) => {
    writeTfCheckpoint(join(folder, "model.ckpt-7"), googleTensors());
    const more = { ...config, max_position_embeddings: config.max_position_embeddings + 3 };
    const run = parsePretrainingConfig({ init_checkpoint: folder, seed: 1 });
    const { parameters, m, step, warmStart } = startOf(withPretraining({ config: more, run, examples: [] }));
    assert.match(warmStart ?? "", /^start: \d+ weights of .*model\.ckpt-7$/);
    const fresh = initialParameters(more, 1);
    for (const [name, values] of Object.entries(weights)) {
      assert.deepEqual(parameters[name]?.subarray(0, values.length), values, name);
    }
    const table = "bert/embeddings/position_embeddings";
    const rows = weights[table]?.length ?? 0;
    assert.deepEqual(parameters[table]?.subarray(rows), fresh[table]?.subarray(rows));
    assert.equal(step, 0);
    assert.ok(Object.values(m).every((values) => values.every((value) => value === 0)));
  });
});

Deno.test("startOf() gives every group the weights of group 0 with init_from_group0", async () => {
  await inFolder((folder) => {
    writeTfCheckpoint(join(folder, "one"), googleTensors());
    const two = { ...config, num_hidden_groups: 2 };
    const run = parsePretrainingConfig({ init_checkpoint: folder, init_from_group0: true });
    const { parameters } = startOf(withPretraining({ config: two, run, examples: [] }));
    const block = "bert/encoder/transformer/group_1/inner_group_0/ffn_1/intermediate/dense/kernel";
    assert.deepEqual(parameters[block], weights[block.replace("group_1", "group_0")]);
  });
});

Deno.test("readInitialWeights() refuses NaN and infinity from TensorFlow, naming weight and place, and not those of moments", async () => {
  await inFolder((folder) => {
    const name = "bert/pooler/dense/bias";
    const write = (changed: string, value: number): void => {
      const tensors = googleTensors();
      const { data, ...rest } = tensors[changed] as SafetensorsTensor; // one of Google's
      writeTfCheckpoint(join(folder, "a"), {
        ...tensors,
        [changed]: { ...rest, data: (data as Float32Array).with(3, value) },
      });
    };
    for (const value of [NaN, Infinity, -Infinity]) {
      write(name, value);
      assert.throws(() => readInitialWeights(folder, config), (error: Error) => {
        assert.match(
          error.message,
          new RegExp(`^Cannot start from .*/a: ${name} holds ${value} at place 3; take`),
        );
        return error instanceof RangeError && !error.message.includes("\n");
      });
    }
    write(`${name}/adam_m`, NaN);
    assert.deepEqual(readInitialWeights(folder, config).parameters, weights);
  });
});

Deno.test("saveWeights() refuses what no run could start from", async () => {
  await inFolder((folder) => {
    const bias = "bert/pooler/dense/bias";
    const parameters = { ...weights, [bias]: (weights[bias] as Float32Array).with(1, NaN) };
    assert.throws(
      () => saveWeights(folder, { config, parameters }),
      /bert\/pooler\/dense\/bias holds NaN at place 1$/,
    );
  });
});
