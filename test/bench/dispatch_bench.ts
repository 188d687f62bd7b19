// What a step costs beside its arithmetic: the wall time of a trivial program's steps in a row, and the caller's own
// processor time per step of a program with 80 arguments, 39 of them donated, as a training step has them; and how soon a
// run at base size is ready when its program was compiled before.
import process from "node:process";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { pretrainingObjective } from "../../lib/train/pretraining_objective.ts";
import { makeTrainStep } from "../../lib/train/step.ts";
import {
  add,
  albertPreset,
  compile,
  type DeviceArray,
  deviceArray,
  findPlugin,
  mul,
  parsePretrainingConfig,
  type Tensor,
  xlaEngine,
} from "../../lib/mod.ts";

type Cost = { readonly wall: number; readonly own: number };

/** Milliseconds per call, after a tenth of them as a warm-up; the least of three rounds. */
async function perStep(count: number, step: () => Promise<void>): Promise<Cost> {
  let best: Cost = { wall: Infinity, own: Infinity };
  for (let i = 0; i < count / 10; i++) await step();
  for (let round = 0; round < 3; round++) {
    const [wall, cpu] = [performance.now(), process.cpuUsage()];
    for (let i = 0; i < count; i++) await step();
    const { user, system } = process.cpuUsage(cpu);
    const cost = { wall: (performance.now() - wall) / count, own: (user + system) / 1000 / count };
    best = { wall: Math.min(best.wall, cost.wall), own: Math.min(best.own, cost.own) };
  }
  return best;
}

const scalar = { dtype: "float32", shape: [] } as const;
const small = { dtype: "float32", shape: [8] } as const;
const names = Array.from({ length: 39 }, (_, i) => `p${i}`);
const group = <T>(make: (name: string) => T): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, make(name)]));

/** Two lines, the aim of each 0.2 ms. */
export async function* dispatchBench(): AsyncGenerator<string> {
  if (findPlugin() === undefined) return yield "skipped: no XLA plugin is installed";
  const engine = await xlaEngine();
  const line = (what: string, { wall, own }: Cost): string =>
    `${what.padEnd(56)} wall ${wall.toFixed(3)} ms, the caller's processor ${
      own.toFixed(3)
    } ms a step (aim 0.2)`;

  const one = await compile(({ x }) => ({ x: add(x, 1) }), { x: scalar }, { engine, donate: ["x"] });
  let x: DeviceArray = await deviceArray(Float32Array.of(0), { engine, shape: [] });
  yield line("x + 1, donated", await perStep(2000, async () => void ({ x } = await one.run({ x }))));

  const types = group(() => small);
  const many = await compile(
    ({ a, b, rate, key }) => ({
      a: group((name) => add(a[name] as Tensor, mul(b[name] as Tensor, rate))),
      loss: add(key, 1),
    }),
    { a: types, b: types, rate: scalar, key: scalar },
    { engine, donate: ["a"] },
  );
  const fill = async (): Promise<Record<string, DeviceArray>> => {
    const arrays: Record<string, DeviceArray> = {};
    for (const name of names) arrays[name] = await deviceArray(new Float32Array(8), { engine });
    return arrays;
  };
  let a = await fill();
  const b = await fill();
  yield line(
    "80 arguments, 39 donated, 2 uploaded",
    await perStep(1000, async () => {
      const out = await many.run({ a, b, rate: Float32Array.of(1), key: Float32Array.of(1) });
      a = out.a;
      out.loss.dispose();
    }),
  );
  await engine.dispose();
  yield await secondStart();
}

/** From nothing to a step of the base model that may run, in a process that finds the program compiled. */
async function secondStart(): Promise<string> {
  const config = albertPreset("base");
  const run = parsePretrainingConfig({
    max_seq_length: 128,
    max_predictions_per_seq: 20,
    train_batch_size: 8,
  });
  const starts: string[] = [];
  for (let i = 0; i < 3; i++) {
    const [wall, cpu] = [performance.now(), process.cpuUsage()];
    const engine = xlaEngineOn({ plugin: findPlugin() ?? "" });
    const step = await makeTrainStep(pretrainingObjective({ config, run }), run, engine);
    const seconds = (performance.now() - wall) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const { userSeconds, systemSeconds } = await engine.status();
    const busy = (user + system) / 1e6 + userSeconds + systemSeconds;
    if (engine.lastCompiled()?.cached === true) {
      starts.push(`${seconds.toFixed(1)} s, ${busy.toFixed(1)} s of processor time`);
    }
    step.dispose();
    await engine.dispose();
  }
  return `${"second start of a base run".padEnd(56)} ${starts.join("; ")} (aim 2 s)`;
}
