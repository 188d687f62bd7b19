/**
 * `albert environment`: what this machine is, which engines work on it, and what gives more.
 */
import { arch, cpus, platform, totalmem } from "node:os";
import process from "node:process";
import { installPlugin, openEngine } from "../engines/mod.ts";
import { constant, deviceArray, type Engine, matmul, useEngine } from "../tensor/mod.ts";
import { type Command, command } from "./command.ts";

const names = ["xla", "tfjs-wasm", "tfjs-cpu", "tfjs-webgpu", "reference"] as const;

const remedies: Readonly<Record<string, string>> = {
  xla: "deno task albert environment --install=xla-cpu fetches its plugin with pip",
  "tfjs-webgpu": "needs a GPU driver with Vulkan, Metal or Direct3D that Deno can see",
};

/** What runs this program: `Deno 2.9.6` or `Node 20.20.2`. */
export function runtimeName(): string {
  const deno = (globalThis as { Deno?: { version: { deno: string } } }).Deno;
  return deno === undefined ? `Node ${process.versions.node}` : `Deno ${deno.version.deno}`;
}

/** One small product on an engine: it works if the numbers are right. */
async function works(engine: Engine): Promise<boolean> {
  useEngine(engine);
  try {
    const probe = await deviceArray(Float32Array.of(1), { engine });
    probe.dispose();
    const product = await matmul(constant([[1, 2], [3, 4]]), constant([[1], [1]])).data();
    return product[0] === 3 && product[1] === 7;
  } finally {
    useEngine(undefined);
  }
}

/** The command. */
export const environment: Command = command({
  name: "environment",
  summary: "Show what runs on this machine and what to install for more.",
  example: "deno task albert environment",
  flags: {
    install: {
      kind: "string",
      choices: ["xla-cpu"],
      help: "fetch what an engine needs: xla-cpu (60 MB, by pip)",
    },
  },
  run: async ({ install }, _, { print, onProgress, endProgress }) => {
    if (install !== undefined) {
      const library = await installPlugin("xla-cpu", { onProgress });
      await endProgress();
      print(`installed ${library}`);
    }
    const processors = cpus();
    print(
      `machine: ${platform()} ${arch()}, ${processors.length} × ${
        processors[0]?.model.trim() ?? "processor"
      }, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    );
    print(`runtime: ${runtimeName()}`);
    for (const name of names) {
      try {
        const engine = await openEngine(name);
        const device = engine.devices()[0];
        const verdict = await works(engine) ? "works" : "gives wrong numbers";
        print(`engine ${name}: ${verdict}${device === undefined ? "" : `, on ${device.name}`}`);
      } catch (error) {
        const remedy = remedies[name];
        print(
          `engine ${name}: not here (${error instanceof Error ? error.message : String(error)})${
            remedy === undefined ? "" : `; ${remedy}`
          }`,
        );
      }
    }
    print(`--engine=auto takes ${(await openEngine("auto")).name}`);
  },
});
