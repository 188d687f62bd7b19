import assert from "node:assert/strict";
import {
  albertEncoder,
  albertParameters,
  maskedLmLogits,
  type NamedTensors,
  pretrainingLoss,
} from "../../lib/model/mod.ts";
import { albertPreset, parseAlbertConfig } from "../../lib/config/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import {
  compile,
  constant,
  grad,
  logSoftmax,
  randomKey,
  type Tensor,
  useEngine,
} from "../../lib/tensor/mod.ts";
import { caseNames, goldenCase, inputsOf, weightsOf, worst } from "./golden.ts";
import { openTestEngine } from "../engine.ts";

const engine = await openTestEngine("reference");
const near = engine.name === "reference" ? 1e-5 : 5e-4; // float64, or float32

for (const name of caseNames) {
  const golden = goldenCase(name);

  const outputs = (parameters: NamedTensors) => {
    const out = pretrainingLoss(parameters, inputsOf(golden), golden.albert, { layers: true });
    const names = Object.keys(parameters);
    const gradients = grad(out.loss, Object.values(parameters));
    return {
      emb: out.embeddings,
      seq: out.sequence,
      pooled: out.pooled,
      layers: out.layers as Tensor,
      mlm_log_probs: logSoftmax(out.maskedLmLogits),
      mlm_example_loss: out.maskedLmLosses,
      mlm_loss: out.maskedLmLoss,
      sop_log_probs: logSoftmax(out.sentenceOrderLogits),
      sop_example_loss: out.sentenceOrderLosses,
      sop_loss: out.sentenceOrderLoss,
      loss: out.loss,
      gradients: Object.fromEntries(names.map((n, i) => [n, gradients[i] as Tensor])),
    };
  };

  Deno.test(`albertParameters() lists the variables of the original in order for ${name}`, () => {
    const specs = albertParameters(golden.albert);
    assert.deepEqual(
      specs.map(({ name }) => name),
      golden.variables_in_creation_order.map((variable) => variable.replace(/:0$/, "")),
    );
    for (const { name, shape } of specs) assert.deepEqual(shape, golden.params[name]?.shape);
  });

  Deno.test(`pretrainingLoss() gives the outputs, losses and gradients of the original for ${name}`, async () => {
    const { types, values } = weightsOf(golden.params);
    const program = await compile(({ parameters }) => outputs(parameters), { parameters: types }, {
      engine,
    });
    const { gradients: got, layers, ...rest } = await program.run({ parameters: values });
    for (const [key, value] of Object.entries(rest)) {
      const gap = worst(await value.data(), golden.outputs[key]?.data ?? []);
      assert.ok(gap < near, `${key} is off by ${gap}`);
    }
    const expected = golden.outputs.layers.flatMap(({ data }) => data);
    const gap = worst(await layers.data(), expected);
    assert.ok(gap < near, `layers are off by ${gap}`);
    for (const key of Object.keys(types)) {
      const value = got[key];
      const gap = worst(await (value as NonNullable<typeof value>).data(), golden.grads[key]?.data ?? []);
      assert.ok(gap < near, `the gradient of ${key} is off by ${gap}`);
    }
  });
}

Deno.test("albertParameters() counts as published for base to xxlarge", () => {
  const published = {
    base: 11_813_810,
    large: 17_847_474,
    xlarge: 59_021_490,
    xxlarge: 223_158_450,
  } as const;
  for (const [name, wanted] of Object.entries(published)) {
    const specs = albertParameters(albertPreset(name as keyof typeof published));
    const sizes = specs.map(({ shape }) => shape.reduce((product, size) => product * size, 1));
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), wanted, name);
    const heads = specs.flatMap(({ name }, i) => name.startsWith("cls/predictions") ? [sizes[i] ?? 0] : []);
    if (name === "base") assert.equal(heads.reduce((sum, size) => sum + size, 0), 128_688);
  }
});

Deno.test("initialParameters() draws a truncated normal that depends on seed and name only", () => {
  const config = albertPreset("guide");
  const [a, again, b] = [
    initialParameters(config, 1),
    initialParameters(config, 1),
    initialParameters(config, 2),
  ];
  const name = "bert/embeddings/word_embeddings";
  assert.deepEqual(a[name], again[name]);
  assert.notDeepEqual(a[name], b[name]);
  const values = a[name] as Float32Array; // 64,000 values
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
  assert.ok(Math.abs(mean) < 0.1 * 0.02);
  // A normal cut at 2 deviations keeps 0.8796 of its deviation.
  assert.ok(Math.abs(deviation / 0.1 - 0.8796) < 0.01, `${deviation}`);
  assert.ok(values.every((x) => Math.abs(x) <= 0.2));
  const kernels = Object.keys(a).filter((key) => key.endsWith("attention_1/self/query/kernel"));
  assert.notDeepEqual(a[kernels[0] as string], a[(kernels[0] as string).replace("query", "key")]);
  assert.throws(() => initialParameters(config, -1), RangeError);
});

async function encode(overrides: object, key?: Tensor): Promise<Float64Array> {
  useEngine(engine);
  const config = parseAlbertConfig({ ...goldenCase("shared_lamb").albert, ...overrides });
  const values = initialParameters(config, 3);
  const parameters = Object.fromEntries(
    albertParameters(config).map((
      { name, shape },
    ) => [name, constant(values[name] as Float32Array, { shape })]),
  );
  const inputs = inputsOf(goldenCase("shared_lamb"));
  const { sequence } = albertEncoder(
    parameters,
    inputs,
    config,
    key === undefined ? {} : { dropoutKey: key },
  );
  const data = await sequence.data() as Float64Array;
  useEngine(undefined);
  return data;
}

Deno.test("albertEncoder() drops out only with a key and differently for different keys", async () => {
  for (const rates of [{ hidden_dropout_prob: 0.5 }, { attention_probs_dropout_prob: 0.5 }]) {
    const plain = await encode({});
    assert.deepEqual(await encode(rates), plain);
    const one = await encode(rates, randomKey(1));
    assert.notDeepEqual(one, plain);
    assert.deepEqual(await encode(rates, randomKey(1)), one);
    assert.notDeepEqual(await encode(rates, randomKey(2)), one);
  }
});

Deno.test("albertEncoder() knows every activation and refuses sequences longer than the position table", async () => {
  const outputs = await Promise.all(
    ["gelu", "relu", "tanh", "linear"].map((hidden_act) => encode({ hidden_act })),
  );
  assert.equal(new Set(outputs.map((values) => values.join())).size, 4);
  await assert.rejects(() => encode({ max_position_embeddings: 4 }), /the position table has 4 rows/);
});

Deno.test("maskedLmLogits() without positions gives the scores of every place", async () => {
  const config = albertPreset("tiny");
  const weights = Object.entries(initialParameters(config, 1));
  const shapes = new Map(albertParameters(config).map(({ name, shape }) => [name, shape]));
  const parameters = Object.fromEntries(
    weights.map(([name, values]) => [name, constant(values, { shape: shapes.get(name) ?? [] })]),
  );
  const [B, S, H] = [2, 3, config.hidden_size];
  const sequence = constant(Float32Array.from({ length: B * S * H }, (_, i) => Math.sin(i)), {
    shape: [B, S, H],
  });
  const places = constant([[0, 1, 2], [0, 1, 2]], { dtype: "int32" });
  useEngine(engine);
  const all = await maskedLmLogits(parameters, sequence, undefined, config).data();
  assert.deepEqual(all, await maskedLmLogits(parameters, sequence, places, config).data());
  useEngine(undefined);
});
