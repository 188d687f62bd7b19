// The tokenizer against Google's program where it is installed, and against its WebAssembly build.
import { spawnSync } from "node:child_process";
import { Buffer } from "node:buffer";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SentencePieceProcessor } from "sentencepiece-js";
import { loadSentencePiece, readEmbedded, trainUnigram } from "../../lib/mod.ts";
import { inPairs, type Ratio, ratioOf } from "./pairs.ts";

const flags = {
  vocab_size: 1000,
  pad_id: 0,
  unk_id: 1,
  bos_id: -1,
  eos_id: -1,
  num_threads: 1,
  control_symbols: "[CLS],[SEP],[MASK]",
};

/** Encoding 10,000 verses, and training on 5 and 20 MB. */
export async function* tokenizerBench(): AsyncGenerator<Ratio | string> {
  const verses = readEmbedded("kjv").flatMap(({ paragraphs }) => paragraphs);
  const { model } = await trainUnigram(verses, flags);
  const own = loadSentencePiece(model);
  const place = mkdtempSync(join(tmpdir(), "albert-bench-"));
  writeFileSync(join(place, "m.model"), model);
  const peer = new SentencePieceProcessor();
  await peer.load(join(place, "m.model"));
  const some = verses.slice(0, 10000);
  yield await inPairs(
    "encode 10,000 verses",
    { name: "ours", run: () => some.forEach((verse) => own.encodeIds(verse)) },
    { name: "sentencepiece-js", run: () => some.forEach((verse) => peer.encodeIds(verse)) },
  );
  yield* wheelBench(place, own, some);
  yield* trainingBench(place);
}

const wheelLoop = `
import sys, time, sentencepiece as s
p = s.SentencePieceProcessor(model_file=sys.argv[1])
lines = open(sys.argv[2], encoding="utf8").read().split("\\n")
best = 1e9
for _ in range(5):
    begun = time.perf_counter()
    for line in lines: p.encode(line)
    best = min(best, time.perf_counter() - begun)
print(s.__version__, best)
`;

/** Against the native wheel's loop over lines in Python, one core each: the best of five runs. */
function* wheelBench(
  place: string,
  own: ReturnType<typeof loadSentencePiece>,
  lines: readonly string[],
): Generator<Ratio | string> {
  const python = (process.env["ALBERT_SPM_PYTHON"] ?? "python3").split(",")[0] ?? "python3";
  writeFileSync(join(place, "lines.txt"), lines.join("\n"));
  const args = ["-c", wheelLoop, join(place, "m.model"), join(place, "lines.txt")];
  const { status, stdout } = spawnSync(python, args, { encoding: "utf8" });
  if (status !== 0) {
    yield "encode against the Python wheel: skipped, no module sentencepiece (ALBERT_SPM_PYTHON)";
    return;
  }
  const [version = "", seconds = "NaN"] = stdout.trim().split(" ");
  const times = Array.from({ length: 5 }, () => {
    const begun = performance.now();
    for (const line of lines) own.encodeIds(line);
    return (performance.now() - begun) / 1000;
  });
  yield ratioOf(`encode 10,000 verses, sentencepiece ${version} in Python`, [Math.min(...times)], [
    Number(seconds),
  ]);
}

/** Embedded prose, then again and again with its letters exchanged, which gives new words of the same kind. */
function longText(bytes: number): string[] {
  const prose = (["kjv", "handbuch", "sotu"] as const).flatMap((name) =>
    readEmbedded(name).flatMap(({ paragraphs }) => paragraphs)
  );
  const lines: string[] = [];
  for (let copy = 0, size = 0; size < bytes; copy++) {
    const shift = (letter: string): string =>
      String.fromCharCode(97 + (letter.charCodeAt(0) - 97 + 7 * copy) % 26);
    for (const line of prose) {
      if (size >= bytes) break;
      lines.push(copy === 0 ? line : line.replace(/[a-z]/g, shift));
      size += Buffer.byteLength(lines.at(-1) ?? "") + 1;
    }
  }
  return lines;
}

/** Both programs as processes of their own, in turn: wall time, and peak memory where GNU time is there. */
async function* trainingBench(place: string): AsyncGenerator<Ratio | string> {
  const version = /\d+\.\d+\.\d+/.exec(
    spawnSync("spm_train", ["--version"], { encoding: "utf8" }).stdout ?? "",
  )?.[0];
  if (version === undefined) {
    yield "training: skipped, spm_train is not installed (Debian: apt-get install sentencepiece)";
    return;
  }
  const timed = existsSync("/usr/bin/time");
  const cli = fileURLToPath(new URL("../../lib/cli.ts", import.meta.url));
  for (const [megabytes, vocab_size, rounds] of [[5, 8000, 3], [20, 25000, 2]] as const) {
    const input = join(place, `${megabytes}.txt`);
    writeFileSync(input, `${longText(megabytes * 1e6).join("\n")}\n`);
    const args = Object.entries({ ...flags, input, vocab_size, num_threads: 2 })
      .map(([name, value]) => `--${name}=${value}`);
    const peak = { ours: 0, peer: 0 };
    const run = (side: keyof typeof peak, command: string, own: string[]): void => {
      const all = [command, ...own, ...args, `--model_prefix=${join(place, side)}`];
      const [first = "", ...rest] = timed ? ["/usr/bin/time", "-f", "peak %M", ...all] : all;
      const { status, stderr } = spawnSync(first, rest, { encoding: "utf8" });
      if (status !== 0) throw new Error(`${command} failed: ${stderr.slice(-500)}`);
      peak[side] = Math.max(peak[side], Number(/peak (\d+)/.exec(stderr)?.[1] ?? 0) / 1000);
    };
    yield await inPairs(
      `train ${vocab_size} pieces on ${megabytes} MB, two threads`,
      {
        name: "ours",
        run: () =>
          run("ours", process.execPath, [
            "run",
            "-A",
            cli,
            "tokenizer",
            `--spm_version=${generation(version)}`,
          ]),
      },
      { name: `spm_train ${version}`, run: () => run("peer", "spm_train", ["--minloglevel=2"]) },
      rounds,
    );
    const [own, other] = (["ours", "peer"] as const).map((side) =>
      readFileSync(join(place, `${side}.vocab`), "utf8")
    );
    yield `  files ${own === other ? "equal" : "DIFFER"}` +
      (timed ? `, peak memory ${peak.ours.toFixed(0)} MB, spm_train ${peak.peer.toFixed(0)} MB` : "");
  }
}

const generation = (version: string): string =>
  version === "0.1.97" || version === "0.2.2" ? version : "0.2.0";
