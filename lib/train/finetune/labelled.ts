/**
 * Labelled examples and the files they come from: JSON lines, CSV or TSV with a header (RFC 4180), and for tags also the
 * columns of CoNLL. Every refusal names the file and the line.
 */
import { readFileSync } from "node:fs";
import type { FinetuneTask } from "../../config/mod.ts";

/**
 * One labelled example: a text, or two, with a label, or words with a tag each.
 *
 * @example
 * ```ts
 * import type { LabelledText } from "albert-guide";
 *
 * const some: readonly LabelledText[] = [
 *   { text: "In the beginning", label: "Genesis" },
 *   { text: "It was day.", textB: "Then came the night.", label: "next" },
 *   { tokens: ["Moses", "went", "up"], tags: ["B-NAME", "O", "O"] },
 * ];
 * ```
 */
export type LabelledText = {
  /** The text, for `classify` and `pair`. */
  readonly text?: string;
  /** The second text of a pair. */
  readonly textB?: string;
  /** Its label. */
  readonly label?: string;
  /** The words, for `tokens`. */
  readonly tokens?: readonly string[];
  /** A tag for each word. */
  readonly tags?: readonly string[];
};

type Row = { readonly line: number; readonly fields: Readonly<Record<string, unknown>> };

const blank = (text: string): boolean => text.trim() === "";

function jsonRows(text: string, path: string): Row[] {
  return text.split("\n").flatMap((content, i) => {
    if (blank(content)) return [];
    let value: unknown;
    try {
      value = JSON.parse(content);
    } catch (error) {
      throw new SyntaxError(`Cannot read ${path}: line ${i + 1} is no JSON (${(error as Error).message})`);
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new TypeError(`Cannot read ${path}: line ${i + 1} is no object of named fields`);
    }
    return [{ line: i + 1, fields: value as Row["fields"] }];
  });
}

/** The cells of RFC 4180, with the line each row begins in. */
function cellsOf(text: string, separator: string, path: string) {
  const rows: { readonly line: number; readonly cells: string[] }[] = [];
  let [line, at] = [1, 0];
  while (at < text.length) {
    const row = { line, cells: [] as string[] };
    for (let open = true; open;) {
      let cell = "";
      const quoted = text[at] === '"';
      if (quoted) {
        const began = line;
        for (at++;; at++) {
          if (at >= text.length) {
            throw new SyntaxError(`Cannot read ${path}: the quote opened in line ${began} is never closed`);
          }
          if (text[at] === '"' && text[++at] !== '"') break; // two quotes in a row are one
          if (text[at] === "\n") line++;
          cell += text[at];
        }
      }
      const from = at;
      for (; at < text.length && text[at] !== separator && text[at] !== "\n"; at++) cell += text[at];
      if (quoted && at > from) {
        throw new SyntaxError(
          `Cannot read ${path}: line ${line} has ${
            JSON.stringify(text.slice(from, Math.min(at, from + 12)))
          } behind a closing quote; ` +
            "write a quote inside a quoted cell twice",
        );
      }
      row.cells.push(cell);
      open = text[at] === separator;
      at++;
    }
    line++;
    if (row.cells.length > 1 || !blank(row.cells[0] ?? "")) rows.push(row);
  }
  return rows;
}

function tableRows(text: string, separator: string, path: string): Row[] {
  const [head, ...rows] = cellsOf(text, separator, path);
  const names = (head?.cells ?? []).map((name) => name.trim());
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new SyntaxError(`Cannot read ${path}: the header names ${twice} twice`);
  return rows.map(({ line, cells }) => {
    if (cells.length !== names.length) {
      throw new SyntaxError(
        `Cannot read ${path}: line ${line} has ${cells.length} cells, the header has ${names.length}`,
      );
    }
    return { line, fields: Object.fromEntries(names.map((name, i) => [name, cells[i]])) };
  });
}

/** Word in the first column, tag in the last, an empty line between sentences. */
function conllRows(text: string, path: string): Row[] {
  const rows: Row[] = [];
  let open: { line: number; tokens: string[]; tags: string[] } | undefined;
  const close = (): void => {
    if (open !== undefined) rows.push({ line: open.line, fields: { tokens: open.tokens, tags: open.tags } });
    open = undefined;
  };
  text.split("\n").forEach((content, i) => {
    if (blank(content) || content.startsWith("-DOCSTART-")) return close();
    const cells = content.trim().split(/[ \t]+/);
    if (cells.length < 2) {
      throw new SyntaxError(`Cannot read ${path}: line ${i + 1} has a word and no tag`);
    }
    open ??= { line: i + 1, tokens: [], tags: [] };
    open.tokens.push(cells[0] as string); // there are two or more
    open.tags.push(cells.at(-1) as string);
  });
  close();
  return rows;
}

function words(value: unknown): string[] | undefined {
  if (typeof value === "string") return value.trim() === "" ? [] : value.trim().split(/\s+/);
  const isList = Array.isArray(value) && value.every((item) => ["string", "number"].includes(typeof item));
  return isList ? value.map(String) : undefined;
}

