/** Opening engines by name. */
import assert from "node:assert/strict";
import { openEngine, referenceEngine, tfjsEngine } from "albert-guide";
import { xlaHere } from "./xla.ts";
import { hasWebgpuAdapter } from "../../lib/engines/tfjs/backend.ts";

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
