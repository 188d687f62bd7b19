/**
 * From a kernel's messages to the outputs that a notebook keeps: slots are updated, streams joined, and everything
 * that depends on the machine goes (colours, carriage returns, trailing blanks, the places of folders).
 */
import { isTextMime, type Json, type Output } from "./format.ts";
import { keptDisplay } from "./volatile.ts";
import type { JsonObject, KernelMessage } from "./wire.ts";

/** Gathers the outputs of all cells; a later cell may update a slot that an earlier one made. */
export type OutputCollector = {
  /** Adds the messages that arrived for a cell. */
  readonly add: (cell: number, messages: readonly KernelMessage[]) => void;
  /** The outputs of a cell as they stand now. */
  readonly outputs: (cell: number) => readonly Output[];
};

/** A place to hide: every occurrence of `path` becomes `name`. */
export type HiddenPath = { readonly path: string; readonly name: string };

/**
 * Makes a collector for one run of a notebook.
 *
 * @param hidden Folders whose places must not reach a notebook; longer ones first.
 * @returns The collector.
 */
export function createOutputCollector(hidden: readonly HiddenPath[] = []): OutputCollector {
  const cells = new Map<number, { output: Output; slot: string | undefined }[]>();
  const clearing = new Set<number>(); // cells whose next output replaces the old ones

  const list = (cell: number): { output: Output; slot: string | undefined }[] => {
    const found = cells.get(cell) ?? [];
    cells.set(cell, found);
    return found;
  };
  const push = (cell: number, output: Output, slot?: string): void => {
    if (clearing.delete(cell)) list(cell).length = 0;
    const last = list(cell).at(-1);
    if (
      last?.output.output_type === "stream" && output.output_type === "stream" &&
      last.output.name === output.name
    ) {
      last.output = { ...last.output, text: last.output.text + output.text };
    } else list(cell).push({ output, slot });
  };
  const take = (cell: number, { type, content }: KernelMessage): void => {
    const slot = (content["transient"] as JsonObject | undefined)?.["display_id"] as string | undefined;
    if (type === "stream") {
      push(cell, { output_type: "stream", name: String(content["name"]), text: String(content["text"]) });
    } else if (type === "display_data" || type === "execute_result") {
      push(cell, display(content), slot);
    } else if (type === "update_display_data") {
      for (const entry of [...cells.values()].flat()) {
        if (slot !== undefined && entry.slot === slot) entry.output = display(content);
      }
    } else if (type === "error") {
      push(cell, {
        output_type: "error",
        ename: String(content["ename"]),
        evalue: String(content["evalue"]),
      });
    } else if (type === "clear_output") {
      if (content["wait"] === true) clearing.add(cell);
      else list(cell).length = 0;
    }
  };
  return {
    add: (cell, messages) => messages.forEach((message) => take(cell, message)),
    outputs: (cell) => (cells.get(cell) ?? []).map(({ output }) => canonicalOutput(output, hidden)),
  };
}

function display(content: JsonObject): Output {
  const data = (content["data"] ?? {}) as { readonly [mime: string]: Json };
  return keptDisplay({ output_type: "display_data", data, metadata: (content["metadata"] ?? {}) as Json });
}

/**
 * Frees an output from what depends on the machine or the moment.
 *
 * @param output An output as a kernel sent it.
 * @param hidden Folders to name instead of to place.
 * @returns The output as it is stored and compared.
 * @example
 * ```ts
 * import { canonicalOutput } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const text = "\x1b[33m10 %\x1b[39m\r100 %  \n";
 * const output = canonicalOutput({ output_type: "stream", name: "stdout", text });
 * assert.deepEqual(output, { output_type: "stream", name: "stdout", text: "100 %\n" });
 * ```
 */
export function canonicalOutput(output: Output, hidden: readonly HiddenPath[] = []): Output {
  switch (output.output_type) {
    case "stream":
      return { ...output, text: canonicalText(output.text, hidden) };
    case "error":
      return {
        ...output,
        ename: canonicalText(output.ename, hidden),
        evalue: canonicalText(output.evalue, hidden),
      };
    case "display_data": {
      const data = Object.entries(output.data).map((
        [mime, value],
      ) => [
        mime,
        isTextMime(mime) && typeof value === "string"
          ? canonicalText(value, hidden)
          : hideInJson(value, hidden),
      ]);
      return { ...output, data: Object.fromEntries(data) };
    }
  }
}

/** JSON keeps its blanks, which may mean something there. */
function hideInJson(value: Json, hidden: readonly HiddenPath[]): Json {
  if (typeof value === "string") return hidePaths(value, hidden);
  if (Array.isArray(value)) return value.map((each) => hideInJson(each, hidden));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as { readonly [name: string]: Json });
  return Object.fromEntries(entries.map(([name, each]) => [name, hideInJson(each, hidden)]));
}

function canonicalText(text: string, hidden: readonly HiddenPath[]): string {
  // deno-lint-ignore no-control-regex -- colour codes begin with the escape character
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");
  return hidePaths(plain, hidden).split("\n").map((line) => overwritten(line).trimEnd()).join("\n");
}

function hidePaths(text: string, hidden: readonly HiddenPath[]): string {
  return hidden.reduce((result, { path, name }) => {
    if (path === "" || !result.includes(path)) return result;
    // Not within a longer path or an address that happens to contain this one.
    const escaped = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return result.replace(new RegExp(`(?<![\\w.-])(file://)?${escaped}`, "g"), name.replaceAll("$", "$$$$"));
  }, text);
}

/** What a terminal shows of a line with carriage returns: the last state. */
function overwritten(line: string): string {
  const states = line.split("\r").filter((state) => state !== "");
  return states.at(-1) ?? "";
}
