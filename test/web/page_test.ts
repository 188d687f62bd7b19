// The page of web/ in a real browser, Debian's Chromium: pieces, candidates, keyboard alone, refusals, and that nothing asks
// for anything beyond this machine.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { exportModel } from "../../lib/export/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { build, inBrowser, lacking, type Page, ready, until } from "./browser.ts";
import { sampleModel } from "../export/samples.ts";
import { exportSample, ourAnswers, web } from "./exported.ts";

const status = `document.querySelector("#status").textContent`;

const settled = (page: Page) => until(page, `/^(Filled|Cannot)/.test(${status})`);
const answers = `[...document.querySelectorAll("#answers tr")].map((row) => ({
  piece: row.querySelector("th").textContent,
  probability: Number(row.querySelector("td").dataset.probability),
}))`;
const pieces =
  `[...document.querySelectorAll("#pieces li")].map((piece) => piece.firstChild.textContent.trim())`;
const focused = `document.activeElement.id`;
/** Contrast of text and ground, WCAG 2: of the page and of the button. */
const contrasts =
  `[document.querySelector("section"), document.querySelector("#run"), document.querySelector("#status")].map((element) => {
  const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  let ground = element;
  while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
  const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(ground).backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
})`;

Deno.test({
  name: `the page shows the pieces and our candidates in a browser, and asks nobody else${lacking}`,
  ignore: lacking !== "",
  fn: async () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-page-"));
    try {
      const { model } = await exportSample(join(folder, "sample"));
      await inBrowser(join(folder, "sample"), async (page, url, log) => {
        await settled(page);
        const check = async (text: string): Promise<void> => {
          const ours = (await ourAnswers(text, model)).flat();
          const seen = await page.evaluate(answers) as { piece: string; probability: number }[];
          assert.deepEqual(seen.map(({ piece }) => piece), ours.map(({ piece }) => piece), text);
          for (const [i, { probability }] of ours.entries()) {
            assert.ok(Math.abs((seen[i]?.probability ?? NaN) - probability) < 1e-4, text);
          }
        };
        await check("The LORD is my [MASK]; I shall not want.");
        const encode = loadSentencePiece(model.tokenizer).encode;
        assert.deepEqual(
          (await page.evaluate(pieces) as string[]).slice(0, 6),
          ["[CLS]", ...encode("the lord is my"), "[MASK]"],
        );

        // By keyboard alone: to the text, another one with two masks in two segments, Enter.
        for (let i = 0; i < 10 && await page.evaluate(focused) !== "text"; i++) {
          await page.keyboard.press("Tab");
        }
        await page.keyboard.press("Control+a");
        await page.keyboard.type("God [MASK] the light || and it was so");
        assert.equal(await page.evaluate(status), "Press Enter to fill.");
        for (const next of ["run", "mask", "weights"]) {
          await page.keyboard.press("Tab");
          assert.equal(await page.evaluate(focused), next);
        }
        for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+Tab");
        await page.keyboard.press("End");
        await page.keyboard.type(" in the [MASK].");
        await page.keyboard.press("Enter");
        await settled(page);
        await check("God [MASK] the light || and it was so in the [MASK].");

        // What cannot be filled is said in a line, and the page goes on.
        await page.keyboard.press("Control+a");
        await page.keyboard.type("no mask");
        assert.equal(await page.evaluate(status), "Cannot fill: the text has no [MASK]");
        await page.keyboard.press("Control+a");
        await page.keyboard.type("[MASK]".padEnd(300, " a"));
        assert.match(
          String(await page.evaluate(status)),
          /^Cannot fill: the text has \d+ pieces, the model has 64 /,
        );

        // Smaller weights, chosen by keyboard too, answer as well.
        await page.keyboard.press("Control+a");
        await page.keyboard.type("in the [MASK].");
        for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("ArrowDown");
        await until(page, `document.querySelector("#weights").value === "model_quantized.onnx"`);
        await until(page, `document.querySelectorAll("#answers tr").length === 5`);

        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize({ width: 360, height: 740 });
          const width = await page.evaluate("document.documentElement.scrollWidth");
          assert.ok(Number(width) <= 360, `${width} wide on a phone`);
          for (const contrast of await page.evaluate(contrasts) as number[]) {
            assert.ok(contrast >= 4.5, `${colorScheme}: ${contrast}`);
          }
          const shots = process.env["ALBERT_SCREENSHOTS"];
          if (shots !== undefined) {
            await page.screenshot({ path: join(shots, `page_${colorScheme}.png`), fullPage: true });
          }
        }
        // The page links to the library's documentation, which is served beside it.
        const links = await page.evaluate(
          `[...document.querySelectorAll("a")].map((link) => link.href)`,
        ) as string[];
        assert.deepEqual(links, [`${url}docs/index.html`]);
        for (const link of links) {
          assert.match(await (await fetch(link)).text(), /<title>albert-guide documentation/);
        }
        assert.ok(log.requests.some((asked) => asked.endsWith("/model/model.onnx")));
        assert.deepEqual(
          log.requests.filter((asked) => !asked.startsWith(url) && !asked.startsWith("data:")),
          [],
        );
        assert.deepEqual(log.errors, []);
        // The page itself forbids it, so that a later script cannot either.
        const outside = await page.evaluate(
          `fetch("https://example.org/").then(() => "went out", () => "forbidden")`,
        );
        assert.equal(outside, "forbidden");
        assert.ok(log.errors.some((error) => /Content Security Policy/.test(error)));
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: `deno task web says what is missing and leaves nothing half${lacking}`,
  ignore: !ready,
  fn: () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-page-"));
    try {
      const said = build(join(folder, "no"), join(folder, "web"));
      assert.match(
        said,
        /^failed: Cannot build the page: .*onnx\/model\.onnx is missing; make the folder by albert export/,
      );
      assert.ok(!existsSync(join(folder, "web")));
      // Of a model with capitals and accents the page keeps both.
      exportModel(join(folder, "cased"), sampleModel(), {
        formats: ["onnx"],
        doLowerCase: false,
        keepAccents: true,
      });
      assert.match(build(join(folder, "cased"), join(folder, "web")), /the page with/);
      const told = JSON.parse(readFileSync(join(folder, "web", "model", "index.json"), "utf8"));
      assert.deepEqual([told.doLowerCase, told.keepAccents], [false, true]);
      assert.doesNotMatch(readFileSync(join(web, "index.html"), "utf8"), /https?:\/\//);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
