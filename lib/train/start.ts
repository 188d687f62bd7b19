/**
 * Where a run begins: its own newest checkpoint (a resume: weights, moments, step, position), another run's weights (a
 * warm start: fresh moments, step 0), or fresh weights. And its log file, cut back to where it begins.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AlbertConfig, albertConfigToJson, type PretrainingConfig } from "../config/mod.ts";
import { writeFileAtomic } from "../formats/mod.ts";
import { initialParameters } from "../model/mod.ts";
import { latestCheckpoint, type NamedValues, readCheckpoint } from "./checkpoint.ts";
import { parameterTypes, zeroValues } from "./step.ts";

/** What the first step starts from. */
export type Start = {
  readonly parameters: NamedValues;
  readonly m: NamedValues;
  readonly v: NamedValues;
  readonly step: number;
  readonly position: number;
  readonly totals: readonly number[];
  readonly stepsInTotals: number;
  readonly checkpoint: string | undefined;
};

/** Weights of another run under the names of this one. A table with more rows keeps its own rows behind the given ones. */
function warmStart(config: AlbertConfig, run: PretrainingConfig, fresh: Record<string, Float32Array>): void {
  const { parameters, path } = readCheckpoint(run.init_checkpoint);
  for (const [name, own] of Object.entries(fresh)) {
    const source = run.init_from_group0 ? name.replace(/\/group_\d+\//, "/group_0/") : name;
    const given = parameters[source];
    if (given === undefined) continue;
    const grows = name === "bert/embeddings/position_embeddings" && given.length < own.length &&
      given.length % config.embedding_size === 0;
    if (given.length !== own.length && !grows) {
      throw new RangeError(
        `Cannot start from ${path}: ${name} has ${given.length} values there and ${own.length} in this architecture`,
      );
    }
    own.set(given);
  }
}

/** Where the run begins: its own newest checkpoint, another run's weights, or fresh weights. */
export function startOf(config: AlbertConfig, run: PretrainingConfig): Start {
  const own = run.output_dir === "" ? undefined : latestCheckpoint(run.output_dir);
  if (own !== undefined) {
    const { config: before, parameters, m, v, state } = readCheckpoint(own);
    if (albertConfigToJson(before) !== albertConfigToJson(config)) {
      throw new RangeError(
        `Cannot go on in ${run.output_dir}: its checkpoint has another architecture; choose another output_dir`,
      );
    }
    const zero = zeroValues(parameterTypes(config));
    const { step, position, totals, steps_in_totals: stepsInTotals } = state;
    return { parameters, m: m ?? zero, v: v ?? zero, step, position, totals, stepsInTotals, checkpoint: own };
  }
  const parameters = initialParameters(config, run.seed);
  if (run.init_checkpoint !== "") warmStart(config, run, parameters);
  const zero = zeroValues(parameterTypes(config));
  return {
    parameters,
    m: zero,
    v: zero,
    step: 0,
    position: 0,
    totals: [],
    stepsInTotals: 0,
    checkpoint: undefined,
  };
}

/** Appends lines to metrics.jsonl; lines after the step of a resume are dropped first. */
export function openMetrics(folder: string, step: number): (line: object) => void {
  if (folder === "") return () => {};
  const path = join(folder, "metrics.jsonl");
  const old = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter((line) => line !== "") : [];
  const lines = old.filter((line) => {
    try {
      return (JSON.parse(line) as { step: number }).step <= step;
    } catch {
      return false; // cut off by a kill
    }
  });
  return (line) => {
    lines.push(JSON.stringify(line));
    writeFileAtomic(path, `${lines.join("\n")}\n`);
  };
}
