// The book of the notebooks: every chapter is there, every link leads somewhere, nothing is asked of a network.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chapterOf } from "../../lib/notebook/book_page.ts";
import { writeBook } from "../../lib/notebook/book.ts";
import { findNotebooks } from "../../lib/notebook/find.ts";
import { parseNotebook, serializeNotebook } from "../../lib/notebook/format.ts";
import { projectRoot } from "../../lib/notebook/paths.ts";

const inFolder = (test: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), "albert-book-"));
  try {
    test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** Stands for the pages that `deno doc` writes, which another test makes. */
const documentation = (output: string): void => {
  mkdirSync(output);
  writeFileSync(join(output, "index.html"), "");
};

const cell = (
  type: "code" | "markdown",
  source: string,
  data?: { readonly [mime: string]: string | object },
) => ({
  id: source.replace(/\W/g, "").slice(0, 20),
  type,
  source,
  tags: [],
  outputs: data === undefined ? [] : [{ output_type: "display_data", data, metadata: {} } as never],
});

Deno.test("writeBook() makes a page of every notebook, and every link and place in them is there", () => {
  inFolder((folder) => {
    const output = join(folder, "book");
    const { chapters } = writeBook({ output, documentation });
    const names = findNotebooks([join(projectRoot, "notebooks")]);
    assert.equal(chapters, names.length);
    const pages = readdirSync(output).filter((name) => name.endsWith(".html"));
    assert.equal(pages.length, names.length + 1);
    let followed = 0;
    for (const page of pages) {
      const html = readFileSync(join(output, page), "utf8");
      assert.match(html, /default-src 'none'/, page);
      assert.match(html, /href="docs\/index\.html"/, page);
      for (const [, target = ""] of html.matchAll(/(?:href|src)="([^"]*)"/g)) {
        if (/^(data:|https?:)/.test(target)) continue;
        const [file = "", place] = target.split("#");
        const path = join(output, file === "" ? page : file);
        assert.ok(existsSync(path), `${page} links to ${target}`);
        if (place !== undefined) {
          assert.ok(readFileSync(path, "utf8").includes(`id="${place}"`), `${page} links to ${target}`);
        }
        followed++;
      }
    }
    assert.ok(followed > 200, `${followed} links`);
  });
});

Deno.test("writeBook() gives the script of figures that turn to the pages that have one only", () => {
  inFolder((folder) => {
    const notebooks = join(folder, "notebooks");
    mkdirSync(notebooks);
    const figure = { "application/vnd.plotly.v1+json": { data: [], layout: {} }, "image/svg+xml": "<svg/>" };
    writeFileSync(
      join(notebooks, "00_turns.ipynb"),
      serializeNotebook({ cells: [cell("markdown", "# Turns"), cell("code", "1", figure)], guide: {} }),
    );
    writeFileSync(
      join(notebooks, "01_rests.ipynb"),
      serializeNotebook({ cells: [cell("markdown", "# Rests")], guide: {} }),
    );
    const output = join(folder, "book");
    writeBook({ notebooks, output, documentation });
    const scripts = (name: string): number =>
      [...readFileSync(join(output, name), "utf8").matchAll(/<script src=/g)].length;
    assert.deepEqual(["00_turns.html", "01_rests.html", "index.html"].map(scripts), [2, 0, 0]);
  });
});

Deno.test("writeBook() keeps an earlier book when a notebook has no title, and never replaces another folder", () => {
  inFolder((folder) => {
    const [notebooks, output] = [join(folder, "notebooks"), join(folder, "book")];
    mkdirSync(notebooks);
    const write = (text: string): void =>
      writeFileSync(
        join(notebooks, "00_a.ipynb"),
        serializeNotebook({ cells: [cell("markdown", text)], guide: {} }),
      );
    write("# First");
    writeBook({ notebooks, output, documentation });
    write("no title");
    assert.throws(() => writeBook({ notebooks, output, documentation }), /00_a\.ipynb: .*no title/);
    assert.match(readFileSync(join(output, "00_a.html"), "utf8"), /First/);
    assert.deepEqual(readdirSync(folder).sort(), ["book", "notebooks"]);
    write("# Second");
    assert.throws(() => writeBook({ notebooks, output: notebooks, documentation }), /holds something else/);
    assert.deepEqual(readdirSync(notebooks), ["00_a.ipynb"]);
  });
});

Deno.test("chapterOf() shows text as text, colours code, and makes pages of links to notebooks", () => {
  const { body, headings, title, opening, turns } = chapterOf(parseNotebook(serializeNotebook({
    cells: [
      cell(
        "markdown",
        "# A `<b>` & more\n\nIt opens.\n\n## Same\n\n## Same\n\n[next](01_b.ipynb#same) [docs](../build/docs/index.html)",
      ),
      cell("code", "const a = 1 < 2;", { "text/plain": "<script>alert(1)</script>" }),
      cell("code", "draw()", {
        "application/vnd.plotly.v1+json": { layout: { title: "</script><b>" }, data: [] },
        "image/svg+xml": "<svg/>",
        "text/plain": "a figure\nin words",
      }),
    ],
    guide: {},
  })));
  assert.equal(title, "A <b> & more");
  assert.equal(opening, "It opens.");
  assert.deepEqual(headings.map(({ id }) => id), ["a-b-more", "same", "same-1"]);
  assert.match(body, /<a href="01_b\.html#same">next<\/a> <a href="docs\/index\.html">/);
  assert.match(body, /<span class="hljs-keyword">const<\/span> a = <span class="hljs-number">1<\/span> &lt;/);
  assert.match(body, /&lt;script&gt;alert\(1\)/);
  assert.match(body, /alt="a figure"><script type="application\/json">\{"[^<]*\\u003c\/script>\\u003cb>/);
  assert.ok(turns);
});
