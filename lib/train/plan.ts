/**
 * A run on paper: what it will take of memory, time, network, disk and money on machines that need not be here. Sizes
 * come from `estimateCost`; the pace from a measurement (`measureRate`) or from a peak and a share of it.
 *
 * Gradients of data-parallel devices are summed by a ring (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce
 * algorithms for clusters of workstations"): of N members each sends and receives 2 (N - 1) / N of the gradient in
 * 2 (N - 1) messages, so a sum takes 2 (N - 1) / N × bytes / bandwidth + 2 (N - 1) × latency. The devices of a host are
 * one ring on its links, the hosts another on the network, one after the other; nothing is hidden behind arithmetic, so
 * the share of communication is an upper bound.
 */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { estimateCost, type RunCost } from "./cost.ts";

/**
 * How fast one device trains one model.
 *
 * @example
 * ```ts
 * import type { TrainingRate } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rate: TrainingRate = { secondsPerRecord: 0.02, secondsPerUpdate: 0.1, source: "measured" };
 * assert.equal(8 * rate.secondsPerRecord + rate.secondsPerUpdate, 0.26);
 * ```
 */
export type TrainingRate = {
  /** Seconds of forward and backward pass for one record, recomputation included. */
  readonly secondsPerRecord: number;
  /** Seconds of a step that do not depend on the batch: update, start. */
  readonly secondsPerUpdate: number;
  /** Where it comes from, in words. */
  readonly source: string;
  /** Bytes of the engine's process beside its values, where known. */
  readonly processBytes?: number;
};

/**
 * What a plan is made for.
 *
 * @example
 * ```ts
 * import type { PlanOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: PlanOptions = { hosts: 4, devicesPerHost: 8, networkBandwidth: 12.5e9 };
 * assert.equal(options.hosts, 4);
 * ```
 */
export type PlanOptions = {
  /** Hosts, default 1. */
  readonly hosts?: number;
  /** Devices of a host, default 1. */
  readonly devicesPerHost?: number;
  /** Bytes per second that a host sends on the network; needed for several hosts. */
  readonly networkBandwidth?: number;
  /** Seconds of a message between hosts, default 0. */
  readonly networkLatency?: number;
  /** Bytes per second that a device sends to another one of its host; without it that takes no time. */
  readonly linkBandwidth?: number;
  /** Pace of one device; without it the plan has no times. */
  readonly rate?: TrainingRate;
  /** Positions to train on, padding included, instead of `num_train_steps`. */
  readonly tokens?: number;
  /** Records on disk, instead of `num_train_steps`. */
  readonly records?: number;
  /** Passes over the records, default 1. */
  readonly epochs?: number;
  /** Bytes of a record on disk (`recordBytes`), default 0. */
  readonly recordBytes?: number;
  /** Price of a device for an hour, in any currency. */
  readonly pricePerDeviceHour?: number;
};

/**
 * What a run will take.
 *
 * @example
 * ```ts
 * import type { Plan } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const days = ({ seconds }: Plan): number => (seconds?.run ?? NaN) / 86400;
 * assert.equal(typeof days, "function");
 * ```
 */
export type Plan = {
  /** Weights by part, as in `RunCost`. */
  readonly parameters: RunCost["parameters"];
  /** Weights in all. */
  readonly total: number;
  /** Updates. */
  readonly steps: number;
  /** Positions of a step, padding included. */
  readonly tokensPerStep: number;
  /** Operations of a step, recomputation left out. */
  readonly flopsPerStep: number;
  /** Devices of all hosts. */
  readonly devices: number;
  /** Records that a device holds at a time. */
  readonly recordsPerDevice: number;
  /** Bytes on each device: float32, so an upper bound with bfloat16. */
  readonly memory: {
    /** Weights, moments, gradients. */
    readonly state: number;
    /** What the forward pass leaves for the backward pass, as the run asks, and both ways. */
    readonly activations: number;
    readonly activationsStored: number;
    readonly activationsRecomputed: number;
    /** The engine's process itself, 0 where unknown. */
    readonly process: number;
    /** The sum, as the run asks. */
    readonly peak: number;
  };
  /** Seconds, where a rate is given. */
  readonly seconds?: {
    readonly arithmetic: number;
    readonly communication: number;
    /** Both. */
    readonly step: number;
    /** Of all steps, without evaluation and checkpoints. */
    readonly run: number;
  };
  /** Share of a step that is spent on summing gradients, at most; undefined without a rate. */
  readonly communicationShare?: number;
  /** Bytes that a host sends at each step. */
  readonly networkBytesPerStep: number;
  /** Bytes of one checkpoint: weights and both moments. */
  readonly checkpointBytes: number;
  /** Bytes of the checkpoints that are kept, and of one that is being written. */
  readonly checkpointDisk: number;
  /** Records on disk, and their bytes. */
  readonly recordsOnDisk: number;
  readonly recordsDisk: number;
  /** Hours of all devices together, where a rate is given. */
  readonly deviceHours?: number;
  /** Price of them, where that is given too. */
  readonly cost?: number;
};

