// deno task bench finetune: what pretraining is good for. The same model, fine-tuned on few labelled verses, from its
// pretrained weights and from random ones, with the same steps, rate and seeds; held-out chapters decide. Names must gain
// by the margin below; what the other sets gain is told and not judged.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { finetune, openEngine, parseFinetuneConfig, readCheckpoint, type TaskMetrics } from "albert-guide";
import { kjvLabelled, type KjvSet, kjvSets } from "../train/labelled_kjv.ts";

/** The least gain of the names' entity F1, in every seed. */
const margin = 0.1;

const places = [
  "build/guide/kjv-1/model_long",
  "build/learn/P2-xla-cpu-seed-1",
  "build/learn/P2-tfjs-wasm-seed-1",
];

const scoreOf = ({ entity_f1, macro_f1 }: TaskMetrics): number => entity_f1 ?? macro_f1;

/** Flags: --model= --spm_model_file= --sets=names,testament,next --seeds=1,2,3 --examples=200 --epochs=30 --rate=0.0003 */
export async function* finetuneBench(
  flags: { readonly [name: string]: string } = {},
): AsyncGenerator<string> {
  const model = flags["model"] ?? places.find((place) => existsSync(place));
  if (model === undefined) {
    yield `skipped: none of ${
      places.join(", ")
    } is there; deno task guide makes the first, --model names another`;
    return;
  }
  const { path, config, parameters } = readCheckpoint(model);
  const kept = join(path, "tokenizer.model");
  const tokenizer = flags["spm_model_file"] ?? (existsSync(kept) ? kept : "build/learn/P2/tokenizer.model");
  const given = { config, parameters, tokenizer: new Uint8Array(readFileSync(tokenizer)), path };
  const engine = await openEngine(flags["engine"] ?? "auto");
  const seeds = (flags["seeds"] ?? "1,2,3").split(",").map(Number);
  const count = Number(flags["examples"] ?? 200);
  for (const set of (flags["sets"] ?? "names,testament,next").split(",") as KjvSet[]) {
    const gains: number[] = [];
    for (const seed of seeds) {
      const { train, heldOut } = kjvLabelled(set, { count, heldOut: 1000, seed });
      const scores: number[] = [];
      for (const from_scratch of [false, true]) {
        const run = parseFinetuneConfig({
          ...{ task: kjvSets[set], seed, from_scratch, log_every: 0, train_batch_size: 16 },
          max_seq_length: Math.min(64, config.max_position_embeddings),
          learning_rate: Number(flags["rate"] ?? 0.0003),
          num_train_epochs: Number(flags["epochs"] ?? 30),
        });
        const { evaluation } = await finetune({ model: given, run, examples: train, evalExamples: heldOut }, {
          engine,
        });
        if (evaluation === undefined) throw new Error("nothing was held out");
        scores.push(scoreOf(evaluation));
        const name = evaluation.entity_f1 === undefined ? "macro_f1" : "entity_f1";
        const [low, high] = evaluation.intervals[name] ?? [NaN, NaN];
        yield `${set}, seed ${seed}, ${from_scratch ? "random weights" : "pretrained"}: ${name} ` +
          `${scoreOf(evaluation).toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)}), accuracy ${
            evaluation.accuracy.toFixed(3)
          }, majority ${evaluation.majority.toFixed(3)}`;
      }
      gains.push((scores[0] ?? NaN) - (scores[1] ?? NaN));
    }
    const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
    yield `${set}: pretraining gains ${mean.toFixed(3)} (least ${
      Math.min(...gains).toFixed(3)
    }) with ${count} examples` +
      (set === "names" ? `, needs ${margin} in each: ${Math.min(...gains) >= margin ? "pass" : "FAIL"}` : "");
  }
}