function exampleOf({ line, fields }: Row, task: FinetuneTask, path: string): LabelledText {
  const wrong = (reason: string): TypeError => new TypeError(`Cannot read ${path}: line ${line} ${reason}`);
  const wanted = task === "tokens"
    ? ["tokens", "tags"]
    : task === "pair"
    ? ["text", "text_b", "label"]
    : ["text", "label"];
  const missing = wanted.find((name) => fields[name] === undefined || fields[name] === null);
  if (missing !== undefined) {
    const found = Object.keys(fields).join(", ");
    throw wrong(`has no ${missing} (it has ${found || "nothing"}); ${task} needs ${wanted.join(", ")}`);
  }
  if (task === "tokens") {
    const [tokens, tags] = [words(fields["tokens"]), words(fields["tags"])];
    if (tokens === undefined || tags === undefined) {
      throw wrong("has tokens or tags that are no list of words");
    }
    if (tokens.length !== tags.length) throw wrong(`has ${tokens.length} tokens and ${tags.length} tags`);
    if (tokens.length === 0) throw wrong("has no word");
    return { tokens, tags };
  }
  const text = (name: string): string => {
    if (typeof fields[name] !== "string" || blank(fields[name])) throw wrong(`has a ${name} that is no text`);
    return fields[name];
  };
  const { label } = fields;
  if (!["string", "number", "boolean"].includes(typeof label) || blank(String(label))) {
    throw wrong("has a label that is neither text nor number");
  }
  const one = { text: text("text"), label: String(label) };
  return task === "pair" ? { ...one, textB: text("text_b") } : one;
}

/** Refuses labels of several JSON types: 1 and "1" would silently be one label, true and "yes" two. */
function refuseMixed(rows: readonly Row[], path: string): void {
  const [first] = rows;
  const kindOf = ({ fields }: Row): string => typeof fields["label"];
  const other = rows.find((row) => first !== undefined && kindOf(row) !== kindOf(first));
  if (first === undefined || other === undefined) return;
  const said = ({ line, fields: { label } }: Row): string =>
    `line ${line} ${JSON.stringify(label)}, a ${typeof label}`;
  throw new TypeError(
    `Cannot read ${path}: its labels are of several types (${said(first)}; ${
      said(other)
    }); write all of them as text`,
  );
}

function read(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)).replace(/\r\n?/g, "\n");
  } catch (error) {
    const { code } = error as { readonly code?: string };
    const reason = code === "ENOENT"
      ? "there is no such file: check the name"
      : code === "EISDIR"
      ? "it is a folder, a file is needed"
      : code === "EACCES"
      ? "no permission to read it"
      : error instanceof TypeError
      ? "it is no UTF-8 text"
      : (error as Error).message;
    throw new Error(`Cannot read ${path}: ${reason}`, { cause: error });
  }
}

/**
 * Reads a labelled file. The ending decides the format: `.jsonl`, `.ndjson`, `.json` an object a line; `.csv` and `.tsv` a table
 * with a header; `.conll`, `.bio`, `.iob` word and tag in the first and last column, for `tokens` only. Fields are
 * `text`, `text_b` and `label`, or `tokens` and `tags` (lists, or words with blanks between).
 *
 * @param path The file.
 * @param task What its examples are for.
 * @returns The examples in order.
 * @throws {SyntaxError} When a line is no JSON, a row has the wrong number of cells, or quotes or header are broken.
 * @throws {TypeError} When a line lacks a field, labels are of several types, or the ending is unknown.
 * @throws {Error} When the file cannot be read or holds no example.
 * @example
 * ```ts
 * import { readLabelled } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/some.csv`;
 * writeFileSync(path, 'text,label\n"Moses, he said",Exodus\n');
 * assert.deepEqual(readLabelled(path, "classify"), [{ text: "Moses, he said", label: "Exodus" }]);
 * ```
 */
export function readLabelled(path: string, task: FinetuneTask): LabelledText[] {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  const columns = ["conll", "bio", "iob"].includes(ending);
  if (!columns && !["jsonl", "ndjson", "json", "csv", "tsv"].includes(ending)) {
    throw new TypeError(
      `Cannot read ${path}: its ending tells no format; name it .jsonl, .csv, .tsv, or for tokens .conll`,
    );
  }
  if (columns && task !== "tokens") {
    throw new TypeError(
      `Cannot read ${path} for ${task}: its columns hold words and tags, which are for tokens`,
    );
  }
  const text = read(path);
  const rows = columns
    ? conllRows(text, path)
    : ending === "csv" || ending === "tsv"
    ? tableRows(text, ending === "csv" ? "," : "\t", path)
    : jsonRows(text, path);
  if (rows.length === 0) throw new Error(`Cannot use ${path}: it holds no example`);
  const examples = rows.map((row) => exampleOf(row, task, path));
  if (task !== "tokens") refuseMixed(rows, path);
  return examples;
}
