/**
 * The corpora that come with the guide, so that it runs without a download: the King James Bible, the State of the Union
 * addresses since 1934, and a book in German, the Debian Administrator's Handbook. Each lies in `data/<name>/` as a gzip text with an index of its documents and a card.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { CorruptFileError } from "../formats/mod.ts";
import { ownFile } from "../own_file.ts";
import type { OnProgress } from "../progress.ts";
import type { TextDocument } from "./documents.ts";
import { readError } from "./lines.ts";
import type { RawReport, RawRules } from "./raw.ts";
import { type SplitDocument, writeSplitDocuments } from "./raw_run.ts";

/**
 * Names of the embedded corpora: `kjv` (1,189 chapters of the King James Bible), `sotu` (90 addresses), `handbuch` (the
 * German edition of a handbook, by page).
 *
 * @example
 * ```ts
 * import { type EmbeddedCorpus, readEmbedded } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const corpus: EmbeddedCorpus = "kjv";
 * assert.equal(readEmbedded(corpus).length, 1189);
 * ```
 */
export type EmbeddedCorpus = "kjv" | "sotu" | "handbuch";

/**
 * A document of an embedded corpus with the side it belongs to.
 *
 * @example
 * ```ts
 * import { type EmbeddedDocument, readEmbedded } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const heldOut: EmbeddedDocument[] = readEmbedded("sotu").filter(({ split }) => split === "held_out");
 * assert.equal(heldOut.length, 7);
 * ```
 */
export type EmbeddedDocument = TextDocument & {
  /** Held-out documents are never trained on. */
  readonly split: "train" | "held_out";
};

/**
 * What `writeEmbeddedRaw` writes.
 *
 * @example
 * ```ts
 * import type { EmbeddedRawOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: EmbeddedRawOptions = { corpus: "kjv", outputTrain: "train.txt", outputHeldOut: "held_out.txt" };
 * assert.equal(options.dataDir, undefined);
 * ```
 */
export type EmbeddedRawOptions = RawRules & {
  readonly corpus: EmbeddedCorpus;
  /** Folder with the embedded corpora; default `embeddedDataDir()`. */
  readonly dataDir?: string;
  /** Raw file for training. */
  readonly outputTrain: string;
  /** Raw file for evaluation. */
  readonly outputHeldOut: string;
};

/** How the guide cuts each corpus: plateau recipe for the Bible (clauses, 40 a document), sentences for the others. */
const RULES: Readonly<Record<EmbeddedCorpus, RawRules>> = {
  kjv: { splitter: "clause", documentSentences: 40 },
  sotu: { splitter: "punkt", language: "en" },
  handbuch: { splitter: "punkt", language: "de" },
};

/**
 * The folder with the embedded corpora: the one that comes with this library, wherever the program was started.
 *
 * @returns Its path; `"data"` where none lies beside the library, such as in a bundle.
 * @example
 * ```ts
 * import { embeddedDataDir, readEmbedded } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(readEmbedded("kjv", { dataDir: embeddedDataDir() }).length, 1189);
 * ```
 */
export function embeddedDataDir(): string {
  try {
    const own = ownFile("embedded");
    // Beside `text/` in the package, beside `lib/` in a checkout.
    const places = ["../data", "../../data"].map((path) => fileURLToPath(new URL(path, own)));
    return places.find((place) => existsSync(join(place, "kjv", "card.json"))) ?? "data";
  } catch {
    return "data"; // a bundle has no files of its own
  }
}

/**
 * Reads an embedded corpus, 1 to 4 MB, and checks it against its card.
 *
 * @param corpus Which one.
 * @param options `dataDir`: folder with the corpora, default `embeddedDataDir()`.
 * @returns All documents in order; a paragraph is a verse (kjv), a whole address (sotu) or a paragraph (handbuch).
 * @throws {Error} When the files are not in `dataDir`.
 * @throws {CorruptFileError} When the text is not the one of the card.
 * @example
 * ```ts
 * import { readEmbedded } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const genesis = readEmbedded("kjv")[0];
 * assert.equal(genesis?.name, "Genesis 1");
 * assert.equal(genesis?.paragraphs[0], "In the beginning God created the heaven and the earth.");
 * ```
 */