/** Seconds of a sum over a ring. */
function ringSeconds(members: number, bytes: number, bandwidth: number, latency: number): number {
  return members <= 1 ? 0 : 2 * (members - 1) * (bytes / members / bandwidth + latency);
}

function checkOptions({ hosts = 1, devicesPerHost = 1, networkBandwidth, ...rest }: PlanOptions): void {
  const whole = Object.entries({ hosts, devicesPerHost }).find(([, count]) =>
    !(Number.isInteger(count) && count >= 1)
  );
  if (whole !== undefined) {
    throw new RangeError(
      `Cannot plan this run: ${whole[0]} must be a whole number from 1, it is ${whole[1]}`,
    );
  }
  const positive = { networkBandwidth, linkBandwidth: rest.linkBandwidth, tokens: rest.tokens };
  for (const [name, value] of Object.entries({ ...positive, records: rest.records, epochs: rest.epochs })) {
    if (value !== undefined && !(value > 0)) {
      throw new RangeError(`Cannot plan this run: ${name} must be above 0, it is ${value}`);
    }
  }
  if (hosts > 1 && networkBandwidth === undefined) {
    throw new RangeError(
      `Cannot plan ${hosts} hosts: the bandwidth of their network is not given, as --network_gbps`,
    );
  }
  if (rest.tokens !== undefined && rest.records !== undefined) {
    throw new RangeError("Cannot plan this run: tokens and records both tell its length; give one of them");
  }
}

/** Steps of a run and records on disk. */
function lengthOf(
  run: PretrainingConfig,
  recordsPerStep: number,
  { tokens, records, epochs = 1 }: PlanOptions,
): { readonly steps: number; readonly recordsOnDisk: number } {
  const trained = tokens !== undefined
    ? tokens / run.max_seq_length
    : records !== undefined
    ? records * epochs
    : run.num_train_steps * recordsPerStep;
  const steps = Math.ceil(trained / recordsPerStep);
  return { steps, recordsOnDisk: records ?? Math.ceil(steps * recordsPerStep / epochs) };
}

/**
 * Plans a run.
 *
 * @param config The architecture.
 * @param run The run; `train_batch_size` is shared by all devices, its `num_train_steps` hold where neither tokens nor
 * records are given.
 * @param options Machines, pace, data, price.
 * @returns Weights, memory, time, network, disk and cost.
 * @throws {RangeError} When the batch cannot be shared in equal parts, a figure is out of range, or both tokens and records
 * are given.
 * @example
 * ```ts
 * import { albertPreset, parsePretrainingConfig, planRun } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const run = parsePretrainingConfig({ train_batch_size: 64, max_seq_length: 128, max_predictions_per_seq: 20 });
 * const rate = { secondsPerRecord: 0.01, secondsPerUpdate: 0.02, source: "an example" };
 * const plan = planRun(albertPreset("base"), run, { hosts: 2, networkBandwidth: 1.25e9, rate, tokens: 1e9 });
 * assert.equal(plan.steps, Math.ceil(1e9 / (64 * 128)));
 * assert.equal(plan.recordsPerDevice, 32);
 * // A gradient of 47 MB over a ring of two at 10 Gbit/s: each sends all of it once.
 * assert.equal(plan.networkBytesPerStep, 4 * plan.total);
 * assert.ok(Math.abs(plan.seconds!.communication - 4 * plan.total / 1.25e9) < 1e-9); // ! a rate is given
 * ```
 */
