/** The lines of `albert plan`: a plan in words, each figure with the formula or the source behind it. */
import type { PretrainingConfig } from "../config/mod.ts";
import type { Accelerator, Plan, TrainingRate } from "../train/mod.ts";
import { describeSeconds } from "./pace.ts";

/** Bytes as a person says them, in powers of ten. */
export function describeBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

/** Seconds up to years. */
function describeTime(seconds: number): string {
  return seconds < 48 * 3600 ? describeSeconds(seconds) : `${(seconds / 86400).toPrecision(3)} days`;
}

const count = (value: number): string => Math.round(value).toLocaleString("en");
const short = (seconds: number): string =>
  seconds < 1 ? `${(1000 * seconds).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`;

/** What a plan is told with. */
export type PlanWords = {
  readonly run: PretrainingConfig;
  readonly hosts: number;
  readonly devicesPerHost: number;
  readonly rate: TrainingRate | undefined;
  readonly accelerator: Accelerator | undefined;
};

/** Whether what a device needs is in its memory. */
function fits(bytes: number, accelerator: Accelerator | undefined): string {
  if (accelerator === undefined) return "";
  return bytes <= accelerator.memory
    ? " (fits)"
    : ` (does not fit into ${describeBytes(accelerator.memory)})`;
}

function memoryLines({ memory }: Plan, { run, accelerator }: PlanWords): string[] {
  const { state, activationsStored, activationsRecomputed, process } = memory;
  const beside = process > 0 ? `, ${describeBytes(process)} for the engine's process` : "";
  const sum = (activations: number): string => {
    const all = state + activations + process;
    return `${describeBytes(all)}${fits(all, accelerator)}`;
  };
  return [
    `memory per device: ${describeBytes(state)} for weights, moments and gradients${beside}; activations ` +
    `${describeBytes(activationsStored)}, in all ${sum(activationsStored)}; with remat ` +
    `${describeBytes(activationsRecomputed)}, in all ${sum(activationsRecomputed)}` +
    (run.compute_dtype === "bfloat16" ? "; counted in float32, bfloat16 takes less" : ""),
  ];
}

function timeLines(plan: Plan, { run, hosts, devicesPerHost, rate }: PlanWords): string[] {
  const { seconds, communicationShare = 0, networkBytesPerStep, steps, deviceHours } = plan;
  if (seconds === undefined || rate === undefined || deviceHours === undefined) {
    return [
      "time: not known; --measure times this machine, --accelerator takes a device of the table, " +
      "--flops_per_second your own figure",
    ];
  }
  const ring = hosts * devicesPerHost === 1
    ? "one device, nothing to sum"
    : `at most ${short(seconds.communication)} (${(100 * communicationShare).toPrecision(2)} %) of summing ` +
      `gradients by rings, 2 (N - 1) / N of ${describeBytes(4 * plan.total)}` +
      (hosts > 1 ? `; each host sends ${describeBytes(networkBytesPerStep)}` : "");
  return [
    `rate: ${rate.source}`,
    `step: ${short(seconds.step)}, of it ${short(seconds.arithmetic)} of arithmetic` +
    `${run.remat ? ", layers computed again" : ""}; ${ring}`,
    `time: ${count(steps)} steps in ${describeTime(seconds.run)}, ${
      deviceHours.toPrecision(3)
    } device-hours; evaluation and checkpoints not counted`,
  ];
}

/** A plan in words. */
export function describePlan(plan: Plan, words: PlanWords): string[] {
  const { run, hosts, devicesPerHost } = words;
  const parts = Object.entries(plan.parameters).map(([part, n]) => `${part} ${count(n)}`);
  const accumulated = run.gradient_accumulation_steps === 1
    ? ""
    : ` × ${run.gradient_accumulation_steps} batches accumulated`;
  return [
    `model: ${count(plan.total)} parameters (${parts.join(", ")})`,
    `run: ${
      count(plan.steps)
    } steps of ${run.train_batch_size} × ${run.max_seq_length} pieces${accumulated}, ` +
    `${(plan.steps * plan.tokensPerStep).toPrecision(4)} positions, ${
      (plan.flopsPerStep / 1e12).toPrecision(3)
    } TFLOP a step`,
    `machines: ${hosts} host${hosts === 1 ? "" : "s"} of ${devicesPerHost} device${
      devicesPerHost === 1 ? "" : "s"
    }, ${plan.recordsPerDevice} records on each at a time`,
    ...memoryLines(plan, words),
    ...timeLines(plan, words),
    `checkpoints: ${describeBytes(plan.checkpointBytes)} each, weights and both moments; ${
      describeBytes(plan.checkpointDisk)
    } of disk for those that are kept and the one being written`,
    `records: ${count(plan.recordsOnDisk)} of ${describeBytes(plan.recordsDisk / plan.recordsOnDisk)}, ${
      describeBytes(plan.recordsDisk)
    } of disk without compression`,
    ...(plan.cost === undefined ? [] : [`cost: ${plan.cost.toFixed(2)} at the price of a device-hour`]),
  ];
}
