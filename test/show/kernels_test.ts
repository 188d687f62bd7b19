/** The same cells in the two real kernels: what arrives must be the same bundles, and failures must be heard. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Execution, type Kernel, startKernel } from "../../lib/notebook/mod.ts";
import { translateShow } from "./commonjs.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const CELLS: readonly string[] = [
  `await s.show([1 / 3, -0, NaN, 5n]);`,
  `await s.show(s.table([{ a: 1, b: "<x>" }]));`,
  `await s.show(s.lineChart({ series: [{ name: "a", x: [0, 1, 2], y: [2, Math.exp(-0.3), 1] }] }));`,
  `const p = s.progressDisplay({ label: "train" });
   for (let i = 1; i <= 30; i++) p.onProgress({ stage: "train", done: i, total: 30, unit: "steps" });
   await p.done();`,
  `const live = s.liveChart({ title: "Loss" });
   for (let i = 0; i < 5; i++) await live.add({ x: i, y: 5 - i });
   await live.done();`,
];

/** What a cell showed, without the kernel's own bookkeeping. */
function shown({ status, why, messages }: Execution): unknown {
  assert.equal(status, "ok", why);
  return messages.map(({ type, content }) => [type, content["data"] ?? content["text"]]);
}

/** A bar and a chart as someone watching sees them: every update is sent. */
const WATCHED: readonly string[] = [
  `process.env.NOTEBOOK_HEADLESS = "0"; const bar = s.progressDisplay({ label: "train" });
   for (let i = 1; i <= 5; i++) {
     bar.onProgress({ stage: "train", done: i, total: 5, unit: "steps" });
     await new Promise((resolve) => setTimeout(resolve, 60));
   }
   await bar.done();`,
  `const moving = s.liveChart({ title: "Loss" });
   for (let i = 0; i < 5; i++) await moving.add({ x: i, y: 5 - i });
   await moving.done();`,
];

/** Runs all cells headless, then the watched ones. */
async function runCells(
  name: "deno" | "tslab",
  first: string,
): Promise<{ stored: unknown[]; watched: unknown[] }> {
  const kernel: Kernel = await startKernel(name, { cwd: root });
  try {
    assert.deepEqual(shown(await kernel.execute(first)), []);
    const stored: unknown[] = [];
    for (const cell of CELLS) stored.push(shown(await kernel.execute(cell)));
    const watched: unknown[] = [];
    for (const cell of WATCHED) watched.push(shown(await kernel.execute(cell)));
    return { stored, watched };
  } finally {
    await kernel.kill();
  }
}

Deno.test("show() sends the same bundles in the Deno kernel and in tslab", async () => {
  const target = translateShow();
  try {
    const file = JSON.stringify(join(target, "lib/show/mod.js"));
    const [deno, tslab] = await Promise.all([
      runCells("deno", `const s = await import(${JSON.stringify(`file://${root}lib/show/mod.ts`)});`),
      runCells("tslab", `const s = require(${file});`),
    ]);
    assert.deepEqual(deno.stored, tslab.stored);
    assert.deepEqual(deno.stored[0], [["display_data", { "text/plain": "[0.333333, -0, NaN, 5n]" }]]);
    assert.deepEqual(deno.stored[3], [[
      "display_data",
      { "text/plain": "train #################### 30/30 steps" },
    ]]);
    assert.equal((deno.stored[4] as unknown[]).length, 1, "one finished chart");
    for (const { watched } of [deno, tslab]) {
      for (const messages of watched as [string, unknown][][]) {
        const [first, ...later] = messages.map(([type]) => type);
        assert.equal(first, "display_data");
        assert.ok(later.length > 0 && later.every((type) => type === "update_display_data"), later.join());
      }
    }
  } finally {
    rmSync(target, { recursive: true });
  }
});

Deno.test("guardKernel() makes the Deno kernel report and survive failures outside cells", async () => {
  const kernel = await startKernel("deno", { cwd: root });
  try {
    await kernel.execute(`delete globalThis[Symbol.for("albert-guide.kernel-guard")];`);
    await kernel.execute(
      `const s = await import(${JSON.stringify(`file://${root}lib/show/mod.ts`)}); s.guardKernel();`,
    );
    const cell = `Promise.reject(new Error("nobody")); setTimeout(() => { throw new TypeError("timer"); }, 0);
      await new Promise((r) => setTimeout(r, 50));`;
    const { messages } = await kernel.execute(cell);
    const text = messages.map(({ content }) => String(content["text"] ?? "")).join("");
    // The runner's own guard prints a stack below; ours does not.
    assert.match(text, /UnhandledPromiseRejection: Error: nobody\n(?! +at)/);
    assert.match(text, /UncaughtException: TypeError: timer\n(?! +at)/);
    assert.equal((await kernel.execute("1 + 1")).status, "ok");
  } finally {
    await kernel.kill();
  }
});

Deno.test("the stop button ends a cell of the Deno kernel at its next output, and nothing else", async () => {
  const kernel = await startKernel("deno", { cwd: root });
  try {
    await kernel.execute(
      `const s = await import(${
        JSON.stringify(`file://${root}lib/show/mod.ts`)
      }); const kept = 7; await s.show(kept);`,
    );
    const pressed = setTimeout(kernel.interrupt, 300);
    const { status, why } = await kernel.execute(
      `for (let i = 0; i < 200; i++) { await s.show(i, { settleMs: 50 }); }`,
    );
    clearTimeout(pressed);
    assert.deepEqual([status, why], ["error", "Error: Interrupted: the stop button was pressed"]);
    const { messages, status: after } = await kernel.execute(`await s.show(kept)`);
    assert.equal(after, "ok");
    assert.deepEqual(messages[0]?.content["data"], { "text/plain": "7" });
  } finally {
    await kernel.kill();
  }
});
