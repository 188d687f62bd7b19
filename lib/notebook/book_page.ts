/**
 * One notebook as a page for a browser: prose, highlighted cells and what they showed. Everything that a page needs lies
 * beside it, and its policy lets it ask for nothing else. Figures that turn are drawn by a script from data in the page;
 * until then, and without the script, their picture stands there.
 */
import highlight from "highlight.js";
import { Marked } from "marked";
import type { Json, Notebook, Output } from "./format.ts";

/** A place in a page that its contents list. */
export type Heading = { readonly level: number; readonly text: string; readonly id: string };

/** A notebook as HTML. */
export type Chapter = {
  /** Its title as text. */
  readonly title: string;
  /** The first paragraph under the title, as HTML. */
  readonly opening: string;
  /** All cells, as HTML. */
  readonly body: string;
  readonly headings: readonly Heading[];
  /** Whether a figure in it is drawn by plotly.js. */
  readonly turns: boolean;
};

/** Text inside HTML. */
export const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const withoutTags = (html: string): string =>
  html.replace(/<[^>]*>/g, "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'").replaceAll("&amp;", "&");

const slug = (text: string): string =>
  text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

const colored = (code: string, language: string): string =>
  highlight.getLanguage(language) === undefined
    ? escapeHtml(code)
    : highlight.highlight(code, { language }).value;

/** A link of a notebook as a link of its page: other notebooks are pages, the documentation lies beside them. */
const relinked = (target: string): string =>
  target.replace(/^\.\.\/build\/docs\//, "docs/").replace(/^([\w-]+)\.ipynb(?=#|$)/, "$1.html");

/** Markdown to HTML that collects the headings it meets. */
function prose(headings: Heading[]): (text: string) => string {
  const used = new Map<string, number>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth }) {
        const html = this.parser.parseInline(tokens);
        const text = withoutTags(html);
        const again = used.get(slug(text)) ?? 0;
        used.set(slug(text), again + 1);
        const id = again === 0 ? slug(text) : `${slug(text)}-${again}`;
        headings.push({ level: depth, text, id });
        return `<h${depth} id="${id}">${html}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        return `<a href="${escapeHtml(relinked(href))}">${this.parser.parseInline(tokens)}</a>`;
      },
      code({ text, lang }) {
        return `<pre class="code"><code>${colored(text, lang ?? "")}</code></pre>\n`;
      },
    },
  });
  return (text) => marked.parse(text, { async: false });
}

const picture = (svg: string, label: string): string =>
  `<img src="data:image/svg+xml;base64,${new TextEncoder().encode(svg).toBase64()}" alt="${
    escapeHtml(label)
  }">`;

/** JSON that may stand in a script element. */
const inScript = (value: Json): string => JSON.stringify(value).replaceAll("<", "\\u003c");

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? "";

/** The richest form of what a cell showed. */
function outputHtml(output: Output, markdown: (text: string) => string): string {
  if (output.output_type === "stream") return `<pre class="text">${escapeHtml(output.text)}</pre>`;
  if (output.output_type === "error") {
    return `<pre class="text error">${escapeHtml(`${output.ename}: ${output.evalue}`)}</pre>`;
  }
  const { data } = output;
  const text = (mime: string): string | undefined => {
    const value = data[mime];
    return typeof value === "string" ? value : undefined;
  };
  const plain = text("text/plain") ?? "";
  const html = text("text/html");
  const svg = text("image/svg+xml");
  const plotly = data["application/vnd.plotly.v1+json"];
  if (plotly !== undefined) {
    const still = svg === undefined ? "" : picture(svg, firstLine(plain));
    return `<figure class="turns">${still}<script type="application/json">${
      inScript(plotly)
    }</script></figure>`;
  }
  if (html !== undefined) return `<div class="shown">${html}</div>`;
  if (svg !== undefined) return `<figure>${picture(svg, firstLine(plain))}</figure>`;
  const document = text("text/markdown");
  if (document !== undefined) return `<div class="shown document">${markdown(document)}</div>`;
  return `<pre class="text">${escapeHtml(plain)}</pre>`;
}

/**
 * Makes HTML of a notebook.
 *
 * @param notebook Cells with their stored outputs.
 * @returns Title, opening, body and headings; the body is to stand in an element of a page that `book.ts` makes.
 * @throws {RangeError} When it has no title: no `# …` line in its prose.
 */
export function chapterOf({ cells }: Notebook): Chapter {
  const headings: Heading[] = [];
  const markdown = prose(headings);
  // Headings of a shown document are not the notebook's.
  const aside = prose([]);
  const parts = cells.map(({ type, source, outputs }) => {
    if (type === "markdown") return `<section class="prose">\n${markdown(source)}</section>`;
    const shown = outputs.map((output) => outputHtml(output, aside)).join("\n");
    return `<section class="cell">\n<pre class="code"><code>${colored(source, "typescript")}</code></pre>\n${
      shown === "" ? "" : `<div class="output">${shown}</div>\n`
    }</section>`;
  });
  const title = headings.find(({ level }) => level === 1)?.text;
  if (title === undefined) {
    throw new RangeError("Cannot make a page: the notebook has no title, give it a line that begins with #");
  }
  const body = parts.join("\n");
  const opening = /<\/h1>\s*<p>([\s\S]*?)<\/p>/.exec(body)?.[1] ?? "";
  return { title, opening, body, headings, turns: body.includes('<figure class="turns">') };
}
