// The whole road from the terminal, as the README's first command walks it, in its quick form and with another seed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SentencePieceProcessor } from "sentencepiece-js";
import { loadSentencePiece, preprocessText } from "../../lib/mod.ts";

const root = new URL("../..", import.meta.url).pathname;

type Outcome = { readonly code: number | null; readonly out: string; readonly err: string };

function albert(...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(Deno.execPath(), ["run", "-A", "lib/cli.ts", ...args], {
    encoding: "utf8",
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
    maxBuffer: 1 << 26,
  });
  return { code: status, out: stdout, err: stderr };
}

const gitStatus = (): string =>
  spawnSync("git", ["status", "--porcelain", "--", ".", ":!lib", ":!test"], { encoding: "utf8", cwd: root })
    .stdout;

/** The trained model in Google's own program: the same ids for every sentence of the held-out text, raw and cleaned. */
async function agreesWithGoogle(model: string, text: string): Promise<void> {
  const google = new SentencePieceProcessor();
  await google.load(model);
  const ours = loadSentencePiece(readFileSync(model));
  const sentences = readFileSync(text, "utf8").split("\n").filter((line) => line !== "");
  assert.ok(sentences.length > 3000);
  for (const sentence of sentences.flatMap((line) => [line, preprocessText(line)])) {
    assert.deepEqual([...ours.encodeIds(sentence)], [...google.encodeIds(sentence)], sentence);
  }
}

Deno.test("albert guide makes a model that uses context, summarises it, and reuses it the second time", async () => {
  const place = mkdtempSync(join(tmpdir(), "albert-guide-"));
  try {
    const before = gitStatus();
    const flags = ["guide", "--quick", "--seed=2", "--engine=tfjs", `--output_dir=${place}`];
    const first = albert(...flags);
    assert.equal(first.code, 0, first.err);
    assert.equal(gitStatus(), before, "the guide must not touch the checkout");
    const folder = join(place, "kjv-2");
    for (
      const name of [
        "train.txt",
        "held_out.txt",
        "tokenizer.model",
        "train_short.tfrecord",
        "model_short",
        "loss.svg",
      ]
    ) {
      assert.ok(existsSync(join(folder, name)), name);
    }
    const number = (pattern: RegExp): number => Number(pattern.exec(first.out)?.[1] ?? NaN);
    const plateau = number(/U\[MASK\], no context +([\d.]+)/);
    const model = number(/this model +([\d.]+)/);
    assert.ok(plateau - model >= 0.45, `the model ends at ${model}, the plateau is ${plateau}`);
    assert.equal(first.out.match(/\[MASK\].*\n {4}\S/g)?.length, 3, "three filled masks");
    for (const part of ["What was made", "bigram table", "Open next", "notebooks/00_start_here.ipynb"]) {
      assert.ok(first.out.includes(part), part);
    }
    const second = albert(...flags);
    assert.equal(second.code, 0, second.err);
    assert.equal(second.out.match(/^reused /gm)?.length, 4, second.out);
    assert.equal(second.out.match(/^made /gm), null, second.out);
    await agreesWithGoogle(join(folder, "tokenizer.model"), join(folder, "held_out.txt"));
    const filled = albert(
      "fill-mask",
      `--model=${join(folder, "model_short")}`,
      "and the children [MASK] israel went up.",
    );
    assert.match(filled.out, /▁of 0\.\d+/);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
