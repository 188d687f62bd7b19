// deno task bench [name ...] [--flag=value ...]: ratios against peers measured in the same run. No time decides anything.
import process from "node:process";
import { dispatchBench } from "./dispatch_bench.ts";
import { engineBench } from "./engine_bench.ts";
import { finetuneBench } from "./finetune_bench.ts";
import { graphsBench } from "./graphs_bench.ts";
import { killBench } from "./kill_bench.ts";
import { learnBench } from "./learn_bench.ts";
import { loopBench } from "./loop_bench.ts";
import { memoryBench } from "./memory_bench.ts";
import { mpiBench } from "./mpi_bench.ts";
import { describeRatio, type Ratio } from "./pairs.ts";
import { parityBench } from "./parity_bench.ts";
import { planBench } from "./plan_bench.ts";
import { pluginsBench } from "./plugins_bench.ts";
import { rawsBench } from "./raws_bench.ts";
import { recordsBench } from "./records_bench.ts";
import { tfjsBench } from "./tfjs_bench.ts";
import { tokenizerBench } from "./tokenizer_bench.ts";
import { tokenizerFuzzBench } from "./tokenizer_fuzz_bench.ts";
import { tokenizerMatrixBench } from "./tokenizer_matrix_bench.ts";

/** The benches by name; each yields its ratios as they are measured, or a line that says what is skipped. */
const benches: {
  readonly [name: string]: (flags: { readonly [name: string]: string }) => AsyncGenerator<Ratio | string>;
} = {
  raws: rawsBench,
  tokenizer: tokenizerBench,
  records: recordsBench,
  dispatch: dispatchBench,
  graphs: graphsBench,
  tfjs: tfjsBench,
  engine: engineBench,
  loop: loopBench,
  kill: killBench,
  learn: learnBench,
  finetune: finetuneBench,
  matrix: tokenizerMatrixBench,
  fuzz: tokenizerFuzzBench,
  memory: memoryBench,
  parity: parityBench,
  plugins: pluginsBench,
  plan: planBench,
  mpi: mpiBench,
};

/** Benches that take many minutes: they run only when they are named. */
const onRequest = new Set([
  "finetune",
  "fuzz",
  "graphs",
  "kill",
  "learn",
  "matrix",
  "mpi",
  "parity",
  "plan",
  "plugins",
]);

/** `--name=value` arguments are flags of the benches that read them. */
async function main(all: readonly string[]): Promise<number> {
  const names = all.filter((name) => !name.startsWith("--"));
  const flags = Object.fromEntries(
    all.filter((name) => name.startsWith("--")).map((flag) =>
      flag.slice(2).split("=", 2) as [string, string]
    ),
  );
  const unknown = names.filter((name) => benches[name] === undefined);
  if (unknown.length > 0) {
    process.stderr.write(
      `bench: there is no ${unknown.join(", ")}, known are ${Object.keys(benches).join(", ")}\n`,
    );
    return 2;
  }
  for (const name of names.length > 0 ? names : Object.keys(benches).filter((name) => !onRequest.has(name))) {
    process.stdout.write(`${name} (ratio below 1: ours takes less time)\n`);
    for await (const result of benches[name]?.(flags) ?? []) {
      process.stdout.write(`  ${typeof result === "string" ? result : describeRatio(result)}\n`);
    }
  }
  return 0;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
