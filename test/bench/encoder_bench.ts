// Encoding, decoding, n-best and sampling against the native wheel in a Python process of its own, every model type in
// turn on one core each, over the same lines. The wheel makes the models; results that can be compared are compared.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { loadSentencePiece, pythonRandom, readEmbedded, type SentencePiece } from "albert-guide";
import { describeRatio, inTurn, ratioOf } from "./pairs.ts";
import { generationOf } from "./tokenizer_matrix_bench.ts";

const peerLoop = `
import sys, time, json, hashlib, sentencepiece as s
lines = open("lines.txt", encoding="utf8", newline="\\n").read().split("\\n")
flags = dict(input="lines.txt", vocab_size=4000, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, minloglevel=2,
    control_symbols=["[CLS]", "[SEP]", "[MASK]"], character_coverage=0.9995, hard_vocab_limit=False)
models = dict(unigram=dict(model_type="unigram"),
    symbols=dict(model_type="unigram", byte_fallback=True, user_defined_symbols=["(", ")", "-", ".", "the", "LORD"]),
    bpe=dict(model_type="bpe"), word=dict(model_type="word"), char=dict(model_type="char"))
loaded = {}
for name, more in models.items():
    s.SentencePieceTrainer.Train(model_prefix=name, **{**flags, **more})
    loaded[name] = s.SentencePieceProcessor(model_file=name + ".model")
ids = {name: [p.encode(line) for line in lines] for name, p in loaded.items()}
jobs = dict(
    encode=lambda p, name: [p.encode(line) for line in lines],
    pieces=lambda p, name: [p.encode(line, out_type=str) for line in lines],
    decode=lambda p, name: [p.decode(line) for line in ids[name]],
    nbest=lambda p, name: [p.nbest_encode_as_ids(line, 5) for line in lines[:1000]],
    sample=lambda p, name: [p.encode(line, enable_sampling=True, nbest_size=-1, alpha=0.1) for line in lines[:1000]])
print("ready", flush=True)
for command in sys.stdin:
    name, job = command.split()
    begun = time.perf_counter()
    result = jobs[job](loaded[name], name)
    seconds = time.perf_counter() - begun
    print(seconds, hashlib.sha256(json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest(), flush=True)
`;

type Job = "encode" | "pieces" | "decode" | "nbest" | "sample";

/** What ours does for each job, in the form that the peer's digest is made of. */
function ownJobs(tokenizer: SentencePiece, lines: readonly string[]): Record<Job, () => unknown[]> {
  const ids = lines.map((line) => tokenizer.encodeIds(line));
  const { random } = pythonRandom(1);
  const some = lines.slice(0, 1000);
  return {
    encode: () => lines.map((line) => tokenizer.encodeIds(line)),
    pieces: () => lines.map((line) => tokenizer.encode(line)),
    decode: () =>
      ids.map((each) => {
        const text = tokenizer.decode(each);
        text.charCodeAt(0); // V8 joins what was added up only when it is read
        return text;
      }),
    nbest: () => some.map((line) => tokenizer.nBest(line, 5).map((each) => each.ids)),
    sample: () => some.map((line) => tokenizer.sample(line, { random, nbest_size: -1, alpha: 0.1 }).ids),
  };
}

const digest = (result: unknown): string =>
  createHash("sha256").update(
    JSON.stringify(result, (_, value) => value instanceof Int32Array ? Array.from(value) : value),
  ).digest("hex");

/** The wheel in a process that answers one job at a time: its seconds, and a digest of what came out. */
async function openPeer(python: string, folder: string) {
  const child = spawn(python, ["-c", peerLoop], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await answers.next();
    if (done === true) throw new Error("Cannot go on with the bench: the wheel's process ended");
    return value as string;
  };
  await next();
  return {
    run: async (model: string, job: Job): Promise<{ seconds: number; digest: string }> => {
      child.stdin.write(`${model} ${job}\n`);
      const [seconds, digest = ""] = (await next()).split(" ");
      return { seconds: Number(seconds), digest };
    },
    close: () => child.stdin.end(),
  };
}

/** Every model type and what it can do, `rounds` times in turn. */
export async function* wheelBench(folder: string, rounds = 7): AsyncGenerator<string> {
  const python = (process.env["ALBERT_SPM_PYTHON"] ?? "python3").split(",")[0] ?? "python3";
  const { status, stdout } = spawnSync(python, ["-c", "import sentencepiece as s; print(s.__version__)"], {
    encoding: "utf8",
  });
  if (status !== 0) {
    yield "encode against the Python wheel: skipped, no module sentencepiece (ALBERT_SPM_PYTHON)";
    return;
  }
  const version = stdout.trim();
  const lines = readEmbedded("kjv").flatMap(({ paragraphs }) => paragraphs).slice(0, 10000);
  writeFileSync(join(folder, "lines.txt"), lines.join("\n"));
  const peer = await openPeer(python, folder);
  for (const name of ["unigram", "symbols", "bpe", "word", "char"]) {
    const model = new Uint8Array(readFileSync(join(folder, `${name}.model`)));
    const own = ownJobs(loadSentencePiece(model, { spm_version: generationOf(version) ?? "0.2.2" }), lines);
    const many: readonly Job[] = name === "unigram" || name === "symbols" ? ["nbest", "sample"] : [];
    for (const job of ["encode", "pieces", "decode", ...many] as const) {
      const theirs = (await peer.run(name, job)).digest;
      const same = job === "sample" ? "" : digest(own[job]()) === theirs ? ", equal" : ", DIFFERENT RESULTS";
      const times: number[] = [];
      const [ours = []] = await inTurn([
        { name: "ours", run: own[job] },
        { name: "wheel", run: async () => times.push((await peer.run(name, job)).seconds) },
      ], rounds);
      yield describeRatio(ratioOf(`${name} ${job}: ours / wheel ${version}`, ours, times)) + same;
    }
  }
  peer.close();
}
