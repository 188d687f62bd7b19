/**
 * A run that kills itself: `resume_worker.ts FOLDER ENGINE READS` trains in the folder and dies when it reads its
 * READS-th example, 0 for never. The test of resuming starts it again and again.
 */
import { kill, pid } from "node:process";
import { openEngine } from "../../lib/engines/mod.ts";
import { pretrain } from "../../lib/train/mod.ts";
import { config, examples } from "./tiny.ts";
import { resumeRun } from "./resume_run.ts";

const [folder = "", name = "", reads = "0"] = Deno.args;
let read = 0;
function* counted() {
  for (const example of examples) {
    if (++read === Number(reads)) kill(pid, "SIGKILL");
    yield example;
  }
}
const engine = await openEngine(name);
await pretrain({ config, run: resumeRun(folder), examples: counted, evalExamples: examples }, { engine });
await engine.dispose();
