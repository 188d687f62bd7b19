import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInstances, generators, type TasksConfig } from "../../lib/tasks/mod.ts";
import { goldenPipeline, listVocabulary } from "./golden_tasks.ts";

/**
 * Runs that the golden file lacks, as hashes of the records of a second, independent program: a plain Python version of
 * the published rules with lists of texts, which repeats every golden run too.
 */
type SecondRun = {
  flags: TasksConfig;
  random_seed: string;
  numpy_seed: number;
  n: number;
  sha256: string;
  after: { python_random: number; numpy_random: number };
};
const url = new URL("../golden/albert/instances-second.json", import.meta.url);
const runs = JSON.parse(readFileSync(url, "utf8")) as Record<string, SecondRun>;
const golden = goldenPipeline();

for (const [name, run] of Object.entries(runs)) {
  Deno.test(`createInstances() agrees with a second program when run as ${name}`, () => {
    const vocabulary = listVocabulary(golden.vocab_spm);
    const random = generators(BigInt(run.random_seed), run.numpy_seed);
    const instances = createInstances(golden["documents_two_files"] ?? [], vocabulary, random, run.flags);
    assert.equal(instances.length, run.n);
    const records = instances.map((instance) => ({
      input_ids: instance.tokens.map(vocabulary.idOf),
      sep: instance.segmentIds.indexOf(1),
      boundary: instance.tokenBoundary.join(""),
      positions: instance.maskedLmPositions,
      ids: instance.maskedLmLabels.map(vocabulary.idOf),
      label: instance.nextSentenceLabel,
    }));
    const after = { python_random: random.python.random(), numpy_random: random.numpy.uniform() };
    assert.deepEqual(after, run.after);
    assert.equal(createHash("sha256").update(JSON.stringify(records)).digest("hex"), run.sha256);
  });
}
