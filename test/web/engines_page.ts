/** What engines_test.ts runs in a page: the tests' small graphs and their short training, on WebGPU. */
import { type Engine, pretrain, tfjsEngine } from "albert-guide";
import type { HostArray, OperationName, Tensor } from "albert-guide";
import { cases } from "../engines/cases.ts";
import { randomGraph, runOn } from "../engines/random_graphs.ts";
import { config, examples, runOf } from "../engines/small_run.ts";
import { valuesOn } from "../engines/values_on.ts";

let engine: Promise<Engine> | undefined;
const gpu = (): Promise<Engine> => engine ??= tfjsEngine({ backend: "webgpu" });

/** Numbers that JSON can carry. */
const plain = (values: readonly HostArray[]): unknown =>
  values.map((each) => ({
    kind: each.constructor.name,
    values: Array.from(each, (x) =>
      Number.isFinite(x) && !Object.is(x, -0) ? x : `${Object.is(x, -0) ? "-0" : x}`),
  }));

const suite = {
  device: async () => (await gpu()).devices().map(({ name }) => name).join(),
  operations: Object.keys(cases),
  operation: async (op: OperationName, picked: readonly number[]) => {
    const all = cases[op]();
    return plain(await valuesOn(await gpu(), picked.map((i) => all[i] as Tensor)));
  },
  graph: async (seed: number) => plain(await runOn(await gpu(), randomGraph(seed))),
  train: async () => {
    const run = runOf({ num_train_steps: 12 });
    const { log } = await pretrain({ config, run, examples: examples.slice(0, 8) }, { engine: await gpu() });
    return log.map(({ loss }) => loss);
  },
};
(globalThis as { suite?: typeof suite }).suite = suite;
