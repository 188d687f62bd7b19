// The page that pretrains, in a real browser: the whole road by keyboard alone, closed in the middle and taken up again, to the
// same weights as in a terminal; own texts and wrong ones; a second tab; no WebGPU.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { tfjsEngine } from "../../lib/engines/mod.ts";
import { readHuggingFace } from "../../lib/export/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { fillMask, latestCheckpoint, readCheckpoint } from "../../lib/train/mod.ts";
import { type PipelineEvent, runPipeline } from "../../web/pretrain/pipeline.ts";
import type { Point } from "../../web/pretrain/stages.ts";
import { serveFolder } from "../../web/serve.ts";
import { build, lacking, openPage, type Page, type PageLog, ready, until } from "./browser.ts";
import { web } from "./exported.ts";

const textOf = (id: string): string => `document.querySelector("#${id}").textContent`;
const status = textOf("status");
const isDisabled = (id: string): string => `document.querySelector("#${id}").disabled`;
const focused = `document.activeElement.id`;
const click = (page: Page, id: string): Promise<unknown> =>
  page.evaluate(`document.querySelector("#${id}").click()`);

/** The built page, served while a test runs. */
async function inTab(
  test: (page: Page, log: PageLog, more: () => Promise<Page>) => Promise<void>,
  flags: readonly string[] = [],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-tab-"));
  try {
    assert.match(build(undefined, join(folder, "web")), /the page that pretrains/);
    const { url, close } = await serveFolder(join(folder, "web"), 0);
    try {
      await openPage(url, test, flags);
    } finally {
      close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Presses Tab until an element has the focus. */
async function tabTo(page: Page, id: string): Promise<void> {
  for (let i = 0; i < 40 && await page.evaluate(focused) !== id; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(focused), id);
}

const steps = 1600;
const curve =
  `JSON.stringify([...document.querySelectorAll("#curve path")].map((path) => path.getAttribute("d")))`;

/** What the terminal makes of the same choice, without a stop. */
async function inTerminal(folder: string): Promise<{ readonly points: Point[]; readonly unigram: number }> {
  const points: Point[] = [];
  let unigram = NaN;
  const onEvent = (event: PipelineEvent): void => {
    if (event.kind === "points") points.push(...event.points);
    if (event.kind === "baselines") unigram = event.baselines.unigram_mask_loss;
  };
  await runPipeline(folder, {
    choice: { corpus: "kjv", vocab_size: 1000, steps, seed: 1 },
    engine: await tfjsEngine({ backend: "wasm" }),
    dataDir: join(dirname(web), "data"),
    keep: () => Promise.resolve(),
    signal: new AbortController().signal,
    onEvent,
  });
  return { points, unigram };
}

/** The files of a zip without compression, by the package that made it. */
function unzip(bytes: Uint8Array): Record<string, Uint8Array> {
  const { unzipSync } = createRequire(join(web, "_.js"))("fflate") as {
    readonly unzipSync: (bytes: Uint8Array) => Record<string, Uint8Array>;
  };
  return unzipSync(bytes);
}

Deno.test({
  name:
    `the tab goes from text to a model that leaves the plateau, by keyboard, and over a reload to the terminal's bits${lacking}`,
  ignore: lacking !== "",
  fn: async () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-tab-"));
    try {
      await inTab(async (page, log) => {
        await until(page, `${status} === "Ready."`);
        await tabTo(page, "start");
        await page.evaluate(`document.querySelector("#steps").value = ${steps}`);
        await page.keyboard.press("Enter");
        assert.equal(await page.evaluate(focused), "pause");
        await until(page, `/Step [5-9]\\d\\d of/.test(${status})`, { seconds: 60 });
        assert.match(
          String(await page.evaluate(textOf("engine"))),
          /^tfjs-wasm: this browser gives no WebGPU adapter$/,
        );
        await page.reload(); // without a word before
        await until(page, `/^A run stands here, at step \\d+ of ${steps}: go on/.test(${status})`);
        await tabTo(page, "start");
        await page.keyboard.press("Enter");
        await until(page, `/^Finished after step ${steps}/.test(${status})`, { seconds: 90 });
        assert.equal(await page.evaluate(isDisabled("start")), true);
        const seen = Number(/loss on \[MASK\] ([\d.]+) nats/.exec(String(await page.evaluate(status)))?.[1]);

        const { points, unigram } = await inTerminal(folder);
        const last = points.at(-1);
        assert.ok(seen < unigram - 0.2, `held-out loss ${seen}, unigram ${unigram}`);
        assert.equal(seen, Number(last?.heldOut?.toFixed(2)));
        assert.equal(points.length, steps / 25);
        const [train] = JSON.parse(String(await page.evaluate(curve))) as string[];
        assert.equal(train?.match(/[ML]/g)?.length, points.length, "the curve of before the reload is there");

        await page.evaluate(
          `document.querySelector("#sentence").value = "In the beginning God [MASK] the heaven and the [MASK]."`,
        );
        await click(page, "run");
        await until(page, `document.querySelectorAll("#answers table").length === 2`);
        const { config, parameters: weights } = readCheckpoint(latestCheckpoint(join(folder, "model")) ?? "");
        const [ours] = await fillMask("in the beginning god [MASK] the heaven and the [MASK].", {
          engine: await tfjsEngine({ backend: "wasm" }),
          config,
          parameters: weights,
          tokenizer: loadSentencePiece(readFileSync(join(folder, "tokenizer.model"))),
        });
        const answered = await page.evaluate(
          `[...document.querySelector("#answers table").querySelectorAll("th")].map((cell) => cell.textContent)`,
        );
        assert.deepEqual(
          answered,
          ours?.map(({ piece }) => piece),
          "capital letters are asked as records have them",
        );
        // What the page gives to save is read back here.
        await page.evaluate(`(() => {
          const make = URL.createObjectURL;
          URL.createObjectURL = (blob) => (blob.arrayBuffer().then((bytes) => {
            let text = "";
            for (const byte of new Uint8Array(bytes)) text += String.fromCharCode(byte);
            globalThis.zipped = btoa(text);
          }), make.call(URL, blob));
        })()`);
        await click(page, "zip");
        await until(page, `typeof globalThis.zipped === "string"`);
        const files = unzip(
          new Uint8Array(Buffer.from(String(await page.evaluate("globalThis.zipped")), "base64")),
        );
        const unpacked = join(folder, "unpacked");
        for (const [name, bytes] of Object.entries(files)) {
          mkdirSync(dirname(join(unpacked, name)), { recursive: true });
          writeFileSync(join(unpacked, name), bytes);
        }
        assert.equal(loadSentencePiece(readFileSync(join(unpacked, "albert", "spiece.model"))).size, 1000);
        const { parameters } = readHuggingFace(join(unpacked, "albert"));
        const own = readCheckpoint(latestCheckpoint(join(folder, "model")) ?? "").parameters;
        const name = "bert/embeddings/word_embeddings";
        assert.deepEqual(parameters[name], own[name], "the weights are the terminal's, to the bit");
        assert.deepEqual(log.errors, []);
        assert.deepEqual(
          log.requests.filter((url) => !/^(http:\/\/127\.0\.0\.1:|blob:|data:)/.test(url)),
          [],
        );
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
});

Deno.test({
  name: `the tab says what is wrong with a text, a file, a setting and a second tab, and pauses${lacking}`,
  ignore: lacking !== "",
  fn: async () => {
    await inTab(async (page, log, more) => {
      await until(page, `${status} === "Ready."`);
      await page.evaluate(`document.querySelectorAll("input[name=corpus]")[1].click()`);
      const give = (name: string, bytes: Uint8Array): Promise<void> =>
        page.setInputFiles("#file", { name, mimeType: "text/plain", buffer: Buffer.from(bytes) });
      await give("picture.txt", Uint8Array.of(0xff, 0xd8, 0xff));
      await until(page, `/^Cannot read picture.txt: it is no UTF-8 text/.test(${status})`);
      await give("zeros.txt", new Uint8Array(3000));
      await until(page, `/^Cannot read zeros.txt: it is no text/.test(${status})`);
      await give("short.txt", new TextEncoder().encode("Too short."));
      await until(page, `/^short.txt: 10 characters/.test(${status})`);
      await click(page, "start");
      await until(page, `/^Your text has 10 characters; a model needs at least 2,000/.test(${status})`);
      const book = readFileSync(join(dirname(web), "CONTRIBUTING.md"));
      await give("book.txt", book);
      await until(page, `/^book.txt/.test(${status})`);
      await page.evaluate(`document.querySelector("#steps").value = "7"`);
      await click(page, "start");
      await until(page, `/^Steps of training is 7, expected a whole number from 100/.test(${status})`);
      assert.equal(await page.evaluate(focused), "steps");
      await page.evaluate(`document.querySelector("#steps").value = "5000"`);
      await click(page, "start");
      await until(page, `/Step \\d+ of 5000/.test(${status})`, { seconds: 40 });
      const second = await more();
      await until(second, `/^Cannot work here: another tab of this page is open/.test(${status})`);
      assert.equal(await second.evaluate(isDisabled("start")), true);
      await click(page, "pause");
      await until(page, `/^Paused after step \\d+/.test(${status})`);
      const at = /step (\d+)/.exec(String(await page.evaluate(status)))?.[1];
      await page.reload();
      await until(page, `/^A run stands here, at step ${at} of 5000/.test(${status})`);
      assert.equal(
        await page.evaluate(`document.querySelector("#text").value.length`),
        book.toString().length,
      );
      await page.evaluate(`globalThis.confirm = () => true`);
      await click(page, "reset");
      await until(page, `${status} === "Removed. Ready."`);
      await page.reload();
      await until(page, `${status} === "Ready."`);
      assert.deepEqual(log.errors, []);
    });
  },
});

Deno.test({
  name: `building the tab's page needs no model${ready ? "" : lacking}`,
  ignore: !ready,
  fn: () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-tab-"));
    try {
      assert.match(
        build(undefined, join(folder, "web")),
        /the page that pretrains; any static server can give it out/,
      );
      const worker = readFileSync(join(folder, "web", "worker.js"), "utf8");
      assert.doesNotMatch(worker, /from\s*"node:/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
});
