// A GPU that goes away in the middle, in a process of its own: drivers do not always survive it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { hasWebgpuAdapter } from "../../lib/engines/tfjs/webgpu.ts";

import { inFolder } from "../folder.ts";

const adapter = await hasWebgpuAdapter();
const lib = (path: string): string => new URL(`../../lib/${path}`, import.meta.url).href;

/** Computes, loses the device, computes again, and says what that told. */
const script = `
import { findBackend } from "@tensorflow/tfjs-core";
import { tfjsEngine } from "${lib("engines/mod.ts")}";
import { add, compile } from "${lib("tensor/mod.ts")}";
const engine = await tfjsEngine({ backend: "webgpu" });
const program = await compile(({ x }) => ({ y: add(x, 1) }), { x: { dtype: "float32", shape: [2] } }, { engine });
const run = async () => [...await (await program.run({ x: Float32Array.of(1, 2) })).y.data()];
console.log(JSON.stringify(await run()));
findBackend("webgpu").device.destroy();
await new Promise((resolve) => setTimeout(resolve, 200));
for (let i = 0; i < 2; i++) console.log(await run().then(String, (error) => error.message));
Deno.exit(0);
`;

const runScript = (input: string) =>
  spawnSync(Deno.execPath(), ["run", "-A", "--no-check", "--unstable-webgpu", "-"], {
    input,
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    timeout: 60_000,
  });

/** Trains, loses the device at step 4, and goes on from its last checkpoint on another engine. */
const training = (folder: string): string => `
import { findBackend } from "@tensorflow/tfjs-core";
import { openEngine } from "${lib("engines/mod.ts")}";
import { pretrain } from "${lib("train/mod.ts")}";
import { config, examples, runOf } from "${new URL("small_run.ts", import.meta.url).href}";
const run = runOf({ output_dir: ${JSON.stringify(folder)}, num_train_steps: 6, save_checkpoints_steps: 2 });
const onStep = ({ step }) => step === 4 && findBackend("webgpu").device.destroy();
const gone = await pretrain({ config, run, examples }, { engine: await openEngine("tfjs-webgpu"), onStep })
  .then(() => "it went on", (error) => error.message);
console.log(gone.replaceAll("\\n", " "));
const { log } = await pretrain({ config, run, examples }, { engine: await openEngine("tfjs-wasm") });
console.log(JSON.stringify(log.map(({ step }) => step)));
Deno.exit(0);
`;

Deno.test({
  name: `a run whose GPU device is lost says so, and goes on elsewhere from its last checkpoint${
    adapter ? "" : " (no WebGPU adapter)"
  }`,
  ignore: !adapter,
  fn: async () => {
    await inFolder(async (folder) => {
      const { stdout, stderr } = runScript(training(folder));
      const [gone = "", steps = ""] = stdout.trim().split("\n");
      assert.match(gone, /the GPU device was lost .*take another engine/, stderr);
      assert.match(steps, /^\[[35],.*6\]$/, "what was saved is not made again");
      await Promise.resolve();
    });
  },
});

Deno.test({
  name: `a lost GPU device is said in words, again and again${adapter ? "" : " (no WebGPU adapter)"}`,
  ignore: !adapter,
  fn: () => {
    const { stdout, stderr } = runScript(script);
    const [before, ...after] = stdout.trim().split("\n");
    assert.equal(before, "[2,3]", stderr);
    assert.equal(after.length, 2, stdout + stderr);
    for (const line of after) {
      assert.match(line, /^Cannot .*tfjs: the GPU device was lost .*take another engine/);
    }
  },
});