export function readEmbedded(
  corpus: EmbeddedCorpus,
  { dataDir = embeddedDataDir() }: { readonly dataDir?: string } = {},
): EmbeddedDocument[] {
  const source = join(dataDir, corpus, `${corpus}.txt.gz`);
  if (!existsSync(source)) {
    throw new Error(
      `Cannot read the corpus ${corpus}: there is no such file ${source}; the npm package brings kjv and handbuch, a ` +
        "checkout all three in its folder data, which --data_dir or dataDir may name",
    );
  }
  const card = readJson(join(dataDir, corpus, "card.json")) as {
    readonly plain: { readonly sha256: string };
  };
  const index = readJson(join(dataDir, corpus, "documents.json")) as readonly Pick<
    EmbeddedDocument,
    "name" | "split"
  >[];
  const plain = unpack(source);
  const sha256 = createHash("sha256").update(plain).digest("hex");
  if (sha256 !== card.plain.sha256) {
    throw new CorruptFileError(
      `Cannot read ${source}: its text has sha256 ${sha256}, its card says ${card.plain.sha256}; restore the file`,
      { path: source },
    );
  }
  const blocks = new TextDecoder().decode(plain).trimEnd().split("\n\n");
  if (blocks.length !== index.length) {
    throw new CorruptFileError(
      `Cannot read ${source}: it has ${blocks.length} documents, its index names ${index.length}; restore the files`,
      { path: source },
    );
  }
  return index.map(({ name, split }, i) => ({
    name,
    split,
    source,
    paragraphs: (blocks[i] ?? "").split("\n"),
  }));
}

function unpack(path: string): Uint8Array {
  let packed: Uint8Array;
  try {
    packed = readFileSync(path);
  } catch (error) {
    throw readError(path, error);
  }
  try {
    return gunzipSync(packed);
  } catch (error) {
    throw new CorruptFileError(
      `Cannot unpack ${path}: ${error instanceof Error ? error.message : String(error)}; restore the file`,
      { path },
    );
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new CorruptFileError(`Cannot read ${path}: ${error.message}`, { path });
    }
    throw readError(path, error);
  }
}

/**
 * Writes an embedded corpus as two raw files, for training and for evaluation. Without further options it follows the
 * guide's recipe: the Bible in clauses, regrouped into documents of at most 40 (never across the held-out border); the
 * addresses in Punkt sentences, one document each, with Punkt trained on the training side.
 *
 * @param options Corpus, outputs, and any of `RawRules` to change the recipe.
 * @param watch `onProgress` gets documents done of all documents; `signal` stops the run.
 * @returns Counts and hashes; `heldOut` is always there.
 * @throws {Error} When the corpus is not in `dataDir` or an output cannot be written.
 * @example
 * ```ts
 * import { writeEmbeddedRaw } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * const report = await writeEmbeddedRaw({
 *   corpus: "kjv",
 *   outputTrain: `${folder}/train.txt`,
 *   outputHeldOut: `${folder}/held_out.txt`,
 * });
 * assert.ok(report.train.documents > 10 * (report.heldOut?.documents ?? 0));
 * ```
 */
export async function writeEmbeddedRaw(
  { corpus, dataDir = embeddedDataDir(), outputTrain, outputHeldOut, ...changes }: EmbeddedRawOptions,
  { onProgress, signal }: { readonly onProgress?: OnProgress; readonly signal?: AbortSignal } = {},
): Promise<RawReport> {
  const all = readEmbedded(corpus, { dataDir });
  let done = 0;
  const documents = (count: boolean) => ({
    async *[Symbol.asyncIterator](): AsyncGenerator<SplitDocument> {
      for (const document of all) {
        if (count) done++;
        yield { document, heldOut: document.split === "held_out" };
      }
    },
  });
  return await writeSplitDocuments({
    documents: documents(true),
    sample: documents(false),
    output: outputTrain,
    heldOutOutput: outputHeldOut,
    rules: { clean: ["control", "invisible", "blank"], ...RULES[corpus], ...changes },
    signal,
    source: corpus,
    report: (sentences) =>
      onProgress?.({
        stage: "raws",
        done,
        total: all.length,
        unit: "documents",
        note: `${sentences} sentences`,
      }),
  });
}
