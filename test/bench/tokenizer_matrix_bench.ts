// Trains with many sets of flags on texts in many scripts and compares the files with those of every SentencePiece that
// is installed: `spm_train` on the PATH, byte for byte, and the Python wheels that ALBERT_SPM_PYTHON names (paths with
// commas between), `.vocab` byte for byte and `.model` by its pieces and normalization. Both must refuse the same sets.
//
//     deno task bench matrix [--seed=1] [--random=40] [--only=peer] [--flags=text] [--golden=folder]
//
// `--golden` writes what spm_train made to a folder instead of throwing it away.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseModel, type SpmVersion, trainUnigramFiles } from "albert-guide";
import { fixedCases, type FlagSet, type MatrixCase, matrixTexts, randomCases } from "./tokenizer_matrix.ts";

/** A SentencePiece to compare with. */
type Peer = {
  readonly name: string;
  readonly version: SpmVersion;
  /** Whether it writes the same fields into the model as ours, which follows the command line. */
  readonly wholeModel: boolean;
  /** Trains in a folder; what it said when it refused. */
  readonly train: (flags: Readonly<Record<string, unknown>>, folder: string) => string | undefined;
};

const python = `
import sys, json, sentencepiece as s
flags = json.loads(sys.argv[1])
if "random_seed" in flags:
    s.set_random_generator_seed(flags.pop("random_seed"))
s.SentencePieceTrainer.Train(minloglevel=2, **flags)
`;

