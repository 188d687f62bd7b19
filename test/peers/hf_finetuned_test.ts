// The real transformers on an exported fine-tuned model, where it is installed (ALBERT_HF_PYTHON names the Python): the class
// of the task loads without a word, its ids are ours, and its logits too.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import { exportModel, readHuggingFaceTask } from "../../lib/export/mod.ts";
import { serializeModel } from "../../lib/tokenizer/mod.ts";
import { type LabelledText, predictLabels, taskParameters } from "../../lib/train/mod.ts";
import { encodeText } from "../../lib/train/finetune/examples.ts";
import { encodingOf, type FineTunedModel } from "../../lib/train/finetune/predict.ts";
import { initialValues } from "../../lib/train/initial.ts";
import { kjvDocuments, kjvTokenizer } from "../train/kjv.ts";
import { kjvLabelled, kjvSets } from "../train/labelled_kjv.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("transformers");

type Seen = {
  readonly class: string;
  readonly warnings: string[];
  readonly keys: Readonly<Record<string, string[]>>;
  readonly id2label: Readonly<Record<string, string>>;
  readonly rows: readonly { readonly ids: number[]; readonly logits: number[] }[];
};

const classes = {
  classify: "AlbertForSequenceClassification",
  pair: "AlbertForSequenceClassification",
  tokens: "AlbertForTokenClassification",
} as const;

let pieces: Promise<Uint8Array> | undefined;

/** Weights far enough from zero that every layer counts. */
async function modelOf(
  task: FineTunedModel["task"],
  labels: readonly string[],
  equal: boolean,
): Promise<FineTunedModel> {
  const tokenizer = await (pieces ??= kjvDocuments(0.1).then((documents) => kjvTokenizer(documents, 1000))
    .then(({ model }) => serializeModel(model)));
  const config = albertPreset("tiny", {
    ...{ vocab_size: 1000, max_position_embeddings: 64, initializer_range: 0.1 },
    ...(equal ? { embedding_size: 32, hidden_size: 32 } : {}),
  });
  const fresh = initialValues(taskParameters(config, { task, labels: labels.length }), config, 3);
  const parameters = Object.fromEntries(
    Object.entries(fresh).map((
      [name, values],
    ) => [name, values.map((value, i) => value + Math.sin(i * 7) / 20)]),
  );
  return {
    ...{ config, parameters, tokenizer, task, labels },
    ...{ maxSeqLength: 64, doLowerCase: true, classifierDropout: 0.2 },
  };
}

const sets = { classify: "testament", pair: "next", tokens: "names" } as const;

for (const [task, set] of Object.entries(sets) as [keyof typeof sets, typeof sets[keyof typeof sets]][]) {
  Deno.test({
    name: `transformers loads a model fine-tuned for ${task} without a word and computes our logits`,
    ignore: python === undefined,
    fn: async () => {
      assert.equal(kjvSets[set], task);
      const folder = mkdtempSync(join(tmpdir(), "albert-hf-"));
      try {
        const labels = task === "tokens" ? ["O", "B-NAME", "I-NAME"] : ["new", "old"];
        const model = await modelOf(task, labels, task === "pair");
        const encoding = encodingOf(model.tokenizer, true);
        const fits = (text: LabelledText): boolean => encodeText(text, encoding, 512).ids.length <= 64;
        const texts = kjvLabelled(set, { count: 0, heldOut: 150, seed: 1 }).heldOut.filter(fits).slice(0, 60);
        exportModel(join(folder, "hf"), {
          ...model,
          step: 1,
          fineTuned: {
            ...{ labels, classifierDropout: model.classifierDropout, task },
            weights: taskParameters(model.config, { task, labels: labels.length }),
          },
        }, { architecture: classes[task] });
        const input = task === "tokens"
          ? { words: texts.map(({ tokens }) => tokens) }
          : { texts: texts.map(({ text, textB }) => textB === undefined ? [text] : [text, textB]) };
        writeFileSync(join(folder, "input.json"), JSON.stringify(input));
        const seen = JSON.parse(
          runPython(python ?? "", "hf_finetuned.py", [join(folder, "hf"), join(folder, "input.json")]),
        ) as Seen;
        assert.deepEqual([seen.class, seen.warnings, seen.keys], [classes[task], [], {}]);
        assert.deepEqual(Object.values(seen.id2label), labels);
        assert.ok(texts.length > 30);
        assert.deepEqual(
          seen.rows.map(({ ids }) => ids),
          texts.map((text) => [...encodeText(text, encoding, 64).ids]),
        );
        const back = readHuggingFaceTask(join(folder, "hf"));
        assert.deepEqual(back, model);
        const ours = await predictLabels(texts, back, { engine: await openEngine("tfjs-wasm") });
        const gap = Math.max(
          ...ours.flatMap(({ logits }, row) =>
            logits.map((score, i) => Math.abs(score - (seen.rows[row]?.logits[i] ?? NaN)))
          ),
        );
        assert.ok(gap < 1e-5, `logits are ${gap} apart`);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  });
}
