/**
 * `albert fill-mask`: the likeliest pieces behind every [MASK] of a text.
 */
import { preprocessText } from "../text/mod.ts";
import { loadSentencePiece } from "../tokenizer/mod.ts";
import { fillMask as fill } from "../train/mod.ts";
import { type Command, command, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { modelHelp, openModel } from "./model.ts";

/** The command. */
export const fillMask: Command = command({
  name: "fill-mask",
  summary: "Predict the pieces behind [MASK].",
  example:
    'deno task albert fill-mask --model=build/guide/kjv-1/model_long "the lord is my [MASK]; || i shall not want."',
  positional: { name: "TEXT", help: "one or more texts with [MASK]; || separates two segments" },
  flags: {
    model: {
      kind: "string",
      required: true,
      help: modelHelp,
    },
    spm_model_file: { kind: "string", help: "the tokenizer; default the one kept in the checkpoint" },
    top_k: { kind: "int", default: 5, help: "candidates for each [MASK]" },
    do_lower_case: {
      kind: "boolean",
      help: "lower-case the text, as the records were; default what the model keeps, else true",
    },
    ...engineFlags,
  },
  run: async ({ model, spm_model_file, top_k, do_lower_case, engine, plugin }, texts, { print }) => {
    if (texts.length === 0) {
      throw new UsageError('Cannot run fill-mask: give a text, as in "the lord is my [MASK]"');
    }
    const { config, parameters, bytes, file, doLowerCase, keepAccents } = openModel(model, spm_model_file, {
      verb: "fill masks",
      spare: /^(bert\/pooler|cls\/seq_relationship)\//,
    });
    const tokenizer = loadSentencePiece(bytes, { path: file });
    const opened = await openWished({ engine, plugin });
    for (const text of texts) {
      const masks = await fill(text, {
        engine: opened,
        config,
        parameters,
        tokenizer,
        topK: top_k,
        prepare: (part) => preprocessText(part, { lower: do_lower_case ?? doLowerCase, keepAccents }),
      });
      print(text);
      for (const candidates of masks) {
        print(
          `  ${candidates.map(({ piece, probability }) => `${piece} ${probability.toFixed(3)}`).join("  ")}`,
        );
      }
    }
  },
});
