/** Opening engines by name. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { chooseEngine, describeChoice, openEngine, referenceEngine, tfjsEngine } from "albert-guide";
import { xlaHere } from "./xla.ts";
import { hasWebgpuAdapter } from "../../lib/engines/tfjs/webgpu.ts";

Deno.test("openEngine() gives one engine per name and tells which it took", async () => {
  assert.equal(await openEngine("tfjs-wasm"), await openEngine("tfjs"));
  assert.equal((await openEngine("auto")).name, xlaHere ? "xla-cpu" : "tfjs-wasm");
  assert.notEqual(referenceEngine(), referenceEngine());
  assert.deepEqual((await openEngine("tfjs-cpu")).devices(), [{ name: "tfjs cpu", kind: "cpu" }]);
});

Deno.test("openEngine() names the known engines when the name is unknown", async () => {
  await assert.rejects(
    openEngine("cuda"),
    (error) =>
      error instanceof RangeError &&
      /cuda: it is unknown, choose one of auto, .*tfjs-wasm/.test(error.message),
  );
  await assert.rejects(openEngine("toString"), RangeError);
});

const adapter = await hasWebgpuAdapter();

Deno.test({
  name: "tfjsEngine() says that there is no WebGPU adapter where there is none",
  ignore: adapter,
  fn: async () => {
    await assert.rejects(tfjsEngine({ backend: "webgpu" }), /no WebGPU adapter/);
    await assert.rejects(openEngine("tfjs-webgpu"), /no WebGPU adapter/);
  },
});

/** Runs with other variables and an empty cache folder. */
async function elsewhere(plugin: string, fn: (cache: string) => Promise<void>): Promise<void> {
  const cache = mkdtempSync(join(tmpdir(), "albert-choice-"));
  const names = ["XDG_CACHE_HOME", "ALBERT_PJRT_PLUGIN"] as const;
  const before = names.map((name) => process.env[name]);
  [process.env["XDG_CACHE_HOME"], process.env["ALBERT_PJRT_PLUGIN"]] = [cache, plugin];
  try {
    await fn(cache);
  } finally {
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    });
    rmSync(cache, { recursive: true, force: true });
  }
}

Deno.test("chooseEngine() falls back to tfjs, says why, and measures once", async () => {
  await elsewhere("none", async (cache) => {
    const first = await chooseEngine();
    assert.equal(first.name, "tfjs-wasm");
    assert.match(first.reason, /ALBERT_PJRT_PLUGIN is none/);
    const [speed] = first.speeds;
    assert.ok(speed !== undefined && speed.product > 1e8 && speed.step > 0);
    assert.match(
      describeChoice(first),
      /^engine: tfjs-wasm, because .*; measured tfjs-wasm \d+ GFLOP\/s and [\d.]+ ms/,
    );
    const folder = join(cache, "albert-guide/speeds");
    const file = join(folder, readdirSync(folder)[0] as string);
    const kept = JSON.parse(readFileSync(file, "utf8")) as object;
    writeFileSync(file, JSON.stringify({ ...kept, step: 0.125 }));
    assert.equal((await chooseEngine()).speeds[0]?.step, 0.125, "read, not measured again");
    writeFileSync(file, "damaged");
    assert.notEqual((await chooseEngine()).speeds[0]?.step, 0.125);
    assert.deepEqual((await chooseEngine({ measure: false })).speeds, []);
  });
});

Deno.test("chooseEngine() tells of a plugin that fails, and does not go on when the user gave it", async () => {
  await elsewhere("/no/such/plugin.so", async () => {
    const { name, reason } = await chooseEngine({ measure: false });
    assert.equal(name, "tfjs-wasm");
    assert.match(reason, /xla-cpu fails its self-test: .*no such file/);
  });
  await assert.rejects(chooseEngine({ plugin: "/no/such/plugin.so" }), /no such file/);
  await assert.rejects(openEngine("tfjs", { plugin: "/no/such/plugin.so" }), /tfjs-?\w*: it takes no plugin/);
});

Deno.test("describeChoice() says so when the engine it takes is no faster at a small step", () => {
  const line = (step: number): string =>
    describeChoice({
      ...{ name: "xla-cpu", reason: "its self-test passes" },
      speeds: [{ name: "xla-cpu", product: 8e10, step }, { name: "tfjs-wasm", product: 3e10, step: 0.0095 }],
    });
  assert.match(line(0.0098), /9\.5 ms a training step; at so small a step .* lead grows with the model$/);
  assert.match(line(0.0094), /9\.5 ms a training step$/);
});
