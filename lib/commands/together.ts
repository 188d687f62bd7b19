/**
 * A command as one of several processes that a launcher of MPI started: `mpirun -n 2 … pretrain`, or `srun`. The first
 * process speaks and writes for all; each makes sure that the others do the same work.
 */
import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Communicator, isLaunched, joinMpi, mpiEngine } from "../engines/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import type { PretrainControls } from "../train/mod.ts";

/** What a process of several has more than one alone. */
export type Together = {
  readonly world: Communicator;
  /** The engine over all processes. */
  readonly over: (engine: Engine) => Engine;
  /** What the trainer must know, with a signal that is aborted at the same step everywhere. */
  readonly controls: Required<Pick<PretrainControls, "together" | "signal">>;
  /** Whether this process speaks. */
  readonly speaks: boolean;
  /** From now on what each process computes goes to a file of the folder, a line for every 50 sums. */
  readonly keepTimes: (folder: string) => void;
};

/** Slower than the others by so many times and milliseconds, on the average of so many sums. */
const SLOW = { times: 1.5, milliseconds: 20, sums: 50 };

/**
 * Watches the time that each process computes, and names one that holds up the others. `keep` gets the means, milliseconds
 * between two sums.
 */
export function slowWatch(
  tell: (line: string) => void,
  keep: (means: readonly number[]) => void,
): (milliseconds: readonly number[]) => void {
  let sums: number[] = [];
  let count = 0;
  let told = "";
  return (milliseconds) => {
    if (sums.length === 0) sums = milliseconds.map(() => 0);
    milliseconds.forEach((time, rank) => sums[rank] = (sums[rank] ?? 0) + time);
    if (++count < SLOW.sums) return;
    keep(sums.map((sum) => sum / count));
    const rank = sums.indexOf(Math.max(...sums));
    const others = sums.filter((_, other) => other !== rank);
    const mean = others.reduce((sum, time) => sum + time, 0) / others.length;
    const own = sums[rank] ?? 0;
    const name = `process ${rank}`;
    const slow = own > SLOW.times * mean && own - mean > SLOW.milliseconds * count;
    if (slow && told !== name) {
      tell(
        `${name} holds up the others: it computes ${
          (own / mean).toFixed(1)
        } times as long between two sums ` +
          `(${(own / count).toFixed(0)} ms, the others ${(mean / count).toFixed(0)} ms)`,
      );
      told = name;
    } else if (!slow) told = "";
    sums = [];
    count = 0;
  };
}

/**
 * Joins the processes that a launcher started with this one; undefined where there is none.
 *
 * @param print Writes a line; only the first process does.
 * @param signal Aborted when this process is asked to stop.
 */
export async function joinOthers(
  print: (line?: string) => void,
  signal: AbortSignal,
): Promise<Together | undefined> {
  if (!isLaunched(process.env)) return undefined;
  const world = await joinMpi(process.env);
  const speaks = world.rank === 0;
  const stop = new AbortController();
  let times: string | undefined;
  const watch = slowWatch((line) => print(`note: ${line}`), (means) => {
    if (times !== undefined) appendFileSync(times, `${JSON.stringify({ milliseconds: means })}\n`);
  });
  return {
    world,
    speaks,
    over: (engine) =>
      mpiEngine(engine, world, {
        wantsStop: () => signal.aborted,
        onStop: () => stop.abort(signal.reason ?? new Error("another process was asked to stop")),
        ...(speaks ? { onTimes: watch } : {}),
      }),
    controls: { together: { writes: speaks }, signal: stop.signal },
    keepTimes: (folder) => {
      if (speaks) times = join(folder, "process_times.jsonl");
    },
  };
}

/** A whole number that float32 holds exactly, from a text. */
const digest = (text: string): number => createHash("sha256").update(text).digest().readUIntBE(0, 3);

/**
 * Makes sure that all processes have the same of everything that decides the result.
 *
 * @param world The processes.
 * @param what Texts by name: the library, the configuration, the records.
 * @throws {RangeError} In every process, naming what differs where.
 */
export function requireSame({ rank, size, sum }: Communicator, what: Readonly<Record<string, string>>): void {
  const names = Object.keys(what);
  const all = new Float32Array(size * names.length);
  names.forEach((name, i) => all[rank * names.length + i] = digest(what[name] ?? ""));
  sum(all);
  const differing = names.flatMap((name, i) => {
    const values = Array.from({ length: size }, (_, other) => all[other * names.length + i]);
    const others = values.flatMap((value, other) => value === values[0] ? [] : [other]);
    return others.length === 0 ? [] : [`the ${name} of process ${others.join(" and ")}`];
  });
  if (differing.length === 0) return;
  throw new RangeError(
    `Cannot train over ${size} processes: what differs from process 0 is ${differing.join(", ")}; ` +
      "start the same version with the same flags on the same files everywhere",
  );
}

/** The line that says who works together. */
export const describeTogether = ({ world }: Together): string =>
  `together: ${world.size} processes over ${world.name}, this one on ${hostname()}`;
