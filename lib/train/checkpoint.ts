/**
 * Checkpoints: a folder `step-000123` with the weights, both moments, the state of the run and a manifest of byte
 * lengths and SHA-256. A reader takes only a folder whose manifest verifies, and an older one is removed only after the
 * next verifies. So a run that is killed at any instant leaves the old checkpoint or the new one.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type AlbertConfig, albertConfigToJson, parseAlbertConfig } from "../config/mod.ts";
import { CorruptFileError, readSafetensorsFile } from "../formats/mod.ts";
import { albertParameters, type ParameterSpec } from "../model/mod.ts";
import {
  type PackedCheckpoint,
  stepName,
  stepsIn,
  verifyCheckpoint,
  writeCheckpoint,
} from "./checkpoint_files.ts";

/** Float32 values by name. */
export type NamedValues = { readonly [name: string]: Float32Array };

/** The count of evaluations without a lower held-out loss on [MASK]. */
export type EarlyStop = {
  readonly best_loss: number;
  readonly best_step: number;
  /** Evaluations since. */
  readonly waited: number;
};

/**
 * Where a run stands, besides weights and moments; readable JSON in `state.json`.
 *
 * @example
 * ```ts
 * import type { RunState } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const fresh: RunState = { step: 0, position: 0, totals: [], steps_in_totals: 0, run: {} };
 * assert.equal(fresh.step, 0);
 * ```
 */
export type RunState = {
  /** Updates done. */
  readonly step: number;
  /** Examples read, over all epochs. Order and dropout follow from it, the step and the seed. */
  readonly position: number;
  /** Sums of the metrics since the last log line. */
  readonly totals: readonly number[];
  /** Steps in those sums. */
  readonly steps_in_totals: number;
  /** The configuration of the run. */
  readonly run: object;
  /** SHA-256 of config, and as far as they were told of tokenizer and records. */
  readonly hashes?: { readonly [name: string]: string };
  /** Engine and devices that computed it: another one goes on with other last digits. */
  readonly computed_on?: string;
  /** With `early_stop`: the best held-out evaluation. */
  readonly early_stop?: EarlyStop;
  /** A signal came at the end of a step whose log line or evaluation was due: the next run begins with them. */
  readonly pending?: boolean;
  /** In a schedule of stages: which one, from 1, the step it began at, and what the finished ones ran with. */
  readonly stage?: {
    readonly number: number;
    readonly first_step: number;
    readonly moments: "fresh" | "carried";
    readonly before: readonly FinishedStage[];
  };
};

/** What a finished stage ran with, compared on resume. */
export type FinishedStage = Pick<RunState, "run" | "hashes"> & { readonly moments: "fresh" | "carried" };

/**
 * A checkpoint in memory.
 *
 * @example
 * ```ts
 * import type { Checkpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const names = ({ parameters }: Checkpoint): string[] => Object.keys(parameters);
 * assert.equal(typeof names, "function");
 * ```
 */
export type Checkpoint = {
  /** Folder it was read from. */
  readonly path: string;
  readonly config: AlbertConfig;
  /** Weights by TensorFlow name. */
  readonly parameters: NamedValues;
  /** First moments by the names of the weights; undefined in a folder without them. */
  readonly m?: NamedValues;
  /** Second moments. */
  readonly v?: NamedValues;
  readonly state: RunState;
};

function slots(m: NamedValues, v: NamedValues): NamedValues {
  return Object.fromEntries(
    Object.keys(m).flatMap((name) => [
      [`${name}/adam_m`, m[name] as Float32Array],
      [`${name}/adam_v`, v[name] as Float32Array],
    ]),
  );
}

/** What is saved of a run. */
export type SavedRun = Omit<Required<Checkpoint>, "path">;

/**
 * How it is saved: `keep` checkpoints beside those of the steps in `protect`, with `attachments` as files. `weights` lists
 * names and shapes, by default those of the pretrained model.
 */
export type SaveOptions = {
  readonly weights?: readonly ParameterSpec[];
  readonly keep: number;
  readonly protect?: readonly number[];
  readonly attachments?: { readonly [name: string]: Uint8Array };
};

/** A checkpoint as files. */
export function packCheckpoint(
  folder: string,
  { config, parameters, m, v, state }: SavedRun,
  { keep, protect = [], attachments = {}, weights = albertParameters(config) }: SaveOptions,
): PackedCheckpoint {
  const shapes = new Map(weights.map(({ name, shape }) => [name, shape]));
  const encoder = new TextEncoder();
  const text = (content: string) => ({ bytes: encoder.encode(content) });
  const tensors = (values: NamedValues, of: (name: string) => string) => ({
    tensors: Object.fromEntries(
      Object.entries(values).map(([name, data]) => [
        name,
        { shape: [...shapes.get(of(name)) ?? [data.length]], data },
      ]),
    ),
  });
  const files = [
    ...Object.entries(attachments).map(([name, bytes]) => ({ name, content: { bytes } })),
    { name: "albert_config.json", content: text(albertConfigToJson(config)) },
    { name: "model.safetensors", content: tensors(parameters, (name) => name) },
    {
      name: "optimizer.safetensors",
      content: tensors(slots(m, v), (name) => name.replace(/\/adam_[mv]$/, "")),
    },
    { name: "state.json", content: text(`${JSON.stringify(state, null, 2)}\n`) },
  ];
  return { folder, step: state.step, files, keep, protect };
}

/** Writes a checkpoint into `folder` and removes the oldest. Returns its path. */
export function saveCheckpoint(folder: string, saved: SavedRun, options: SaveOptions): string {
  return writeCheckpoint(packCheckpoint(folder, saved, options));
}

