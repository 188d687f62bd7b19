/**
 * The table of commands: a new command is one file here and one line below. A command is loaded when it is asked for, because
 * some bring the whole of training with them, and making records of a small text should not wait for that.
 */
import type { Command } from "./command.ts";

export { type Command, type Context, helpOf, nearest, parseArguments, UsageError } from "./command.ts";
export { type CommandLineOptions, runCommandLine } from "./command_line.ts";

/** Every command by its names, in the order of the stages. */
const table: readonly (readonly [names: readonly string[], load: () => Promise<Command>])[] = [
  [["environment"], async () => (await import("./environment.ts")).environment],
  [["plan"], async () => (await import("./plan.ts")).plan],
  [["raws"], async () => (await import("./raws.ts")).raws],
  [["tokenizer", "spm_train"], async () => (await import("./tokenizer.ts")).tokenizer],
  [["encode", "spm_encode"], async () => (await import("./encode.ts")).encode],
  [["decode", "spm_decode"], async () => (await import("./encode.ts")).decode],
  [["records", "create_pretraining_data"], async () => (await import("./records.ts")).records],
  [["pretrain", "run_pretraining"], async () => (await import("./pretrain.ts")).pretrain],
  [["evaluate"], async () => (await import("./evaluate.ts")).evaluate],
  [["export"], async () => (await import("./export.ts")).exportCommand],
  [["import"], async () => (await import("./import.ts")).importCommand],
  [["fill-mask"], async () => (await import("./fill_mask.ts")).fillMask],
  [["finetune", "run_classifier"], async () => (await import("./finetune.ts")).finetune],
  [["predict", "classify"], async () => (await import("./predict.ts")).predict],
  [["search"], async () => (await import("./search.ts")).search],
  [["inspect"], async () => (await import("./inspect.ts")).inspect],
  [["guide"], async () => (await import("./guide.ts")).guide],
];

/**
 * Loads commands.
 *
 * @param name What a user types; only that command is loaded when there is one of this name.
 * @returns That command alone, or every command in the order of the stages.
 */
export function commands(name?: string): Promise<readonly Command[]> {
  const named = table.find(([names]) => name !== undefined && names.includes(name));
  return Promise.all((named === undefined ? table : [named]).map(([, load]) => load()));
}
