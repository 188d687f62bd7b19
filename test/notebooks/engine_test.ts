/** The XLA engine inside both kernels: it computes, timers tick, the stop button works, and its crash is not theirs. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPackage } from "../../lib/notebook/build.ts";
import { type Execution, type Kernel, startKernel, stderrText } from "../../lib/notebook/kernel.ts";
import type { KernelName } from "../../lib/notebook/process.ts";
import { xlaHere, xlaNote } from "../engines/xla.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

// No shorthand for names of earlier cells, no literal types that widen: tslab's traps.
const start =
  `import { openEngine, compile, scan, matmul, tanh, reduceMax, show, type TensorType } from "albert-guide";
await show("from here on the stop button is heard");
const engine = await openEngine("xla");
const type: TensorType = { dtype: "float32", shape: [512, 512] };
const chain = (length: number) => compile(({ a }) => {
  const { carries } = scan(([y]) => ({ carries: [tanh(matmul(y!, a))] }), { carries: [a], length });
  return { most: reduceMax(carries[0]!) };
}, { a: type }, { engine: engine });
const values = new Float32Array(512 * 512).fill(0.01);
const short = await chain(1);
const long = await chain(150);
const most = async (program: typeof short) => (await (await program.run({ a: values })).most.data())[0]!;
console.log((await most(short)).toFixed(3));`;

const ticking = `let ticks = 0;
const timer = setInterval(() => { ticks += 1; }, 10);
const began = performance.now();
await most(long);
clearInterval(timer);
console.log(ticks > (performance.now() - began) / 40);`;

const crash = `const { pid } = await (engine as unknown as { status(): Promise<{ pid: number }> }).status();
const lost = most(long).then(() => "no error", (error: Error) => error.message);
process.kill(pid, "SIGKILL");
console.log(await lost);`;

/** What a cell printed; it must have worked. */
function printed({ status, why, messages }: Execution): string {
  assert.equal(status, "ok", why);
  return messages.map(({ content }) => String(content["text"] ?? "")).join("").trim();
}

async function tryEngine(name: KernelName, cwd: string): Promise<void> {
  const kernel: Kernel = await startKernel(name, { cwd });
  try {
    const imported = name === "deno"
      ? `import process from "node:process";`
      : `import * as process from "process";`;
    printed(await kernel.execute(imported));
    assert.equal(printed(await kernel.execute(start)), "0.051", "tanh of 512 × 0.01²");
    assert.equal(printed(await kernel.execute(ticking)), "true", "a timer ticks while a step runs");
    assert.match(printed(await kernel.execute(crash)), /its process ended \(signal SIGKILL\)/);
    assert.equal(printed(await kernel.execute(`console.log((await most(short)).toFixed(3));`)), "0.051");
    // Not at once: tslab hears nothing while it still translates the cell.
    const pressed = setTimeout(kernel.interrupt, 3000);
    const stopped = await kernel.execute(`for (let i = 0; i < 100; i++) await most(long);`);
    clearTimeout(pressed);
    assert.equal(stopped.status, "error", "the stop button ends the cell");
    assert.match(stopped.why + stderrText(stopped.messages), /Interrupted/);
    await new Promise((resolve) => setTimeout(resolve, 400)); // tslab aborts what comes within 200 ms of an error
    const after = `await show("one press ends one cell"); console.log((await most(short)).toFixed(3));`;
    assert.equal(printed(await kernel.execute(after)), "0.051");
  } finally {
    await kernel.kill();
  }
}

Deno.test({
  name: `openEngine() gives both kernels an XLA that neither blocks them nor takes them down${xlaNote}`,
  ignore: !xlaHere,
  fn: async () => {
    await buildPackage(); // problems in other parts of the library are not this test's business
    mkdirSync(join(root, "build"), { recursive: true });
    const folder = mkdtempSync(join(root, "build", "engine-test-")); // below the project: tslab finds its packages
    try {
      for (const name of ["deno", "tslab"] as const) await tryEngine(name, folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
