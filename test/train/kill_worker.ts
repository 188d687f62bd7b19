/** Trains in the folder given as argument and saves after every step; kill_test.ts ends it at random instants. */
import { pretrain } from "../../lib/train/mod.ts";
import { config, examples, runOf } from "./tiny.ts";
import { openTestEngine } from "../engine.ts";

const run = runOf({
  output_dir: Deno.args[0] ?? "",
  num_train_steps: 150,
  save_checkpoints_steps: 1,
  keep_checkpoint_max: 2,
  log_every: 10,
});
await pretrain({ config, run, examples }, { engine: await openTestEngine() });
