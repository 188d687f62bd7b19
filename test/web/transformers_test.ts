// transformers.js on an exported folder, offline, in Node, in Deno and in Chromium: fill-mask and feature-extraction give what we compute.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { openEngine } from "../../lib/engines/mod.ts";
import type { ExportedModel } from "../../lib/export/mod.ts";
import { albertEncoder, maskedLmLogits } from "../../lib/model/mod.ts";
import { albertPieces } from "../../lib/tasks/mod.ts";
import { compile } from "../../lib/tensor/mod.ts";
import { preprocessText } from "../../lib/text/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { parameterTypes } from "../../lib/train/step.ts";
import { inBrowser, lacking } from "./browser.ts";
import { exportSample, installed, ourAnswers, web } from "./exported.ts";

const library = installed("@huggingface/transformers/dist/transformers.node.mjs");
const run = new URL("transformers_run.mjs", import.meta.url).pathname;
const config = `--config=${join(web, "deno.json")}`;
// The rights that suffice; nothing of the network.
const rights = ["--allow-read", "--allow-env", "--allow-ffi", "--allow-sys"];
const runtimes = {
  Node: ["node", run, library ?? ""],
  Deno: [Deno.execPath(), "run", config, ...rights, run, "@huggingface/transformers"],
} as const;

const fill = [
  "The LORD is my [MASK]; I shall not want.",
  "And the [MASK] of the LORD came unto me",
  "in the [MASK].",
];
const texts = ["In the beginning God created the heaven and the earth.", "Jesus wept.", "Él dijo: 1,2 (ja)"];

type Seen = {
  readonly answers: { readonly id: number; readonly probability: number }[][];
  readonly small: Readonly<Record<string, number>>;
  readonly ids: number[][];
  readonly vectors: number[][];
  readonly logits: number[][][];
};

/** Ids of texts as the records have them. */
function idsOf({ tokenizer }: ExportedModel, all: readonly string[]): number[][] {
  const { encode, idOf } = loadSentencePiece(tokenizer);
  return all.map((text) => [2, ...albertPieces((part) => encode(part), preprocessText(text)).map(idOf), 3]);
}

/** The mean vector over the pieces of a text, [H], and the scores of every place, [S][V]. */
async function ours({ config, parameters }: ExportedModel, ids: readonly number[]) {
  const [S, H, V] = [ids.length, config.hidden_size, config.vocab_size];
  const type = { dtype: "int32", shape: [1, S] } as const;
  const types = { parameters: parameterTypes(config), inputIds: type, inputMask: type, segmentIds: type };
  const program = await compile(
    (args) => {
      const { sequence } = albertEncoder(args.parameters, args, config);
      return { sequence, logits: maskedLmLogits(args.parameters, sequence, undefined, config) };
    },
    types,
    { engine: await openEngine("tfjs-cpu") },
  );
  const out = await program.run({
    parameters,
    inputIds: Int32Array.from(ids),
    inputMask: new Int32Array(S).fill(1),
    segmentIds: new Int32Array(S),
  });
  const [vectors, scores] = [await out.sequence.data(), await out.logits.data()];
  const mean = (h: number): number => ids.reduce((sum, _, s) => sum + (vectors[s * H + h] as number), 0) / S;
  return {
    mean: Array.from({ length: H }, (_, h) => mean(h)),
    logits: ids.map((_, s) => Array.from(scores.subarray(s * V, (s + 1) * V))),
  };
}

const near = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, i) => Math.abs(value - (b[i] as number)) < 1e-4);

/** Holds what a runtime answers against what we compute. */
async function check(seen: Seen, model: ExportedModel, sentences: readonly string[]): Promise<void> {
  for (const [i, text] of fill.entries()) {
    const [best = []] = await ourAnswers(text, model);
    assert.deepEqual(seen.answers[i]?.map(({ id }) => id), best.map(({ id }) => id), text);
    const scores = (all: readonly { readonly probability: number }[] = []) =>
      all.map((one) => one.probability);
    assert.ok(near(scores(seen.answers[i]), scores(best)), text);
  }
  assert.deepEqual(seen.small, { fp16: 5, q8: 5 });
  const ids = idsOf(model, [...texts, ...sentences]);
  assert.deepEqual(seen.ids, ids);
  for (const [i, row] of ids.slice(0, texts.length).entries()) {
    const { mean, logits } = await ours(model, row);
    assert.ok(near(seen.vectors[i] ?? [], mean), `${texts[i]}: ${seen.vectors[i]} and ${mean}`);
    for (const [s, scores] of logits.entries()) {
      assert.ok(near(seen.logits[i]?.[s] ?? [], scores), `scores of ${texts[i]} at ${s}`);
    }
  }
}

for (const [runtime, [command, ...args]] of Object.entries(runtimes)) {
  Deno.test({
    name: `transformers.js fills masks and extracts features from an exported folder in ${runtime}${
      library === undefined ? " (not installed: deno install --config web/deno.json)" : ""
    }`,
    ignore: library === undefined,
    fn: async () => {
      const folder = mkdtempSync(join(tmpdir(), "albert-js-"));
      try {
        const { model, sentences: all } = await exportSample(join(folder, "sample"));
        const sentences = all.slice(0, 500);
        const input = JSON.stringify({ fill, texts, sentences });
        const { status, stdout, stderr } = spawnSync(command, [...args, `${folder}/`, "sample", input], {
          encoding: "utf8",
          env: { ...process.env, HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
        });
        assert.equal(status, 0, stderr);
        await check(JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Seen, model, sentences);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  });
}

Deno.test({
  name:
    `transformers.js fills masks and extracts features on the page in a browser, and asks nobody else${lacking}`,
  ignore: lacking !== "" || library === undefined,
  fn: async () => {
    const folder = mkdtempSync(join(tmpdir(), "albert-js-"));
    try {
      const { model, sentences: all } = await exportSample(join(folder, "sample"));
      const sentences = all.slice(0, 100);
      const lay = (output: string): void => {
        cpSync(join(folder, "sample"), join(output, "hf", "sample"), { recursive: true });
        const dist = join(library ?? "", "..");
        // The runtime that this version of transformers.js was built with.
        const runtime = dirname(createRequire(realpathSync(library ?? "")).resolve("onnxruntime-web"));
        cpSync(join(dist, "transformers.min.js"), join(output, "transformers.js"));
        for (const ending of ["mjs", "wasm"]) {
          const name = `ort-wasm-simd-threaded.asyncify.${ending}`;
          cpSync(join(runtime, name), join(output, name));
        }
        cpSync(new URL("transformers_answers.mjs", import.meta.url).pathname, join(output, "answers.mjs"));
      };
      await inBrowser(join(folder, "sample"), async (page, url, log) => {
        const paths = { mjs: "mjs", wasm: "wasm" };
        for (const ending of ["mjs", "wasm"] as const) {
          paths[ending] = `${url}ort-wasm-simd-threaded.asyncify.${ending}`;
        }
        const input = JSON.stringify({ fill, texts, sentences });
        const seen = await page.evaluate(`(async () => {
          const { answersOf } = await import("${url}answers.mjs");
          const library = await import("${url}transformers.js");
          return await answersOf(library, "/hf/", "sample", ${input}, { paths: ${JSON.stringify(paths)} });
        })()`);
        await check(seen as Seen, model, sentences);
        assert.ok(log.requests.some((asked) => asked.endsWith("/hf/sample/onnx/model_quantized.onnx")));
        assert.deepEqual(
          log.requests.filter((asked) => !asked.startsWith(url) && !asked.startsWith("data:")),
          [],
        );
      }, lay);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
