/**
 * `albert evaluate`: the held-out metrics of a checkpoint, as one JSON object on standard output.
 */
import { openEngine } from "../engines/mod.ts";
import { evaluate as measure, readCheckpoint } from "../train/mod.ts";
import { type Command, command } from "./command.ts";
import { openExamples } from "./pretrain.ts";

/** The command. */
export const evaluate: Command = command({
  name: "evaluate",
  summary: "Measure a checkpoint on held-out records.",
  example: "deno task albert evaluate --checkpoint=build/model --eval_input_file=build/held_out.tfrecord " +
    "--max_seq_length=64 --max_predictions_per_seq=10",
  flags: {
    checkpoint: {
      kind: "string",
      required: true,
      help: "a step folder, or an output_dir, whose newest one is taken",
    },
    eval_input_file: { kind: "string", required: true, help: "held-out records: paths or globs by comma" },
    max_seq_length: { kind: "int", default: 512, help: "pieces per record", source: "reference" },
    max_predictions_per_seq: {
      kind: "int",
      default: 20,
      help: "masked pieces per record",
      source: "reference",
    },
    eval_batch_size: { kind: "int", default: 64, help: "records per batch", source: "reference" },
    max_eval_steps: { kind: "int", default: 0, help: "most batches, 0 for all" },
    engine: {
      kind: "string",
      default: "auto",
      help: "auto, reference, tfjs, tfjs-wasm, tfjs-cpu, tfjs-webgpu",
    },
  },
  run: async (flags, _, { print, signal }) => {
    const { config, parameters, state, path } = readCheckpoint(flags.checkpoint);
    const metrics = await measure(parameters, config, openExamples(flags.eval_input_file, flags), {
      engine: await openEngine(flags.engine),
      batchSize: flags.eval_batch_size,
      signal,
      ...(flags.max_eval_steps === 0 ? {} : { maxBatches: flags.max_eval_steps }),
    });
    print(JSON.stringify({ checkpoint: path, global_step: state.step, ...metrics }, undefined, 2));
  },
});
