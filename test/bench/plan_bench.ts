// What `albert plan --measure` says of a run, from shallower models at small batches, against the run itself: seconds of
// a step and the peak of the engine's process.
import { albertPreset, findPlugin, measureRate, parsePretrainingConfig, planRun } from "../../lib/mod.ts";
import type { AlbertConfig, PretrainingConfig } from "../../lib/config/mod.ts";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { openTimed } from "../../lib/train/measure_rate.ts";

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

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Seconds of a step, the median of `steps` after the first, and the peak of the process. */
async function measure({ config, run }: Size, plugin: string, steps: number): Promise<[number, number]> {
  const engine = xlaEngineOn({ plugin, programCache: false });
  const timed = await openTimed(config, run, engine);
  const seconds: number[] = [];
  for (let i = 0; i <= steps; i++) seconds.push(await timed.step());
  const { peak } = await engine.status();
  timed.close();
  await engine.dispose();
  return [median(seconds.slice(1)), peak];
}

/** One line a size; the wish is a ratio of 0.8 to 1.2. `--sizes=1,3` takes the first and the third. */
export async function* planBench(
  { sizes: wanted = "1,2,3,4", steps = "5", seconds = "5" }: { readonly [flag: string]: string },
): AsyncGenerator<string> {
  const plugin = findPlugin("xla-cpu");
  if (plugin === undefined) return yield "skipped: no XLA plugin is installed";
  const ratio = (a: number, b: number): string => (a / b).toFixed(2);
  for (const size of sizes.filter((_, i) => wanted.split(",").includes(`${i + 1}`))) {
    const engine = xlaEngineOn({ plugin, programCache: false });
    const rate = await measureRate(size.config, size.run, engine, { seconds: Number(seconds) });
    await engine.dispose();
    const { seconds: times, memory } = planRun(size.config, size.run, { rate });
    const [step, peak] = await measure(size, plugin, Number(steps));
    yield `${size.name.padEnd(34)} plan / run: time ${ratio(times?.step ?? NaN, step)} (${
      times?.step.toFixed(3)
    } of ${step.toFixed(3)} s), memory ${ratio(memory.peak, peak)} (${(memory.peak / 1e6).toFixed(0)} of ${
      (peak / 1e6).toFixed(0)
    } MB)`;
  }
}
