// One training step (LAMB, forward to update) on each backend of tfjs against xla, and our kernels on the wasm backend
// against its own kernels (with SIMD and threads as tfjs starts them in this runtime). Every backend is timed in
// pairs with its peer, a slow one fewer times.
//   --only=small,P1   which sizes    --engines=tfjs-wasm,...  which backends    --seconds=N  for each pair, default 15
import { type Engine, openEngine, tfjsEngine } from "../../lib/mod.ts";
import { openBackend } from "../../lib/engines/tfjs/backend.ts";
import { download, type TfjsBuffer, upload } from "../../lib/engines/tfjs/memory.ts";
import { nodeOperations } from "../../lib/engines/tfjs/node/operations.ts";
import { stockKernels } from "../../lib/engines/tfjs/stock_kernels.ts";
import { compileStock } from "../../lib/engines/tfjs/stock_program.ts";
import { inTurn, type Ratio, ratioOf } from "./pairs.ts";
import { type Size, xlaStep } from "./xla_step.ts";

const sizes: { readonly [name: string]: Size } = {
  // The preset "one minute" of the search for presets that leave the plateau.
  P1: {
    ...{ layers: 2, hidden: 64, heads: 4, intermediate: 256, pieces: 1000, embedding: 32 },
    ...{ batch: 32, sequence: 32, predictions: 5, dropout: 0, threads: 2 },
  },
  small: {
    ...{ layers: 4, hidden: 256, heads: 4, intermediate: 1024, pieces: 8192 },
    ...{ batch: 8, sequence: 128, predictions: 20, dropout: 0, threads: 2 },
  },
  "small-dropout": {
    ...{ layers: 4, hidden: 256, heads: 4, intermediate: 1024, pieces: 8192 },
    ...{ batch: 8, sequence: 128, predictions: 20, dropout: 0.1, threads: 2 },
  },
};

/**
 * tfjs' wasm backend with its own kernels. A model in tfjs' own calls leaves transposes to the products
 * (`tf.matMul(a, b, false, true)`), where they are slow; this library moves the operands first, with the same kernels.
 */
async function stockWasm(transposes: "in its products" | "before"): Promise<Engine> {
  const opened = await openBackend("wasm");
  const { dot } = nodeOperations();
  const table = { ...stockKernels(), ...transposes === "before" || dot === undefined ? {} : { dot } };
  return {
    ...await tfjsEngine({ backend: "wasm" }),
    name: `tfjs' kernels, transposes ${transposes}`,
    compile: (graph, options) => compileStock(opened, graph, { ...options, table }),
    upload: (values, type) => Promise.resolve(upload(opened, values, type)),
    download: (buffer) => download(opened, buffer),
    release: (buffer) => void opened.backend.disposeData((buffer as TfjsBuffer).info.dataId),
  };
}

type Step = { readonly name: string; readonly run: () => Promise<void>; readonly seconds: number };

/** A step made ready, and what it takes about. */
async function ready(engine: Engine, size: Size): Promise<Step> {
  const run = await xlaStep(engine, size);
  await run(); // compiles what is compiled late
  const began = performance.now();
  await run();
  return { name: engine.name, run, seconds: (performance.now() - began) / 1000 };
}

async function paired(what: string, ours: Step, peer: Step, seconds: number): Promise<Ratio> {
  const rounds = Math.max(1, Math.min(20, Math.floor(seconds / (ours.seconds + peer.seconds))));
  const [a = [], b = []] = await inTurn([ours, peer], rounds);
  return ratioOf(`${what}: ${ours.name} / ${peer.name}`, a, b);
}

/** Ratios of every backend that works here to xla, then of the wasm backend to itself without our kernels. */
export async function* tfjsBench(flags: { readonly [name: string]: string }): AsyncGenerator<Ratio | string> {
  const seconds = Number(flags["seconds"] ?? 15);
  const wanted = flags["engines"]?.split(",") ??
    ["tfjs-node", "tfjs-node-gpu", "tfjs-wasm", "tfjs-webgpu", "tfjs-cpu"];
  for (const name of flags["only"]?.split(",") ?? ["P1", "small"]) {
    const size = sizes[name];
    if (size === undefined) {
      yield `${name}: skipped, known sizes are ${Object.keys(sizes).join(", ")}`;
      continue;
    }
    const xla = await openEngine("xla").then(
      (engine) => ready(engine, size),
      (error: Error) => error.message,
    );
    if (typeof xla === "string") yield `${name}: without xla, ${xla}`;
    for (const each of wanted) {
      try {
        const ours = await ready(await openEngine(each), size);
        if (typeof xla !== "string") yield await paired(name, ours, xla, seconds);
        if (each !== "tfjs-wasm") continue;
        for (const transposes of ["in its products", "before"] as const) {
          yield await paired(name, ours, await ready(await stockWasm(transposes), size), 2 * seconds);
        }
      } catch (error) {
        yield `${each}: skipped, ${error instanceof Error ? error.message : String(error)}`;
      }
    }
  }
}
