/** The process that compiles large programs for the one that runs them. */
import assert from "node:assert/strict";
import { add, compile, deviceArray, matmul, mul, tanh } from "albert-guide";
import type { Tensor, TensorType } from "albert-guide";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import type { XlaEngine } from "../../lib/engines/xla/engine.ts";
import { findPlugin } from "../../lib/engines/xla/plugin.ts";
import { strike, withCache, xlaHere, xlaNote } from "./xla.ts";

const ignore = !xlaHere;
const plugin = findPlugin() ?? "";
const type: TensorType = { dtype: "float32", shape: [32, 32] };

/** Compiles a program of so many layers; a hundred are a text that another process compiles. */
const layersOn = (engine: XlaEngine, layers: number) =>
  compile(
    ({ x, w }) => {
      let h = x as Tensor;
      for (let i = 0; i < layers; i++) h = add(tanh(matmul(h, w as Tensor)), mul(h, 1 / (i + 2)));
      return { y: h };
    },
    { x: type, w: type },
    { engine },
  );

const given = () => ({
  x: Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i)),
  w: Float32Array.from({ length: 1024 }, (_, i) => Math.cos(i * i) / 8),
});

const bits = (values: ArrayLike<number>): readonly number[] =>
  Array.from(new Uint32Array(Float32Array.from(values).buffer));

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

Deno.test(
  { name: `xla compiles a large program in a process of its own, which ends soon${xlaNote}`, ignore },
  async () => {
    const engine = xlaEngineOn({ plugin, programCache: false });
    const small = await layersOn(engine, 2);
    assert.equal(engine.compilerPid(), undefined);
    const program = await layersOn(engine, 100);
    const pid = engine.compilerPid();
    assert.notEqual(pid, undefined);
    assert.notEqual(pid, (await engine.status()).pid);
    assert.equal(engine.lastCompiled()?.cached, false);
    const { y } = await program.run(given());
    assert.ok((await y.data()).every(Number.isFinite));
    await until(() => engine.compilerPid() === undefined);
    await assert.doesNotReject(async () => await (await small.run(given())).y.data());
    await engine.dispose();
  },
);

Deno.test(
  { name: `xla gives the same bits with a program from another process as from its own${xlaNote}`, ignore },
  async () => {
    // Two halves of the large program are small: each is compiled where it runs.
    const engine = xlaEngineOn({ plugin, programCache: false });
    const half = (from: number) =>
      compile(
        ({ x, w }) => {
          let h = x as Tensor;
          for (let i = from; i < from + 40; i++) h = add(tanh(matmul(h, w as Tensor)), mul(h, 1 / (i + 2)));
          return { y: h };
        },
        { x: type, w: type },
        { engine },
      );
    const [first, second] = [await half(0), await half(40)];
    assert.equal(engine.compilerPid(), undefined);
    const { x, w } = given();
    const middle = await (await first.run({ x, w })).y.data();
    const here = await (await second.run({ x: Float32Array.from(middle), w })).y.data();
    const apart = await (await (await layersOn(engine, 80)).run({ x, w })).y.data();
    assert.notEqual(engine.compilerPid(), undefined);
    assert.deepEqual(bits(apart), bits(here));
    await engine.dispose();
  },
);

Deno.test(
  { name: `xla loses no value when the process that compiles dies, and starts another${xlaNote}`, ignore },
  async () => {
    const engine = xlaEngineOn({ plugin, programCache: false });
    const kept = await deviceArray(Float32Array.of(1, 2, 3), { engine });
    const doomed = layersOn(engine, 300).then(() => "compiled", (error: Error) => error.message);
    await until(() => engine.compilerPid() !== undefined);
    await strike(engine.compilerPid() as number, "SIGKILL");
    assert.match(
      await doomed,
      /Cannot compile the program: the process that compiles ended \(signal SIGKILL\)/,
    );
    assert.deepEqual(Array.from(await kept.data()), [1, 2, 3]);
    const program = await layersOn(engine, 100);
    assert.ok((await (await program.run(given())).y.data()).every(Number.isFinite));
    await engine.dispose();
    assert.equal(engine.compilerPid(), undefined);
  },
);

Deno.test(
  { name: `xla keeps what another process compiled on the disk for the next start${xlaNote}`, ignore },
  async () => {
    await withCache(async () => {
      const made: unknown[] = [];
      for (let i = 0; i < 2; i++) {
        const engine = xlaEngineOn({ plugin });
        await layersOn(engine, 100);
        made.push([engine.lastCompiled()?.cached, engine.compilerPid() !== undefined]);
        await engine.dispose();
      }
      assert.deepEqual(made, [[false, true], [true, false]]);
    });
  },
);
