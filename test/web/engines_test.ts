// WebGPU in a real browser, on a processor that stands for a GPU: the operations, random graphs with their gradients, and a short
// training, held against the reference and WebAssembly as the engines of a terminal are.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openEngine, pretrain } from "albert-guide";
import type { HostArray, OperationName, Tensor } from "albert-guide";
import { serveFolder } from "../../web/serve.ts";
import { assertClose } from "../engines/assert_close.ts";
import { cases, tolerance } from "../engines/cases.ts";
import { assertAgree, randomGraph, runOn } from "../engines/random_graphs.ts";
import { config, examples, runOf } from "../engines/small_run.ts";
import { valuesOn } from "../engines/values_on.ts";
import { lacking, openPage, type Page, ready, until } from "./browser.ts";
import { web } from "./exported.ts";

const flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];

async function inPage(test: (page: Page) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-gpu-"));
  try {
    const script = join(dirname(web), "test", "web", "bundle_engines.mjs");
    const args = ["run", "-A", `--config=${join(web, "deno.json")}`, script, join(folder, "page.js")];
    const { status, stderr } = spawnSync(Deno.execPath(), args, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    writeFileSync(
      join(folder, "index.html"),
      `<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>`,
    );
    const { url, close } = await serveFolder(folder, 0);
    try {
      await openPage(url, async (page, log) => {
        await until(page, "globalThis.suite !== undefined");
        await test(page);
        assert.deepEqual(log.errors, []);
      }, flags);
    } finally {
      close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Sent = readonly { readonly kind: string; readonly values: readonly (number | string)[] }[];

const arrays: Readonly<Record<string, new (values: readonly number[]) => HostArray>> = {
  Float32Array,
  Int32Array,
  Uint32Array,
  Uint8Array,
};
const received = (sent: unknown): HostArray[] =>
  (sent as Sent).map(({ kind, values }) => new (arrays[kind] ?? Float32Array)(values.map(Number)));

Deno.test({
  name:
    `WebGPU in Chromium agrees with the reference on every operation, random graphs and a training${lacking}`,
  ignore: lacking !== "" || !ready,
  fn: async () => {
    await inPage(async (page) => {
      assert.match(String(await page.evaluate("suite.device()")), /^WebGPU, /);
      const names = Object.keys(cases) as OperationName[];
      assert.deepEqual(await page.evaluate("suite.operations"), names);
      for (const op of names) {
        const all = cases[op]();
        const picked = [...new Set([0, Math.floor(all.length / 2), all.length - 1])];
        const expected = await valuesOn(await openEngine("reference"), picked.map((i) => all[i] as Tensor));
        const actual = received(
          await page.evaluate(`suite.operation(${JSON.stringify(op)}, ${JSON.stringify(picked)})`),
        );
        picked.forEach((_, i) =>
          // As for a terminal's WebGPU: ten times the tolerance, a GPU's exp is coarser.
          assertClose(actual[i] as HostArray, expected[i] as HostArray, 10 * tolerance[op], `${op} case ${i}`)
        );
      }
      for (let seed = 1; seed <= 5; seed++) {
        const expected = await runOn(await openEngine("reference"), randomGraph(seed));
        assertAgree(received(await page.evaluate(`suite.graph(${seed})`)), expected, `graph ${seed}`);
      }
      const losses = await page.evaluate("suite.train()") as readonly number[];
      const { log } = await pretrain(
        { config, run: runOf({ num_train_steps: 12 }), examples: examples.slice(0, 8) },
        { engine: await openEngine("tfjs-wasm") },
      );
      assert.equal(losses.length, 12);
      log.forEach(({ loss }, i) => assert.ok(Math.abs(loss - (losses[i] ?? NaN)) < 1e-3, `step ${i + 1}`));
      assert.ok((losses.at(-1) as number) < (losses[0] as number) - 0.2, losses.join(" "));
    });
  },
});