/** What makes a field of a list safe: quotes where it holds a comma or a quote. */
const quoted = (field: string): string => /[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;

const asText = (value: unknown): string => Array.isArray(value) ? value.map(quoted).join(",") : String(value);

/** The generation a version belongs to. */
export function generationOf(version: string): SpmVersion | undefined {
  const [, minor = 0, patch = 0] = version.split(".").map(Number);
  if (version === "0.1.97") return "0.1.97";
  if ((minor === 1 && patch === 99) || (minor === 2 && patch <= 1)) return "0.2.0";
  return version === "0.2.2" ? "0.2.2" : undefined;
}

/** Every SentencePiece found, and a line for each that is not compared. */
export function findPeers(): { peers: Peer[]; notes: string[] } {
  const peers: Peer[] = [];
  const notes: string[] = [];
  const add = (name: string, version: string, wholeModel: boolean, train: Peer["train"]): void => {
    const generation = generationOf(version);
    if (generation === undefined) {
      notes.push(`${name} ${version}: of no generation that is reproduced, not compared`);
    } else peers.push({ name: `${name} ${version}`, version: generation, wholeModel, train });
  };
  const { stdout } = spawnSync("spm_train", ["--version"], { encoding: "utf8" });
  const version = /(\d+\.\d+\.\d+)/.exec(stdout ?? "")?.[1];
  if (version === undefined) {
    notes.push("spm_train: skipped, not installed (Debian: apt-get install sentencepiece)");
  } else {
    add("spm_train", version, true, (flags, cwd) => {
      const args = Object.entries(flags).map(([name, value]) => `--${name}=${asText(value)}`);
      const { status, stderr } = spawnSync("spm_train", [...args, "--minloglevel=2"], {
        cwd,
        encoding: "utf8",
      });
      return status === 0 ? undefined : stderr.trim();
    });
  }
  const paths = (process.env["ALBERT_SPM_PYTHON"] ?? "python3").split(",");
  for (const path of paths) {
    const code = "import sentencepiece as s; print(s.__version__)";
    const found = spawnSync(path, ["-c", code], { encoding: "utf8" });
    if (found.status !== 0) notes.push(`${path}: skipped, no module sentencepiece (ALBERT_SPM_PYTHON)`);
    else {
      add("wheel", found.stdout.trim(), false, (flags, cwd) => {
        const args = ["-c", python, JSON.stringify(flags)];
        const { status, stderr } = spawnSync(path, args, { cwd, encoding: "utf8" });
        return status === 0 ? undefined : stderr.trim();
      });
    }
  }
  return { peers, notes };
}

/** What is different between the files of two trainings, or undefined. */
function difference({ ours, theirs }: Place, { wholeModel }: Peer): string | undefined {
  const [vocab, other] = [ours, theirs].map((folder) => readFileSync(join(folder, "m.vocab"), "utf8"));
  if (vocab !== other) {
    const [a = [], b = []] = [vocab, other].map((text) => text?.split("\n"));
    const line = a.findIndex((text, k) => text !== b[k]);
    return `.vocab line ${line + 1}: ours ${JSON.stringify(a[line])}, theirs ${JSON.stringify(b[line])}`;
  }
  const [own, peer] = [ours, theirs].map((folder) =>
    new Uint8Array(readFileSync(join(folder, "m.model")))
  ) as [
    Uint8Array,
    Uint8Array,
  ];
  if (wholeModel) return hash(own) === hash(peer) ? undefined : ".model";
  const [x, y] = [parseModel(own), parseModel(peer)];
  if (JSON.stringify(x.pieces) !== JSON.stringify(y.pieces)) return ".model: pieces";
  const others = ({ denormalizer_spec, rest }: typeof x): string => JSON.stringify([denormalizer_spec, rest]);
  if (others(x) !== others(y)) return ".model: denormalization or self-test";
  const rules = (model: typeof x): string =>
    hash((model.normalizer_spec?.["precompiled_charsmap"] ?? new Uint8Array(0)) as Uint8Array);
  return rules(x) === rules(y) ? undefined : ".model: normalization";
}

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Whether the peer has all flags, and gives the same result twice. */
function comparable(flags: FlagSet, { version, wholeModel }: Peer): boolean {
  const late = flags.pretokenization_delimiter !== undefined || flags.seed_sentencepieces_file !== undefined;
  if (late && version === "0.1.97") return false;
  if (
    !wholeModel &&
    Object.keys(flags).some((name) => name.endsWith("symbols_file") || name === "required_chars_file")
  ) {
    return false; // flags of the command line alone
  }
  // 0.1.97 draws noise otherwise.
  if (flags.differential_privacy_noise_level !== undefined && version !== "0.2.0") return false;
  if (version !== "0.2.2") return true;
  if ((flags.self_test_sample_size ?? 0) > 0) return false; // 0.2.2 draws its samples at random
  return flags.input_sentence_size === undefined || flags.shuffle_input_sentence === false;
}

type Place = { readonly root: string; readonly ours: string; readonly theirs: string };
type Verdict = "same" | "refused" | "skipped" | { readonly differs: string };

async function compare(place: Place, { text, flags }: MatrixCase, peer: Peer): Promise<Verdict> {
  if (!comparable(flags, peer)) return "skipped";
  for (const folder of [place.ours, place.theirs]) {
    for (const suffix of ["model", "vocab"]) rmSync(join(folder, `m.${suffix}`), { force: true });
  }
  const all = { ...flags, input: `../${text}.txt`, model_prefix: "m" };
  const refusal = peer.train(all, place.theirs);
  let own: string | undefined;
  const before = process.cwd();
  try {
    process.chdir(place.ours); // the names given are stored in the model
    await trainUnigramFiles({ ...all, spm_version: peer.version, invalid_utf8: "replace" });
  } catch (error) {
    own = (error as Error).message;
  } finally {
    process.chdir(before);
  }
  if (refusal !== undefined && own !== undefined) return "refused";
  if (refusal !== undefined) return { differs: `the peer refuses: ${refusal.slice(-300)}` };
  if (own !== undefined) return { differs: `ours refuses: ${own}` };
  const found = difference(place, peer);
  return found === undefined ? "same" : { differs: found };
}

/** Compares with every peer; one line each, and one line for every set that differs. */
export async function* tokenizerMatrixBench(
  { seed = "1", random = "40", only, flags, golden }: { readonly [name: string]: string } = {},
): AsyncGenerator<string> {
  const { peers: all, notes } = findPeers();
  yield* notes;
  const peers = all.filter(({ name }) => only === undefined || name.includes(only));
  const root = mkdtempSync(join(tmpdir(), "albert-matrix-"));
  const place = { root, ours: join(root, "ours"), theirs: join(root, "theirs") };
  for (const folder of [place.ours, place.theirs]) mkdirSync(folder);
  for (const [name, lines] of Object.entries(matrixTexts(Number(seed)))) {
    writeFileSync(join(root, name.includes(".") ? name : `${name}.txt`), lines.join("\n") + "\n");
  }
  const cases = [...fixedCases(), ...randomCases(Number(seed), Number(random))]
    .filter((one) => flags === undefined || JSON.stringify(one).includes(flags));
  for (const peer of peers) {
    const count = { same: 0, refused: 0, skipped: 0, differs: 0 };
    for (const [k, one] of cases.entries()) {
      const verdict = await compare(place, one, peer);
      count[typeof verdict === "string" ? verdict : "differs"]++;
      if (typeof verdict !== "string") {
        yield `DIFFERS from ${peer.name}: ${JSON.stringify(one)}: ${verdict.differs}`;
      }
      if (golden !== undefined && verdict === "same") {
        cpSync(place.theirs, join(golden, `${peer.name.replace(" ", "-")}-${k}`), { recursive: true });
      }
    }
    yield `${peer.name}: ${cases.length} sets: ${count.same} with the same files, ${count.refused} refused by both, ` +
      `${count.differs} differ, ${count.skipped} not comparable`;
  }
  rmSync(root, { recursive: true });
}