export function planRun(config: AlbertConfig, run: PretrainingConfig, options: PlanOptions = {}): Plan {
  checkOptions(options);
  const { hosts = 1, devicesPerHost = 1, recordBytes = 0, rate, pricePerDeviceHour } = options;
  const devices = hosts * devicesPerHost;
  if (run.train_batch_size % devices !== 0) {
    throw new RangeError(
      `Cannot plan this run: ${devices} devices cannot share train_batch_size ${run.train_batch_size} in equal parts`,
    );
  }
  const whole = estimateCost(config, run);
  const shared = { ...run, train_batch_size: run.train_batch_size / devices };
  const [stored, recomputed] = [false, true].map((remat) => estimateCost(config, { ...shared, remat })) as [
    RunCost,
    RunCost,
  ];
  const kept = run.remat ? recomputed : stored;
  const process = rate?.processBytes ?? 0;
  const recordsPerStep = run.train_batch_size * run.gradient_accumulation_steps;
  const { steps, recordsOnDisk } = lengthOf(run, recordsPerStep, options);
  const times = rate === undefined
    ? undefined
    : timesOf(whole.total, recordsPerStep / devices, rate, options);
  const seconds = times === undefined ? undefined : { ...times, run: steps * times.step };
  const deviceHours = seconds === undefined ? undefined : devices * seconds.run / 3600;
  const checkpointBytes = 12 * whole.total;
  return {
    parameters: whole.parameters,
    total: whole.total,
    steps,
    tokensPerStep: whole.tokens,
    flopsPerStep: whole.flops,
    devices,
    recordsPerDevice: shared.train_batch_size,
    memory: {
      state: kept.stateBytes,
      activations: kept.activationBytes,
      activationsStored: stored.activationBytes,
      activationsRecomputed: recomputed.activationBytes,
      process,
      peak: kept.stateBytes + kept.activationBytes + process,
    },
    ...(seconds === undefined ? {} : { seconds, communicationShare: seconds.communication / seconds.step }),
    networkBytesPerStep: 2 * (hosts - 1) / hosts * 4 * whole.total,
    checkpointBytes,
    checkpointDisk: checkpointBytes *
      (run.keep_checkpoint_max === 0
        ? Math.ceil(steps / run.save_checkpoints_steps)
        : 1 + Math.min(run.keep_checkpoint_max, Math.ceil(steps / run.save_checkpoints_steps))),
    recordsOnDisk,
    recordsDisk: recordsOnDisk * recordBytes,
    ...(deviceHours === undefined ? {} : { deviceHours }),
    ...(deviceHours === undefined || pricePerDeviceHour === undefined
      ? {}
      : { cost: deviceHours * pricePerDeviceHour }),
  };
}

/** Seconds of a step on devices that each take `records` of it. */
function timesOf(
  weights: number,
  records: number,
  { secondsPerRecord, secondsPerUpdate }: TrainingRate,
  {
    hosts = 1,
    devicesPerHost = 1,
    networkBandwidth = Infinity,
    networkLatency = 0,
    linkBandwidth = Infinity,
  }: PlanOptions,
): { readonly arithmetic: number; readonly communication: number; readonly step: number } {
  const arithmetic = records * secondsPerRecord + secondsPerUpdate;
  const communication = ringSeconds(devicesPerHost, 4 * weights, linkBandwidth, 0) +
    ringSeconds(hosts, 4 * weights, networkBandwidth, networkLatency);
  return { arithmetic, communication, step: arithmetic + communication };
}

/** What recomputing layers adds to the operations of a step: the forward pass once more, beside it and twice its work. */
const recomputation = 4 / 3;

/**
 * The pace that an accelerator's peak and the share of it that is reached give.
 *
 * @param config The architecture.
 * @param run The run: lengths, remat.
 * @param flopsPerSecond What a device reaches: its peak times its utilisation.
 * @param source Where that comes from.
 * @returns Seconds of a record; an update costs nothing beside it, published utilisations contain it.
 * @example
 * ```ts
 * import { albertPreset, parsePretrainingConfig, rateOfDevice } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rate = rateOfDevice(albertPreset("base"), parsePretrainingConfig({}), 100e12, "an example");
 * assert.ok(rate.secondsPerRecord > 0.002 && rate.secondsPerRecord < 0.004); // 290 GFLOP at 512 pieces
 * ```
 */
export function rateOfDevice(
  config: AlbertConfig,
  run: PretrainingConfig,
  flopsPerSecond: number,
  source: string,
): TrainingRate {
  const one = { ...run, train_batch_size: 1, gradient_accumulation_steps: 1 };
  const { flops } = estimateCost(config, one);
  return {
    secondsPerRecord: (run.remat ? recomputation : 1) * flops / flopsPerSecond,
    secondsPerUpdate: 0,
    source,
  };
}
