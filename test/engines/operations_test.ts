/**
 * Every primitive operation on every engine that runs here, against the reference loops.
 */
import { openEngine } from "albert-guide";
import type { HostArray, OperationName, Tensor } from "albert-guide";
import { findBackend } from "@tensorflow/tfjs-core";
import { assertClose } from "./assert_close.ts";
import { cases, tolerance } from "./cases.ts";
import { enginesHere } from "./here.ts";
import { valuesOn } from "./values_on.ts";

for (const { name, ignore, note } of enginesHere) {
  for (const op of Object.keys(cases) as OperationName[]) {
    Deno.test({ name: `${name} agrees with the reference on ${op}${note}`, ignore }, async () => {
      // Shaders compile slowly and a GPU's exp is coarser: three cases, ten times the tolerance.
      const gpu = name === "tfjs-webgpu";
      const all = cases[op]();
      const tensors = gpu
        ? [...new Set([all[0], all[Math.floor(all.length / 2)], all.at(-1)])] as Tensor[]
        : all;
      const expected = await valuesOn(await openEngine("reference"), tensors);
      const actual = await valuesOn(await openEngine(name), tensors);
      tensors.forEach((_, i) =>
        assertClose(
          actual[i] as HostArray,
          expected[i] as HostArray,
          tolerance[op] * (gpu ? 10 : 1),
          `${op} case ${i}`,
        )
      );
    });
  }
}

// A software GPU whose device was alive at the end has spoiled the heap of the process, twice in some thirty runs.
globalThis.addEventListener("unload", () => {
  const { device } = (findBackend("webgpu") ?? {}) as { readonly device?: { readonly destroy: () => void } };
  device?.destroy();
});