/**
 * The newest checkpoint of a folder that verifies.
 *
 * @param folder An output_dir.
 * @returns Path of the checkpoint, or undefined when there is none.
 * @throws {CorruptFileError} When checkpoints exist and none verifies.
 * @example
 * ```ts
 * import { latestCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.equal(latestCheckpoint(mkdtempSync(`${tmpdir()}/albert-`)), undefined);
 * ```
 */
export function latestCheckpoint(folder: string): string | undefined {
  return newestWhole(folder).path;
}

/** The newest checkpoint that verifies, and what is wrong with a newer one; throws when there are only damaged ones. */
export function newestWhole(
  folder: string,
): { readonly path: string | undefined; readonly damaged: CorruptFileError | undefined } {
  let damaged: CorruptFileError | undefined;
  for (const step of stepsIn(folder).reverse()) {
    const path = join(folder, stepName(step));
    try {
      verifyCheckpoint(path);
      return { path, damaged };
    } catch (error) {
      if (!(error instanceof CorruptFileError)) throw error;
      damaged ??= error;
    }
  }
  if (damaged !== undefined) throw damaged;
  return { path: undefined, damaged };
}

function valuesOf(path: string): Record<string, Float32Array> {
  const { tensors } = readSafetensorsFile(path);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, data }]) => {
      if (!(data instanceof Float32Array)) {
        throw new CorruptFileError(`Cannot use ${path}: tensor ${name} is ${dtype}, expected F32`, { path });
      }
      return [name, data];
    }),
  );
}

function checkShapes(path: string, weights: readonly ParameterSpec[], values: NamedValues): void {
  for (const { name, shape } of weights) {
    const wanted = shape.reduce((product, size) => product * size, 1);
    const found = values[name]?.length;
    if (found !== wanted) {
      throw new CorruptFileError(
        `Cannot use the checkpoint ${path}: ${name} has ${
          found ?? "no"
        } values, its config asks for ${wanted}`,
        { path },
      );
    }
  }
}

/**
 * Reads a checkpoint. Its manifest, every file and every shape are checked first.
 *
 * @param path A `step-…` folder, or an output_dir, whose newest checkpoint is taken.
 * @returns Config, weights, moments and state.
 * @throws {CorruptFileError} When anything is damaged or missing: names the file, the tensor, and the checkpoint before it
 * that is whole.
 * @throws {Error} When the folder holds no checkpoint.
 * @example
 * ```ts
 * import { readCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.throws(() => readCheckpoint(mkdtempSync(`${tmpdir()}/albert-`)), /there is no checkpoint/);
 * ```
 */
export function readCheckpoint(path: string): Checkpoint {
  return readVerified(findCheckpoint(path));
}

/** The verified folder that a path names: a `step-…` folder, or the newest one of an output_dir. */
export function findCheckpoint(path: string): string {
  if (existsSync(join(path, "manifest.json"))) {
    offering(path, () => verifyCheckpoint(path));
    return path;
  }
  const { path: found, damaged } = newestWhole(path);
  if (damaged !== undefined && found !== undefined) throw withOffer(damaged, found);
  if (found === undefined) {
    const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
    const reason = isFile
      ? `a file is where a folder is needed, ${path}`
      : `there is no checkpoint in ${path}`;
    throw new Error(`Cannot read a checkpoint: ${reason}; name a step-… folder`);
  }
  return found;
}

const withOffer = (error: CorruptFileError, whole: string): CorruptFileError =>
  new CorruptFileError(`${error.message}; the one before it, ${whole}, is whole: name that one`, error.place);

/** Lets a check of a checkpoint fail with the name of the whole one before it. */
function offering(path: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    const own = Number(/^step-(\d+)$/.exec(basename(path))?.[1] ?? 0);
    const earlier = stepsIn(dirname(path)).filter((step) => step < own).reverse();
    for (const step of error instanceof CorruptFileError ? earlier : []) {
      const whole = join(dirname(path), stepName(step));
      try {
        verifyCheckpoint(whole);
      } catch {
        continue;
      }
      throw withOffer(error as CorruptFileError, whole);
    }
    throw error;
  }
}

/** File of a checkpoint that says for which task it was fine-tuned; one without it was pretrained. */
export const taskFile = "task.json";

/**
 * Reads a checkpoint whose files were verified; its shapes are still checked. `weightsOf` lists those it must hold, by default
 * those of the pretrained model.
 */
export function readVerified(
  path: string,
  weightsOf?: (config: AlbertConfig) => readonly ParameterSpec[],
): Checkpoint {
  const file = join(path, "albert_config.json");
  const config = parseAlbertConfig(JSON.parse(readFileSync(file, "utf8")), { path: file });
  if (weightsOf === undefined && existsSync(join(path, taskFile))) {
    throw new TypeError(
      `Cannot use the checkpoint ${path} here: it is fine-tuned, so it has no heads of pretraining; ` +
        "albert predict uses it, albert finetune and albert search can start from the one it was made from",
    );
  }
  const weights = (weightsOf ?? albertParameters)(config);
  const parameters = valuesOf(join(path, "model.safetensors"));
  checkShapes(path, weights, parameters);
  const state = JSON.parse(readFileSync(join(path, "state.json"), "utf8")) as RunState;
  if (!existsSync(join(path, "optimizer.safetensors"))) return { path, config, parameters, state };
  const moments = valuesOf(join(path, "optimizer.safetensors"));
  const pick = (slot: string): Record<string, Float32Array> =>
    Object.fromEntries(
      Object.keys(parameters).map((name) => [name, moments[`${name}/${slot}`] as Float32Array]),
    );
  const [m, v] = [pick("adam_m"), pick("adam_v")];
  checkShapes(path, weights, m);
  checkShapes(path, weights, v);
  return { path, config, parameters, m, v, state };
}
