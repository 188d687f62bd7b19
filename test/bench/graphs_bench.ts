// Thousands of random graphs and their gradients on every engine that works here, against the reference loops: what the
// tests do with a hundred. Not a time but a count: how many graphs agreed, and the seeds of those that did not.
// --from and --count choose the seeds (default 1, 2000), --seconds ends a run early (default: never).
import { type Engine, findPlugin, openEngine, xlaEngine } from "../../lib/mod.ts";
import { assertAgree, randomGraph, runOn } from "../engines/random_graphs.ts";

/** One line for each disagreement, and one in the end. */
export async function* graphsBench(flags: { readonly [name: string]: string }): AsyncGenerator<string> {
  const [from, count] = [Number(flags["from"] ?? 1), Number(flags["count"] ?? 2000)];
  const end = performance.now() + 1000 * Number(flags["seconds"] ?? Infinity);
  const reference = await openEngine("reference");
  const engines: Engine[] = [await openEngine("tfjs-wasm")];
  if (findPlugin() === undefined) yield "xla: skipped, no plugin is installed";
  else engines.push(await xlaEngine({ programCache: false }));
  let [seed, wrong] = [from, 0];
  for (; seed < from + count && performance.now() < end; seed++) {
    const graph = randomGraph(seed);
    const expected = await runOn(reference, graph);
    const found = [];
    for (const engine of engines) {
      try {
        const values = await runOn(engine, graph);
        assertAgree(values, expected, `graph ${seed} on ${engine.name}`);
        found.push(values);
      } catch (error) {
        wrong++;
        yield `graph ${seed} on ${engine.name}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    const [a, b] = found;
    if (a !== undefined && b !== undefined) assertAgree(b, a, `graph ${seed} between the engines`);
  }
  await engines[1]?.dispose();
  yield `${seed - from} graphs (seeds ${from} to ${seed - 1}) on ${
    engines.map(({ name }) => name).join(", ")
  }: ${wrong} disagreements`;
}
