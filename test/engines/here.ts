/** The engines that tests run on beside the reference: each with the reason why it is left out here, if it is. */
import { hasWebgpuAdapter } from "../../lib/engines/tfjs/webgpu.ts";
import { nodeHere, nodeNote } from "./node.ts";
import { startXla, xlaHere, xlaNote } from "./xla.ts";

await startXla();
const adapter = await hasWebgpuAdapter();

/** A name for `openEngine`, whether it is left out, and a note for the test's name. */
export type EngineHere = { readonly name: string; readonly ignore: boolean; readonly note: string };

/** All engines of this project that need no accelerator. */
export const enginesHere: readonly EngineHere[] = [
  { name: "tfjs-wasm", ignore: false, note: "" },
  { name: "tfjs-cpu", ignore: false, note: "" },
  { name: "tfjs-webgpu", ignore: !adapter, note: adapter ? "" : " (left out: no WebGPU adapter)" },
  { name: "tfjs-node", ignore: !nodeHere, note: nodeNote },
  { name: "xla-cpu", ignore: !xlaHere, note: xlaNote },
];
