/**
 * `albert plan`: what a pretraining will take of memory, time, network, disk and money, before anything is rented.
 */
import { type AlbertConfig, parsePretrainingConfig, type PretrainingConfig } from "../config/mod.ts";
import { recordBytes } from "../records/mod.ts";
import {
  type Accelerator,
  accelerators,
  measureRate,
  planRun,
  rateOfDevice,
  type TrainingRate,
} from "../train/mod.ts";
import { type Command, command, type Context, type Flags, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { describePlan } from "./plan_report.ts";
import { pretrainFlags } from "./pretrain_flags.ts";
import { architecture, asUsage } from "./pretrain_inputs.ts";

/** Flags of `pretrain` that change what a run takes. */
const ofPretrain = [
  ...["preset", "albert_config_file", "max_seq_length", "max_predictions_per_seq", "train_batch_size"],
  ...["gradient_accumulation_steps", "num_train_steps", "optimizer", "compute_dtype", "remat"],
  ...["save_checkpoints_steps", "keep_checkpoint_max"],
] as const;

const own = {
  tokens: { kind: "float", help: "positions to train on, padding included, instead of --num_train_steps" },
  records: { kind: "float", help: "records on disk, instead of --num_train_steps" },
  epochs: { kind: "float", default: 1, help: "passes over the records" },
  hosts: { kind: "int", default: 1, help: "machines" },
  devices: { kind: "int", default: 1, help: "devices of each machine, which share every batch" },
  network_gbps: {
    kind: "float",
    help: "gigabits per second of a machine's network; needed for several hosts",
  },
  network_latency_us: { kind: "float", default: 20, help: "microseconds of a message between machines" },
  accelerator: {
    kind: "string",
    choices: Object.keys(accelerators()),
    help: "a device of the table, by its published peak and the share of it that others reached",
  },
  flops_per_second: { kind: "float", help: "what a device reaches in training, in place of the table" },
  measure: {
    kind: "boolean",
    default: false,
    help: "time steps of this model on this machine, which then counts as one device: half a minute for base",
  },
  engine: engineFlags.engine,
  plugin: engineFlags.plugin,
  price_per_hour: { kind: "float", help: "price of a device for an hour, in any currency" },
  json: { kind: "boolean", default: false, help: "one JSON object with every figure, instead of lines" },
} as const;

function allFlags(): Flags {
  const theirs = pretrainFlags();
  const picked = Object.entries(theirs).filter(([name]) => (ofPretrain as readonly string[]).includes(name));
  return { ...Object.fromEntries(picked), ...own };
}

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

/** A number that was given. */
const numberOf = (values: Values, name: keyof typeof own): number | undefined => {
  const value = values[name];
  if (typeof value !== "number") return undefined;
  if (value > 0 || (value === 0 && name === "network_latency_us")) return value;
  throw new UsageError(`Cannot run plan: --${name}=${value} must be above 0`);
};

/** What the table says of a device for a type of products. */
function tableRate(
  name: string,
  accelerator: Accelerator,
  config: AlbertConfig,
  run: PretrainingConfig,
): TrainingRate {
  const peak = accelerator.peak[run.compute_dtype];
  if (peak === undefined) {
    throw new UsageError(
      `Cannot run plan: no peak of ${name} is published for --compute_dtype=${run.compute_dtype}; ` +
        `give --compute_dtype=${Object.keys(accelerator.peak).join(" or ")}, or --flops_per_second`,
    );
  }
  const { utilisation, source, utilisationSource } = accelerator;
  return rateOfDevice(
    config,
    run,
    peak * utilisation,
    `${name}, ${100 * utilisation} % of ${peak / 1e12} TFLOP/s in ${run.compute_dtype} (peak: ${source}; ` +
      `share: ${utilisationSource})`,
  );
}

/** The pace that the flags name, if any. */
async function rateFor(
  values: Values,
  config: AlbertConfig,
  run: PretrainingConfig,
  { print }: Pick<Context, "print">,
): Promise<TrainingRate | undefined> {
  const { measure, accelerator, flops_per_second, json, hosts, devices } = values;
  const given = [measure === true ? "measure" : undefined, accelerator, flops_per_second];
  if (given.filter((one) => one !== undefined).length > 1) {
    throw new UsageError("Cannot run plan: give one of --measure, --accelerator and --flops_per_second");
  }
  if (typeof accelerator === "string") {
    return tableRate(accelerator, accelerators()[accelerator] as Accelerator, config, run); // a choice of the flag
  }
  const flops = numberOf(values, "flops_per_second");
  if (flops !== undefined) return rateOfDevice(config, run, flops, `${flops / 1e9} GFLOP/s, as given`);
  if (measure !== true) return undefined;
  if (devices !== 1) {
    throw new UsageError(
      `Cannot run plan: --measure times this machine as one device, --devices=${devices} would count it again; ` +
        "leave --devices out, --hosts says how many machines of this kind there are",
    );
  }
  const engine = await openWished(
    { engine: String(values["engine"]), plugin: values["plugin"] },
    json === true ? () => {} : print,
  );
  const share = Math.floor(run.train_batch_size / Number(hosts));
  return await measureRate(config, { ...run, train_batch_size: Math.max(1, share) }, engine);
}

async function run(values: Values, _: readonly string[], context: Context): Promise<void> {
  const config = architecture(values, "plan");
  const given = Object.fromEntries(
    ofPretrain.filter((name) => name !== "preset" && values[name] !== undefined).map((
      name,
    ) => [name, values[name]]),
  );
  const training = asUsage("plan", () => parsePretrainingConfig(given));
  if (training.max_seq_length > config.max_position_embeddings) {
    throw new UsageError(
      `Cannot run plan: --max_seq_length=${training.max_seq_length} is above the architecture's ` +
        `max_position_embeddings ${config.max_position_embeddings}`,
    );
  }
  const [hosts, devicesPerHost] = [Number(values["hosts"]), Number(values["devices"])];
  const optional = {
    tokens: numberOf(values, "tokens"),
    records: numberOf(values, "records"),
    pricePerDeviceHour: numberOf(values, "price_per_hour"),
  };
  const network = numberOf(values, "network_gbps");
  const accelerator = accelerators()[String(values["accelerator"])];
  const options = {
    hosts,
    devicesPerHost,
    epochs: numberOf(values, "epochs") ?? 1,
    networkLatency: (numberOf(values, "network_latency_us") ?? 0) / 1e6,
    recordBytes: recordBytes(training, config.vocab_size),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    ...(network === undefined ? {} : { networkBandwidth: network * 1e9 / 8 }),
    ...(accelerator === undefined ? {} : { linkBandwidth: accelerator.linkBandwidth }),
  };
  asUsage("plan", () => planRun(config, training, options)); // what is wrong is told before anything is measured
  const rate = await rateFor(values, config, training, context);
  const plan = planRun(config, training, { ...options, ...(rate === undefined ? {} : { rate }) });
  if (values["json"] === true) {
    return context.print(JSON.stringify({ ...plan, ...(rate === undefined ? {} : { rate }) }));
  }
  const words = { run: training, hosts, devicesPerHost, rate, accelerator };
  describePlan(plan, words).forEach((line) => context.print(line));
}

/** The command. */
export const plan: Command = command({
  name: "plan",
  summary: "Say what a training will take of memory, time, network, disk and money.",
  example:
    "deno task albert plan --preset=base --tokens=1e9 --train_batch_size=64 --max_seq_length=128 --measure",
  flags: allFlags(),
  run,
});
