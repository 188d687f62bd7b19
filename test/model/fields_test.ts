// Every field of the configuration that the golden models leave at one value, against plain loops in float64.
import assert from "node:assert/strict";
import { type AlbertConfig, parseAlbertConfig } from "../../lib/config/mod.ts";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { albertParameters, type PretrainingInputs, pretrainingLoss } from "../../lib/model/mod.ts";
import {
  compile,
  constant,
  type DeviceArray,
  grad,
  hashBits,
  randomKey,
  type Tensor,
  type TensorType,
} from "../../lib/tensor/mod.ts";
import { adamw } from "../../lib/train/mod.ts";
import { type PlainBatch, plainLosses } from "./plain.ts";

const engine = referenceEngine();

const tiny = {
  vocab_size: 11,
  embedding_size: 4,
  hidden_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 8,
  max_position_embeddings: 7,
};

/** What each case sets beside the sizes above. */
const cases: Readonly<Record<string, Partial<AlbertConfig>>> = {
  "gelu and E below H": { hidden_act: "gelu" },
  "relu and E above H": { hidden_act: "relu", embedding_size: 9 },
  "tanh and E equal to H": { hidden_act: "tanh", embedding_size: 6 },
  "linear and 3 segment types": { hidden_act: "linear", type_vocab_size: 3 },
  "no activation and 1 head": { hidden_act: "", num_attention_heads: 1 },
  "5 layers in 3 groups": { num_hidden_layers: 5, num_hidden_groups: 3 },
  "3 blocks inside a layer": { inner_group_num: 3 },
  "2 groups of 2 blocks, each layer a group": { num_hidden_groups: 2, inner_group_num: 2 },
  "one layer": { num_hidden_layers: 1 },
  "dropout": { hidden_dropout_prob: 0.3 },
  "attention dropout": { attention_probs_dropout_prob: 0.4 },
  "both dropouts in 2 groups of 2 blocks": {
    hidden_dropout_prob: 0.2,
    attention_probs_dropout_prob: 0.2,
    num_hidden_layers: 3,
    num_hidden_groups: 2,
    inner_group_num: 2,
  },
};

/** A number in [-0.5, 0.5) by counter. */
const number = (a: number, i: number): number => hashBits(77, a, i) / 2 ** 32 - 0.5;

/** Weights that are nowhere 0 or 1, so that no bias and no gamma can be forgotten. */
function weightsOf(config: AlbertConfig): Record<string, Float32Array> {
  return Object.fromEntries(
    albertParameters(config).map(({ name, shape, init }, k) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return [name, Float32Array.from({ length }, (_, i) => number(k, i) + (init === "ones" ? 1 : 0))];
    }),
  );
}

const batch: PlainBatch = {
  ids: [[2, 5, 4, 3, 7, 3], [2, 4, 9, 10, 3, 0]],
  mask: [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]],
  segments: [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 0]],
  positions: [[2, 4], [1, 0]],
  labels: [[6, 7], [8, 0]],
  weights: [[1, 1], [1, 0]],
  order: [1, 0],
};

const ints = (rows: readonly (readonly number[])[]): Tensor =>
  constant(rows.map((row) => [...row]), { dtype: "int32" });
const inputs = (types: number): PretrainingInputs => ({
  inputIds: ints(batch.ids),
  inputMask: ints(batch.mask),
  // With three segment types the last one is used too.
  segmentIds: ints(batch.segments.map((row) => row.map((one) => one * (types - 1)))),
  maskedLmPositions: ints(batch.positions),
  maskedLmIds: ints(batch.labels),
  maskedLmWeights: constant(batch.weights.map((row) => [...row])),
  nextSentenceLabels: constant([...batch.order], { dtype: "int32" }),
});

const typesOf = (config: AlbertConfig): Record<string, TensorType> =>
  Object.fromEntries(albertParameters(config).map(({ name, shape }) => [name, { dtype: "float32", shape }]));

function program(config: AlbertConfig, seed: number, remat: boolean) {
  return compile(
    ({ parameters }) => {
      const dropoutKey = randomKey(seed);
      const out = pretrainingLoss(parameters, inputs(config.type_vocab_size), config, { dropoutKey, remat });
      const found = grad(out.loss, Object.values(parameters));
      const gradients = Object.fromEntries(
        Object.keys(parameters).map((name, i) => [name, found[i] as Tensor]),
      );
      return { loss: out.loss, mlm: out.maskedLmLoss, order: out.sentenceOrderLoss, gradients };
    },
    { parameters: typesOf(config) },
    { engine },
  );
}

