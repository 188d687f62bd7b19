/**
 * Raw files: one sentence a line, a blank line between documents, UTF-8. This is what the tokenizer trains on and what
 * records are made from (the layout BERT's and ALBERT's data scripts read). What is offered stands here, the run itself
 * in `raw_run.ts`.
 */
import { resolve } from "node:path";
import type { OnProgress } from "../progress.ts";
import type { CleaningStep } from "./cleaning.ts";
import { type DocumentOptions, readDocuments } from "./documents.ts";
import { expandInputs } from "./inputs.ts";
import { fileSize, nameOf, readLines, STDIN } from "./lines.ts";
import type { PunktModel } from "./punkt_train.ts";
import type { RawPart } from "./raw_parts.ts";
import { type SplitDocument, writeSplitDocuments } from "./raw_run.ts";
import { openState, runKey } from "./raw_state.ts";
import type { SplitterName } from "./sentences.ts";

/** Smaller shards would only be many files, bytes. */
const MIN_SHARD = 1000;

/**
 * What was written.
 *
 * @example
 * ```ts
 * import { type RawReport, writeRaw } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * writeFileSync(`${folder}/a.txt`, "One. Two.\n");
 * const report: RawReport = await writeRaw({ input: `${folder}/a.txt`, output: `${folder}/raw` });
 * assert.equal(report.heldOut, undefined);
 * assert.equal(report.train.sentences, 2);
 * ```
 */
export type RawReport = {
  /** The file for training. */
  readonly train: RawPart;
  /** The file kept for evaluation, where one was asked for. */
  readonly heldOut?: RawPart;
  /** Documents read, those left out included. */
  readonly documents: number;
  /** Documents left out: without any sentence, with fewer than `minSentences`, with the text of an earlier one. */
  readonly dropped: { readonly empty: number; readonly short: number; readonly duplicate: number };
  /** How often each step of cleaning changed something: characters, characters, runs of white space. */
  readonly cleaning: { readonly control: number; readonly invisible: number; readonly blank: number };
  /** Sentences that were longer than `maxSentenceBytes` and were cut. */
  readonly cutSentences: number;
  /** Sentences with 0, 1, 2, … words; the last entry, 100, counts those with 100 or more. */
  readonly sentenceWords: readonly number[];
  /** Documents that an interrupted run had done before; 0 in a fresh one. */
  readonly resumed: number;
};

/**
 * How sentences are made and grouped; shared by `writeRaw` and `writeEmbeddedRaw`.
 *
 * @example
 * ```ts
 * import type { RawRules } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rules: RawRules = { splitter: "clause", documentSentences: 40 };
 * assert.equal(rules.splitter, "clause");
 * ```
 */
export type RawRules = {
  /** Language of the text, BCP 47; default `"en"`. */
  readonly language?: string;
  /** Default `"punkt"`. */
  readonly splitter?: SplitterName;
  /** Trained tables for `punkt`; without them `punkt` is trained on the beginning of the input. */
  readonly model?: PunktModel;
  /**
   * How much of the input trains `punkt`, from its beginning, in UTF-16 units; default 16,777,216; 0 uses the hand-made
   * lists alone, `Infinity` reads the whole input once more.
   */
  readonly trainPunktLength?: number;
  /** Folder for the tables that `punkt` learned, in the format of NLTK's `punkt_tab`; default none. */
  readonly savePunkt?: string;
  /** `punkt` and `intl`: no sentence starts with a lower-case letter; default `true`. */
  readonly lowerCaseMerge?: boolean;
  /** Longer sentences are cut at a space, in bytes; default 4192. */
  readonly maxSentenceBytes?: number;
  /** Regroups running sentences into documents of this many; default 0: documents stay as they are. */
  readonly documentSentences?: number;
  /** Documents with fewer sentences are left out; default 1. */
  readonly minSentences?: number;
  /** What is cleaned; default all of `CLEANING_STEPS` (`writeEmbeddedRaw`: all but `duplicates`). */
  readonly clean?: readonly CleaningStep[];
};

/**
 * What `writeRaw` reads and writes.
 *
 * @example
 * ```ts
 * import type { RawOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: RawOptions = { input: "texts/*.gz", output: "raw.txt", heldOutOutput: "held_out.txt" };
 * assert.equal(options.heldOutEvery ?? 15, 15);
 * ```
 */
