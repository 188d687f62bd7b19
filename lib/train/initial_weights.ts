/**
 * Weights for a warm start, from whatever `init_checkpoint` names: a `step-…` folder of this library or an output_dir.
 * Every other kind of checkpoint that is read one day gets its branch here, and nowhere else.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { type NamedValues, readCheckpoint } from "./checkpoint.ts";

/** What a warm start reads. */
export type InitialWeights = {
  /** Where the weights were found, for messages. */
  readonly path: string;
  /** Values by TensorFlow name; a name may be missing (it starts fresh) or unknown to this architecture (it is left aside). */
  readonly parameters: NamedValues;
};

/** Reads the weights that a run starts from; `config` is the architecture they are for. */
export function readInitialWeights(path: string, _config: AlbertConfig): InitialWeights {
  const { parameters, path: found } = readCheckpoint(path);
  return { path: found, parameters };
}