for (const [name, fields] of Object.entries(cases)) {
  Deno.test(`pretrainingLoss() equals plain loops in value and gradient with ${name}`, async () => {
    const config = parseAlbertConfig({ ...tiny, ...fields });
    const weights = weightsOf(config);
    const own = {
      ...batch,
      segments: batch.segments.map((row) => row.map((one) => one * (config.type_vocab_size - 1))),
    };
    const plain = (changed: Record<string, ArrayLike<number>>) => plainLosses(changed, config, own, [12, 0]);
    const wanted = plain(weights);
    for (const remat of name.includes("dropout") ? [false, true] : [false]) {
      const found = await (await program(config, 12, remat)).run({ parameters: weights });
      for (const part of ["loss", "mlm", "order"] as const) {
        const [value = NaN] = await found[part].data();
        assert.ok(
          Math.abs(value - wanted[part]) < 1e-6,
          `${part} is ${value}, plain loops give ${wanted[part]}`,
        );
      }
      for (const [weight, array] of Object.entries(found.gradients)) {
        const slope = await (array as DeviceArray).data();
        // One element of each weight, by central differences.
        for (const place of [Math.floor(slope.length * 0.6)]) {
          const moved = (step: number): number => {
            const values = Float64Array.from(weights[weight] ?? []);
            values[place] = (values[place] ?? NaN) + step;
            return plain({ ...weights, [weight]: values }).loss;
          };
          const difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
          assert.ok(
            Math.abs(difference - (slope[place] ?? NaN)) < 1e-5,
            `${weight}[${place}]: ${slope[place]}, plain ${difference}`,
          );
        }
      }
    }
  });
}

Deno.test("albertParameters() leaves out the groups that the reference's float division never reaches", () => {
  const groups = (L: number): number[] => {
    const config = parseAlbertConfig({ ...tiny, num_hidden_layers: L, num_hidden_groups: L });
    const found = albertParameters(config).map(({ name }) => /group_(\d+)/.exec(name)?.[1]);
    return [...new Set(found)].flatMap((group) => group === undefined ? [] : [Number(group)]);
  };
  // int(l / L * L) in Python: 22 layers never reach group 15, 46 never 13 and 26.
  assert.deepEqual(groups(24), Array.from({ length: 24 }, (_, i) => i));
  assert.deepEqual(
    [22, 46].map((L) => Array.from({ length: L }, (_, i) => i).filter((i) => !groups(L).includes(i))),
    [
      [15],
      [13, 26],
    ],
  );
});

Deno.test("adamw() reaches the weights of plain float64 steps on the model's gradients", async () => {
  const config = parseAlbertConfig({ ...tiny, num_hidden_groups: 2, hidden_act: "relu" });
  const types = typesOf(config);
  const gradients = await program(config, 0, false);
  const zeros = Object.fromEntries(
    Object.entries(weightsOf(config)).map(([name, { length }]) => [name, new Float32Array(length)]),
  );
  const update = await compile(
    ({ parameters, slopes, m, v }) =>
      adamw(parameters, slopes, { m, v }, { learningRate: 0.02, weightDecayRate: 0.3 }),
    { parameters: types, slopes: types, m: types, v: types },
    { engine },
  );
  type State = Record<"parameters" | "m" | "v", NamedValues>;
  type NamedValues = Record<string, DeviceArray | Float32Array>;
  let state: State = { parameters: weightsOf(config), m: zeros, v: zeros };
  const plain = Object.fromEntries(
    Object.entries(weightsOf(config)).map(([name, values]) => [name, {
      w: Array.from(values),
      m: values.length === 0 ? [] : new Array<number>(values.length).fill(0),
      v: new Array<number>(values.length).fill(0),
    }]),
  );
  for (let step = 0; step < 3; step++) {
    const { gradients: slopes } = await gradients.run({ parameters: state.parameters });
    for (const [name, one] of Object.entries(plain)) {
      const g = await (slopes[name] as DeviceArray).data();
      const decays = !/LayerNorm|layer_norm|bias/.test(name);
      one.w = one.w.map((w, i) => {
        const slope = g[i] ?? NaN;
        const m = one.m[i] = 0.9 * (one.m[i] ?? 0) + 0.1 * slope;
        const v = one.v[i] = 0.999 * (one.v[i] ?? 0) + 0.001 * slope * slope;
        return w - 0.02 * (m / (Math.sqrt(v) + 1e-6) + (decays ? 0.3 * w : 0));
      });
    }
    state = await update.run({ ...state, slopes }) as unknown as State;
  }
  for (const [name, { w }] of Object.entries(plain)) {
    const found = await (state.parameters[name] as DeviceArray).data();
    w.forEach((value, i) =>
      assert.ok(Math.abs(value - (found[i] ?? NaN)) < 1e-6, `${name}[${i}]: ${found[i]}, plain ${value}`)
    );
  }
});
