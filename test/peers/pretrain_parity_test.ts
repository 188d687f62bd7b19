// Parity in motion, short: 40 steps of LAMB beside plain JAX, where JAX is installed (ALBERT_JAX_PYTHON names the Python).
// `deno task bench parity` runs 200 steps on every engine and more architectures.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEngine } from "../../lib/engines/mod.ts";
import { apart, ourCurve, parityCase, peerCurve } from "./parity.ts";
import { pythonWith } from "./python.ts";

const python = pythonWith("jax");

Deno.test({
  name: "pretrain() follows plain JAX step by step, and a peer that trains otherwise is noticed",
  ignore: python === undefined,
  fn: async () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-parity-"));
    try {
      const training = await parityCase({ embedding_size: 16, hidden_size: 32 }, { num_train_steps: 40 });
      const ours = await ourCurve(training, await openEngine("tfjs-wasm"));
      const peer = await peerCurve(training, { python: python ?? "", folder });
      const { most, step } = apart(ours, peer);
      assert.ok(most < 1e-5, `${most} apart at step ${step}`); // about 5e-7 was seen
      for (const changed of [{ optimizer: "adamw" }, { epsilon: 1e-5 }, { learning_rate: 0.0018 }]) {
        const other = await peerCurve(training, { python: python ?? "", folder, changed });
        assert.ok(apart(ours, other).most > 1e-5, `${JSON.stringify(changed)} is not noticed`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
