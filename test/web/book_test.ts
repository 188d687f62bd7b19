// The book of the notebooks in a real browser, opened from the disk: its figures turn, and it asks for nothing else.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { writeBook } from "../../lib/notebook/book.ts";
import { lacking, openPage } from "./browser.ts";

Deno.test({
  name: `the book draws its figures from the disk, without a network, at the width of a phone${lacking}`,
  ignore: lacking !== "",
  fn: async () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-book-"));
    try {
      writeBook({ output: join(folder, "book"), documentation: () => {} });
      const address = (name: string): string => pathToFileURL(join(folder, "book", `${name}.html`)).href;
      await openPage(address("07_model"), async (page, log) => {
        const undrawn = `document.querySelectorAll("figure.turns img").length`;
        for (let tries = 0; tries < 200 && await page.evaluate(undrawn) !== 0; tries++) {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        const drawn = `[...document.querySelectorAll("figure.turns")].map((figure) =>
          figure.querySelectorAll("svg.main-svg").length > 0)`;
        assert.deepEqual(await page.evaluate(drawn), [true, true, true]);
        await page.setViewportSize({ width: 400, height: 800 });
        for (const name of ["index", "02_configuration", "06_records"]) {
          await page.goto(address(name));
          assert.equal(await page.evaluate(`document.documentElement.scrollWidth`), 400, name);
        }
        assert.deepEqual(log.errors, []);
        const elsewhere = log.requests.filter((url) => !/^(data|blob):/.test(url))
          .filter((url) => !url.startsWith(pathToFileURL(folder).href));
        assert.deepEqual(elsewhere, []);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
