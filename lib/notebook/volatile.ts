/**
 * Outputs that depend on the machine: timings, names of processors. A cell shows the real thing to who executes it and
 * sends words for everybody else along, as `show(x, { volatile: "..." })` does; a notebook keeps the words only.
 */
import type { Json, Output } from "./format.ts";

type Display = Extract<Output, { readonly output_type: "display_data" }>;

/** Key of the mark in an output's metadata; `lib/show` writes it. */
const markKey = "albert-guide";

function volatileWords(metadata: Json): string | undefined {
  const mark = (metadata as { readonly [name: string]: Json } | null)?.[markKey];
  const words = (mark as { readonly volatile?: Json } | null | undefined)?.volatile;
  return typeof words === "string" ? words : undefined;
}

const escaped = (text: string): string =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/**
 * The output as a notebook keeps it: words in place of what depends on the machine.
 *
 * @param output Any display.
 * @returns The same when it is not marked; otherwise its words, still marked.
 */
export function keptDisplay(output: Display): Display {
  const words = volatileWords(output.metadata);
  if (words === undefined) return output;
  return {
    output_type: "display_data",
    data: { "text/html": `<p><em>${escaped(words)}</em></p>`, "text/plain": words },
    metadata: { [markKey]: { volatile: true } },
  };
}
