/**
 * `albert environment`: what this machine is, which engines work on it, and what gives more.
 */
import process from "node:process";
import {
  chooseEngine,
  describeChoice,
  describeMachine,
  type EngineState,
  findNodePackage,
  findPlugin,
  installPlugin,
  installTfjsNode,
  measureStep,
  type NodePackage,
  type PluginName,
  surveyEngines,
  testNodePackage,
  testPlugin,
} from "../engines/mod.ts";
import { type Command, command, type Context } from "./command.ts";
import { engineFlags } from "./engine.ts";

const installs: Readonly<Record<PluginName, string>> = {
  "xla-cpu": "60 MB",
  "xla-cuda": "some 2 GB, with NVIDIA's libraries",
  "xla-rocm": "130 MB, needs ROCm 7",
  "xla-tpu": "130 MB, under the Google Cloud Platform terms",
};

const nodePackages: Readonly<Record<NodePackage, string>> = {
  "tfjs-node": "280 MB, built here by a C++ compiler",
  "tfjs-node-gpu": "some 4 GB, with NVIDIA's libraries; built here by a C++ compiler",
};

const isNodePackage = (name: string): name is NodePackage => Object.hasOwn(nodePackages, name);

const remedies: Readonly<Record<string, string>> = {
  "xla-cpu": "deno task albert environment --install=xla-cpu fetches its plugin with pip",
  "tfjs-webgpu": "needs a GPU driver with Vulkan, Metal or Direct3D that Deno can see",
};

/** Accelerators that no test of this project has met. */
const accelerators: Readonly<Partial<Record<PluginName, string>>> = {
  "xla-cuda": "an NVIDIA GPU",
  "xla-rocm": "an AMD GPU",
  "xla-tpu": "a TPU",
};

/** What runs this program: `Deno 2.9.6` or `Node 20.20.2`. */
export function runtimeName(): string {
  const deno = (globalThis as { Deno?: { version: { deno: string } } }).Deno;
  return deno === undefined ? `Node ${process.versions.node}` : `Deno ${deno.version.deno}`;
}

async function install(
  name: PluginName | NodePackage,
  { print, onProgress, endProgress, signal }: Context,
): Promise<void> {
  if (isNodePackage(name)) {
    const { folder, verdict } = await installTfjsNode(name, { onProgress, signal });
    await endProgress();
    const gpu = name === "tfjs-node-gpu" ? "; its GPU kernels: not run by this project yet" : "";
    print(
      `installed ${folder}: its addon is built, ${
        verdict.works ? `its self-test passes, ${verdict.reason}` : `not run, ${verdict.reason}`
      }${gpu}`,
    );
    return;
  }
  if (name === "xla-tpu") {
    print("libtpu is not open source: fetching it means to take the Google Cloud Platform Terms of Service");
  }
  const library = await installPlugin(name, { onProgress, signal });
  await endProgress();
  const { works, reason } = await testPlugin(library);
  print(`installed ${library}: ${works ? "its self-test passes" : `not run, ${reason}`}`);
}

/** Lines about the accelerators' engines: installed or not, and that nobody ran them here. */
async function tellAccelerators(print: Context["print"]): Promise<void> {
  for (const [name, device] of Object.entries(accelerators)) {
    const plugin = findPlugin(name as PluginName);
    if (plugin === undefined) {
      print(
        `engine ${name}: not installed; --install=${name} fetches it (${
          installs[name as PluginName]
        }); not run by this project yet, for want of ${device}`,
      );
      continue;
    }
    const { works, reason } = await testPlugin(plugin);
    print(`engine ${name}: ${works ? "works" : "not run"}, ${reason}`);
  }
}

/** Lines about tfjs-node, tried in a process of its own: beside a WebGPU driver TensorFlow ended this one. */
async function tellNode(print: Context["print"]): Promise<void> {
  for (const [name, size] of Object.entries(nodePackages) as [NodePackage, string][]) {
    const gpu = name === "tfjs-node-gpu";
    const folder = findNodePackage(name);
    if (folder === undefined) {
      const note = gpu ? "; not run by this project yet, for want of an NVIDIA GPU" : "";
      print(`engine ${name}: not installed; --install=${name} fetches and builds it (${size})${note}`);
      continue;
    }
    const { works, reason } = await testNodePackage(folder);
    print(`engine ${name}: ${works ? gpu ? "loads" : "works" : "not run"}, ${reason}; from ${folder}`);
  }
}

/** ` 4.1 ms a training step`, or why there is none. */
async function stepOf({ engine }: EngineState): Promise<string> {
  if (engine === undefined || engine.name === "reference") return "";
  try {
    return `, ${(1000 * await measureStep(engine, { seconds: 0.1 })).toFixed(1)} ms a training step`;
  } catch (error) {
    return `, no training step: ${(error as Error).message}`;
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
      choices: Object.keys({ ...installs, ...nodePackages }),
      help: `fetch what an engine needs, by pip and for tfjs-node by npm: ${
        Object.entries({ ...installs, ...nodePackages }).map(([name, size]) => `${name} (${size})`).join("; ")
      }`,
    },
    plugin: engineFlags.plugin,
  },
  run: async ({ install: wanted, plugin }, _, context) => {
    const { print } = context;
    if (wanted !== undefined) await install(wanted as PluginName | NodePackage, context);
    for (const { what, here } of await describeMachine()) print(`${what}: ${here}`);
    const verdict = plugin === undefined ? undefined : await testPlugin(plugin);
    if (verdict !== undefined) {
      print(`plugin ${plugin}: ${verdict.works ? "works" : "does not work"}, ${verdict.reason}`);
    }
    for (const each of await surveyEngines()) {
      const { name, engine, state } = each;
      const remedy = engine === undefined ? remedies[name] : undefined;
      print(
        `engine ${name}: ${engine === undefined ? `not here (${state})` : state}${await stepOf(each)}` +
          (remedy === undefined || state.includes("--install") ? "" : `; ${remedy}`),
      );
    }
    await tellNode(print);
    await tellAccelerators(print);
    const refused = verdict?.works === false;
    if (refused) print(`--engine=auto --plugin=${plugin}: refused, since that plugin does not work`);
    const choice = await chooseEngine(plugin === undefined || refused ? {} : { plugin });
    print(
      `--engine=auto${refused ? " without --plugin" : ""}: ${
        describeChoice(choice).replace(/^engine: /, "")
      }`,
    );
  },
});
