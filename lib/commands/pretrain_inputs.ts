/**
 * What `albert pretrain` reads before it trains: flags to a run, and files that must fit it. What does not fit is refused
 * here, before anything is printed or computed; wrong flags are wrong usage, files that do not fit are a failure.
 */
import {
  type AlbertConfig,
  albertPreset,
  parsePretrainingConfig,
  type PretrainingConfig,
  readAlbertConfig,
  readStages,
  type StageConfig,
} from "../config/mod.ts";
import { expandPatterns, indexTfrecords, readRecords } from "../records/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import { loadSentencePiece } from "../tokenizer/mod.ts";
import type { TrainingExamples, TrainingStage } from "../train/mod.ts";
import { type Context, UsageError } from "./command.ts";
import type { Together } from "./together.ts";
import { openWished } from "./engine.ts";
import { readInput } from "./files.ts";
import { tpuFlags } from "./pretrain_flags.ts";
import {
  checkRecords,
  lowerCased,
  type RecordHashes,
  type TokenizerFile,
  unvouched,
} from "./records_manifest.ts";

/** Examples of record files, as training reads them. */
export function openExamples(
  input: string,
  { max_seq_length, max_predictions_per_seq }: Pick<
    PretrainingConfig,
    "max_seq_length" | "max_predictions_per_seq"
  >,
): TrainingExamples {
  const paths = expandPatterns(input, { files: "records" });
  const lengths = { maxSeqLength: max_seq_length, maxPredictionsPerSeq: max_predictions_per_seq };
  const open = (wanted?: (record: number) => boolean) =>
    wanted === undefined ? readRecords(paths, lengths) : readRecords(paths, lengths, { wanted });
  return open as TrainingExamples; // without `wanted` every record is decoded
}

/** The architecture that the flags name; a wrong name of a preset is wrong usage, a wrong file is not. */
export function architecture(
  flags: { readonly preset?: unknown; readonly albert_config_file?: unknown },
  command: string = "pretrain",
): AlbertConfig {
  if (typeof flags.albert_config_file === "string") return readAlbertConfig(flags.albert_config_file);
  if (typeof flags.preset === "string") return presetOf(flags.preset, command);
  throw new UsageError(`Cannot run ${command}: give --albert_config_file or --preset`);
}

/** The architecture of a name such as base, base_v1 or albert_base_v1; without a version the second one. */
export function presetOf(name: string, command: string = "pretrain"): AlbertConfig {
  const [, released, version] = /^(?:albert_)?(base|large|xlarge|xxlarge)_v([12])$/.exec(name) ?? [];
  return asUsage(command, () => {
    if (released !== undefined) return albertPreset(released as "base", { version: version === "1" ? 1 : 2 });
    try {
      return albertPreset(name as "base");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new TypeError(`${error.message}, the last four also as base_v1, base_v2 and so on`);
    }
  });
}

/** Lets the mistakes that a config finds in flags be wrong usage, in one line. */
export function asUsage<T>(command: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const [, ...listed] = error.message.split("\n- ");
    const reason = listed.length > 0
      ? listed.join("; ")
      : error.message.replace(/^Cannot (?:use|plan) [^:]*: /, "");
    throw new UsageError(`Cannot run ${command}: ${reason}`);
  }
}

/** A tokenizer, with the id of its [MASK] where it tells one. */
type MaskedTokenizer = TokenizerFile & { readonly mask: number | undefined };

function openTokenizer(path: unknown): MaskedTokenizer | undefined {
  if (typeof path !== "string") return undefined;
  const bytes = readInput(path, "tokenizer");
  try {
    const id = loadSentencePiece(bytes, { path }).idOf("[MASK]");
    return { path, bytes, mask: id > 0 ? id : undefined };
  } catch {
    return { path, bytes, mask: undefined }; // what it is, is held against the records
  }
}

/** The run that the flags describe. */
function options(
  given: Readonly<Record<string, unknown>>,
  tokenizer: MaskedTokenizer | undefined,
): PretrainingConfig {
  const read = asUsage("pretrain", () => parsePretrainingConfig(given));
  const { mask } = tokenizer ?? {};
  if (mask === undefined || mask === read.mask_token_id) return read;
  if (given["mask_token_id"] === undefined) return { ...read, mask_token_id: mask };
  throw new UsageError(
    `Cannot run pretrain: --mask_token_id is ${read.mask_token_id}, [MASK] is ${mask} in ${tokenizer?.path}; leave the flag out`,
  );
}

