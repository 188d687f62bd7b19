/**
 * Weights for a warm start, from whatever `init_checkpoint` names: a `step-…` folder of this library, an output_dir, or a
 * TensorFlow checkpoint such as Google's released models. Every other kind of checkpoint that is read one day gets its branch
 * here, and nowhere else. As in the reference, weights are taken by exact name, what the file lacks starts fresh, and
 * moments and step are left aside.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { AlbertConfig } from "../config/mod.ts";
import { findTfCheckpoint, firstNotFinite, readTfCheckpoint } from "../formats/mod.ts";
import { albertParameters } from "../model/mod.ts";
import { type NamedValues, readCheckpoint } from "./checkpoint.ts";

/**
 * What a warm start reads, and what did not meet.
 *
 * @example
 * ```ts
 * import type { InitialWeights } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const whole = ({ missing }: InitialWeights): boolean => missing.length === 0;
 * assert.equal(typeof whole, "function");
 * ```
 */
export type InitialWeights = {
  /** Where the weights were found, for messages. */
  readonly path: string;
  /** Values by TensorFlow name, only of weights that the architecture has. */
  readonly parameters: NamedValues;
  /** Weights of the architecture that the checkpoint lacks: they start fresh. */
  readonly missing: readonly string[];
  /** Names of the checkpoint that the architecture lacks, without moments and step: they are left aside. */
  readonly unexpected: readonly string[];
};

/** A checkpoint of any kind: names with shapes, and values on demand. */
type Source = {
  readonly path: string;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly read: (name: string) => Float32Array;
};

/** Names of optimizers and counters, which a warm start never takes. */
const aside =
  /\/(adam|lamb|adafactor)_[a-z]+$|\/(Adam|LAMB|Momentum)(_\d+)?$|^(global_step|beta[12]_power|save_counter)$/;

function tfSource(prefix: string): Source {
  const { variables, read } = readTfCheckpoint(prefix);
  // TF-Hub puts every name below "module/".
  const plain = (name: string): string => name.replace(/^module\//, "");
  const names = new Map(variables.map(({ name }) => [plain(name), name]));
  return {
    path: prefix,
    shapes: new Map(variables.map(({ name, shape }) => [plain(name), shape])),
    read: (name) => {
      const { data, dtype } = read(names.get(name) ?? name);
      if (data instanceof Float32Array) return data;
      throw new TypeError(`Cannot start from ${prefix}: ${name} is ${dtype}, expected F32`);
    },
  };
}

function ownSource(path: string): Source {
  const { config, parameters, path: found } = readCheckpoint(path);
  return {
    path: found,
    shapes: new Map(albertParameters(config).map(({ name, shape }) => [name, shape])),
    read: (name) => parameters[name] as Float32Array, // asked for names of the map only
  };
}

function openSource(path: string): Source {
  const isOwn = existsSync(join(path, "manifest.json")) ||
    (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true &&
      readdirSync(path).some((name) => /^step-\d{6,}$/.test(name)));
  if (isOwn) return ownSource(path);
  const prefix = findTfCheckpoint(path);
  if (prefix !== undefined) return tfSource(prefix);
  const hint = existsSync(join(path, "config.json"))
    ? "it looks like a Hugging Face folder: albert import makes a checkpoint of it"
    : "give a step-… folder, an output_dir, or a TensorFlow checkpoint (its prefix or folder)";
  throw new Error(`Cannot start from ${path}: there is no checkpoint there; ${hint}`);
}

const text = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** A position table may grow: its first rows are taken, the rest starts fresh. */
function fits(name: string, given: readonly number[], own: readonly number[]): boolean {
  if (given.length !== own.length) return false;
  const grows = name === "bert/embeddings/position_embeddings" && (given[0] ?? 0) < (own[0] ?? 0);
  return given.every((size, i) => size === own[i] || (i === 0 && grows));
}

/** Refuses weights that no run could start from. */
function refuseNotFinite(path: string, parameters: NamedValues): void {
  for (const [name, values] of Object.entries(parameters)) {
    const bad = firstNotFinite(values);
    if (bad < 0) continue;
    throw new RangeError(
      `Cannot start from ${path}: ${name} holds ${values[bad]} at place ${bad}; take an earlier checkpoint`,
    );
  }
}

/**
 * Reads the weights that a run starts from.
 *
 * @param path A `step-…` folder, an output_dir, or a TensorFlow checkpoint: its prefix, its `.index` file or its folder.
 * @param config The architecture they are for.
 * @param options `fromGroup0`: every group of layers takes the weights of group 0, default false.
 * @returns Values by name, and the names that only one side has.
 * @throws {RangeError} When shapes differ, naming each, when no name of the architecture is in the checkpoint, or when a weight
 * is NaN or infinite.
 * @throws {CorruptFileError} When the checkpoint is damaged.
 * @throws {Error} When the path holds no checkpoint.
 * @example
 * ```ts
 * import { albertParameters, albertPreset, readInitialWeights, writeTfCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const config = albertPreset("tiny", { vocab_size: 10 });
 * const prefix = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.ckpt-best`;
 * const bias = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * writeTfCheckpoint(prefix, { "cls/seq_relationship/output_bias": bias, "bert/extra": bias });
 * const { parameters, missing, unexpected } = readInitialWeights(prefix, config);
 * assert.deepEqual(Object.keys(parameters), ["cls/seq_relationship/output_bias"]);
 * assert.equal(missing.length, albertParameters(config).length - 1);
 * assert.deepEqual(unexpected, ["bert/extra"]);
 * ```
 */
export function readInitialWeights(
  path: string,
  config: AlbertConfig,
  { fromGroup0 = false }: { readonly fromGroup0?: boolean } = {},
): InitialWeights {
  const source = openSource(path);
  const sourceName = (name: string): string => fromGroup0 ? name.replace(/\/group_\d+\//, "/group_0/") : name;
  const wanted = albertParameters(config).map(({ name, shape }) => ({ name, shape, from: sourceName(name) }));
  const found = wanted.filter(({ from }) => source.shapes.has(from));
  if (found.length === 0) {
    const names = [...source.shapes.keys()].slice(0, 3).join(", ");
    throw new RangeError(
      `Cannot start from ${source.path}: it has none of this architecture's weights (it has ${names}, …)`,
    );
  }
  const wrong = found.flatMap(({ name, shape, from }) => {
    const given = source.shapes.get(from) ?? [];
    return fits(name, given, shape) ? [] : [`${from} is ${text(given)} there and ${text(shape)} here`];
  });
  if (wrong.length > 0) {
    throw new RangeError(
      `Cannot start from ${source.path}: ${wrong.slice(0, 8).join("; ")}${
        wrong.length > 8 ? `; and ${wrong.length - 8} more` : ""
      }; give the config the checkpoint was made with`,
    );
  }
  const taken = new Set(found.map(({ from }) => from));
  const parameters = Object.fromEntries([...taken].map((name) => [name, source.read(name)]));
  refuseNotFinite(source.path, parameters);
  return {
    path: source.path,
    parameters,
    missing: wanted.filter(({ from }) => !taken.has(from)).map(({ name }) => name),
    unexpected: [...source.shapes.keys()].filter((name) => !taken.has(name) && !aside.test(name)),
  };
}
