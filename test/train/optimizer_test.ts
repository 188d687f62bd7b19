import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { type NamedTensors, pretrainingLoss } from "../../lib/model/mod.ts";
import { compile, constant, type DeviceArray, grad, type Tensor, useEngine } from "../../lib/tensor/mod.ts";
import { adamw, clipByGlobalNorm, lamb, learningRate } from "../../lib/train/mod.ts";
import { caseNames, goldenCase, inputsOf, weightsOf, worst } from "../model/golden.ts";

type Schedules = {
  cases: { args: Record<string, number>; steps: number[]; lr: number[] }[];
};

Deno.test("learningRate() equals the original at every golden step", () => {
  const url = new URL("../golden/albert/lr-schedule.json", import.meta.url);
  const { cases } = JSON.parse(readFileSync(url, "utf8")) as Schedules;
  assert.equal(cases.length, 4);
  for (const { args, steps, lr } of cases) {
    const schedule = {
      learning_rate: args["init_lr"] ?? NaN,
      num_train_steps: args["num_train_steps"] ?? NaN,
      num_warmup_steps: args["num_warmup_steps"] ?? NaN,
      poly_power: args["poly_power"] ?? NaN,
      start_warmup_step: args["start_warmup_step"] ?? NaN,
    };
    steps.forEach((step, i) => {
      const [got, wish] = [learningRate(step, schedule), lr[i] ?? NaN];
      assert.ok(
        Math.abs(got - wish) <= 1e-6 * schedule.learning_rate,
        `${got} at step ${step}, golden ${wish}`,
      );
    });
  }
});

for (const name of caseNames) {
  Deno.test(`lamb() reaches the weights and moments of the original for ${name}`, async () => {
    const golden = goldenCase(name);
    const { types, values } = weightsOf(golden.params);
    const zeros = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, new Float32Array(value.length)]),
    );
    const program = await compile(
      ({ parameters, m, v, rate }) => {
        const { loss } = pretrainingLoss(parameters, inputsOf(golden), golden.albert);
        const found = grad(loss, Object.values(parameters));
        const raw: NamedTensors = Object.fromEntries(
          Object.keys(parameters).map((key, i) => [key, found[i] as Tensor]),
        );
        const { gradients, norm } = clipByGlobalNorm(raw);
        return { ...lamb(parameters, gradients, { m, v }, { learningRate: rate }), norm, loss };
      },
      { parameters: types, m: types, v: types, rate: { dtype: "float32", shape: [] } },
      {
        engine: referenceEngine(),
      },
    );
    const { schedule, steps, trajectory, final_params: params, final_slots: slots } = golden.optimizer;
    type State = Record<"parameters" | "m" | "v", Record<string, DeviceArray | Float32Array>>;
    let state: State = { parameters: values, m: zeros, v: zeros };
    for (let step = 0; step < steps; step++) {
      const rate = learningRate(step, { ...schedule, learning_rate: schedule.init_lr });
      const { norm, loss, ...next } = await program.run({ ...state, rate: Float32Array.of(rate) });
      state = next;
      const gap = worst(await loss.data(), [trajectory[step]?.loss_before ?? NaN]);
      assert.ok(gap < 1e-5, `the loss of step ${step} is off by ${gap}`);
      if (step === 0) assert.ok(worst(await norm.data(), golden.outputs["gn"]?.data ?? []) < 1e-5);
    }
    const check = async (
      array: DeviceArray | Float32Array | undefined,
      wish: number[] | undefined,
      what: string,
    ) => {
      const gap = worst(await (array as DeviceArray).data(), wish ?? []);
      // The original's float32: a tiny gradient divided by its own size keeps few digits.
      assert.ok(gap < 2e-5, `${what} is off by ${gap}`);
    };
    for (const key of Object.keys(types)) {
      await check(state.parameters[key], (params[key] ?? params[`${key}:0`])?.data, key);
      await check(state.m[key], slots[`${key}/adam_m`]?.data, `${key}/adam_m`);
      await check(state.v[key], slots[`${key}/adam_v`]?.data, `${key}/adam_v`);
    }
  });
}

Deno.test("adamw() decays kernels only and has no trust ratio", async () => {
  useEngine(referenceEngine());
  const one = { kernel: constant([2]), bias: constant([2]) };
  const none = { kernel: constant([0]), bias: constant([0]) };
  const { parameters } = adamw(one, none, { m: none, v: none }, { learningRate: 0.1, weightDecayRate: 0.5 });
  assert.ok(worst(await (parameters["kernel"] as Tensor).data(), [2 - 0.1 * 0.5 * 2]) < 1e-6);
  assert.deepEqual(Array.from(await (parameters["bias"] as Tensor).data()), [2]);
  assert.throws(() => adamw(one, {}, { m: none, v: none }, { learningRate: 0.1 }), /Cannot update kernel/);
  useEngine(undefined);
});
