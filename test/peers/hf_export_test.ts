// The real transformers on an exported folder, where it is installed (ALBERT_HF_PYTHON names the Python): logits, ids of the
// whole held-out text, the fill-mask pipeline, and no word about left-over weights.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import { type ExportedModel, exportModel, modelCard } from "../../lib/export/mod.ts";
import { albertEncoder, maskedLmLogits, sentenceOrderLogits } from "../../lib/model/mod.ts";
import { albertPieces } from "../../lib/tasks/mod.ts";
import { compile } from "../../lib/tensor/mod.ts";
import { preprocessText, readRaw, writeEmbeddedRaw } from "../../lib/text/mod.ts";
import { loadSentencePiece, serializeModel } from "../../lib/tokenizer/mod.ts";
import { fillMask, initialParameters } from "../../lib/train/mod.ts";
import { parameterTypes } from "../../lib/train/step.ts";
import { kjvDocuments, kjvTokenizer } from "../train/kjv.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("transformers");
const S = 64;

type Seen = {
  readonly warnings: string[];
  readonly keys: Readonly<Record<string, string[]>>;
  readonly masked_warnings: string[];
  readonly masked_keys: Readonly<Record<string, string[]>>;
  readonly fast: number[][];
  readonly slow: number[][];
  readonly predictions: string[];
  readonly orders: string[];
  readonly masked_difference: number;
  readonly fill: [number, number][][];
  /** What the hub reads of the model card, where there is one. */
  readonly card: Readonly<Record<string, unknown>>;
  readonly pair: { readonly token_type_ids?: number[] };
};

const floats = (text: string): Float32Array => {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float32Array(bytes.buffer, 0, bytes.length / 4);
};

/** Every logit of rows that are padded to S here. */
async function ourLogits(
  { config, parameters }: ExportedModel,
  rows: readonly (readonly number[])[],
  segments: number[][],
) {
  const B = rows.length;
  const ids = { dtype: "int32", shape: [B, S] } as const;
  const flat = (value: (row: readonly number[], r: number, i: number) => number): Int32Array =>
    Int32Array.from(
      { length: B * S },
      (_, at) => value(rows[Math.floor(at / S)] ?? [], Math.floor(at / S), at % S),
    );
  const program = await compile((args) => {
    const { sequence, pooled } = albertEncoder(args.parameters, args, config);
    return {
      predictions: maskedLmLogits(args.parameters, sequence, args.positions, config),
      orders: sentenceOrderLogits(args.parameters, pooled),
    };
  }, {
    parameters: parameterTypes(config),
    inputIds: ids,
    inputMask: ids,
    segmentIds: ids,
    positions: ids,
  }, { engine: await openEngine("tfjs-wasm") });
  const out = await program.run({
    parameters,
    inputIds: flat((row, _, i) => row[i] ?? 0),
    inputMask: flat((row, _, i) => i < row.length ? 1 : 0),
    segmentIds: flat((_, r, i) => segments[r]?.[i] ?? 0),
    positions: flat((_, _r, i) => i),
  });
  return { predictions: await out.predictions.data(), orders: await out.orders.data() };
}

function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < b.length; i++) {
    const gap = Math.abs((a[i] ?? NaN) - (b[i] ?? NaN));
    if (!(gap <= most)) most = gap;
  }
  return most;
}

/** A tokenizer of the Bible and weights far enough from zero that every layer counts. */
async function sample(shape: Parameters<typeof albertPreset>[1]) {
  const { tokenizer, sentences } = await (text ??= bible());
  const config = albertPreset("tiny", {
    ...shape,
    vocab_size: 1000,
    max_position_embeddings: S,
    initializer_range: 0.1,
  });
  const weights = initialParameters(config, 3);
  const parameters = Object.fromEntries(
    Object.entries(weights).map((
      [name, values],
    ) => [name, values.map((value, i) => value + Math.sin(i * 7) / 20)]),
  );
  const model = { config, parameters, tokenizer: serializeModel(tokenizer.model), step: 1 };
  return { model, sentences };
}

let text: ReturnType<typeof bible> | undefined;

async function bible() {
  const tokenizer = await kjvTokenizer(await kjvDocuments(0.1), 1000);
  return { tokenizer, sentences: await heldOutLines() };
}

