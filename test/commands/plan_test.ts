import assert from "node:assert/strict";
import { UsageError } from "../../lib/commands/command.ts";
import { parseArguments } from "../../lib/commands/mod.ts";
import { plan } from "../../lib/commands/plan.ts";

async function linesOf(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  await plan.run(parseArguments(plan, args).values, [], {
    print: (line = "") => void lines.push(line),
    onProgress: () => {},
    endProgress: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return lines;
}

const base = ["--preset=base", "--train_batch_size=64", "--max_seq_length=128", "--tokens=1e9"];
const table = ["--accelerator=a100", "--compute_dtype=bfloat16"];

Deno.test("plan says parameters, memory both ways, time, share of communication, disk and cost", async () => {
  const machines = ["--hosts=2", "--devices=8", "--network_gbps=100", "--price_per_hour=2"];
  const lines = await linesOf(...base, ...table, ...machines);
  const wanted = [
    /^model: 11,813,810 parameters \(embeddings 3,906,048, /,
    /^run: 122,071 steps of 64 × 128 pieces, /,
    /^machines: 2 hosts of 8 devices, 4 records on each at a time$/,
    /^memory per device: 189 MB .* with remat .* in all .*\(fits\)/,
    /^rate: a100, 40 % of 312 TFLOP\/s in bfloat16 \(peak: NVIDIA/,
    /^step: .*\(\d.* %\) of summing gradients by rings/,
    /^time: 122,071 steps in .* device-hours/,
    /^checkpoints: 142 MB each/,
    /^records: 7,812,544 of 960 bytes, 7\.50 GB of disk/,
    /^cost: \d+\.\d\d /,
  ];
  wanted.forEach((pattern) =>
    assert.ok(lines.some((line) => pattern.test(line)), `${pattern}: ${lines.join("\n")}`)
  );
  const [json = ""] = await linesOf(...base, ...table, ...machines, "--json");
  const { total, steps, devices, seconds, cost } = JSON.parse(json) as Record<string, unknown>;
  assert.deepEqual([total, steps, devices], [11_813_810, 122_071, 16]);
  assert.ok((seconds as { run: number }).run > 0 && Number(cost) > 0);
});

Deno.test("plan without a rate gives no time and says how to get one", async () => {
  const lines = await linesOf(...base);
  assert.ok(lines.some((line) => /^time: not known; --measure/.test(line)));
  assert.ok(!lines.some((line) => /^(step|cost|rate):/.test(line)));
});

Deno.test("plan measures this machine when asked", async () => {
  const lines = await linesOf(
    ...["--preset=tiny", "--max_seq_length=16", "--max_predictions_per_seq=4", "--train_batch_size=4"],
    ...["--engine=tfjs", "--measure"],
  );
  assert.ok(lines.some((line) => /^rate: measured on tfjs-wasm: 2 layers, batches of 1 and 4$/.test(line)));
  assert.ok(lines.some((line) => /^step: .*one device, nothing to sum$/.test(line)));
});

Deno.test("plan refuses what does not fit together as wrong usage", async () => {
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/give --albert_config_file or --preset/],
    [/the presets are/, "--preset=bass"],
    [/network is not given, as --network_gbps/, ...base, "--hosts=2"],
    [/6 devices cannot share/, ...base, "--devices=6"],
    [/--measure times this machine as one device/, ...base, "--measure", "--devices=2"],
    [/give one of --measure, --accelerator/, ...base, "--measure", ...table],
    [/no peak of tpu-v3 is published for --compute_dtype=float32/, ...base, "--accelerator=tpu-v3"],
    [/--tokens=-1 must be above 0/, "--preset=base", "--tokens=-1"],
    [/tokens and records both/, ...base, "--records=5"],
    [/max_seq_length=512 is above .* 64/, "--preset=guide"],
  ];
  for (const [pattern, ...args] of cases) {
    await assert.rejects(linesOf(...args), (error: Error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, pattern);
      return true;
    });
  }
});
