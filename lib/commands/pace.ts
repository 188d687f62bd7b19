/** How far a run is on the clock, and what a schedule of stages holds: lines that `pretrain` prints. */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { estimateCost, type StepMetrics, type TrainingStage } from "../train/mod.ts";

/** What the wall clock and the peak say beside a log line. */
export type Pace = { readonly mfu?: number; readonly secondsLeft?: number };

/** Steps that a run makes. */
export const stepsOf = ({ num_train_steps, stop_after_steps }: PretrainingConfig): number =>
  Math.min(num_train_steps, stop_after_steps || Infinity);

/** Follows the wall clock and holds the speed against the peak; what is left is counted in operations, over all stages. */
export function openPace(
  config: AlbertConfig,
  runs: readonly PretrainingConfig[],
  peak: number | undefined,
): (line: StepMetrics) => Pace {
  const costs = runs.map((run) => ({ ...estimateCost(config, run), steps: stepsOf(run) }));
  const left = (step: number): number =>
    costs.reduce(({ behind, sum }, { steps, flops }) => {
      const done = Math.min(Math.max(step - behind, 0), steps);
      return { behind: behind + steps, sum: sum + (steps - done) * flops };
    }, { behind: 0, sum: 0 }).sum;
  let first: { readonly left: number; readonly time: number } | undefined;
  return ({ step, stage = 1, tokens_per_second }: StepMetrics): Pace => {
    const time = performance.now();
    const { flops, tokens } = costs[stage - 1] ?? { flops: NaN, tokens: NaN };
    const mfu = peak === undefined ? {} : { mfu: tokens_per_second / tokens * flops / peak };
    const now = left(step);
    // From the first line on, so that compiling counts for nothing; evaluation and saving do count.
    if (first === undefined) {
      first = { left: now, time };
      return { ...mfu, secondsLeft: now / flops * tokens / tokens_per_second };
    }
    return { ...mfu, secondsLeft: now * (time - first.time) / 1000 / (first.left - now) };
  };
}

/** One line per stage of a schedule. */
export function describeStages(config: AlbertConfig, stages: readonly TrainingStage[]): string[] {
  return stages.map(({ run, moments }, i) =>
    `stage ${i + 1}: ${
      stepsOf(run)
    } steps of ${run.train_batch_size} × ${run.max_seq_length} pieces, peak rate ` +
    `${run.learning_rate}, warm-up ${run.num_warmup_steps}, ` +
    `${(estimateCost(config, run).flops / 1e9).toPrecision(3)} GFLOP each${
      i === 0 ? "" : `, moments ${moments}`
    }`
  );
}
