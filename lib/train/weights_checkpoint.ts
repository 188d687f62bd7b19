/**
 * A checkpoint of weights alone, as another program's model becomes one: no moments, no state of a run. `init_checkpoint`
 * starts from it, and `evaluate`, `fill-mask` and `export` read it as any other.
 */
import { type AlbertConfig, albertConfigToJson } from "../config/mod.ts";
import { firstNotFinite } from "../formats/mod.ts";
import { albertParameters } from "../model/mod.ts";
import { latestCheckpoint, type RunState } from "./checkpoint.ts";
import { writeCheckpoint } from "./checkpoint_files.ts";

/**
 * Writes weights as the checkpoint `step-000000` of a folder.
 *
 * @param folder An output_dir without checkpoints; made when missing.
 * @param model Config, weights by TensorFlow name, and files to keep beside them, such as `tokenizer.model`.
 * @returns Path of the checkpoint.
 * @throws {RangeError} When a weight is missing, has the wrong size, or is NaN or infinite.
 * @throws {Error} When the folder holds a checkpoint already or cannot be written.
 * @example
 * ```ts
 * import { albertPreset, initialParameters, readCheckpoint, saveWeights } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const config = albertPreset("tiny", { vocab_size: 10 });
 * const parameters = initialParameters(config, 1);
 * const path = saveWeights(mkdtempSync(`${tmpdir()}/albert-`), { config, parameters });
 * assert.deepEqual(readCheckpoint(path).parameters["bert/pooler/dense/bias"], parameters["bert/pooler/dense/bias"]);
 * ```
 */
export function saveWeights(
  folder: string,
  { config, parameters, attachments = {} }: {
    readonly config: AlbertConfig;
    readonly parameters: { readonly [name: string]: Float32Array };
    readonly attachments?: { readonly [name: string]: Uint8Array };
  },
): string {
  const there = latestCheckpoint(folder);
  if (there !== undefined) {
    throw new Error(
      `Cannot write weights to ${folder}: it holds ${there} already; choose another output_dir`,
    );
  }
  const tensors = Object.fromEntries(
    albertParameters(config).map(({ name, shape }) => {
      const data = parameters[name];
      const wanted = shape.reduce((product, size) => product * size, 1);
      if (data?.length !== wanted) {
        throw new RangeError(
          `Cannot write weights to ${folder}: ${name} has ${
            data?.length ?? "no"
          } values, the config asks for ${wanted}`,
        );
      }
      const bad = firstNotFinite(data);
      if (bad >= 0) {
        throw new RangeError(`Cannot write weights to ${folder}: ${name} holds ${data[bad]} at place ${bad}`);
      }
      return [name, { shape: [...shape], data }];
    }),
  );
  const state: RunState = { step: 0, position: 0, totals: [], steps_in_totals: 0, run: {} };
  const text = (content: string) => ({ bytes: new TextEncoder().encode(content) });
  return writeCheckpoint({
    folder,
    step: 0,
    files: [
      ...Object.entries(attachments).map(([name, bytes]) => ({ name, content: { bytes } })),
      { name: "albert_config.json", content: text(albertConfigToJson(config)) },
      { name: "model.safetensors", content: { tensors } },
      { name: "state.json", content: text(`${JSON.stringify(state, null, 2)}\n`) },
    ],
    keep: 0,
    protect: [],
  });
}
