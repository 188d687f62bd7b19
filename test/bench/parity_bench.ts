// Parity in motion: 200 steps on the same data from the same weights, ours on every engine beside plain JAX
// (test/peers/pretrain_parity.py). Loss curves must agree within 1e-3 at every step; a peer that trains otherwise must be
// told from one that does not: five times as far away.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPlugin, openEngine } from "../../lib/engines/mod.ts";
import { apart, type Case, ourCurve, parityCase, peerCurve, weightsApart } from "../peers/parity.ts";
import { pythonWith } from "../peers/python.ts";

const LIMIT = 1e-3;

const cases: { readonly [name: string]: () => Promise<Case> } = {
  "LAMB, E 32, H 64, 4 shared layers": () =>
    parityCase({ embedding_size: 32, hidden_size: 64, num_hidden_layers: 4 }, {}),
  "LAMB, E = H = 64, 2 groups of 2": () =>
    parityCase({
      embedding_size: 64,
      hidden_size: 64,
      num_hidden_layers: 2,
      num_hidden_groups: 2,
      inner_group_num: 2,
    }, {}),
  "AdamW, relu, rate 1e-3": () =>
    parityCase({ embedding_size: 32, hidden_size: 64, num_hidden_layers: 3, hidden_act: "relu" }, {
      optimizer: "adamw",
      learning_rate: 1e-3,
    }),
};

/** What the peer does otherwise, to see that the comparison notices. */
const changes: { readonly [name: string]: { readonly [flag: string]: unknown } } = {
  "epsilon 1e-5 for 1e-6": { epsilon: 1e-5 },
  "weight decay 0.02 for 0.01": { weight_decay_rate: 0.02 },
  "rate 1 % higher": { learning_rate: 0.00176 * 1.01 },
  "AdamW for LAMB": { optimizer: "adamw" },
};

/** One line per comparison. */
export async function* parityBench(): AsyncGenerator<string> {
  const python = pythonWith("jax");
  if (python === undefined) {
    yield "skipped, python3 has no jax (ALBERT_JAX_PYTHON names another one)";
    return;
  }
  const engines = ["tfjs-wasm", ...(findPlugin() === undefined ? [] : ["xla"])];
  const folder = mkdtempSync(join(tmpdir(), "albert-parity-"));
  try {
    for (const [name, open] of Object.entries(cases)) {
      const training = await open();
      const peer = await peerCurve(training, { python, folder });
      for (const engineName of engines) {
        const engine = await openEngine(engineName);
        const ours = await ourCurve(training, engine);
        const { most, step } = apart(ours, peer);
        const weights = weightsApart(ours, peer);
        const [first, last] = [ours.losses[0] ?? NaN, ours.losses.at(-1) ?? NaN];
        yield `${name}, ${engineName}, ${ours.losses.length} steps, loss ${first.toFixed(3)} to ${
          last.toFixed(3)
        }: at most ${most.toExponential(1)} apart (step ${step}), last weights ${
          weights.most.toExponential(1)
        } (${weights.name}): ${most < LIMIT ? "holds" : "FAILS"}`;
      }
    }
    const training = await (Object.values(cases)[0] as () => Promise<Case>)(); // there is a case
    const ours = await ourCurve(training, await openEngine("tfjs-wasm"));
    const plain = apart(ours, await peerCurve(training, { python, folder })).most;
    for (const [name, changed] of Object.entries(changes)) {
      const { most, step } = apart(ours, await peerCurve(training, { python, folder, changed }));
      yield `the peer with ${name}: ${most.toExponential(1)} apart (step ${step}): ${
        most > 5 * plain ? "noticed" : "NOT noticed"
      }`;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
