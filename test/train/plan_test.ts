// Plans against what they are plans of: the published runs, the ring's arithmetic, a checkpoint on disk, a measured step.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset, parsePretrainingConfig } from "../../lib/config/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import {
  accelerators,
  estimateCost,
  measureRate,
  planRun,
  pretrain,
  rateOfDevice,
} from "../../lib/train/mod.ts";
import { examples, runOf } from "./tiny.ts";

const day = 86400;

/** A published run on TPU v3 as the plan sees it with the table's share of the peak. */
function published(
  name: "base" | "large" | "xlarge" | "xxlarge",
  { chips, batch, steps, version = 1 }: {
    readonly chips: number;
    readonly batch: number;
    readonly steps: number;
    readonly version?: 1 | 2;
  },
) {
  const config = albertPreset(name, { version });
  const run = parsePretrainingConfig({ train_batch_size: batch, num_train_steps: steps });
  const { peak, utilisation, linkBandwidth } = accelerators()["tpu-v3"] ?? assert.fail("tpu-v3 is missing");
  const flops = (peak.bfloat16 ?? NaN) * utilisation;
  const rate = rateOfDevice(config, run, flops, "tpu-v3");
  const plan = planRun(config, run, { devicesPerHost: chips, linkBandwidth, rate });
  return { seconds: plan.seconds?.run ?? NaN, flops: steps * plan.flopsPerStep, chips };
}

Deno.test("planRun() tells the days of the published Spanish runs within 20 %", () => {
  const runs = [
    ["base", { chips: 4, batch: 960, steps: 3_650_000 }, 70.4],
    ["large", { chips: 4, batch: 512, steps: 1_450_000 }, 42],
    ["xlarge", { chips: 4, batch: 128, steps: 2_775_000 }, 64.2],
  ] as const;
  for (const [name, run, days] of runs) {
    const ratio = published(name, run).seconds / (days * day);
    assert.ok(ratio > 0.8 && ratio < 1.2, `${name}: plan / published is ${ratio}`);
  }
});

Deno.test("the paper's 32 hours of xxlarge are above the peak of 256 chips and 53 % of that of 512", () => {
  const { flops } = published("xxlarge", { chips: 512, batch: 4096, steps: 125_000, version: 2 });
  const reached = flops / (32 * 3600) / 123e12; // chips' worth of peak
  assert.ok(reached > 256);
  assert.equal((100 * reached / 512).toFixed(0), "53");
});

Deno.test("planRun() sums gradients by the ring's formula, devices of a host first", () => {
  const run = parsePretrainingConfig({ train_batch_size: 96, num_train_steps: 10 });
  const config = albertPreset("tiny", { max_position_embeddings: 512 });
  const rate = { secondsPerRecord: 0.5, secondsPerUpdate: 0.25, source: "made up" };
  const machines = {
    hosts: 3,
    devicesPerHost: 4,
    networkBandwidth: 1e6,
    networkLatency: 0.001,
    linkBandwidth: 1e9,
  };
  const plan = planRun(config, run, { ...machines, rate, pricePerDeviceHour: 3 });
  const bytes = 4 * estimateCost(config, run).total;
  const ring = 2 * 3 / 4 * bytes / 1e9 + 2 * 2 / 3 * bytes / 1e6 + 2 * 2 * 0.001;
  assert.ok(Math.abs((plan.seconds?.communication ?? NaN) - ring) < 1e-9);
  assert.equal(plan.seconds?.arithmetic, 8 * 0.5 + 0.25);
  assert.equal(plan.communicationShare, ring / (4.25 + ring));
  assert.ok(Math.abs((plan.cost ?? NaN) - 3 * 12 * 10 * (4.25 + ring) / 3600) < 1e-9);
  assert.equal(planRun(config, run, { rate }).seconds?.communication, 0);
});

Deno.test("planRun() counts steps from tokens or records, and refuses what cannot be", () => {
  const run = parsePretrainingConfig({
    train_batch_size: 8,
    gradient_accumulation_steps: 2,
    max_seq_length: 64,
  });
  const plan = (options: Parameters<typeof planRun>[2]) => planRun(albertPreset("tiny"), run, options);
  assert.equal(plan({ tokens: 1e6 }).steps, Math.ceil(1e6 / 1024));
  const twice = plan({ records: 1000, epochs: 2, recordBytes: 300 });
  assert.deepEqual([twice.steps, twice.recordsOnDisk, twice.recordsDisk], [125, 1000, 300_000]);
  assert.equal(plan({}).steps, run.num_train_steps);
  assert.equal(plan({}).seconds, undefined);
  const remat = planRun(albertPreset("base"), { ...run, remat: true }).memory;
  assert.ok(remat.activations === remat.activationsRecomputed && remat.activations < remat.activationsStored);
  assert.throws(() => plan({ tokens: 1, records: 1 }), /tokens and records both/);
  assert.throws(() => plan({ devicesPerHost: 3 }), /3 devices cannot share train_batch_size 8/);
  assert.throws(() => plan({ hosts: 2 }), /bandwidth of their network is not given/);
  assert.throws(() => plan({ hosts: 1.5 }), /hosts must be a whole number/);
  assert.throws(() => plan({ tokens: -1 }), /tokens must be above 0/);
});

Deno.test("planRun() knows the size of a checkpoint on disk within 5 %", async () => {
  const output_dir = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    const run = runOf({ output_dir, num_train_steps: 1 });
    const config = albertPreset("guide");
    const engine = await openEngine("tfjs");
    const { checkpoint = assert.fail("nothing was saved") } = await pretrain({ config, run, examples }, {
      engine,
    });
    const bytes = readdirSync(checkpoint).reduce(
      (sum, name) => sum + statSync(join(checkpoint, name)).size,
      0,
    );
    const ratio = planRun(config, run).checkpointBytes / bytes;
    assert.ok(ratio > 0.95 && ratio < 1.05, `plan / disk is ${ratio}`);
  } finally {
    rmSync(output_dir, { recursive: true });
  }
});

Deno.test("measureRate() tells a step of the whole model", async () => {
  const engine = await openEngine("tfjs");
  const config = albertPreset("tiny", { num_hidden_layers: 8 });
  const run = parsePretrainingConfig({ train_batch_size: 8, max_seq_length: 16, max_predictions_per_seq: 4 });
  const rate = await measureRate(config, run, engine, { seconds: 0 });
  assert.match(rate.source, /2 and 4 layers, batches of 2 and 8/);
  assert.ok(rate.secondsPerRecord > 0 && rate.secondsPerUpdate >= 0); // how near it is, `deno task bench plan` tells
});
