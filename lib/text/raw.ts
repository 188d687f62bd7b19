/**
 * Raw files: one sentence a line, a blank line between documents, UTF-8. This is what the tokenizer trains on and what
 * records are made from (the layout BERT's and ALBERT's data scripts read). Writing streams: one document in memory.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { type AtomicFile, openAtomic } from "../formats/mod.ts";
import type { OnProgress } from "../progress.ts";
import { readDocuments, type TextDocument } from "./documents.ts";
import { expandInputs } from "./inputs.ts";
import { fileSize, readLines } from "./lines.ts";
import { type PunktModel, trainPunkt } from "./punkt_train.ts";
import { sentenceSplitter, type SplitterName } from "./sentences.ts";

/**
 * Counts of one raw file.
 *
 * @example
 * ```ts
 * import type { RawPart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const part: RawPart = {
 *   path: "raw.txt",
 *   documents: 1,
 *   sentences: 2,
 *   words: 3,
 *   bytes: 14,
 *   longestBytes: 8,
 *   sha256: "00",
 * };
 * assert.equal(part.words / part.sentences, 1.5);
 * ```
 */
export type RawPart = {
  /** The file. */
  readonly path: string;
  readonly documents: number;
  readonly sentences: number;
  /** Space-separated. */
  readonly words: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Longest sentence in bytes, without its line end. */
  readonly longestBytes: number;
  /** Of the file, in hexadecimal. */
  readonly sha256: string;
};

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
  /** Documents left out because they had fewer than `minSentences` sentences. */
  readonly skippedDocuments: number;
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
  /** How much of the input trains `punkt`, in UTF-16 units; default 4,194,304; 0 uses the hand-made lists alone. */
  readonly trainPunktLength?: number;
  /** `punkt` and `intl`: no sentence starts with a lower-case letter; default `true`. */
  readonly lowerCaseMerge?: boolean;
  /** Longer sentences are cut at a space, in bytes; default 4192. */
  readonly maxSentenceBytes?: number;
  /** Regroups running sentences into documents of this many; default 0: documents stay as they are. */
  readonly documentSentences?: number;
  /** Documents with fewer sentences are left out; default 1. */
  readonly minSentences?: number;
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
  /** A text file is one document; default `false`. */
  readonly documentPerFile?: boolean;
};

/** A document with the side it goes to. */
export type SplitDocument = { readonly document: TextDocument; readonly heldOut: boolean };

/**
 * Turns text into a raw file. Nothing appears under `output` before all is written.
 *
 * @param options Input, output, splitter and limits.
 * @param watch `onProgress` gets bytes read of all input bytes.
 * @returns Counts and hashes of what was written.
 * @throws {RangeError} When the input has no sentence at all, or none for the held-out file; nothing is written then.
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
  { input, output, heldOutOutput, heldOutEvery = 15, textField, documentPerFile, ...rules }: RawOptions,
  { onProgress }: { readonly onProgress?: OnProgress } = {},
): Promise<RawReport> {
  if (!Number.isInteger(heldOutEvery) || heldOutEvery < 2) {
    throw new RangeError(
      `Cannot hold documents out: held_out_every is ${heldOutEvery}, it must be an integer >= 2`,
    );
  }
  const files = expandInputs(input);
  refuseOverwriting(files, [output, ...(heldOutOutput === undefined ? [] : [heldOutOutput])]);
  const total = files.reduce((sum, file) => sum + fileSize(file), 0);
  const reading = {
    ...(textField === undefined ? {} : { textField }),
    ...(documentPerFile === undefined ? {} : { documentPerFile }),
  };
  const documents = (onBytes?: (bytes: number) => void) => ({
    async *[Symbol.asyncIterator](): AsyncGenerator<SplitDocument> {
      let index = 0;
      for await (const document of readDocuments(input, { ...reading, ...(onBytes ? { onBytes } : {}) })) {
        yield {
          document,
          heldOut: heldOutOutput !== undefined && index++ % heldOutEvery === heldOutEvery - 1,
        };
      }
    },
  });
  let done = 0;
  const counted = documents(onProgress && ((bytes) => void (done += bytes)));
  return await writeSplitDocuments({
    documents: counted,
    sample: documents(),
    output,
    ...(heldOutOutput === undefined ? {} : { heldOutOutput }),
    rules,
    source: typeof input === "string" ? input : input.join(","),
    report: (sentences, finished) =>
      onProgress?.({
        stage: "raws",
        done: finished ? total : Math.min(done, total),
        total,
        unit: "bytes",
        note: `${sentences} sentences`,
      }),
  });
}

/** The common part of `writeRaw` and `writeEmbeddedRaw`: documents that know their side, to one or two raw files. */
export async function writeSplitDocuments(
  { documents, sample, output, heldOutOutput, rules, source, report }: {
    readonly documents: AsyncIterable<SplitDocument>;
    /** The same documents once more, for training Punkt. */
    readonly sample: AsyncIterable<SplitDocument>;
    readonly output: string;
    readonly heldOutOutput?: string;
    readonly rules: RawRules;
    /** What the input is called in messages. */
    readonly source: string;
    /** Called every few hundred documents and at the end. */
    readonly report: (sentences: number, finished: boolean) => void;
  },
): Promise<RawReport> {
  const { documentSentences = 0, minSentences = 1 } = rules;
  const split = await splitterFor(rules, sample);
  const train = partWriter(output, documentSentences);
  let heldOut: PartWriter | undefined;
  let skippedDocuments = 0;
  let count = 0;
  try {
    heldOut = heldOutOutput === undefined ? undefined : partWriter(heldOutOutput, documentSentences);
    for await (const { document, heldOut: isHeldOut } of documents) {
      const sentences = document.paragraphs.flatMap(split);
      const [here, there] = isHeldOut && heldOut ? [heldOut, train] : [train, heldOut];
      there?.endRun();
      if (sentences.length < Math.max(1, minSentences)) skippedDocuments++;
      else here.add(sentences);
      if (++count % 256 === 0) report(train.sentences() + (heldOut?.sentences() ?? 0), false);
    }
    train.endRun();
    heldOut?.endRun();
    if (train.sentences() === 0) throw emptyCorpus(source, count, skippedDocuments);
    if (heldOut?.sentences() === 0) throw emptyHeldOut(source, count);
    const result = {
      train: train.finish(),
      ...(heldOut ? { heldOut: heldOut.finish() } : {}),
      skippedDocuments,
    };
    report(train.sentences() + (heldOut?.sentences() ?? 0), true);
    return result;
  } catch (error) {
    train.discard();
    heldOut?.discard();
    throw error;
  }
}