/** A run with everything opened and checked. */
export type Opened = {
  readonly config: AlbertConfig;
  readonly options: PretrainingConfig;
  readonly engine: Engine;
  readonly tokenizer: TokenizerFile | undefined;
  /** Whether the records' text was lower-cased, where a manifest says so. */
  readonly lowerCased: boolean | undefined;
  /** One, or those of the schedule. */
  readonly stages: readonly (StageConfig & { readonly hashes: RecordHashes })[];
};

/** Reads the flags and opens what they name; refuses what does not fit. */
export async function openRun(
  flags: { readonly [name: string]: unknown },
  print: Context["print"],
  together?: Together,
): Promise<Opened> {
  const { preset, spm_model_file, plugin, devices, measure_peak: _, ...rest } = flags;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const left = Object.keys(tpuFlags).filter((name) => given[name] !== undefined);
  for (const name of left) delete given[name];
  const config = architecture({ preset, albert_config_file: given["albert_config_file"] });
  const tokenizer = openTokenizer(spm_model_file);
  const run = options(given, tokenizer);
  const runs = run.stages === "" ? [{ moments: "fresh" as const, run }] : readStages(run.stages, { run });
  if (
    runs.some(({ run: each }) => each.input_file === "" && (each.do_train || each.eval_input_file === ""))
  ) {
    throw new UsageError("Cannot run pretrain: --input_file must be given");
  }
  if (run.output_dir === "") throw new UsageError("Cannot run pretrain: --output_dir must be given");
  const stages: Opened["stages"][number][] = [];
  for (const stage of runs) {
    stages.push({ ...stage, hashes: await checkInputs(stage.run, config, tokenizer) });
  }
  const tokenizers = new Set(stages.flatMap(({ hashes }) => hashes.tokenizer ?? []));
  if (tokenizers.size > 1) {
    throw new RangeError(
      `Cannot train in the stages ${run.stages}: their records were made with ${tokenizers.size} tokenizers; ` +
        "make them again with one",
    );
  }
  refuseUnevenBatches(runs.map((stage) => stage.run), Number(devices ?? 1), together?.world.size ?? 1);
  const said: string[] = [];
  const wish = { engine: run.engine, plugin, devices: Number(devices ?? 1) };
  // Processes that measured would choose each for itself.
  const own = await openWished(
    wish,
    together === undefined ? (line = "") => void said.push(line) : undefined,
  );
  const engine = together?.over(own) ?? own;
  checkDevice(run.device, engine);
  if (engine.name.startsWith("tfjs") && stages.some((stage) => stage.run.compute_dtype === "bfloat16")) {
    throw new UsageError(
      `Cannot train in bfloat16: the engine ${engine.name} has no such type; give --compute_dtype=float32, or --engine=xla`,
    );
  }
  for (const name of left) {
    print(
      `--${name} is left aside: it speaks to the reference's TPU estimator; here --engine and --device choose`,
    );
  }
  said.forEach((line) => print(line));
  const [{ run: first }] = stages as [Opened["stages"][number]]; // at least one
  const records = first.input_file === "" ? [] : expandPatterns(first.input_file, { files: "records" });
  return { config, options: run, engine, tokenizer, lowerCased: lowerCased(records), stages };
}

/** Every device takes the same number of records. */
function refuseUnevenBatches(runs: readonly PretrainingConfig[], devices: number, processes: number): void {
  if (processes > 1 && devices > 1) {
    throw new UsageError(
      `Cannot run pretrain: --devices=${devices} is for one process, and ${processes} were started; start more of them instead`,
    );
  }
  const where = processes > 1 ? `${processes} processes` : `--devices=${devices}`;
  refuseUneven(runs, devices * processes, where);
}

function refuseUneven(runs: readonly PretrainingConfig[], devices: number, where: string): void {
  const uneven = runs.find(({ train_batch_size }) => train_batch_size % devices !== 0);
  if (uneven === undefined || !(devices >= 1)) return;
  const { train_batch_size: batch } = uneven;
  throw new UsageError(
    `Cannot run pretrain: --train_batch_size=${batch} cannot be shared by ${where} in equal parts; ` +
      `give ${devices * Math.max(1, Math.floor(batch / devices))} or ${devices * Math.ceil(batch / devices)}`,
  );
}

