// ONNX's own checker and ONNX Runtime on what lib/export/onnx writes, where they are installed (ALBERT_ONNX_PYTHON names the
// Python): every operation, and models with every kind of weights at batches and lengths at which they were not traced.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import { onnxModel } from "../../lib/export/mod.ts";
import { buildOnnx } from "../../lib/export/onnx/build.ts";
import { type OnnxModel, serializeOnnx } from "../../lib/formats/mod.ts";
import { albertEncoder, maskedLmLogits } from "../../lib/model/mod.ts";
import {
  compile,
  graphOf,
  type HostArray,
  type OperationName,
  topological,
  useEngine,
} from "../../lib/tensor/mod.ts";
import { initialParameters } from "../../lib/train/mod.ts";
import { parameterTypes } from "../../lib/train/step.ts";
import { cases, tolerance } from "../engines/cases.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("onnxruntime");

type Feed = { readonly type: string; readonly shape: readonly number[]; readonly values: readonly number[] };
type Answer = Readonly<
  Record<string, { readonly type: string; readonly shape: number[]; readonly values: string }>
>;
type Case = { readonly model: OnnxModel; readonly runs: readonly Readonly<Record<string, Feed>>[] };

function ask(all: readonly Case[]): (Answer[] | string)[] {
  const folder = mkdtempSync(join(tmpdir(), "albert-onnx-"));
  try {
    const input = all.map(({ model, runs }, i) => {
      const path = join(folder, `${i}.onnx`);
      writeFileSync(path, Buffer.concat(serializeOnnx(model)));
      return { model: path, runs };
    });
    writeFileSync(join(folder, "input.json"), JSON.stringify(input));
    return JSON.parse(runPython(python ?? "", "onnx_run.py", [join(folder, "input.json")]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function valuesOf({ type, values }: Answer[string]): number[] {
  const { buffer } = Uint8Array.from(Buffer.from(values, "base64"));
  const kinds = { float32: Float32Array, int32: Int32Array, uint32: Uint32Array, bool: Uint8Array };
  return Array.from(new kinds[type as keyof typeof kinds](buffer));
}

// Integers beyond bool logic, draws and scatters appear in training only.
const without: readonly string[] = [
  "parameter",
  "result",
  "scatter_add",
  "random_bits",
  "shift_right_logical",
];
const boolOnly: readonly string[] = ["and", "or", "xor"];

Deno.test({
  name: "ONNX Runtime agrees with the reference on every operation that a model predicts with",
  ignore: python === undefined,
  fn: async () => {
    const tensors = (Object.keys(cases) as OperationName[]).filter((op) => !without.includes(op))
      .flatMap((op) => cases[op]().map((tensor) => ({ op, tensor })))
      .filter(({ op, tensor }) => !boolOnly.includes(op) || tensor.dtype === "bool")
      .filter(({ tensor }) => tensor.dtype !== "bfloat16");
    const engine = await openEngine("reference");
    useEngine(engine);
    const expected: HostArray[] = [];
    for (const { tensor } of tensors) expected.push(await tensor.data());
    useEngine(undefined);
    const models = tensors.map(({ tensor }) => buildOnnx({ make: () => graphOf(() => ({ y: tensor }), {}) }));
    const answers = ask(models.map((model) => ({ model, runs: [{}] })));
    tensors.forEach(({ op, tensor }, i) => {
      const runs = answers[i] as Answer[] | string;
      if (typeof runs === "string") {
        // The standard has it, this runtime not; and it refuses a row outside a table, where the engines take the nearest.
        const types = topological([tensor]).map(({ dtype }) => dtype);
        const known = types.includes("uint32") || (op === "gather" && /out of data bounds/.test(runs));
        return assert.ok(known, `${op} case ${i}: ${runs}`);
      }
      const answer = runs[0]?.["y"] as Answer[string];
      assert.deepEqual(answer.shape, tensor.shape, `${op} ${i}`);
      valuesOf(answer).forEach((got, at) => {
        const want = expected[i]?.[at] as number;
        if (Object.is(got, Math.fround(want)) || got === want) return;
        const allowed = tolerance[op] * 1e-6 * Math.max(1, Math.abs(want));
        assert.ok(Math.abs(got - want) <= allowed, `${op} case ${i}[${at}]: ${got}, expected ${want}`);
      });
    });
  },
});

const shapes = {
  "E below H, gelu": {},
  "E = H, 2 groups of 2, relu": {
    embedding_size: 32,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_hidden_groups: 2,
    inner_group_num: 2,
    hidden_act: "relu",
  },
} as const;

/** Weights far enough from zero that every layer counts. */
function sample(shape: Parameters<typeof albertPreset>[1]) {
  const config = albertPreset("tiny", { ...shape, initializer_range: 0.1 });
  const weights = Object.entries(initialParameters(config, 3));
  const parameters = Object.fromEntries(
    weights.map(([name, values]) => [name, values.map((value, i) => value + Math.sin(i * 7) / 20)]),
  );
  return { config, parameters };
}

// Batches and lengths at which no graph was traced, with padding.
const sizes = [[1, 1], [3, 9], [2, 64]] as const;

/** Random ids, the last quarter of each odd row padded. */
function feedsAt([B, S]: readonly [number, number], V: number): Readonly<Record<string, Feed>> {
  const at = (value: (row: number, i: number) => number): Feed => ({
    type: "int64",
    shape: [B, S],
    values: Array.from({ length: B * S }, (_, n) => value(Math.floor(n / S), n % S)),
  });
  return {
    input_ids: at((row, i) => (row * 131 + i * 71 + 5) % V),
    attention_mask: at((row, i) => row % 2 === 1 && i >= S * 0.75 ? 0 : 1),
    token_type_ids: at((_, i) => i > S / 2 ? 1 : 0),
  };
}

async function ours(
  { config, parameters }: ReturnType<typeof sample>,
  feeds: Readonly<Record<string, Feed>>,
) {
  const feed = (name: string): Feed => feeds[name] as Feed;
  const ids = { dtype: "int32", shape: feed("input_ids").shape } as const;
  const program = await compile(
    (args) => {
      const { sequence } = albertEncoder(args.parameters, args, config);
      return {
        logits: maskedLmLogits(args.parameters, sequence, undefined, config),
        last_hidden_state: sequence,
      };
    },
    { parameters: parameterTypes(config), inputIds: ids, inputMask: ids, segmentIds: ids },
    {
      engine: await openEngine("reference"),
    },
  );
  const given = (name: string): Int32Array => Int32Array.from(feed(name).values);
  const out = await program.run({
    parameters,
    inputIds: given("input_ids"),
    inputMask: given("attention_mask"),
    segmentIds: given("token_type_ids"),
  });
  return { logits: await out.logits.data(), last_hidden_state: await out.last_hidden_state.data() };
}

/** How far values are apart at most. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = a.length === b.length ? 0 : Infinity;
  for (let i = 0; i < b.length; i++) most = Math.max(most, Math.abs((a[i] ?? NaN) - (b[i] ?? NaN)));
  return most;
}

// Four times the largest difference that was seen, but for float32; logits are between -6 and 6.
const allowed = { fp32: 1e-5, fp16: 0.04, int8: 0.25 } as const;

for (const [name, shape] of Object.entries(shapes)) {
  Deno.test({
    name: `ONNX Runtime computes our logits and vectors at any batch and length, ${name}`,
    ignore: python === undefined,
    fn: async () => {
      const model = sample(shape);
      const runs = sizes.map((size) => feedsAt(size, model.config.vocab_size));
      const kinds = Object.keys(allowed) as (keyof typeof allowed)[];
      const models = kinds.map((weights) => onnxModel(model, { weights }));
      const answers = ask(models.map((model) => ({ model, runs })));
      for (const [r, feeds] of runs.entries()) {
        const expected = await ours(model, feeds);
        kinds.forEach((weights, k) => {
          const answer = (answers[k] as Answer[])[r] as Answer;
          const [B, S] = sizes[r] as readonly [number, number];
          assert.deepEqual(answer["logits"]?.shape, [B, S, model.config.vocab_size]);
          for (const output of ["logits", "last_hidden_state"] as const) {
            const gap = apart(valuesOf(answer[output] as Answer[string]), expected[output]);
            assert.ok(gap < allowed[weights], `${weights} ${output} at ${B} x ${S}: ${gap} apart`);
          }
        });
      }
    },
  });
}

Deno.test({
  name:
    "ONNX's checker passes every version of the operators that can be asked for, and the results are the same",
  ignore: python === undefined,
  fn: () => {
    const model = sample({});
    const runs = [feedsAt([2, 5], model.config.vocab_size)];
    const models = [17, 18, 19, 20, 21].map((opset) => onnxModel(model, { opset, outputs: ["logits"] }));
    const answers = ask(models.map((model) => ({ model, runs }))) as Answer[][];
    const logits = answers.map((all) => valuesOf(all[0]?.["logits"] as Answer[string]));
    for (const other of logits) assert.deepEqual(other, logits[0]);
  },
});
