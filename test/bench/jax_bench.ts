// The same ALBERT step (LAMB, batch 8, sequence 128, 20 predictions, no dropout) on xla and in plain JAX, one step each in
// turn. JAX is looked for in the Python that ALBERT_JAX_PYTHON names, default python3.
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type AlbertConfig, albertPreset, findPlugin, parsePretrainingConfig } from "../../lib/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import { deviceArray } from "../../lib/tensor/mod.ts";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import type { XlaEngine } from "../../lib/engines/xla/engine.ts";
import {
  type DeviceState,
  makeTrainStep,
  parameterTypes,
  stateTotals,
  uploadAll,
  zeroValues,
} from "../../lib/train/step.ts";
import { type BatchArrays, batchTypes } from "../../lib/train/totals.ts";
import { inPairs, type Ratio } from "./pairs.ts";

const [B, S, P] = [8, 128, 20];

/** Layers, hidden size, heads, intermediate size, pieces, rounds. */
const sizes: { readonly [name: string]: readonly [number, number, number, number, number, number] } = {
  "4 layers, H 256": [4, 256, 4, 1024, 8192, 20],
  "12 layers, H 768": [12, 768, 12, 3072, 30000, 3],
};

type Peer = { readonly step: () => Promise<readonly number[]>; readonly child: ChildProcess };

function startJax(size: readonly number[]): Peer {
  const script = new URL("./jax_step.py", import.meta.url).pathname;
  const python = process.env["ALBERT_JAX_PYTHON"] ?? "python3";
  const child = spawn(python, [script, ...size.slice(0, 5).map(String)], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  return {
    child,
    step: async () => {
      child.stdin.write("\n");
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${python} has no jax (ALBERT_JAX_PYTHON names another one)`);
      return String(value).split(" ").map(Number);
    },
  };
}

function configOf([layers, hidden, heads, intermediate, pieces]: readonly number[]): AlbertConfig {
  return {
    ...albertPreset("tiny"),
    vocab_size: pieces as number,
    embedding_size: 128,
    hidden_size: hidden as number,
    num_hidden_layers: layers as number,
    num_attention_heads: heads as number,
    intermediate_size: intermediate as number,
    max_position_embeddings: 512,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
  };
}

/** A batch of the right shapes: all positions used, predictions spread over the sequence. */
function batchOf({ vocab_size }: AlbertConfig): BatchArrays {
  const value = (name: string, i: number): number => {
    if (name.includes("positions")) return (i % P) * Math.floor(S / P);
    if (name === "segment_ids") return i % S > S / 2 ? 1 : 0;
    if (name.includes("mask") && !name.includes("ids") || name.includes("weights")) return 1;
    return (i * 7919) % (name.includes("label") ? 2 : vocab_size);
  };
  const arrays = Object.entries(batchTypes(B, S, P)).map(([name, { dtype, shape }]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: count }, (_, i) => value(name, i));
    return [name, dtype === "float32" ? Float32Array.from(values) : Int32Array.from(values)];
  });
  return Object.fromEntries(arrays) as BatchArrays;
}

async function xlaStep(engine: XlaEngine, config: AlbertConfig): Promise<() => Promise<void>> {
  const run = parsePretrainingConfig({
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: B,
  });
  const program = await makeTrainStep(config, run, engine);
  const types = parameterTypes(config);
  let state: DeviceState = {
    parameters: await uploadAll(initialParameters(config, 1), types, engine),
    m: await uploadAll(zeroValues(types), types, engine),
    v: await uploadAll(zeroValues(types), types, engine),
    totals: await deviceArray(new Float32Array(stateTotals), { engine }),
  };
  const batch = batchOf(config);
  let step = 0;
  return async () => {
    state = await program.run(state, [batch], { step: step++, learningRate: 0.003 });
    await state.totals.data();
  };
}

/** Ratios of wall time, and processor seconds and peak memory beside them. */
export async function* jaxBench(): AsyncGenerator<Ratio | string> {
  const plugin = findPlugin();
  if (plugin === undefined) {
    yield "xla: skipped, no plugin is installed (albert environment --install=xla-cpu)";
    return;
  }
  for (const [name, size] of Object.entries(sizes)) {
    const jax = startJax(size);
    const engine = xlaEngineOn({ plugin });
    try {
      await jax.step();
      const ours = await xlaStep(engine, configOf(size));
      const cpu = { ours: 0, peer: 0, peak: 0 };
      const seconds = async (): Promise<number> => {
        const { userSeconds, systemSeconds } = await engine.status();
        return userSeconds + systemSeconds;
      };
      const peer = async (): Promise<void> => {
        const [, spent = 0, peak = 0] = await jax.step();
        cpu.peer += spent;
        cpu.peak = peak;
      };
      await ours();
      const before = await seconds();
      yield await inPairs(
        `a step of ${name}`,
        { name: "xla", run: ours },
        { name: "JAX", run: peer },
        size[5],
      );
      cpu.ours = await seconds() - before;
      const { peak } = await engine.status();
      yield `  processor time ratio ${(cpu.ours / cpu.peer).toFixed(2)}, peak memory ${
        (peak / 1e6).toFixed(0)
      } and ${(cpu.peak / 1e6).toFixed(0)} MB`;
    } catch (error) {
      yield `${name}: skipped, ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      jax.child.kill();
      await engine.dispose();
    }
  }
}