/** Holds the records of a run against it, before its first step. */
async function checkInputs(
  run: PretrainingConfig,
  { vocab_size, max_position_embeddings }: AlbertConfig,
  tokenizer: TokenizerFile | undefined,
): Promise<RecordHashes> {
  if (run.max_seq_length > max_position_embeddings) {
    throw new RangeError(
      `Cannot train at max_seq_length ${run.max_seq_length}: the architecture has max_position_embeddings ` +
        `${max_position_embeddings}; give it at least as many, from the first stage on`,
    );
  }
  const expand = (flag: "input_file" | "eval_input_file"): string[] =>
    run[flag] === "" ? [] : expandPatterns(run[flag], { flag, files: "records" });
  const training = expand("input_file");
  const files = [...training, ...expand("eval_input_file")];
  const wishes = { ...run, vocabSize: vocab_size, tokenizer };
  const all = checkRecords(files, wishes); // both, so that they share a tokenizer
  for (const path of unvouched(files)) await indexTfrecords(path); // damage is told now, not in an hour
  for (const path of files) await checkMask(path, run, vocab_size);
  const { records } = training.length === 0 ? {} : checkRecords(training, wishes);
  return {
    ...(all.tokenizer === undefined ? {} : { tokenizer: all.tokenizer }),
    ...(records === undefined ? {} : { records }),
  };
}

/** Records that are looked at before a run. */
const sample = 64;

/** Looks at the first records of a file: their lengths and ids, and whether [MASK] stands where a piece is predicted. */
async function checkMask(path: string, run: PretrainingConfig, vocabSize: number): Promise<void> {
  const { max_seq_length: maxSeqLength, max_predictions_per_seq: maxPredictionsPerSeq, mask_token_id } = run;
  const seen = new Map<number, number>();
  let [records, predictions] = [0, 0];
  for await (const record of readRecords([path], { maxSeqLength, maxPredictionsPerSeq })) {
    const largest = Math.max(...record.input_ids, ...record.masked_lm_ids);
    if (largest >= vocabSize) {
      throw new RangeError(
        `Cannot use the records ${path}: record ${records} holds the id ${largest}, the model's vocab_size is ` +
          `${vocabSize}; take the config or the preset of the records' tokenizer`,
      );
    }
    record.masked_lm_weights.forEach((weight, i) => {
      if (weight === 0) return;
      const id = record.input_ids[record.masked_lm_positions[i] ?? 0] ?? 0;
      seen.set(id, (seen.get(id) ?? 0) + 1);
      predictions++;
    });
    if (++records >= sample) break;
  }
  const [id, count] = [...seen].sort(([, a], [, b]) => b - a)[0] ?? [0, 0];
  // 8 of 10 predicted pieces are [MASK] in the input; an id that stands at half of them and is not ours is the real one.
  if (predictions < 20 || id === mask_token_id || count < predictions / 2) return;
  throw new RangeError(
    `Cannot use the records ${path}: id ${id} stands at ${count} of ${predictions} predicted places, so it is [MASK], ` +
      `and mask_token_id is ${mask_token_id}; give --mask_token_id=${id}`,
  );
}

/** A run takes the engine's first device; another one cannot be chosen yet, and is not quietly replaced. */
function checkDevice(device: string, engine: Engine): void {
  const names = engine.devices().map(({ name }) => name);
  if (device === "" || device === names[0]) return;
  throw new UsageError(
    `Cannot run on --device=${device}: the engine ${engine.name} runs on ${names[0] ?? "its own device"}` +
      (names.length > 1 ? ` and cannot be told to take another of ${names.join(", ")}` : "") +
      "; leave the flag out, or choose another --engine",
  );
}

/** Records to evaluate on: the held-out ones, or with --do_eval the training ones, as the reference does. */
export const heldOut = ({ do_eval, eval_input_file, input_file }: PretrainingConfig): string =>
  eval_input_file !== "" ? eval_input_file : do_eval ? input_file : "";

/** A stage with its records opened. */
export function openStage({ hashes, ...stage }: Opened["stages"][number]): TrainingStage {
  const { run } = stage;
  const evaluated = heldOut(run);
  return {
    ...stage,
    examples: openExamples(run.input_file, run),
    ...(evaluated === "" ? {} : { evalExamples: openExamples(evaluated, run) }),
    hashes,
  };
}
