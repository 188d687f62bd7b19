// A training step in another library: a Python script that makes one step for each line it reads and answers with the
// loss, the processor seconds and its peak memory.
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Size } from "./xla_step.ts";

/** A running script. */
export type Peer = {
  readonly step: () => Promise<{ readonly seconds: number; readonly peak: number }>;
  readonly stop: () => void;
};

/** Starts a script of this folder with the Python that a variable names. */
export function startPeer(script: string, variable: string, size: Size): Peer {
  const { layers, hidden, heads, intermediate, pieces, batch, sequence, predictions, dropout, threads } =
    size;
  const python = process.env[variable] ?? "python3";
  const numbers = [
    layers,
    hidden,
    heads,
    intermediate,
    pieces,
    batch,
    sequence,
    predictions,
    dropout,
    threads,
  ];
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(python, [file, ...numbers.map(String)], {
    stdio: ["pipe", "pipe", "ignore"],
    // XLA's CPU client takes its number of threads from NPROC.
    env: { ...process.env, NPROC: String(threads) },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  return {
    step: async () => {
      child.stdin.write("\n");
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${python} cannot run ${script} (${variable} names another one)`);
      const [, seconds = NaN, peak = NaN] = String(value).split(" ").map(Number);
      return { seconds, peak };
    },
    stop: () => void child.kill(),
  };
}
