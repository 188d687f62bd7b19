/**
 * Text of a program as a person reads it: monospaced, with the parts of speech in colours that stand out on light and on
 * dark pages alike (contrast 4 and more on both), since HTML in a notebook cannot know which one it is on.
 */
import { escapeMarkup, type Showable } from "./bundle.ts";

/** Parts of speech with their colours; the first rule that fits a place wins. */
const rules: readonly { readonly pattern: string; readonly style: string }[] = [
  { pattern: "//[^\\n]*", style: "color:#0b8272" },
  { pattern: "\\b(?:func\\.func|return|stablehlo\\.\\w+)|\\bapplies\\b|\\binit\\b", style: "color:#2672c9" },
  { pattern: "tensor<[^>]*>", style: "color:#a855c8" },
  { pattern: "%\\w+(?:#\\d+)?", style: "color:#c2571a" },
];

/**
 * Makes a listing of a StableHLO program; other text is shown without colours where no rule fits.
 *
 * @param text The program.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { programListing } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { bundle } = programListing("%v0 = stablehlo.tanh %arg0 : tensor<2xf32>");
 * assert.equal(bundle["text/plain"], "%v0 = stablehlo.tanh %arg0 : tensor<2xf32>");
 * assert.match(String(bundle["text/html"]), /<span style="[^"]+">stablehlo\.tanh<\/span>/);
 * ```
 */
export function programListing(text: string): Showable {
  const any = new RegExp(rules.map(({ pattern }) => `(${pattern})`).join("|"), "g");
  let markup = "";
  let last = 0;
  for (const match of text.matchAll(any)) {
    const rule = rules[match.slice(1).findIndex((group) => group !== undefined)];
    markup += escapeMarkup(text.slice(last, match.index));
    markup += `<span style="${rule?.style}">${escapeMarkup(match[0])}</span>`;
    last = match.index + match[0].length;
  }
  markup += escapeMarkup(text.slice(last));
  return { bundle: { "text/html": `<pre style="overflow-x:auto">${markup}</pre>`, "text/plain": text } };
}
