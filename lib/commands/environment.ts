/**
 * `albert environment`: what this machine is, which engines work on it, and what gives more.
 */
import process from "node:process";
import {
  chooseEngine,
  describeChoice,
  describeMachine,
  type EngineState,
  installPlugin,
  installTfjsNode,
  measureStep,
  type NodePackage,
  type PluginName,
  surveyEngines,
  testPlugin,
} from "../engines/mod.ts";
import { table } from "../show/mod.ts";
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

/** Accelerators that no test of this project has met. */
const accelerators: Readonly<Record<string, string>> = {
  "tfjs-node-gpu": "an NVIDIA GPU",
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

/** Engines that a package of native code brings, by the name that `--install` takes. */
const sizes: Readonly<Record<string, string>> = { ...installs, ...nodePackages };

/** `4.1`, or why there is none. */
async function stepOf({ engine }: EngineState): Promise<string> {
  if (engine === undefined || engine.name === "reference") return "";
  try {
    return (1000 * await measureStep(engine, { seconds: 0.1 })).toFixed(1);
  } catch (error) {
    return `none: ${(error as Error).message}`;
  }
}

/** Each engine's row, measured. */
async function rowsOf(states: readonly EngineState[]) {
  const rows = [];
  for (const each of states) {
    const { name, engine, state, version } = each;
    rows.push({
      engine: name,
      available: engine === undefined ? "no" : "yes",
      version,
      device: engine === undefined ? "" : state.replace(/^works, on /, ""),
      "ms a training step": await stepOf(each),
    });
  }
  return rows;
}

/** Why an engine is not here, and what brings it. */
function missing({ name, state }: EngineState): string {
  const size = sizes[name];
  const absent = state.includes("is not installed") || state.includes("is installed");
  const reason = absent && size !== undefined
    ? `not installed; --install=${name} fetches it (${size})`
    : `not here: ${state}`;
  const remedy = name === "tfjs-webgpu"
    ? "; needs a GPU driver with Vulkan, Metal or Direct3D that Deno can see"
    : "";
  const device = accelerators[name];
  return `${name}: ${reason}${remedy}` +
    (device === undefined ? "" : `; not run by this project yet, for want of ${device}`);
}

async function tellEngines(print: Context["print"]): Promise<void> {
  const nodeNames = Object.keys(nodePackages) as NodePackage[];
  // First: a stock tfjs-node does not survive a graphics driver that was there before it.
  const nodeStates = await surveyEngines({ names: nodeNames });
  const nodeRows = await rowsOf(nodeStates);
  for (const { what, here } of await describeMachine()) print(`${what}: ${here}`);
  const others = await surveyEngines({
    names: [
      ...["reference", "tfjs-cpu", "tfjs-wasm", "tfjs-webgpu"] as const,
      ...Object.keys(installs) as PluginName[],
    ],
  });
  const rows = await rowsOf(others);
  const [portable, plugins] = [rows.slice(0, 4), rows.slice(4)];
  print();
  print(String(table([...portable, ...nodeRows, ...plugins]).bundle["text/plain"]));
  print();
  for (const each of [...nodeStates, ...others]) if (each.engine === undefined) print(missing(each));
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
    await tellEngines(print);
    const verdict = plugin === undefined ? undefined : await testPlugin(plugin);
    if (verdict !== undefined) {
      print(`plugin ${plugin}: ${verdict.works ? "works" : "does not work"}, ${verdict.reason}`);
    }
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
