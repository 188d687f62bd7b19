/** The process behind the XLA engine: determinism, its end and its new start, memory, and a caller that is never blocked. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { add, compile, deviceArray, grad, matmul, mean, mul, scan, softmax, sub, tanh } from "albert-guide";
import type { Engine, Tensor, TensorType } from "albert-guide";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import type { XlaEngine } from "../../lib/engines/xla/engine.ts";
import { findPlugin } from "../../lib/engines/xla/plugin.ts";
import { makeWaiters } from "../../lib/engines/xla/session.ts";
import { numbers } from "./cases.ts";
import { strike, withCache, xlaHere, xlaNote } from "./xla.ts";

const ignore = !xlaHere;
const plugin = findPlugin() ?? "";
const vector: TensorType = { dtype: "float32", shape: [256] };

/** The weights after some steps of a small regression. */
async function train(engine: Engine): Promise<readonly number[]> {
  const type: TensorType = { dtype: "float32", shape: [48, 48] };
  const program = await compile(
    ({ w, x }) => {
      const y = softmax(matmul(tanh(matmul(x, w)), w));
      const loss = mean(mul(y, y));
      const [g] = grad(loss, [w]) as [Tensor];
      return { w: sub(w, mul(g, 10)) };
    },
    { w: type, x: type },
    { engine, donate: ["w"] },
  );
  const next = numbers(7);
  const values = (): Float32Array => Float32Array.from({ length: 48 * 48 }, () => next() - 0.5);
  let w = await deviceArray(values(), { engine, shape: type.shape });
  const x = values();
  for (let i = 0; i < 5; i++) ({ w } = await program.run({ w, x }));
  const data = await w.data();
  program.dispose();
  return Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length));
}

Deno.test(
  { name: `xla gives the same bits in two processes, compiled and from the cache${xlaNote}`, ignore },
  async () => {
    await withCache(async (programs) => {
      const results: (readonly number[])[] = [];
      const cached: (boolean | undefined)[] = [];
      for (const programCache of [false, true, true]) {
        const engine = xlaEngineOn({ plugin, programCache });
        results.push(await train(engine), await train(engine));
        cached.push(engine.lastCompiled()?.cached);
        await engine.dispose();
      }
      assert.deepEqual(cached, [false, true, true]);
      for (const result of results) assert.deepEqual(result, results[0]);
      assert.ok(readdirSync(programs).every((name) => name.endsWith(".xla-program")));
    });
  },
);

Deno.test(
  { name: `xla's processes may compile one program at once into one cache${xlaNote}`, ignore },
  async () => {
    await withCache(async (programs) => {
      const engines = [1, 2, 3].map(() => xlaEngineOn({ plugin, threads: 1 }));
      const results = await Promise.all(engines.map(train));
      for (const result of results) assert.deepEqual(result, results[0]);
      assert.deepEqual(readdirSync(programs).map((name) => name.slice(-12)), [".xla-program"]);
      const [one] = engines as [XlaEngine, ...XlaEngine[]];
      assert.deepEqual(await train(one), results[0]);
      assert.equal(one.lastCompiled()?.cached, true); // what they left is whole
      for (const engine of engines) await engine.dispose();
    });
  },
);

Deno.test({ name: `xla compiles again when a cached program is damaged${xlaNote}`, ignore }, async () => {
  await withCache(async (programs) => {
    const run = async (): Promise<readonly [readonly number[], boolean | undefined]> => {
      const engine = xlaEngineOn({ plugin });
      const result = await train(engine);
      await engine.dispose();
      return [result, engine.lastCompiled()?.cached];
    };
    const [expected, first] = await run();
    const path = join(programs, readdirSync(programs)[0] as string);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = 255 - (bytes[bytes.length >> 1] as number);
    writeFileSync(path, bytes);
    const [again, second] = await run();
    assert.deepEqual([first, second], [false, false]);
    assert.deepEqual(again, expected);
    assert.equal((await run())[1], true);
  });
});

Deno.test("makeWaiters() tells all who wait, also while the process is gone and nobody has said so", async () => {
  const gone = (): never => {
    throw new TypeError("Bad resource ID");
  };
  const waiters = makeWaiters([{ ref: gone, unref: gone }]);
  let sent = 0;
  const answers = [1, 2].map(() => waiters.wait(() => void sent++));
  assert.equal(sent, 2);
  waiters.fail(new Error("its process ended"));
  for (const answer of answers) await assert.rejects(answer, /its process ended/);
});

for (const signal of ["SIGKILL", "SIGSEGV", "SIGABRT"] as const) {
  Deno.test(
    { name: `xla says that its process ended by ${signal}, and starts another${xlaNote}`, ignore },
    async () => {
      const engine = xlaEngineOn({ plugin });
      const program = await compile(({ x }) => ({ y: mul(x, x) }), { x: vector }, { engine });
      const x = await deviceArray(new Float32Array(256).fill(3), { engine });
      const { pid } = await engine.status();
      await strike(pid, signal);
      await assert.rejects(
        x.data(),
        new RegExp(`its process ended \\(signal ${signal}\\), values on the device are lost`),
      );
      await assert.rejects(program.run({ x }), /its process ended/);
      x.dispose();
      const { y } = await program.run({ x: new Float32Array(256).fill(4) });
      assert.equal((await y.data())[0], 16);
      assert.notEqual((await engine.status()).pid, pid);
      await engine.dispose();
    },
  );
}

