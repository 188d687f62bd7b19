// The tokenizer against Google's program where it is installed, and against its WebAssembly build.
import { spawnSync } from "node:child_process";
import { Buffer } from "node:buffer";
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SentencePieceProcessor } from "sentencepiece-js";
import { loadSentencePiece, readEmbedded, type SpmVersion, trainUnigram } from "../../lib/mod.ts";
import { wheelBench } from "./encoder_bench.ts";
import { inPairs, type Ratio } from "./pairs.ts";
import { generationOf } from "./tokenizer_matrix_bench.ts";

const flags = {
  vocab_size: 1000,
  pad_id: 0,
  unk_id: 1,
  bos_id: -1,
  eos_id: -1,
  num_threads: 1,
  control_symbols: "[CLS],[SEP],[MASK]",
};

/**
 * Encoding 10,000 verses, and training on 5 and 20 MB. `--encode=only` leaves training out; `--train=0.2.2` trains only, against
 * that version, `--megabytes=5` on that much.
 */
export async function* tokenizerBench(
  { train, encode, megabytes }: { readonly [name: string]: string | undefined } = {},
): AsyncGenerator<Ratio | string> {
  const folder = mkdtempSync(join(tmpdir(), "albert-bench-"));
  if (train === undefined) yield* encodingBench(folder);
  if (encode === undefined) yield* trainingBench(folder, train ?? "", megabytes);
}

async function* encodingBench(place: string): AsyncGenerator<Ratio | string> {
  const verses = readEmbedded("kjv").flatMap(({ paragraphs }) => paragraphs);
  const { model } = await trainUnigram(verses, flags);
  const own = loadSentencePiece(model);
  writeFileSync(join(place, "m.model"), model);
  const peer = new SentencePieceProcessor();
  await peer.load(join(place, "m.model"));
  const some = verses.slice(0, 10000);
  yield await inPairs(
    "encode 10,000 verses",
    { name: "ours", run: () => some.forEach((verse) => own.encodeIds(verse)) },
    { name: "sentencepiece-js", run: () => some.forEach((verse) => peer.encodeIds(verse)) },
  );
  yield* wheelBench(place);
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

/** A trainer that is installed: `spm_train`, or the wheel of a Python. */
type Trainer = { readonly name: string; readonly version: SpmVersion; readonly command: readonly string[] };

/** The flags come as one argument, as the wheel takes them, or each as its own. */
const wheelTrainer = "import sys, sentencepiece as s; s.SentencePieceTrainer.Train(' '.join(sys.argv[1:]))";

function trainers(): Trainer[] {
  const found: Trainer[] = [];
  const add = (name: string, said: string, command: readonly string[]): void => {
    const number = /\d+\.\d+\.\d+/.exec(said)?.[0] ?? "";
    const version = generationOf(number);
    if (version !== undefined) found.push({ name: `${name} ${number}`, version, command });
  };
  const versionOf = (command: string, ...args: string[]): string =>
    spawnSync(command, args, { encoding: "utf8" }).stdout ?? "";
  add("spm_train", versionOf("spm_train", "--version"), ["spm_train"]);
  for (const python of (process.env["ALBERT_SPM_PYTHON"] ?? "python3").split(",")) {
    const said = versionOf(python, "-c", "import sentencepiece as s; print(s.__version__)");
    add("wheel", said, [python, "-c", wheelTrainer]);
  }
  return found;
}

/** Both programs as processes of their own, in turn: wall time, and peak memory where GNU time is there. */
async function* trainingBench(place: string, only: string, size?: string): AsyncGenerator<Ratio | string> {
  const peers = trainers().filter(({ name }) => name.includes(only));
  if (peers.length === 0) {
    yield "training: skipped, neither spm_train (Debian: apt-get install sentencepiece) nor a wheel is installed";
  }
  for (const [megabytes, vocab_size, rounds] of [[5, 8000, 3], [20, 25000, 2]] as const) {
    if (size !== undefined && Number(size) !== megabytes) continue;
    const input = join(place, `${megabytes}.txt`);
    writeFileSync(input, `${longText(megabytes * 1e6).join("\n")}\n`);
    for (const peer of peers) {
      yield* oneTraining(place, peer, { input, vocab_size, num_threads: 2 }, rounds);
    }
  }
}

async function* oneTraining(
  place: string,
  peer: Trainer,
  own: Readonly<Record<string, unknown>>,
  rounds: number,
): AsyncGenerator<Ratio | string> {
  const timed = existsSync("/usr/bin/time");
  const cli = fileURLToPath(new URL("../../lib/cli.ts", import.meta.url));
  const args = Object.entries({ ...flags, ...own }).map(([name, value]) => `--${name}=${value}`);
  const peaks = { ours: [] as number[], peer: [] as number[] };
  const run = (side: keyof typeof peaks, ...command: string[]): void => {
    const all = [...command, ...args, `--model_prefix=${join(place, side)}`];
    const [first = "", ...rest] = timed ? ["/usr/bin/time", "-f", "peak %M", ...all] : all;
    const { status, stderr } = spawnSync(first, rest, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${command[0]} failed: ${stderr.slice(-500)}`);
    peaks[side].push(Number(/peak (\d+)/.exec(stderr)?.[1] ?? 0) / 1000);
  };
  const command = [process.execPath, "run", "-A", cli, "tokenizer", `--spm_version=${peer.version}`];
  yield await inPairs(
    `train ${own["vocab_size"]} pieces on ${statSync(String(own["input"])).size / 1e6 | 0} MB, two threads`,
    { name: "ours", run: () => run("ours", ...command) },
    { name: peer.name, run: () => run("peer", ...peer.command, "--minloglevel=2") },
    rounds,
  );
  const [ours, theirs] = (["ours", "peer"] as const).map((side) =>
    readFileSync(join(place, `${side}.vocab`), "utf8")
  );
  const [mine, other] = [Math.max(...peaks.ours), Math.max(...peaks.peer)];
  yield `  files ${ours === theirs ? "equal" : "DIFFER"}` +
    (timed
      ? `, peak memory ${mine.toFixed(0)} MB, ${other.toFixed(0)} MB there: ratio ${
        (mine / other).toFixed(2)
      }`
      : "");
}
