/**
 * What the XLA process means for its caller: an event loop that is never blocked, steps and uploads that do not wait for
 * the device, an interrupt that works, and memory that comes back. A time alone never decides: waits are compared with those of
 * the same machine at the same load, and order is read off the process, which answers one request after the other.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { compile, deviceArray, matmul, scan, tanh } from "albert-guide";
import type { Engine, Executable, Tensor, TensorType } from "albert-guide";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { findPlugin } from "../../lib/engines/xla/plugin.ts";
import { xlaHere, xlaNote } from "./xla.ts";

const ignore = !xlaHere;
const plugin = findPlugin() ?? "";
const matrix: TensorType = { dtype: "float32", shape: [384, 384] };
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

type Slow = Executable<{ readonly x: TensorType }, { readonly x: Tensor }>;

/** A program that repeats a product; its length decides how long it takes. */
function slow(engine: Engine, length: number): Promise<Slow> {
  return compile(
    ({ x }) => ({
      x: scan(([h]) => ({ carries: [tanh(matmul(h as Tensor, x))] }), { carries: [x], length })
        .carries[0] as Tensor,
    }),
    { x: matrix },
    { engine, donate: [] },
  );
}

/** Counts waits between ticks of a timer while something runs. */
async function waits(doing: () => Promise<void>): Promise<{ readonly ticks: number; readonly long: number }> {
  const found = { ticks: 0, long: 0 };
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    found.ticks++;
    // The timer itself asks for 5 ms; what is above 20 ms beyond them is a blocked loop, or a busy machine.
    if (now - last > 25) found.long++;
    last = now;
  }, 5);
  await doing();
  clearInterval(timer);
  return found;
}

Deno.test(
  { name: `xla leaves the caller's event loop alone while it compiles and runs${xlaNote}`, ignore },
  async () => {
    const engine = xlaEngineOn({ plugin, programCache: false });
    await engine.status();
    const first = await slow(engine, 500);
    const started = performance.now();
    await (await first.run({ x: new Float32Array(384 * 384) })).x.data();
    const length = Math.min(1e6, Math.ceil(500 * 3000 / (performance.now() - started))); // about 3 s
    const rounds: string[] = [];
    for (let round = 0; round < 3; round++) {
      const idle = await waits(() => pause(1000));
      const busy = await waits(async () => {
        const program = await slow(engine, length + round);
        await (await program.run({ x: new Float32Array(384 * 384) })).x.data();
        program.dispose();
      });
      // A loop that is blocked by a call ticks once a call. Beside the machine's own load few waits are long.
      const share = ({ ticks, long }: typeof idle): number => long / ticks;
      if (busy.ticks > 60 && share(busy) <= 0.02 + 2 * share(idle)) return await engine.dispose();
      rounds.push(`${busy.long} of ${busy.ticks} ticks late, ${idle.long} of ${idle.ticks} when idle`);
    }
    await engine.dispose();
    assert.fail(rounds.join("; "));
  },
);

Deno.test(
  {
    name: `run() returns while the device computes, and the next batch is taken meanwhile${xlaNote}`,
    ignore,
  },
  async () => {
    const engine = xlaEngineOn({ plugin });
    const program = await slow(engine, 1000);
    const x = new Float32Array(384 * 384).fill(1e-3);
    const order: string[] = [];
    const one = await program.run({ x });
    // The process answers in order: this answer comes when the step is done.
    const step = engine.status().then(() => order.push("step 1 done"));
    const batch = await deviceArray(x, { engine, shape: matrix.shape });
    order.push("batch 2 sent");
    const two = program.run({ x: batch });
    order.push("step 2 sent");
    const loss = one.x.data().then(() => order.push("loss 1 read"));
    await Promise.all([step, two.then(() => order.push("step 3 may come")), loss]);
    assert.deepEqual(order.slice(0, 2), ["batch 2 sent", "step 2 sent"]);
    assert.ok(order.indexOf("loss 1 read") > order.indexOf("step 1 done"));
    await engine.dispose();
  },
);

/** Runs a script in a process of its own; `act` is called at each line it prints. */
async function script(
  code: string,
  act: (line: string, pid: number) => void,
  flags: readonly string[] = [],
): Promise<{ readonly lines: readonly string[]; readonly code: number }> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, code);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...flags, "--config", config, file],
    stdout: "piped",
  }).spawn();
  const lines: string[] = [];
  let open = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (open + chunk).split("\n");
    open = parts.pop() as string;
    for (const line of parts) {
      lines.push(line);
      act(line, child.pid);
    }
  }
  const { code: exit } = await child.status;
  await Deno.remove(file);
  return { lines, code: exit };
}

Deno.test(
  { name: `an interrupt reaches the caller in the middle of a step, not the XLA process${xlaNote}`, ignore },
  async () => {
    const { lines, code } = await script(
      `
      import { compile, matmul, scan, xlaEngine } from "albert-guide";
      const engine = await xlaEngine();
      const type = { dtype: "float32", shape: [384, 384] };
      const program = await compile(({ x }) => ({ y: scan(([h]) => ({ carries: [matmul(h, x)] }), { carries: [x], length: 1e6 }).carries[0] }), { x: type }, { engine });
      await program.run({ x: new Float32Array(384 * 384) });
      Deno.addSignalListener("SIGINT", async () => {
        await engine.dispose();
        console.log("disposed");
        Deno.exit(7);
      });
      console.log((await Deno.readTextFile("/proc/self/task/" + Deno.pid + "/children")).trim());
      setInterval(() => {}, 1000);`,
      (line, pid) => {
        if (/^\d/.test(line)) Deno.kill(pid, "SIGINT");
      },
    );
    assert.deepEqual([lines.at(-1), code], ["disposed", 7]);
    const child = `/proc/${(lines[0] as string).split(/\s+/)[0]}/stat`;
    assert.ok(!existsSync(child) || / Z /.test(readFileSync(child, "utf8")), "the XLA process lives on");
  },
);

Deno.test(
  { name: `values that nobody holds any more are freed, as a last net${xlaNote}`, ignore },
  async () => {
    const { lines } = await script(
      `
      import { deviceArray } from "albert-guide";
      import { xlaEngineOn } from ${
        JSON.stringify(new URL("../../lib/engines/xla/engine.ts", import.meta.url).href)
      };
      const engine = xlaEngineOn({ plugin: ${JSON.stringify(plugin)} });
      const kept = await deviceArray(Float32Array.of(1), { engine });
      let held = []; // the collector may run at any time: what is held is counted first, then let go
      for (let i = 0; i < 100; i++) held.push(await deviceArray(Float32Array.of(i), { engine }));
      const most = (await engine.status()).buffers;
      if (held.length !== 100) throw new Error("a value is missing");
      held = [];
      let least = most;
      for (let i = 0; i < 50 && least > 5; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
        least = Math.min(least, (await engine.status()).buffers);
      }
      console.log(most, least <= 5, (await kept.data())[0]);
      await engine.dispose();`,
      () => {},
      ["--v8-flags=--expose-gc"],
    );
    assert.deepEqual(lines, ["101 true 1"]);
  },
);
