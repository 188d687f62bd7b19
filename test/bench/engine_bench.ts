// One ALBERT training step (LAMB, forward to update) on the xla engine, in plain JAX and in PyTorch with its fused attention,
// one step each in turn. The peers run in the Pythons that ALBERT_JAX_PYTHON and ALBERT_TORCH_PYTHON name, default python3.
// Before each step all rest for 50 ms: JAX answers before it has given back the memory of its step.
//   --only=small,base,...  which sizes    --rounds=N  how many rounds of each
import { findPlugin } from "../../lib/mod.ts";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { inTurn, type Ratio, ratioOf, type Side } from "./pairs.ts";
import { type Peer, startPeer } from "./step_peer.ts";
import { type Size, xlaStep } from "./xla_step.ts";

const small: Size = {
  ...{ layers: 4, hidden: 256, heads: 4, intermediate: 1024, pieces: 8192 },
  ...{ batch: 8, sequence: 128, predictions: 20, dropout: 0, threads: 2 },
};
const base: Size = { ...small, layers: 12, hidden: 768, heads: 12, intermediate: 3072, pieces: 30000 };

/** Sizes by name, with their rounds. `small-512` has the small width. */
const sizes: { readonly [name: string]: readonly [Size, number] } = {
  small: [small, 20],
  "small-dropout": [{ ...small, dropout: 0.1 }, 12],
  "small-512": [{ ...small, batch: 2, sequence: 512, predictions: 76 }, 12],
  "small-1-thread": [{ ...small, threads: 1 }, 8],
  base: [base, 4],
};

const least = (values: readonly number[]): number => Math.min(...values);

/** A side of the comparison that counts its own processor time. */
type Counted = Side & {
  readonly spent: () => number | Promise<number>;
  readonly peak: () => number | Promise<number>;
};

function counted(name: string, peer: Peer): Counted {
  let [total, highest] = [0, 0];
  const run = async (): Promise<void> => {
    const { seconds, peak } = await peer.step();
    total += seconds;
    highest = peak;
  };
  return { name, run, spent: () => total, peak: () => highest };
}

/** Peers that work here, and a line for each that does not. */
async function peersFor(
  size: Size,
): Promise<{ readonly peers: Peer[]; readonly sides: Counted[]; readonly notes: string[] }> {
  const peers: Peer[] = [];
  const sides: Counted[] = [];
  const notes: string[] = [];
  for (
    const [name, script, variable] of [
      ["JAX", "jax_step.py", "ALBERT_JAX_PYTHON"],
      ["PyTorch", "torch_step.py", "ALBERT_TORCH_PYTHON"],
    ] as const
  ) {
    const peer = startPeer(script, variable, size);
    try {
      await peer.step();
      await peer.step();
      peers.push(peer);
      sides.push(counted(name, peer));
    } catch (error) {
      peer.stop();
      notes.push(`${name}: skipped, ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { peers, sides, notes };
}

async function* compare(
  name: string,
  size: Size,
  rounds: number,
  plugin: string,
): AsyncGenerator<Ratio | string> {
  const engine = xlaEngineOn({ plugin, threads: size.threads, programCache: false });
  const { peers, sides, notes } = await peersFor(size);
  try {
    yield* notes;
    const step = await xlaStep(engine, size);
    await step();
    await step();
    const compiled = engine.lastCompiled();
    const ours: Counted = {
      name: "xla",
      run: step,
      spent: async () => {
        const { userSeconds, systemSeconds } = await engine.status();
        return userSeconds + systemSeconds;
      },
      peak: async () => (await engine.status()).peak,
    };
    const all = [ours, ...sides];
    const before = await Promise.all(all.map(({ spent }) => spent()));
    const times = await inTurn(all, rounds, 50);
    const spent = await Promise.all(
      all.map(async ({ spent }, i) => (await spent() - (before[i] as number)) / rounds),
    );
    for (const [i, side] of all.entries()) {
      if (i > 0) yield ratioOf(`${name}: xla / ${side.name}`, times[0] as number[], times[i] as number[]);
      yield `  ${side.name.padEnd(8)} least ${least(times[i] as number[]).toFixed(3)} s, processor ${
        (spent[i] as number).toFixed(3)
      } s a step${
        i > 0 ? ` (ratio ${((spent[0] as number) / (spent[i] as number)).toFixed(2)})` : ""
      }, peak ${(await side.peak() / 1e6).toFixed(0)} MB${
        i === 0 && compiled !== undefined
          ? `, compiled in ${(compiled.milliseconds / 1000).toFixed(1)} s`
          : ""
      }`;
    }
  } finally {
    peers.forEach((peer) => peer.stop());
    await engine.dispose();
  }
}

/** Ratios of wall time; minima, processor seconds and peak memory beside them. */
export async function* engineBench(
  flags: { readonly [name: string]: string },
): AsyncGenerator<Ratio | string> {
  const plugin = findPlugin();
  if (plugin === undefined) {
    yield "xla: skipped, no plugin is installed (albert environment --install=xla-cpu)";
    return;
  }
  const only = flags["only"]?.split(",") ?? Object.keys(sizes);
  for (const name of only) {
    const found = sizes[name];
    if (found === undefined) yield `${name}: skipped, known sizes are ${Object.keys(sizes).join(", ")}`;
    else yield* compare(name, found[0], Number(flags["rounds"] ?? found[1]), plugin);
  }
}
