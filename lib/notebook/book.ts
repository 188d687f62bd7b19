/**
 * The notebooks as a book for a browser: a page each, the library's documentation, and all they need beside them, so that
 * they are read from the disk or any server, without a network. `deno task book` writes `build/book`.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Chapter, chapterOf, escapeHtml } from "./book_page.ts";
import { writeDocs } from "./docs.ts";
import { findNotebooks } from "./find.ts";
import { parseNotebook } from "./format.ts";
import { projectRoot } from "./paths.ts";

/** Options of `writeBook`. */
export type BookOptions = {
  /** The project. Default: this one. */
  readonly root?: string;
  /** Folder of the notebooks. Default: `notebooks` in `root`. */
  readonly notebooks?: string;
  /** Folder of the pages; an earlier one is replaced. Default: `build/book` in `root`. */
  readonly output?: string;
  /** Writes the documentation into a folder. Default: `writeDocs`. */
  readonly documentation?: (output: string) => void;
};

type Page = Chapter & { readonly name: string };

/** What a page may do: show what lies beside it and in it. */
const policy =
  "default-src 'none'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self'; font-src 'self'";

function frame(
  title: string,
  content: string,
  { contents, turns = false }: { readonly contents: string; readonly turns?: boolean },
): string {
  const scripts = turns
    ? `<script src="plotly.min.js" defer></script>\n<script src="book_figures.js" defer></script>\n`
    : "";
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="book.css">
${scripts}</head>
<body>
<a class="skip" href="#content">To the text</a>
<nav aria-label="Chapters">
${contents}
</nav>
<main id="content">
${content}
</main>
</body>
</html>
`;
}

/** The list of chapters, with the sections of the one that is open. */
function contentsOf(pages: readonly Page[], open: Page | undefined): string {
  const items = pages.map((page) => {
    const current = page === open ? ' aria-current="page"' : "";
    const sections = page !== open ? "" : `\n<ol>${
      page.headings.filter(({ level }) => level === 2)
        .map(({ id, text }) => `<li><a href="#${id}">${escapeHtml(text)}</a></li>`).join("")
    }</ol>`;
    return `<li><a href="${page.name}.html"${current}>${
      escapeHtml(`${page.name.slice(0, 2)} ${page.title.split(":")[0]}`)
    }</a>${sections}</li>`;
  });
  return `<p><a href="index.html">albert-guide</a></p>
<ul>
${items.join("\n")}
<li><a href="docs/index.html">Documentation of the library</a></li>
</ul>`;
}

function chapterPage(pages: readonly Page[], at: number): string {
  const page = pages[at] as Page;
  const step = (other: Page | undefined, rel: string, mark: string): string =>
    other === undefined
      ? ""
      : `<a rel="${rel}" href="${other.name}.html">${mark} ${
        escapeHtml(other.title.split(":")[0] ?? "")
      }</a>`;
  const end = `<footer>
<p>${step(pages[at - 1], "prev", "Before:")} ${step(pages[at + 1], "next", "Next:")}</p>
<p><a href="${page.name}.ipynb" download>The notebook itself</a>, to execute it</p>
</footer>`;
  return frame(`${page.title} · albert-guide`, `${page.body}\n${end}`, {
    contents: contentsOf(pages, page),
    turns: page.turns,
  });
}

function indexPage(pages: readonly Page[]): string {
  const list = pages.map(({ name, title, opening }) =>
    `<li><a href="${name}.html">${escapeHtml(title)}</a><p>${opening}</p></li>`
  );
  const content = `<h1>Pretrain your own ALBERT, in TypeScript</h1>
<p>From raw text to a language model that Hugging Face loads: each chapter is a notebook, shown as it ran. The
<a href="docs/index.html">documentation of the library</a> explains every function that they call.</p>
<ol class="chapters" start="0">
${list.join("\n")}
</ol>`;
  return frame("albert-guide", content, { contents: contentsOf(pages, undefined) });
}

/**
 * Writes the book.
 *
 * @param options See {@link BookOptions}.
 * @returns The page to begin with, and how many chapters there are.
 * @throws {Error} When a notebook cannot be read, has no title, or `deno doc` finds a mistake; an earlier book stays.
 */
export function writeBook({
  root = projectRoot,
  notebooks = join(root, "notebooks"),
  output = join(root, "build", "book"),
  documentation = (output) => void writeDocs({ root, output }),
}: BookOptions = {}): { readonly index: string; readonly chapters: number } {
  const pages = findNotebooks([notebooks]).map((path): Page => {
    try {
      return { name: basename(path, ".ipynb"), ...chapterOf(parseNotebook(readFileSync(path, "utf8"))) };
    } catch (cause) {
      throw new Error(`Cannot make a page of ${path}: ${(cause as Error).message}`, { cause });
    }
  });
  if (existsSync(output) && readdirSync(output).length > 0 && !existsSync(join(output, "book.css"))) {
    throw new Error(`Cannot write the book to ${output}: the folder holds something else, choose another`);
  }
  const draft = `${output}.tmp-${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  try {
    mkdirSync(draft, { recursive: true });
    const here = dirname(fileURLToPath(import.meta.url));
    for (const asset of ["book.css", "book_figures.js"]) copyFileSync(join(here, asset), join(draft, asset));
    if (pages.some(({ turns }) => turns)) {
      const plotly = join(root, "node_modules", "plotly.js-dist-min", "plotly.min.js");
      copyFileSync(plotly, join(draft, "plotly.min.js"));
    }
    for (const [at, { name }] of pages.entries()) {
      writeFileSync(join(draft, `${name}.html`), chapterPage(pages, at));
      copyFileSync(join(notebooks, `${name}.ipynb`), join(draft, `${name}.ipynb`));
    }
    writeFileSync(join(draft, "index.html"), indexPage(pages));
    documentation(join(draft, "docs"));
    rmSync(output, { recursive: true, force: true });
    renameSync(draft, output);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return { index: join(output, "index.html"), chapters: pages.length };
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      options: { output_dir: { type: "string", default: join(projectRoot, "build", "book") } },
    });
    const { index, chapters } = writeBook({ output: resolve(values.output_dir) });
    process.stdout.write(
      `the book: ${chapters} chapters and the documentation, open ${relative(process.cwd(), index)}\n`,
    );
  } catch (error) {
    process.stderr.write(`book: ${(error as Error).message}\n`);
    process.exit(1);
  }
}