export type RawOptions = RawRules & {
  /** See `readDocuments`. */
  readonly input: string | readonly string[];
  /** The raw file. */
  readonly output: string;
  /** Second raw file, for evaluation; default none. */
  readonly heldOutOutput?: string;
  /** Every how many-th document goes to `heldOutOutput`; default 15. */
  readonly heldOutEvery?: number;
  /** Field of JSON lines or column of parquet with the text; default `"text"`. */
  readonly textField?: string;
  /** What the files are; default `"auto"`: by their endings, standard input is text. */
  readonly format?: DocumentOptions["format"];
  /** A text file is one document; default `false`. */
  readonly documentPerFile?: boolean;
  /**
   * Shards of about this many bytes, `raw-00000.txt` and so on, in place of one file; default 0: one file. An interrupted
   * run goes on after its last shard when the same options are given again.
   */
  readonly shardBytes?: number;
  /**
   * Which of `taskCount` tasks this is, from 0: it writes every `taskCount`-th document, to files with its number in their
   * names (`taskName`). All read the whole text, so what is held out, known already or learned does not depend on their
   * number, and their files together hold the documents of one run. Default 0 of 1.
   */
  readonly taskIndex?: number;
  readonly taskCount?: number;
  /** Shards of another run are replaced; default `false`. */
  readonly overwrite?: boolean;
};

/**
 * Turns text into a raw file. Nothing appears under `output` before all is written.
 *
 * @param options Input, output, splitter and limits.
 * @param watch `onProgress` gets bytes read of all input bytes; `signal` stops the run, finished shards stay.
 * @returns Counts and hashes of what was written.
 * @throws {RangeError} When the input has no sentence at all, or none for the held-out file; nothing is written then.
 * @throws {RangeError} When shards of another run lie where these would go.
 * @throws {Error} When an input is missing or the output cannot be written.
 * @example
 * ```ts
 * import { readRaw, writeRaw } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * writeFileSync(`${folder}/a.txt`, "Mr. Hall left. It was late.\n\nNight fell.\n");
 * const report = await writeRaw({ input: `${folder}/a.txt`, output: `${folder}/raw.txt`, language: "en" });
 * assert.deepEqual([report.train.documents, report.train.sentences], [2, 3]);
 * assert.equal(readFileSync(`${folder}/raw.txt`, "utf8"), "Mr. Hall left.\nIt was late.\n\nNight fell.\n");
 * ```
 */
export async function writeRaw(
  {
    input,
    output: wished,
    heldOutOutput: wishedHeldOut,
    heldOutEvery = 15,
    textField,
    format,
    documentPerFile,
    shardBytes = 0,
    taskIndex = 0,
    taskCount = 1,
    overwrite = false,
    ...rules
  }: RawOptions,
  { onProgress, signal }: { readonly onProgress?: OnProgress; readonly signal?: AbortSignal } = {},
): Promise<RawReport> {
  if (!Number.isInteger(heldOutEvery) || heldOutEvery < 2) {
    throw new RangeError(
      `Cannot hold documents out: held_out_every is ${heldOutEvery}, it must be an integer >= 2`,
    );
  }
  if (!(shardBytes === 0 || shardBytes >= MIN_SHARD && Number.isSafeInteger(shardBytes))) {
    throw new RangeError(
      `Cannot write shards: shard_bytes is ${shardBytes}, it must be 0 (one file) or an integer >= ${MIN_SHARD}`,
    );
  }
  checkTask(taskIndex, taskCount, rules);
  const [output, heldOutOutput] = [wished, wishedHeldOut].map((path) =>
    path === undefined || taskCount === 1 ? path : taskName(path, taskIndex, taskCount)
  ) as [string, string | undefined];
  const files = expandInputs(input);
  refuseOverwriting(files, [output, ...(heldOutOutput === undefined ? [] : [heldOutOutput])]);
  const onlyOnce = files.includes(STDIN);
  const sizes = files.map((file) => file === STDIN ? 0 : fileSize(file));
  const total = onlyOnce ? undefined : sizes.reduce((sum, size) => sum + size, 0);
  const reading = {
    ...(textField === undefined ? {} : { textField }),
    ...(format === undefined ? {} : { format }),
    ...(documentPerFile === undefined ? {} : { documentPerFile }),
  };
  const documents = async function* (onBytes?: (bytes: number) => void): AsyncGenerator<SplitDocument> {
    let [index, number] = [0, 0];
    for await (const document of readDocuments(files, { ...reading, ...(onBytes ? { onBytes } : {}) })) {
      yield {
        document,
        heldOut: heldOutOutput !== undefined && index++ % heldOutEvery === heldOutEvery - 1,
        ...(taskCount === 1 ? {} : { elsewhere: number++ % taskCount !== taskIndex }),
      };
    }
  };
  const state = shardBytes === 0 ? undefined : openState({
    output,
    heldOutOutput,
    overwrite,
    key: runKey(files, { output, heldOutOutput, heldOutEvery, shardBytes, reading, rules, taskCount }),
  });
  let done = 0;
  return await writeSplitDocuments({
    documents: documents((bytes) => void (done += bytes)),
    ...(onlyOnce ? {} : { sample: documents() }),
    output,
    ...(heldOutOutput === undefined ? {} : { heldOutOutput }),
    rules,
    shardBytes,
    state,
    signal,
    source: (typeof input === "string" ? [input] : input).map(nameOf).join(","),
    onLearn: (characters, most) =>
      onProgress?.({
        stage: "raws: punkt",
        done: characters,
        // A character has about a byte; packed text has more, and then nothing is said of the end.
        ...(total !== undefined && characters <= total ? { total: Math.min(most, total) } : {}),
        unit: "characters",
      }),
    report: (sentences, finished) =>
      onProgress?.({
        stage: "raws",
        done: finished ? total ?? done : Math.min(done, total ?? Infinity),
        ...(total === undefined ? {} : { total }),
        unit: "bytes",
        note: `${sentences} sentences`,
      }),
  });
}

