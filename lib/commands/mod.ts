/**
 * The table of commands: a new command is one file here and one line below.
 */
import { type Command } from "./command.ts";
import { decode, encode } from "./encode.ts";
import { environment } from "./environment.ts";
import { evaluate } from "./evaluate.ts";
import { exportCommand } from "./export.ts";
import { fillMask } from "./fill_mask.ts";
import { finetune } from "./finetune.ts";
import { guide } from "./guide.ts";
import { importCommand } from "./import.ts";
import { inspect } from "./inspect.ts";
import { predict } from "./predict.ts";
import { pretrain } from "./pretrain.ts";
import { raws } from "./raws.ts";
import { records } from "./records.ts";
import { search } from "./search.ts";
import { tokenizer } from "./tokenizer.ts";

export { type Command, type Context, helpOf, nearest, parseArguments, UsageError } from "./command.ts";
export { type CommandLineOptions, runCommandLine } from "./command_line.ts";

/** Every command, in the order of the stages. */
export function commands(): readonly Command[] {
  return [
    environment,
    raws,
    tokenizer,
    encode,
    decode,
    records,
    pretrain,
    evaluate,
    exportCommand,
    importCommand,
    fillMask,
    finetune,
    predict,
    search,
    inspect,
    guide,
  ];
}
