// What `albert plan --measure` says of a run, from shallower models at small batches, against the run itself: seconds of
// a step and the peak of the engine's process.
import { albertPreset, findPlugin, measureRate, parsePretrainingConfig, planRun } from "../../lib/mod.ts";
import type { AlbertConfig, PretrainingConfig } from "../../lib/config/mod.ts";
import { type XlaEngine, xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { openTimed } from "../../lib/train/measure_rate.ts";
import { type Ratio, ratioOf } from "./pairs.ts";

type Size = { readonly name: string; readonly config: AlbertConfig; readonly run: PretrainingConfig };

const wide = (layers: number, hidden: number, vocab_size: number): AlbertConfig =>
  albertPreset("base", {
    vocab_size,
    num_hidden_layers: layers,
    hidden_size: hidden,
    num_attention_heads: hidden / 64,
    intermediate_size: 4 * hidden,
  });

const runOf = (train_batch_size: number, remat = false): PretrainingConfig =>
  parsePretrainingConfig({ train_batch_size, max_seq_length: 128, max_predictions_per_seq: 20, remat });

const sizes: readonly Size[] = [
  { name: "8 layers, H 256, 32 × 128", config: wide(8, 256, 8192), run: runOf(32) },
  { name: "6 layers, H 512, 16 × 128", config: wide(6, 512, 16384), run: runOf(16) },
  { name: "the same with remat", config: wide(6, 512, 16384), run: runOf(16, true) },
  { name: "base, 12 layers, H 768, 16 × 128", config: albertPreset("base"), run: runOf(16) },
];

type Pair = { readonly plan: number; readonly run: number };

/**
 * Plans and runs in turn, so that a drifting machine hits both: the least step of each round, and at the end the plan's
 * memory and the peak of the process that ran.
 */
async function pairsOf(
  { config, run }: Size,
  plugin: string,
  { rounds, steps, seconds }: { readonly rounds: number; readonly steps: number; readonly seconds: number },
): Promise<{ readonly times: Pair[]; readonly memory: Pair }> {
  const [planner, runner] = [1, 2].map(() => xlaEngineOn({ plugin, programCache: false })) as [
    XlaEngine,
    XlaEngine,
  ];
  const timed = await openTimed(config, run, runner);
  await timed.step(); // the first one is slower
  const times: Pair[] = [];
  let planned = 0;
  for (let round = 0; round < rounds; round++) {
    const rate = await measureRate(config, run, planner, { seconds });
    const plan = planRun(config, run, { rate });
    if (round === 0) planned = plan.memory.peak; // later ones see what the first left in the process
    let least = Infinity;
    for (let i = 0; i < steps; i++) least = Math.min(least, await timed.step());
    times.push({ plan: plan.seconds?.step ?? NaN, run: least });
  }
  const { peak } = await runner.status();
  timed.close();
  await planner.dispose();
  await runner.dispose();
  return { times, memory: { plan: planned, run: peak } };
}

/** One line a size; the wish is a ratio of 0.8 to 1.2. `--sizes=1,3` takes the first and the third. */
export async function* planBench(
  { sizes: wanted = "1,2,3,4", rounds = "3", steps = "4", seconds = "4" }: {
    readonly [flag: string]: string;
  },
): AsyncGenerator<Ratio | string> {
  const plugin = findPlugin("xla-cpu");
  if (plugin === undefined) return yield "skipped: no XLA plugin is installed";
  const how = { rounds: Number(rounds), steps: Number(steps), seconds: Number(seconds) };
  for (const size of sizes.filter((_, i) => wanted.split(",").includes(`${i + 1}`))) {
    const { times, memory } = await pairsOf(size, plugin, how);
    yield ratioOf(
      `${size.name}: step, plan / run`,
      times.map(({ plan }) => plan),
      times.map(({ run }) => run),
    );
    yield `${size.name}: memory, plan / run ${(memory.plan / memory.run).toFixed(2)} (${
      (memory.plan / 1e6).toFixed(0)
    } of ${(memory.run / 1e6).toFixed(0)} MB)`;
  }
}
