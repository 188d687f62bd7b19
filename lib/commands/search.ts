/**
 * `albert search`: the sentences of a text file that are nearest to a query, by mean-pooled vectors of a pretrained model.
 */
import { preprocessText } from "../text/mod.ts";
import { loadSentencePiece } from "../tokenizer/mod.ts";
import { centredVectors, nearestVectors, type SentenceVectorOptions, sentenceVectors } from "../train/mod.ts";
import { type Command, command, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { readInput } from "./files.ts";
import { modelHelp, openModel } from "./model.ts";

/** Sentences of a raw file: one a line, empty lines between documents. */
function sentencesOf(path: string): string[] {
  const text = new TextDecoder().decode(readInput(path, "sentences"));
  const sentences = [
    ...new Set(text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "")),
  ];
  if (sentences.length === 0) throw new Error(`Cannot search in ${path}: it has no sentence`);
  return sentences;
}

/** The command. */
export const search: Command = command({
  name: "search",
  summary: "Find the sentences of a text file that are nearest to a query.",
  example:
    "deno task albert search --model=build/guide/kjv-1/model_long --input=build/guide/kjv-1/held_out.txt " +
    '"the shepherd and his sheep"',
  positional: { name: "QUERY", help: "one or more texts to look for" },
  flags: {
    model: { kind: "string", required: true, help: modelHelp },
    input: { kind: "string", required: true, help: "a text with a sentence a line, such as a raw file" },
    spm_model_file: { kind: "string", help: "the tokenizer; default the one kept with the model" },
    do_lower_case: {
      kind: "boolean",
      help: "lower-case the text, as the records were; default what the model keeps, else true",
      source: "reference",
    },
    top_k: { kind: "int", default: 5, help: "sentences for each query" },
    centre: {
      kind: "boolean",
      default: true,
      help: "subtract the mean vector of the sentences first, so that cosines tell them apart",
    },
    batch_size: { kind: "int", default: 64, help: "texts per batch" },
    ...engineFlags,
  },
  run: async (values, queries, { print, onProgress, endProgress, signal }) => {
    const { model, input, spm_model_file, do_lower_case, top_k, centre, batch_size, engine, plugin } = values;
    if (queries.length === 0) throw new UsageError('Cannot run search: give a query, as in "the shepherd"');
    if (top_k < 1 || batch_size < 1) {
      throw new UsageError("Cannot run search: --top_k and --batch_size must be at least 1");
    }
    const sentences = sentencesOf(input);
    const { config, parameters, bytes, file, doLowerCase, keepAccents } = openModel(model, spm_model_file, {
      verb: "search",
      spare: /^(cls|bert\/pooler)\//,
    });
    const tokenizer = loadSentencePiece(bytes, { path: file });
    if (tokenizer.size !== config.vocab_size) {
      throw new RangeError(
        `Cannot search with ${model}: the tokenizer ${file} has ${tokenizer.size} pieces and the model ` +
          `${config.vocab_size}; give the tokenizer that made the model's records`,
      );
    }
    const options: SentenceVectorOptions = {
      engine: await openWished({ engine, plugin }),
      ...{ config, parameters, tokenizer, batchSize: batch_size, onProgress, signal },
      prepare: (text) => preprocessText(text, { lower: do_lower_case ?? doLowerCase, keepAccents }),
    };
    const corpus = await sentenceVectors(sentences, options);
    const wanted = await sentenceVectors(queries, options);
    await endProgress();
    const moved = centredVectors(corpus);
    const found = centre
      ? nearestVectors(centredVectors(wanted, moved.mean), moved, { topK: top_k })
      : nearestVectors(wanted, corpus, { topK: top_k });
    found.forEach((list, i) => {
      print(queries[i]);
      for (const { index, similarity } of list) print(`  ${similarity.toFixed(3)}  ${sentences[index]}`);
    });
  },
});
