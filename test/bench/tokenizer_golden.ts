// Trains on the whole King James Bible with the guide's flags, for three generations of spm_train, two sizes and two
// numbers of threads, and compares with spm_train's files. Run by hand:
//
//     deno run -A test/bench/tokenizer_golden.ts [folder with <generation>_kjv_v8000_t16.model]
//
// Without a folder only the `.vocab` files are compared, by their MD5.
import { existsSync, readFileSync } from "node:fs";
import process, { cpuUsage, exit } from "node:process";
import { type SpmVersion, trainUnigram } from "albert-guide";
import { guideFlags, kjvVerses, md5 } from "../tokenizer/kjv.ts";

const generations: Record<string, SpmVersion> = { a: "0.1.97", h: "0.2.0", p: "0.2.2" };
const wished: Record<string, string> = {
  a_kjv_v1000_t1: "014185f2a306",
  a_kjv_v1000_t16: "04eace44204a",
  a_kjv_v8000_t1: "f152a0ee981c",
  a_kjv_v8000_t16: "1461dadb1194",
  h_kjv_v1000_t1: "e6fe65a577e8",
  h_kjv_v1000_t16: "a007fdcaa50e",
  h_kjv_v8000_t1: "0d3b19ddcd74",
  h_kjv_v8000_t16: "da6df03bf89d",
  p_kjv_v1000_t1: "f9963686caea",
  p_kjv_v1000_t16: "c9d8fedfd1ab",
  p_kjv_v8000_t1: "a4f6561a980b",
  p_kjv_v8000_t16: "2f2ee20ab7a4",
};

const folder = Deno.args[0];
const verses = kjvVerses();
let wrong = 0;
for (const [name, hash] of Object.entries(wished)) {
  const [, generation = "h", size = "0", threads = "0"] = /^(.)_kjv_v(\d+)_t(\d+)$/.exec(name) ?? [];
  const before = cpuUsage();
  const { vocab, model, report } = await trainUnigram(verses, {
    ...guideFlags,
    input: "out/kjv.txt",
    model_prefix: `gold/${name}`,
    vocab_size: Number(size) - 3,
    num_threads: Number(threads),
    spm_version: generations[generation] ?? "0.2.0",
  });
  const { user, system } = cpuUsage(before);
  const path = `${folder}/${name}.model`;
  const sameVocab = md5(vocab) === hash;
  const sameModel = existsSync(path) ? md5(model) === md5(readFileSync(path)) : undefined;
  if (!sameVocab || sameModel === false) wrong++;
  const verdict = `.vocab ${sameVocab ? "equal" : "DIFFERS"}` +
    (sameModel === undefined ? "" : `, .model ${sameModel ? "equal" : "DIFFERS"}`);
  const seconds = ((user + system) / 1e6).toFixed(1);
  process.stdout.write(
    `${name}: ${verdict}; ${report.rounds.length} EM rounds, ${seconds} s of processor time\n`,
  );
}
exit(wrong === 0 ? 0 : 1);