/**
 * The file of one task of several: `raw.txt` becomes `raw-00002-of-00008.txt`.
 *
 * @param path The file of all.
 * @param index Which task, from 0.
 * @param count How many there are.
 * @returns Its file.
 * @example
 * ```ts
 * import { taskName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(taskName("build/raw.txt", 2, 8), "build/raw-00002-of-00008.txt");
 * ```
 */
export function taskName(path: string, index: number, count: number): string {
  const [, stem = path, ending = ""] = /^(.*?[^/.])(\.[^/.]+)?$/.exec(path) ?? [];
  const number = (value: number): string => String(value).padStart(5, "0");
  return `${stem}-${number(index)}-of-${number(count)}${ending}`;
}

function checkTask(index: number, count: number, { documentSentences = 0, savePunkt }: RawRules): void {
  if (
    !(Number.isSafeInteger(count) && count >= 1 && Number.isSafeInteger(index) && index >= 0 && index < count)
  ) {
    throw new RangeError(
      `Cannot write a part of the raws: task ${index} of ${count}, expected 0 to ${count - 1}`,
    );
  }
  if (count > 1 && documentSentences > 0) {
    throw new RangeError(
      "Cannot write a part of the raws in groups of document_sentences: groups go over documents, which tasks share; " +
        "leave one out",
    );
  }
  if (index > 0 && savePunkt !== undefined) {
    throw new RangeError("Cannot save what Punkt learned from every task: give punkt_output to task 0 alone");
  }
}

/** A raw file must not take the place of the text it is made from, nor two raw files each other's. */
function refuseOverwriting(inputs: readonly string[], outputs: readonly string[]): void {
  const seen = new Set(inputs.map((file) => resolve(file)));
  for (const output of outputs) {
    if (seen.has(resolve(output))) {
      throw new RangeError(
        `Cannot write ${output}: it is also another file of this run; choose another name`,
      );
    }
    seen.add(resolve(output));
  }
}

/**
 * Reads a raw file back, document after document; also `.gz` and `.zst`.
 *
 * @param path The raw file.
 * @returns Sentences of one document at a time, in order; empty documents are left out.
 * @throws {Error} When there is no such file.
 * @throws {CorruptFileError} When a byte is not UTF-8: file and byte are named.
 * @example
 * ```ts
 * import { readRaw } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/raw.txt`;
 * writeFileSync(path, "One.\nTwo.\n\nThree.\n");
 * const documents = [];
 * for await (const sentences of readRaw(path)) documents.push(sentences);
 * assert.deepEqual(documents, [["One.", "Two."], ["Three."]]);
 * ```
 */
export async function* readRaw(path: string): AsyncGenerator<string[]> {
  let sentences: string[] = [];
  for await (const lines of readLines(path)) {
    for (const line of lines) {
      const sentence = line.trim();
      if (sentence !== "") sentences.push(sentence);
      else if (sentences.length > 0) {
        yield sentences;
        sentences = [];
      }
    }
  }
  if (sentences.length > 0) yield sentences;
}