async function splitterFor(
  rules: RawRules,
  sample: AsyncIterable<SplitDocument>,
): Promise<(paragraph: string) => string[]> {
  const { splitter = "punkt", language, lowerCaseMerge, maxSentenceBytes, trainPunktLength = 1 << 22 } =
    rules;
  const learns = splitter === "punkt" && !rules.model && trainPunktLength > 0;
  const model = rules.model ?? (learns ? await learnPunkt(sample, trainPunktLength) : undefined);
  return sentenceSplitter(splitter, {
    ...(language === undefined ? {} : { language }),
    ...(lowerCaseMerge === undefined ? {} : { lowerCaseMerge }),
    ...(maxSentenceBytes === undefined ? {} : { maxSentenceBytes }),
    ...(model ? { model } : {}),
  });
}

async function learnPunkt(documents: AsyncIterable<SplitDocument>, length: number): Promise<PunktModel> {
  const paragraphs: string[] = [];
  let rest = length;
  for await (const { document, heldOut } of documents) {
    if (heldOut) continue;
    for (const paragraph of document.paragraphs) {
      paragraphs.push(paragraph.slice(0, rest));
      rest -= paragraph.length;
      if (rest <= 0) return trainPunkt(paragraphs);
    }
  }
  return trainPunkt(paragraphs);
}

type PartWriter = {
  readonly add: (sentences: readonly string[]) => void;
  /** What follows does not belong to what came: regrouping does not reach over it. */
  readonly endRun: () => void;
  readonly sentences: () => number;
  readonly finish: () => RawPart;
  readonly discard: () => void;
};

function partWriter(path: string, group: number): PartWriter {
  if (!Number.isInteger(group) || group < 0) {
    throw new RangeError(
      `Cannot regroup sentences: document_sentences is ${group}, it must be an integer >= 0`,
    );
  }
  const file: AtomicFile = openAtomic(path);
  const hash = createHash("sha256");
  let [documents, sentences, words, bytes, longestBytes] = [0, 0, 0, 0, 0];
  let pending: string[] = [];
  const write = (document: readonly string[]): void => {
    const block = Buffer.from(`${documents > 0 ? "\n" : ""}${document.join("\n")}\n`);
    file.write(block);
    hash.update(block);
    documents++;
    bytes += block.length;
    sentences += document.length;
    for (const sentence of document) {
      words += sentence.split(" ").length;
      if (sentence.length * 3 > longestBytes) {
        longestBytes = Math.max(longestBytes, Buffer.byteLength(sentence));
      }
    }
  };
  return {
    add: (more) => {
      if (group === 0) return write(more);
      for (const sentence of more) pending.push(sentence);
      let at = 0;
      for (; pending.length - at >= 2 * group; at += group) write(pending.slice(at, at + group));
      pending = pending.slice(at);
    },
    endRun: () => {
      if (pending.length === 0) return;
      // A rest of up to two groups is halved rather than cut into a full document and a scrap.
      const middle = pending.length > group ? Math.ceil(pending.length / 2) : pending.length;
      write(pending.slice(0, middle));
      if (middle < pending.length) write(pending.slice(middle));
      pending = [];
    },
    sentences: () => sentences + pending.length,
    finish: () => {
      file.commit();
      return { path, documents, sentences, words, bytes, longestBytes, sha256: hash.digest("hex") };
    },
    discard: file.discard,
  };
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

function emptyCorpus(source: string, documents: number, skipped: number): RangeError {
  const found = documents === 0
    ? "it has no document"
    : skipped === documents
    ? `none of its ${documents} documents has enough sentences: lower min_sentences or give more text`
    : "no document is left for training: lower held_out_every or give more text";
  return new RangeError(`Cannot make a raw file of ${source}: ${found}; nothing was written`);
}

function emptyHeldOut(source: string, documents: number): RangeError {
  return new RangeError(
    `Cannot hold documents of ${source} out: none of its ${documents} documents falls to the held-out file; lower held_out_every or leave held_out_output away; nothing was written`,
  );
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
