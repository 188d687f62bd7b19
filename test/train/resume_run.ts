/** The run of the resume tests: dropout, two batches a step, 6 examples a step of an epoch of 7, so steps straddle epochs. */
import type { PretrainingConfig } from "../../lib/config/mod.ts";
import { runOf } from "./tiny.ts";

export const resumeRun = (output_dir: string): PretrainingConfig =>
  runOf({
    output_dir,
    gradient_accumulation_steps: 2,
    save_checkpoints_steps: 2,
    log_every: 3,
    eval_every: 4,
    num_train_steps: 12,
  });
