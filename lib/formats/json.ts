/**
 * JSON files of other programs. `JSON.parse` quotes the text around a mistake over several lines and often does not say where
 * it is; here a mistake is one line with the file and the byte. Facts: RFC 8259.
 */
import { readFileSync } from "node:fs";
import { CorruptFileError } from "./errors.ts";

// Runs without an alternative per character, which long texts would pile up on the engine's stack.
const token = /"[^"\\]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\]*)*"|[{}[\],:]|/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;
const blank = /[ \t\n\r]*/y;

/** What the grammar allows at a place. */
type State = "value" | "value or ]" | "name or }" | "name" | ":" | ", or ]" | ", or }" | "the end";

/** The first place where a text breaks the grammar of JSON, or undefined. */
function mistake(text: string): { readonly at: number; readonly expected: string } | undefined {
  const open: ("{" | "[")[] = [];
  const after = (): State => open.length === 0 ? "the end" : open.at(-1) === "{" ? ", or }" : ", or ]";
  let state: State = "value";
  for (let at = 0;;) {
    blank.lastIndex = at;
    blank.test(text);
    at = blank.lastIndex;
    if (at >= text.length) return state === "the end" ? undefined : { at, expected: state };
    token.lastIndex = number.lastIndex = at;
    const found = token.exec(text)?.[0] || number.exec(text)?.[0] || "";
    const isText = found.startsWith('"');
    const control = isText ? found.search(/[\t\n\r]|[^ -\u{10ffff}]/u) : -1;
    if (control >= 0) return { at: at + control, expected: "the escape of a control character" };
    const isValue = state === "value" || state === "value or ]";
    if (isText && (state === "name" || state === "name or }")) state = ":";
    else if (found === ":" && state === ":") state = "value";
    else if (found === "," && state === ", or }") state = "name";
    else if (found === "," && state === ", or ]") state = "value";
    else if (isValue && (found === "{" || found === "[")) {
      open.push(found);
      state = found === "{" ? "name or }" : "value or ]";
    } else if (found === (open.at(-1) === "{" ? "}" : "]") && state.endsWith(found)) {
      open.pop();
      state = after();
    } else if (isValue && found !== "" && (isText || !/^[{}[\],:]$/.test(found))) state = after();
    else return { at, expected: state };
    at += found.length;
  }
}

/** The first byte that belongs to no valid UTF-8. */
function firstInvalid(bytes: Uint8Array): number {
  let [low, high] = [0, bytes.length]; // the first `low` bytes are the beginning of valid text, the first `high` are not
  const valid = (length: number): boolean => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (valid(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The value of a JSON text.
 *
 * @param bytes UTF-8, without a byte order mark.
 * @param options `path`: the file, for messages; `start`: where in it the text begins, in bytes, default 0; `what`: what is
 * read, for messages, default the path.
 * @returns What `JSON.parse` gives.
 * @throws {CorruptFileError} When the bytes are no UTF-8 or the text no JSON: one line with the byte.
 * @example
 * ```ts
 * import { parseJson } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = new TextEncoder().encode('{"a": NaN}');
 * assert.throws(() => parseJson(bytes, { path: "a.json" }), /Cannot read a\.json: .* at byte 6 .* "NaN}"/);
 * ```
 */
export function parseJson(
  bytes: Uint8Array,
  { path, start = 0, what = path }: {
    readonly path: string;
    readonly start?: number;
    readonly what?: string;
  },
): unknown {
  const refuse = (reason: string, at: number): CorruptFileError =>
    new CorruptFileError(`Cannot read ${what}: ${reason}`, { path, byte: start + at });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const at = firstInvalid(bytes);
    throw refuse(`it is no UTF-8 text at byte ${start + at}`, at);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const { at, expected } = mistake(text) ?? { at: text.length, expected: (error as Error).message };
    const byte = new TextEncoder().encode(text.slice(0, at)).length;
    const found = at >= text.length ? "the end" : JSON.stringify(text.slice(at, at + 12));
    const wanted = expected === "value" || expected === "name" ? `a ${expected}` : expected;
    throw refuse(`it is no JSON, at byte ${start + byte} there is ${found} where ${wanted} must be`, byte);
  }
}

/**
 * The value of a JSON file.
 *
 * @param path The file.
 * @param options `what`: what is read, for messages, default the path.
 * @returns What `JSON.parse` gives.
 * @throws {CorruptFileError} When it is no UTF-8 or no JSON: one line with the byte.
 * @throws {Error} When it cannot be read.
 * @example
 * ```ts
 * import { readJsonFile, writeFileAtomic } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.json`;
 * writeFileAtomic(path, '{"a": 1}');
 * assert.deepEqual(readJsonFile(path), { a: 1 });
 * ```
 */
export function readJsonFile(path: string, { what = path }: { readonly what?: string } = {}): unknown {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    const reason = code === "ENOENT"
      ? "there is no such file"
      : code === "EISDIR"
      ? "it is a folder"
      : code === "EACCES"
      ? "no permission to read it"
      : message;
    throw new Error(`Cannot read ${what}: ${reason}`, { cause: error });
  }
  return parseJson(bytes, { path, what });
}
