/**
 * Notebook files in canonical form: the layout JupyterLab itself saves (nbformat 4.5, keys sorted, one blank of
 * indentation, final newline), without anything that differs from run to run or from kernel to kernel. Facts: the
 * nbformat 4.5 schema; the fixed metadata are this project's choice (the Deno kernel is named, whoever saved).
 */
import { keptDisplay } from "./volatile.ts";
import type { JsonObject } from "./wire.ts";

/** A JSON value that may be rewritten. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** One output of a code cell. Lines are joined here and split again in the file. */
export type Output =
  | { readonly output_type: "stream"; readonly name: string; readonly text: string }
  | {
    readonly output_type: "display_data";
    readonly data: { readonly [mime: string]: Json };
    readonly metadata: Json;
  }
  | { readonly output_type: "error"; readonly ename: string; readonly evalue: string };

/** One cell. Only code cells have outputs. */
export type Cell = {
  readonly id: string;
  readonly type: "code" | "markdown" | "raw";
  readonly source: string;
  /** `raises-exception`: must fail; `volatile`: output is neither stored nor compared. */
  readonly tags: readonly string[];
  readonly outputs: readonly Output[];
  /** Pictures of a Markdown cell, as nbformat has them. */
  readonly attachments?: Json;
};

/** What a notebook says about its own run, in `metadata.guide`. */
export type GuideMetadata = {
  /** Seconds one cell may take. Default: 60. */
  readonly timeout_s?: number;
  /** The notebook must fail, with a problem that contains this text. */
  readonly must_fail?: string;
  /** Kernels it runs under. Default: both. */
  readonly kernels?: readonly string[];
};

/** A notebook without what the canonical form fixes. */
export type Notebook = { readonly cells: readonly Cell[]; readonly guide: GuideMetadata };

/** Fixed metadata: a run under tslab must not change the file. */
const kernelspec = { display_name: "Deno", language: "typescript", name: "deno" };
const language_info = { file_extension: ".ts", mimetype: "text/x.typescript", name: "typescript" };

/**
 * Reads a notebook of nbformat 4 and drops what the canonical form does not keep.
 *
 * @param text Content of an `.ipynb` file.
 * @returns The notebook.
 * @throws {SyntaxError} When it is not JSON, or not a notebook of format 4.
 * @example
 * ```ts
 * import { parseNotebook } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const cell = { cell_type: "code", id: "a", source: ["1 +\n", "1"], metadata: {}, outputs: [], execution_count: 7 };
 * const notebook = parseNotebook(JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: [cell] }));
 * assert.equal(notebook.cells[0]?.source, "1 +\n1");
 * ```
 */
export function parseNotebook(text: string): Notebook {
  let file: JsonObject;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`Cannot read a notebook: it is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (file["nbformat"] !== 4 || !Array.isArray(file["cells"])) {
    throw new SyntaxError(
      `Cannot read a notebook: nbformat is ${file["nbformat"]}, expected 4 with a list of cells`,
    );
  }
  const metadata = object(file["metadata"]);
  return {
    cells: file["cells"].map((cell, index) => parseCell(object(cell), index)),
    guide: object(metadata["guide"]) as GuideMetadata,
  };
}

function parseCell(cell: JsonObject, index: number): Cell {
  const type = cell["cell_type"];
  if (type !== "code" && type !== "markdown" && type !== "raw") {
    throw new SyntaxError(`Cannot read a notebook: cell ${index + 1} has cell_type ${JSON.stringify(type)}`);
  }
  const tags = object(cell["metadata"])["tags"];
  const outputs = type === "code" && Array.isArray(cell["outputs"]) ? cell["outputs"] : [];
  return {
    id: typeof cell["id"] === "string" ? cell["id"] : `cell-${String(index + 1).padStart(2, "0")}`,
    type,
    source: joined(cell["source"]),
    tags: Array.isArray(tags) ? tags.map(String) : [],
    outputs: outputs.flatMap((output) => parseOutput(object(output))),
    ...(cell["attachments"] === undefined ? {} : { attachments: cell["attachments"] as Json }),
  };
}

function parseOutput(output: JsonObject): Output[] {
  switch (output["output_type"]) {
    case "stream":
      return [{ output_type: "stream", name: String(output["name"]), text: joined(output["text"]) }];
    case "error":
      return [{ output_type: "error", ename: String(output["ename"]), evalue: String(output["evalue"]) }];
    case "display_data":
    case "execute_result": {
      const data = Object.entries(object(output["data"])).map(([mime, value]) =>
        [mime, isTextMime(mime) ? joined(value) : value as Json] as const
      );
      const metadata = object(output["metadata"]) as Json;
      // Who executed and saved the notebook stored what that machine showed.
      return [keptDisplay({ output_type: "display_data", data: Object.fromEntries(data), metadata })];
    }
    default:
      throw new SyntaxError(
        `Cannot read a notebook: unknown output_type ${JSON.stringify(output["output_type"])}`,
      );
  }
}

/**
 * Writes a notebook in canonical form: the same notebook gives the same bytes, whichever kernel ran it.
 *
 * @param notebook The notebook.
 * @returns Content of the file.
 * @example
 * ```ts
 * import { parseNotebook, serializeNotebook } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const empty = serializeNotebook({ cells: [], guide: {} });
 * assert.equal(serializeNotebook(parseNotebook(empty)), empty);
 * assert.ok(empty.endsWith('"nbformat": 4,\n "nbformat_minor": 5\n}\n'));
 * ```
 */
export function serializeNotebook({ cells, guide }: Notebook): string {
  const metadata = Object.keys(guide).length > 0
    ? { guide, kernelspec, language_info }
    : { kernelspec, language_info };
  const file = { cells: cells.map(cellToJson), metadata, nbformat: 4, nbformat_minor: 5 };
  return `${JSON.stringify(sortKeys(file as unknown as Json), null, 1)}\n`;
}

function cellToJson(cell: Cell): JsonObject {
  const common = {
    cell_type: cell.type,
    id: cell.id,
    metadata: cell.tags.length > 0 ? { tags: cell.tags } : {},
    source: splitLines(cell.source),
    ...(cell.attachments === undefined ? {} : { attachments: cell.attachments }),
  };
  if (cell.type !== "code") return common;
  return { ...common, execution_count: null, outputs: cell.outputs.map(outputToJson) };
}

/** One output as it stands in the file. */
export function outputToJson(output: Output): Json {
  switch (output.output_type) {
    case "stream":
      return { name: output.name, output_type: "stream", text: splitLines(output.text) };
    case "error":
      return { ename: output.ename, evalue: output.evalue, output_type: "error", traceback: [] };
    case "display_data": {
      const data = Object.entries(output.data).map(([mime, value]) =>
        [mime, typeof value === "string" && isTextMime(mime) ? splitLines(value) : value] as const
      );
      return { data: Object.fromEntries(data), metadata: output.metadata, output_type: "display_data" };
    }
  }
}

/** Whether a MIME type's value is kept as lines: everything but JSON; base64 pictures are one line. */
export function isTextMime(mime: string): boolean {
  return !/^application\/(.*\+)?json$/.test(mime);
}

/** Lines with their newline, as notebooks keep text. */
export function splitLines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}

function joined(value: unknown): string {
  return Array.isArray(value) ? value.join("") : typeof value === "string" ? value : "";
}

function object(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : {};
}

/** The same value with the keys of every object in code point order, as Python sorts them. */
export function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as { readonly [name: string]: Json });
  return Object.fromEntries(
    entries.sort(([a], [b]) => a < b ? -1 : 1).map(([name, each]) => [name, sortKeys(each)]),
  );
}
