/**
 * Documents from whatever text a user has: text files, gzip, zstd, JSON lines, parquet, folders, globs. It is a
 * stream; memory is bounded by one document (at most 16 MiB of text) or one parquet row group. In text files a blank
 * line ends a document and a line is a paragraph, the layout of CC-100 and of BERT's raw files.
 */
import { basename } from "node:path";
import { CorruptFileError } from "../formats/mod.ts";
import { expandInputs } from "./inputs.ts";
import { nameOf, type OnBytes, readLines } from "./lines.ts";
import { readParquetColumn } from "./parquet.ts";

/** Text without blank lines is cut into documents of about this many UTF-16 units, so that memory stays bounded. */
const MAX_DOCUMENT_LENGTH = 1 << 24;

/**
 * A document: an ordered list of paragraphs that belong together.
 *
 * @example
 * ```ts
 * import type { TextDocument } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const document: TextDocument = { name: "a.txt:1", source: "a.txt", paragraphs: ["One. Two.", "Three."] };
 * assert.equal(document.paragraphs.length, 2);
 * ```
 */
export type TextDocument = {
  /** A short name for people: a title where the format has one, else file and position. */
  readonly name: string;
  /** The file it comes from. */
  readonly source: string;
  /** Non-empty lines, in order. */
  readonly paragraphs: readonly string[];
};

/**
 * How documents are read.
 *
 * @example
 * ```ts
 * import type { DocumentOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: DocumentOptions = { textField: "content" };
 * assert.equal(options.textField, "content");
 * ```
 */
export type DocumentOptions = {
  /** The field of JSON lines and the column of parquet that holds the text; default `"text"`. */
  readonly textField?: string;
  /** What the files are; default `"auto"`: by their endings, standard input is text. */
  readonly format?: "auto" | "text" | "jsonl" | "parquet";
  /** A text file is one document, blank lines only separate paragraphs; default `false`. */
  readonly documentPerFile?: boolean;
  /** Told how many bytes came from the disk, for progress. */
  readonly onBytes?: (bytes: number) => void;
};

/**
 * Reads documents one after the other.
 *
 * @param inputs A path, folder (recursive, sorted by name), glob (`*`, `?`, `**`, `[a-z]`, `{a,b}`) or comma list of
 * them, `-` for standard input, or an array of such. The ending decides the format: `.jsonl`, `.ndjson`, `.json` (one object a line),
 * `.parquet`, anything else is text; `.gz` and `.zst` may follow. Packed standard input is known by its first bytes.
 * @param options Text field, and whether a file is one document.
 * @returns The documents in input order; a text without blank lines is cut after about 16 MiB.
 * @throws {Error} When a file or pattern is missing: the message names it.
 * @throws {CorruptFileError} When a file is not UTF-8, not gzip, or not JSON lines: file and byte or line are named.
 * @example
 * ```ts
 * import { readDocuments } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * writeFileSync(`${folder}/a.txt`, "One. Two.\nThree.\n\nAnother document.\n");
 * const documents = [];
 * for await (const document of readDocuments(folder)) documents.push(document.paragraphs);
 * assert.deepEqual(documents, [["One. Two.", "Three."], ["Another document."]]);
 * ```
 */
export async function* readDocuments(
  inputs: string | readonly string[],
  { textField = "text", format = "auto", documentPerFile = false, onBytes }: DocumentOptions = {},
): AsyncGenerator<TextDocument> {
  for (const file of expandInputs(inputs)) {
    const kind = format === "auto" ? formatOf(file) : format;
    if (kind === "parquet") yield* parquetDocuments(file, textField, onBytes);
    else if (kind === "jsonl") yield* jsonDocuments(file, textField, onBytes);
    else yield* textDocuments(file, documentPerFile, onBytes);
  }
}

function formatOf(file: string): "text" | "jsonl" | "parquet" {
  if (/\.parquet$/i.test(file)) return "parquet";
  return /\.(jsonl|ndjson|json)(\.gz|\.zst)?$/i.test(file) ? "jsonl" : "text";
}

async function* textDocuments(
  source: string,
  documentPerFile: boolean,
  onBytes: OnBytes | undefined,
): AsyncGenerator<TextDocument> {
  const stem = basename(nameOf(source));
  let paragraphs: string[] = [];
  let length = 0;
  let count = 0;
  const finish = (): TextDocument => {
    const document = { name: `${stem}:${++count}`, source, paragraphs };
    paragraphs = [];
    length = 0;
    return document;
  };
  for await (const lines of readLines(source, onBytes)) {
    for (const line of lines) {
      if (line.trim() !== "") {
        paragraphs.push(line);
        length += line.length;
        if (length > MAX_DOCUMENT_LENGTH) yield finish();
      } else if (!documentPerFile && paragraphs.length > 0) yield finish();
    }
  }
  if (paragraphs.length > 0) yield finish();
}

async function* jsonDocuments(
  source: string,
  textField: string,
  onBytes: OnBytes | undefined,
): AsyncGenerator<TextDocument> {
  let record = 0;
  for await (const lines of readLines(source, onBytes)) {
    for (const line of lines) {
      record++;
      if (line.trim() === "") continue;
      const value = parseLine(line, source, record);
      // CirrusSearch dumps alternate an action line, {"index": {…}}, with a document line.
      if (!(textField in value) && typeof value["index"] === "object") continue;
      const paragraphs = paragraphsOf(value[textField], source, record, textField, Object.keys(value));
      if (paragraphs.length > 0) yield { name: titleOf(value, source, record), source, paragraphs };
    }
  }
}

function parseLine(line: string, path: string, record: number): Readonly<Record<string, unknown>> {
  let reason = "it is not a JSON object";
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  throw new CorruptFileError(
    `Cannot read line ${record} of ${nameOf(path)}: ${reason}; one JSON object a line is needed`,
    {
      path,
      record,
    },
  );
}

async function* parquetDocuments(
  source: string,
  textField: string,
  onBytes: OnBytes | undefined,
): AsyncGenerator<TextDocument> {
  let record = 0;
  for await (const value of readParquetColumn(source, textField, onBytes)) {
    record++;
    const paragraphs = paragraphsOf(value[textField], source, record, textField, Object.keys(value));
    if (paragraphs.length > 0) yield { name: titleOf(value, source, record), source, paragraphs };
  }
}

function paragraphsOf(
  text: unknown,
  source: string,
  record: number,
  field: string,
  fields: readonly string[],
): string[] {
  if (text === null) return [];
  if (typeof text !== "string") {
    throw new TypeError(
      `Cannot read record ${record} of ${nameOf(source)}: its field "${field}" is ${
        text === undefined ? "missing" : `a ${typeof text}, not a string`
      }; it has ${
        fields.map((name) => `"${name}"`).join(", ") || "no field"
      }; set text_field to the one with the text`,
    );
  }
  return text.split(/\r\n?|\n/).filter((line) => line.trim() !== "");
}

function titleOf(value: Readonly<Record<string, unknown>>, source: string, record: number): string {
  const title = value["title"];
  return typeof title === "string" && title !== "" ? title : `${basename(nameOf(source))}:${record}`;
}