Deno.test(
  { name: `xla's process may die in the middle of a step: all who wait are told${xlaNote}`, ignore },
  async () => {
    const engine = xlaEngineOn({ plugin });
    const type: TensorType = { dtype: "float32", shape: [256, 256] };
    const program = await compile(
      ({ x }) => ({
        y: scan(([h]) => ({ carries: [tanh(matmul(h as Tensor, x))] }), { carries: [x], length: 20_000 })
          .carries[0] as Tensor,
      }),
      { x: type },
      { engine },
    );
    const { pid } = await engine.status();
    const { y } = await program.run({ x: new Float32Array(65536) });
    const waiting = Promise.allSettled([
      y.data(),
      program.run({ x: new Float32Array(65536) }),
      engine.status(),
    ]);
    await strike(pid, "SIGSEGV");
    const results = [...await waiting, ...await Promise.allSettled([y.data()])];
    const told = results.map((each) => each.status === "rejected" ? String(each.reason) : "no error");
    // The second run may be told when its result is read.
    assert.match(told[0] as string, /its process ended \(signal SIGSEGV\)/);
    assert.match(told[2] as string, /its process ended/);
    assert.match(told[3] as string, /its process ended/);
    await engine.dispose();
  },
);

Deno.test(
  { name: `xla's process ends with its caller, also in the middle of a step${xlaNote}`, ignore },
  async () => {
    const code = `
    import { compile, matmul, scan, xlaEngine } from "albert-guide";
    const engine = await xlaEngine();
    const type = { dtype: "float32", shape: [512, 512] };
    const program = await compile(({ x }) => ({ y: scan(([h]) => ({ carries: [matmul(h, h)] }), { carries: [x], length: 100000 }).carries[0] }), { x: type }, { engine });
    await program.run({ x: new Float32Array(512 * 512) });
    console.log((await Deno.readTextFile("/proc/self/task/" + Deno.pid + "/children")).trim());
    setTimeout(() => Deno.kill(Deno.pid, "SIGKILL"), 200);
    setInterval(() => {}, 1000);`;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, code);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, file],
    }).output();
    const pid = Number(new TextDecoder().decode(stdout).trim().split(/\s+/)[0]);
    assert.ok(pid > 0, "the child's number was not printed");
    const gone = (): boolean => {
      try {
        // A process that ended and waits to be collected is gone as well.
        return / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
      } catch {
        return true;
      }
    };
    for (let i = 0; i < 50 && !gone(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(gone(), "the process lives on");
    await Deno.remove(file);
  },
);

Deno.test({ name: `xla runs 10,000 steps at constant memory${xlaNote}`, ignore }, async () => {
  const engine = xlaEngineOn({ plugin });
  const program = await compile(
    ({ x }) => ({ x: add(mul(x, 0.5), 1), loss: mean(x) }),
    { x: vector },
    { engine, donate: ["x"] },
  );
  let x = await deviceArray(new Float32Array(256), { engine });
  const steps = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const out = await program.run({ x });
      x = out.x;
      out.loss.dispose();
    }
    await x.data();
  };
  await steps(2000);
  const before = await engine.status();
  const caller = process.memoryUsage().rss;
  await steps(8000);
  const after = await engine.status();
  const grown = process.memoryUsage().rss - caller;
  assert.ok(grown < 96e6, `the caller grew by ${grown} bytes`); // 12 kB a step would be kept values; the rest is garbage.
  assert.equal(after.buffers, before.buffers);
  assert.ok(after.resident - before.resident < 32e6, `grew by ${after.resident - before.resident} bytes`);
  assert.equal((await x.data())[0], 2);
  await engine.dispose();
});

Deno.test({ name: `xla keeps its memory from step to step${xlaNote}`, ignore }, async () => {
  const engine = xlaEngineOn({ plugin });
  const type: TensorType = { dtype: "float32", shape: [512, 512] };
  const program = await compile(
    ({ x }) => {
      let y: Tensor = x;
      for (let i = 0; i < 16; i++) y = tanh(matmul(y, x));
      return { y: mean(grad(mean(y), [x])[0] as Tensor) };
    },
    { x: type },
    { engine },
  );
  const x = await deviceArray(new Float32Array(1 << 18), { engine, shape: type.shape });
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await (await program.run({ x })).y.data();
  };
  await run(15); // Until every part of the heap was touched once.
  // The fewest of several rounds: on a busy machine a thread may still touch its part of the heap for the first time.
  let faults = Infinity;
  for (let round = 0; round < 8 && faults >= 1000; round++) {
    const before = (await engine.status()).minorFaults;
    await run(4);
    faults = Math.min(faults, ((await engine.status()).minorFaults - before) / 4);
  }
  await engine.dispose();
  // Sixteen values of 1 MiB wait for the backward pass: without the allocator's settings 4,000 faults and more.
  assert.ok(faults < 1000, `${faults} page faults a step`);
});
