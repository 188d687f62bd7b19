/** What a program will need, and the refusal of one that does not fit. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { add, compile, deviceArray, grad, matmul, mean, reduceSum, tanh, trace } from "albert-guide";
import type { MemoryNeed, Tensor, TensorType } from "albert-guide";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { freeMemory, memoryOf, refuseTooLarge } from "../../lib/engines/xla/memory.ts";
import { findPlugin } from "../../lib/engines/xla/plugin.ts";
import { xlaHere, xlaNote } from "./xla.ts";

const GiB = 2 ** 30;

function withFiles(files: Readonly<Record<string, string>>, fn: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), "albert-memory-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    fn(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

Deno.test("freeMemory() takes the least of the machine and its control group, dropped page cache counted", () => {
  const machine = { "proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    4194304 kB\n" };
  withFiles(machine, (root) => assert.equal(freeMemory(root), 4 * GiB));
  const second = {
    "sys/fs/cgroup/memory.max": `${2 * GiB}\n`,
    "sys/fs/cgroup/memory.current": `${1.5 * GiB}\n`,
    "sys/fs/cgroup/memory.stat": `anon 1\ninactive_file ${0.25 * GiB}\n`,
  };
  withFiles({ ...machine, ...second }, (root) => assert.equal(freeMemory(root), 0.75 * GiB));
  withFiles({ ...machine, ...second, "sys/fs/cgroup/memory.max": "max\n" }, (root) => {
    assert.equal(freeMemory(root), 4 * GiB);
  });
  const first = {
    "sys/fs/cgroup/memory/memory.limit_in_bytes": `${3 * GiB}`,
    "sys/fs/cgroup/memory/memory.usage_in_bytes": `${GiB}`,
  };
  withFiles({ ...machine, ...first }, (root) => assert.equal(freeMemory(root), 2 * GiB));
  withFiles({}, (root) => assert.equal(freeMemory(root), Infinity));
});

const stats = { code: 0, arguments: 3 * GiB, outputs: 3 * GiB, alias: 2 * GiB, temporary: 4 * GiB };
const compiled = { memory: stats, cached: false, milliseconds: 1, resident: 2 * GiB, held: GiB };

Deno.test("memoryOf() adds what the compiler says to what the process holds, on every device", () => {
  const { free: _, ...need } = memoryOf(compiled, 1);
  assert.deepEqual(need, {
    process: GiB,
    arguments: 3 * GiB,
    temporary: 4 * GiB,
    outputs: GiB,
    peak: 9 * GiB,
  });
  assert.equal(memoryOf(compiled, 2).peak, (1 + 6 + 8 + 2) * GiB);
});

Deno.test("refuseTooLarge() names the largest values and what to change, and counts what is there already", () => {
  const type: TensorType = { dtype: "float32", shape: [1024, 1024] };
  const graph = trace((x) => [reduceSum(add(x as Tensor, 1))], [type]);
  const need = (free: number): MemoryNeed => ({ ...memoryOf(compiled, 1), free });
  refuseTooLarge(graph, need(7 * GiB), compiled); // 2 of the 3 GiB of arguments are still to come
  assert.throws(() => refuseTooLarge(graph, need(6.9 * GiB), compiled), (error: Error) => {
    assert.match(error.message, /needs 7\.0 GiB more .*3\.0 GiB of arguments.* 6\.9 GiB are free/);
    assert.match(error.message, /largest values: .*float32 \[1024, 1024\]/);
    assert.match(error.message, /smaller batch, remat, or more gradient accumulation steps/);
    return true;
  });
});

Deno.test({ name: `xla's estimate is near the measured peak${xlaNote}`, ignore: !xlaHere }, async () => {
  const engine = xlaEngineOn({ plugin: findPlugin() ?? "" });
  const type: TensorType = { dtype: "float32", shape: [512, 512] };
  const program = await compile(
    ({ x }) => {
      let y: Tensor = x;
      for (let i = 0; i < 60; i++) y = tanh(matmul(y, x)); // 60 × 1 MiB, and more, wait for the gradient
      return { y: mean(grad(mean(y), [x])[0] as Tensor) };
    },
    { x: type },
    { engine },
  );
  const { peak, temporary } = program.memory as MemoryNeed;
  assert.ok(temporary > 60 * 2 ** 20, `${temporary}`);
  const x = await deviceArray(new Float32Array(1 << 18).fill(1e-3), { engine, shape: type.shape });
  await (await program.run({ x })).y.data();
  const { peak: measured } = await engine.status();
  await engine.dispose();
  assert.ok(Math.abs(peak / measured - 1) < 0.15, `estimated ${peak}, measured ${measured}`);
});
