// deno task bench [name ...]: ratios against peers measured in the same run. No time decides anything.
import process from "node:process";
import { engineBench } from "./engine_bench.ts";
import { jaxBench } from "./jax_bench.ts";
import { describeRatio, type Ratio } from "./pairs.ts";
import { recordsBench } from "./records_bench.ts";
import { tokenizerBench } from "./tokenizer_bench.ts";

/** The benches by name; each yields its ratios as they are measured, or a line that says what is skipped. */
const benches: { readonly [name: string]: () => AsyncGenerator<Ratio | string> } = {
  tokenizer: tokenizerBench,
  records: recordsBench,
  engine: engineBench,
  jax: jaxBench,
};

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => benches[name] === undefined);
  if (unknown.length > 0) {
    process.stderr.write(
      `bench: there is no ${unknown.join(", ")}, known are ${Object.keys(benches).join(", ")}\n`,
    );
    return 2;
  }
  for (const name of names.length > 0 ? names : Object.keys(benches)) {
    process.stdout.write(`${name} (ratio below 1: ours takes less time)\n`);
    for await (const result of benches[name]?.() ?? []) {
      process.stdout.write(`  ${typeof result === "string" ? result : describeRatio(result)}\n`);
    }
  }
  return 0;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
