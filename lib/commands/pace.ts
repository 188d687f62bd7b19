/** How far a run is on the clock, and what a schedule of stages holds: lines that `pretrain` prints. */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { estimateCost, type StepMetrics, type TrainingStage } from "../train/mod.ts";

/** What the wall clock and the peak say beside a log line. */
export type Pace = { readonly mfu?: number; readonly secondsLeft?: number };

/** Steps that a run makes. */
export const stepsOf = ({ num_train_steps, stop_after_steps }: PretrainingConfig): number =>
  Math.min(num_train_steps, stop_after_steps || Infinity);

/** How much a log line counts for MFU when the next one comes: about the last five lines are seen. */
const fading = 0.8;

/**
 * Follows the wall clock and holds the speed against the peak; what is left is counted in operations, over all stages.
 * MFU is the mean over the last lines, fading out; and where a line is faster than the peak that was measured (the
 * machine was busy then), that line is the peak.
 */
export function openPace(
  config: AlbertConfig,
  runs: readonly PretrainingConfig[],
  measured: number | undefined,
): (line: StepMetrics) => Pace {
  const costs = runs.map((run) => ({ ...estimateCost(config, run), steps: stepsOf(run) }));
  let first: { readonly left: number; readonly time: number } | undefined;
  let [peak, flopsSeen, secondsSeen] = [measured ?? NaN, 0, 0];
  let before: number | undefined;
  return ({ step, stage = 1, tokens_per_second }: StepMetrics): Pace => {
    const time = performance.now();
    const { flops, tokens } = costs[stage - 1] ?? { flops: NaN, tokens: NaN };
    const speed = Math.max(tokens_per_second, 0.5) / tokens * flops; // a very slow one is rounded to 0
    const steps = step - (before ?? step - (runs[stage - 1]?.log_every || 1));
    const work = Math.max(1, steps) * flops;
    before = step;
    peak = Math.max(peak, speed);
    flopsSeen = fading * flopsSeen + work;
    secondsSeen = fading * secondsSeen + work / speed;
    const mfu = measured === undefined ? {} : { mfu: flopsSeen / secondsSeen / peak };
    const now = flopsLeft(costs, step);
    // From the first line on, so that compiling counts for nothing; evaluation and saving do count.
    if (first === undefined) {
      first = { left: now, time };
      return { ...mfu, secondsLeft: now / speed };
    }
    return { ...mfu, secondsLeft: now * (time - first.time) / 1000 / (first.left - now) };
  };
}

type Cost = { readonly steps: number; readonly flops: number };

/** Operations of the steps that come after one, over all stages. */
const flopsLeft = (costs: readonly Cost[], step: number): number =>
  costs.reduce(({ behind, sum }, { steps, flops }) => {
    const done = Math.min(Math.max(step - behind, 0), steps);
    return { behind: behind + steps, sum: sum + (steps - done) * flops };
  }, { behind: 0, sum: 0 }).sum;

/** Seconds as a person says them. */
export function describeSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What the first steps say about the rest: the mended estimate, over all stages. */
export function describeFirstSteps(
  config: AlbertConfig,
  runs: readonly PretrainingConfig[],
  { steps, secondsPerStep, step }: {
    readonly steps: number;
    readonly secondsPerStep: number;
    readonly step: number;
  },
): string | undefined {
  const costs = runs.map((run) => ({ flops: estimateCost(config, run).flops, steps: stepsOf(run) }));
  let [stage, end] = [0, 0];
  while (stage < costs.length && end < step) end += (costs[stage++] as Cost).steps;
  const own = costs[stage - 1];
  if (own === undefined || step >= end) return undefined;
  const seconds = flopsLeft(costs, step) / own.flops * secondsPerStep;
  const each = secondsPerStep < 1
    ? `${(1000 * secondsPerStep).toPrecision(3)} ms`
    : `${secondsPerStep.toPrecision(3)} s`;
  const of = runs.length > 1 ? ` of stage ${stage}` : "";
  const others = stage < runs.length ? ", later stages in proportion to their arithmetic" : "";
  return `time: ${steps} steps${of} took ${each} each, so about ${describeSeconds(seconds)} are left` +
    `${others}, evaluations and checkpoints not counted`;
}

/** One line per stage of a schedule, and one for all; times are the least ones where the peak is known. */
export function describeStages(
  config: AlbertConfig,
  stages: readonly Pick<TrainingStage, "run" | "moments">[],
  peak: number | undefined,
): string[] {
  const whole = { steps: 0, tokens: 0, flops: 0 };
  const count = (value: number): string => value.toLocaleString("en");
  const least = (flops: number): string =>
    peak === undefined ? "" : `, ${describeSeconds(flops / peak)} at the least`;
  const lines = stages.map(({ run, moments }, i) => {
    const { tokens, flops } = estimateCost(config, run);
    const steps = stepsOf(run);
    whole.steps += steps;
    whole.tokens += steps * tokens;
    whole.flops += steps * flops;
    const batches = run.gradient_accumulation_steps === 1
      ? ""
      : `, ${run.gradient_accumulation_steps} batches accumulated`;
    return `stage ${
      i + 1
    }: ${steps} steps of ${run.train_batch_size} × ${run.max_seq_length} pieces${batches}, ` +
      `${count(tokens)} positions a step, peak rate ${run.learning_rate}, warm-up ${run.num_warmup_steps}, ` +
      `${(flops / 1e9).toPrecision(3)} GFLOP each${i === 0 ? "" : `, moments ${moments}`}${
        least(steps * flops)
      }`;
  });
  return [
    ...lines,
    `all ${stages.length} stages: ${whole.steps} steps, ${count(whole.tokens)} positions${
      least(whole.flops)
    }`,
  ];
}