/** The held-out text as it is written, with capitals and marks. */
async function heldOutLines(): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    const [outputTrain, outputHeldOut] = [join(folder, "a"), join(folder, "b")];
    await writeEmbeddedRaw({
      corpus: "kjv",
      dataDir: new URL("../../data", import.meta.url).pathname,
      outputTrain,
      outputHeldOut,
    });
    const lines: string[] = [];
    for await (const document of readRaw(outputHeldOut)) lines.push(...document);
    return lines;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function ask(folder: string, input: object): Seen {
  writeFileSync(join(folder, "input.json"), JSON.stringify(input));
  return JSON.parse(
    runPython(python ?? "", "hf_export.py", [join(folder, "hf"), join(folder, "input.json")]),
  );
}

const shapes = {
  "E below H, gelu": {},
  "E = H, 2 groups of 2": {
    embedding_size: 32,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_hidden_groups: 2,
    inner_group_num: 2,
    hidden_act: "relu",
  },
} as const;

for (const [name, shape] of Object.entries(shapes)) {
  Deno.test({
    name: `transformers computes our logits and ids from an exported folder, ${name}`,
    ignore: python === undefined,
    fn: async () => {
      const folder = mkdtempSync(join(tmpdir(), "albert-hf-"));
      try {
        const { model, sentences } = await sample(shape);
        exportModel(join(folder, "hf"), model);
        const tokenizer = loadSentencePiece(model.tokenizer);
        const idsOf = (text: string): number[] => [
          2,
          ...albertPieces((part) => tokenizer.encode(part), preprocessText(text)).map(tokenizer.idOf),
          3,
        ];
        const all = sentences.map(idsOf);
        const rows = all.filter((row) => row.length <= S).slice(0, 100);
        const segments = rows.map((row) => row.map((_, i) => i > row.length / 2 ? 1 : 0));
        const fill = [
          "the lord is my [MASK]; I shall not want.",
          "And the [MASK] of the LORD came unto me",
          "in [MASK].",
        ];
        const seen = ask(folder, { sentences, ids: rows, segments, fill });
        assert.deepEqual([seen.warnings, seen.keys], [[], {}]);
        // What the model card says of the class without them.
        const spare = ["albert.pooler.bias", "albert.pooler.weight", "sop_classifier.classifier.bias"];
        assert.deepEqual(seen.masked_keys, {
          unexpected_keys: [...spare, "sop_classifier.classifier.weight"],
        });
        assert.equal(seen.masked_difference, 0);
        assert.deepEqual(seen.pair.token_type_ids?.at(-1), 1);
        assert.ok(all.length > 3000);
        assert.deepEqual(seen.fast, all);
        assert.deepEqual(seen.slow, all);
        const ours = await ourLogits(model, rows, segments);
        const V = model.config.vocab_size;
        const gaps = rows.map((row, r) =>
          Math.max(
            apart(
              ours.predictions.slice(r * S * V, (r * S + row.length) * V),
              floats(seen.predictions[r] ?? ""),
            ),
            apart(ours.orders.slice(2 * r, 2 * r + 2), floats(seen.orders[r] ?? "")),
          )
        );
        assert.equal(floats(seen.predictions[0] ?? "").length, (rows[0]?.length ?? 0) * V);
        assert.ok(Math.max(...gaps) < 1e-5, `logits are ${Math.max(...gaps)} apart`);
        const engine = await openEngine("tfjs-wasm");
        const { config, parameters } = model;
        const prepare = (text: string): string => preprocessText(text);
        for (const [i, text] of fill.entries()) {
          const [best = []] = await fillMask(text, { engine, config, parameters, tokenizer, prepare });
          assert.deepEqual(best.map(({ id }) => id), seen.fill[i]?.map(([id]) => id), text);
          assert.ok(apart(best.map((b) => b.probability), seen.fill[i]?.map(([, p]) => p) ?? []) < 1e-5);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  });
}

Deno.test({
  name: "AlbertForMaskedLM loads a folder exported for it without a word",
  ignore: python === undefined,
  fn: async () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-hf-"));
    try {
      const { model } = await sample({});
      const architecture = "AlbertForMaskedLM";
      const { config, step } = model;
      const card = modelCard({
        ...{ title: 'A "card" | of: two', language: "no", licence: "1.0", command: "albert export" },
        ...{ architecture, config, step },
      });
      exportModel(join(folder, "hf"), model, { architecture, texts: { "README.md": card } });
      const seen = ask(folder, {
        sentences: [],
        ids: [[2, 5, 3]],
        segments: [[0, 0, 0]],
        fill: ["a [MASK]"],
      });
      assert.deepEqual([seen.masked_warnings, seen.masked_keys], [[], {}]);
      const { model_name, language, license, pipeline_tag } = seen.card;
      assert.deepEqual([model_name, language, license, pipeline_tag], [
        'A "card" | of: two',
        "no",
        "1.0",
        "fill-mask",
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
