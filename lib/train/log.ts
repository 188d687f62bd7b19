/**
 * What a run leaves to read beside its checkpoints: `metrics.jsonl`, one log line per line; `trainer_state.json`, where
 * it stands; `events.out.tfevents.*`, the same curves for TensorBoard.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { pid } from "node:process";
import type { PretrainingConfig } from "../config/mod.ts";
import { tensorboardHeader, tensorboardScalars, writeFileAtomic } from "../formats/mod.ts";
import type { EarlyStop } from "./checkpoint.ts";
import { failedWrite } from "./checkpoint_files.ts";
import type { HasLoss } from "./objective.ts";
import type { StepMetrics } from "./run_types.ts";

/** Where a run stands, as `trainer_state.json` says it; names as in the Hugging Face trainer where it has them. */
export type TrainerState = {
  readonly status: "running" | "finished" | "interrupted" | "stopped early" | "failed";
  readonly global_step: number;
  readonly max_steps: number;
  readonly latest_checkpoint: string | null;
  /** Lowest held-out loss on [MASK] so far, its step, and evaluations since; null without early_stop. */
  readonly early_stop: EarlyStop | null;
  /** Why a run failed. */
  readonly error?: string;
};

/** The files of a log. */
export type RunLog = {
  /** Adds a line to metrics.jsonl and to the event file. */
  readonly line: (metrics: StepMetrics<HasLoss>) => void;
  /** Replaces trainer_state.json: at once when the status changes, else at most every five seconds. */
  readonly state: (state: TrainerState) => void;
  /** Waits until the lines are on the disk: a checkpoint that outlives a power failure must not outlive its log. */
  readonly flush: () => void;
};

/** Milliseconds between two states of a run that goes on. */
const betweenStates = 5000;

/** Curves of a log line by TensorBoard tag; what is no finite number is left out. */
export function curvesOf(line: StepMetrics<HasLoss>): Record<string, number> {
  const { step: _, stage: _stage, evaluation, ...train } = line;
  const curves: Record<string, number> = {};
  for (const [group, values] of [["train", train], ["held_out", evaluation ?? {}]] as const) {
    for (const [name, value] of Object.entries(values)) {
      if (Number.isFinite(value)) curves[`${group}/${name}`] = value as number;
    }
  }
  return curves;
}

/** Appends lines to metrics.jsonl; lines after the step of a resume, and one that a kill cut off, are dropped first. */
function openMetrics(
  path: string,
  step: number,
): Pick<RunLog, "flush"> & { readonly line: (line: object) => void } {
  const old = existsSync(path) ? readFileSync(path, "utf8") : "";
  const kept = old.split("\n").filter((line) => {
    try {
      return (JSON.parse(line) as { step: number }).step <= step;
    } catch {
      return false;
    }
  });
  const text = kept.map((line) => `${line}\n`).join("");
  if (text !== old) writeFileAtomic(path, text);
  const inFile = (work: (file: number) => void): void => {
    try {
      const file = openSync(path, "a");
      try {
        work(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw failedWrite(`write the log ${path}`, error);
    }
  };
  return {
    // Written to the end and not anew: that would wait for the disk at every line, and take longer with each.
    line: (line) => inFile((file) => writeFileSync(file, `${JSON.stringify(line)}\n`)),
    flush: () => {
      if (existsSync(path)) inFile(fsyncSync);
    },
  };
}

/** An event file that begins with its first line. */
function openEvents(folder: string, step: number): (line: StepMetrics<HasLoss>) => void {
  let path: string | undefined;
  return (line) => {
    const wallTime = Date.now() / 1000;
    try {
      if (path === undefined) {
        // TensorBoard orders the files of a folder by name, so the time leads.
        path = join(folder, `events.out.tfevents.${Math.floor(wallTime)}.${hostname()}.${pid}.${step}`);
        writeFileSync(path, tensorboardHeader({ wallTime, step: step + 1 }));
      }
      appendFileSync(path, tensorboardScalars(curvesOf(line), { step: line.step, wallTime }));
    } catch (error) {
      throw failedWrite(`write the curves ${path ?? folder}`, error);
    }
  };
}

/** Removes what killed runs left half written; the folder is locked, so nobody writes there now. */
function removeLeftOvers(folder: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (/^(metrics\.jsonl|trainer_state\.json)\.tmp-\d+$/.test(name)) {
      rmSync(join(folder, name), { force: true });
    }
  }
}

/** Opens the files of a run that begins at `step`; without an output_dir nothing is written. */
export function openLog({ output_dir: folder }: PretrainingConfig, step: number): RunLog {
  if (folder === "") return { line: () => {}, state: () => {}, flush: () => {} };
  removeLeftOvers(folder);
  const metrics = openMetrics(join(folder, "metrics.jsonl"), step);
  const events = openEvents(folder, step);
  let last: { readonly status: TrainerState["status"]; readonly time: number } | undefined;
  return {
    line: (line) => {
      metrics.line(line);
      events(line);
    },
    state: (state) => {
      const time = performance.now();
      if (last?.status === state.status && time - last.time < betweenStates) return;
      last = { status: state.status, time };
      writeFileAtomic(join(folder, "trainer_state.json"), `${JSON.stringify(state, null, 2)}\n`);
    },
    flush: metrics.flush,
  };
}
