// One picture of all runs of the learning bench: how far below a table of frequencies each preset is, over the positions
// that it has seen, so that presets of different batches and machines of different speed share an axis.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Baselines, learningRecipe, lineChart, type StepMetrics, writeFileAtomic } from "albert-guide";

type Preset = Parameters<typeof learningRecipe>[0];
type Curve = { readonly name: string; readonly x: readonly number[]; readonly y: readonly number[] };

const lines = (path: string): StepMetrics[] =>
  readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line) as StepMetrics);

/** The curve of a run's folder, named `PRESET-ENGINE-seed-N`; undefined for other folders. */
function curveOf(root: string, folder: string): Curve | undefined {
  const [, preset, engine, seed] = /^([A-Za-z0-9]+)-(\w+)[\w-]*-seed-(\d+)$/.exec(folder) ?? [];
  const metrics = join(root, folder, "metrics.jsonl");
  if (preset === undefined || !existsSync(metrics)) return undefined;
  const { stages } = learningRecipe(preset as Preset);
  const plateaus = stages.map(({ name }) => {
    const kept = join(root, preset, `baselines_${name}.json`);
    return (JSON.parse(readFileSync(kept, "utf8")) as Baselines).unigram_mask_loss;
  });
  const before = stages.map((_, i) =>
    stages.slice(0, i).reduce((sum, { stop_after_steps }) => sum + stop_after_steps, 0)
  );
  const positions = (step: number, stage: number): number =>
    stages.slice(0, stage).reduce((sum, { train_batch_size, max_seq_length, stop_after_steps }, i) => {
      const steps = i === stage - 1 ? step - (before[i] ?? 0) : stop_after_steps;
      return sum + steps * train_batch_size * max_seq_length;
    }, 0);
  const held = lines(metrics).filter(({ evaluation }) => evaluation !== undefined);
  return {
    name: `${preset}, ${engine} ${seed}`,
    x: held.map(({ step, stage = 1 }) => positions(step, stage) / 1e6),
    y: held.map(({ stage = 1, evaluation }) => {
      const below = (plateaus[stage - 1] ?? NaN) - (evaluation?.masked_lm_mask_loss ?? NaN);
      return below < -0.25 ? NaN : below; // the first steps, far above the plateau
    }),
  };
}

/** Draws every run below `root` into `curves.svg` there, and returns the file's path. */
export async function writeCurves(root: string): Promise<string> {
  const curves = readdirSync(root).sort().flatMap((folder) => curveOf(root, folder) ?? []);
  const chart = lineChart({
    title: "Held-out loss on [MASK] positions, below a table of frequencies",
    series: curves,
    baselines: [{ name: "the plateau", value: 0 }],
    xLabel: "million positions seen",
    yLabel: "nats below U[MASK] of the stage",
    width: 640,
    height: 360,
  });
  const path = join(root, "curves.svg");
  writeFileAtomic(path, `${await chart.toSvg()}\n`);
  return path;
}
