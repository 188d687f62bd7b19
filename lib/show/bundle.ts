/**
 * MIME bundles: one output in several forms, of which every viewer takes the best it knows. The forms and the order in
 * which JupyterLab, nbconvert and static viewers take them were measured; a picture that is only SVG carries an HTML
 * image beside it, because JupyterLab drops bare SVG in a notebook that is not trusted.
 */
import { Buffer } from "node:buffer";

/**
 * One output in several forms, keyed by MIME type; JSON types hold objects, all others strings.
 *
 * @example
 * ```ts
 * import { type Bundle, html } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bundle: Bundle = html("<b>bold</b>").bundle;
 * assert.equal(bundle["text/plain"], "bold");
 * ```
 */
export type Bundle = Readonly<Record<string, string | object>>;

/**
 * A finished picture, table or page that `show` displays as it is.
 *
 * @example
 * ```ts
 * import { type Showable, table } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const small: Showable = table([{ piece: "▁the", id: 13 }]);
 * assert.ok("text/html" in small.bundle);
 * ```
 */
export type Showable = {
  /** The forms of this output. */
  readonly bundle: Bundle;
};

/** Escapes what is special in HTML and SVG text and attributes; control characters, which XML forbids, become U+FFFD. */
export function escapeMarkup(text: string): string {
  // deno-lint-ignore no-control-regex -- exactly these are not allowed in XML
  const clean = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd").replace(
    /\p{Surrogate}/gu,
    "\ufffd",
  );
  return clean.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}

/**
 * Makes an output from HTML. JupyterLab sanitises it in untrusted notebooks: no scripts, no inline SVG.
 *
 * @param markup The HTML; text inside must be escaped by the caller.
 * @param options See the fields.
 * @param options.text Plain text for terminals; default: the markup without its tags.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { html } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(html("<i>1 &lt; 2</i>").bundle, {
 *   "text/html": "<i>1 &lt; 2</i>",
 *   "text/plain": "1 < 2",
 * });
 * ```
 */
export function html(markup: string, { text }: { readonly text?: string } = {}): Showable {
  const plain = text ??
    markup.replace(/<[^>]*>/g, "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"')
      .replace(/&#39;/g, "'").replace(/&amp;/g, "&").trim();
  return { bundle: { "text/html": markup, "text/plain": plain } };
}

/** Above this many bytes a picture is not stored twice: a notebook may hold 100 kB. */
const largestCopy = 3000;

/**
 * A pure SVG picture. An untrusted JupyterLab shows no SVG but does show an image in HTML, so a small picture carries both;
 * a large one falls back to its text there until the notebook is run or trusted.
 */
export function svgPicture(svg: string, text: string): Showable {
  const bundle = { "image/svg+xml": svg, "text/plain": text };
  if (svg.length > largestCopy) return { bundle };
  const data = Buffer.from(svg, "utf8").toString("base64");
  const alt = escapeMarkup(text.split("\n")[0] ?? "");
  return { bundle: { ...bundle, "text/html": `<img alt="${alt}" src="data:image/svg+xml;base64,${data}">` } };
}
