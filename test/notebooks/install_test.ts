// The archive for npm, installed into an empty folder without a network: both doors under Node and Deno, types for both, and
// every stage by the program `albert`, with its threads and its child process. ALBERT_NODES names further Nodes, by comma.
import * as library from "albert-guide";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { findPlugin } from "../../lib/engines/mod.ts";
import { buildPackage } from "../../lib/notebook/build.ts";
import { type PackedPackage, packPackage } from "../../lib/notebook/package.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const nodes = ["node", ...(process.env["ALBERT_NODES"] ?? "").split(",").filter((path) => path !== "")];

type Outcome = { readonly code: number | null; readonly out: string; readonly err: string };

function run(
  cwd: string,
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 1 << 26,
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  return { code: status, out: stdout, err: error?.message ?? stderr };
}

function done(outcome: Outcome): string {
  assert.equal(outcome.code, 0, outcome.err);
  return outcome.out;
}

/** Packs and installs once; every test uses the same folder. */
let installed: Promise<{ readonly folder: string; readonly packed: PackedPackage }> | undefined;

async function install(): Promise<{ readonly folder: string; readonly packed: PackedPackage }> {
  const { problems, output: copy } = await buildPackage();
  assert.deepEqual(problems, []);
  const folder = mkdtempSync(join(tmpdir(), "albert-install-"));
  globalThis.addEventListener("unload", () => rmSync(folder, { recursive: true, force: true }));
  const packed = packPackage({ root, copy, output: join(folder, "packed") });
  // The one package that is always needed comes from the project, so that nothing is fetched.
  const yaml = run(join(folder, "packed"), "npm", ["pack", "--silent", join(root, "node_modules", "yaml")]);
  const app = join(folder, "app");
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), "{}");
  const archives = [join(folder, "packed", done(yaml).trim()), packed.path];
  const flags = ["--offline", "--omit=optional", "--no-audit", "--no-fund", "--no-package-lock"];
  done(run(app, "npm", ["install", ...archives, ...flags]));
  return { folder: app, packed };
}

const app = async (): Promise<string> => (await (installed ??= install())).folder;

const toolNames = ["@tensorflow", "koffi", "vega", "vega-lite", "hyparquet"];

/** What an installation with the optional packages has. */
function addOptional(folder: string): void {
  for (const name of toolNames) {
    const place = join(folder, "node_modules", name);
    if (!existsSync(place)) symlinkSync(join(root, "node_modules", name), place, "dir");
  }
}

Deno.test("packPackage() packs what is needed, below 3 MB, with pinned versions and no script of installation", async () => {
  const { packed: { bytes, files } } = await (installed ??= install());
  assert.ok(bytes < 3e6, `${bytes} bytes`);
  const wanted = [
    "LICENSE",
    "README.md",
    "albert.js",
    "data/kjv/README.md",
    "mod.mjs",
    "mod.d.mts",
    "mod.d.ts",
  ];
  assert.deepEqual(wanted.filter((name) => !files.includes(name)), []);
  assert.deepEqual(
    files.filter((name) => /(^|\/)(test|notebook|\.)|cli\.|(?<!\.d)\.ts$|\.ipynb$/.test(name)),
    [],
  );
  const manifest = JSON.parse(
    readFileSync(join(await app(), "node_modules/albert-guide/package.json"), "utf8"),
  );
  assert.equal(manifest.scripts, undefined);
  const { dependencies, optionalDependencies, license, version } = manifest;
  assert.deepEqual(Object.keys(dependencies), ["yaml"]);
  assert.ok("koffi" in optionalDependencies && !("tslab" in optionalDependencies));
  for (const [name, pin] of Object.entries({ ...dependencies, ...optionalDependencies })) {
    assert.match(String(pin), /^\d+\.\d+\.\d+$/, name);
  }
  assert.deepEqual([license, version], [
    "Apache-2.0",
    JSON.parse(readFileSync(`${root}/deno.json`, "utf8")).version,
  ]);
});

Deno.test("the installed package gives one library by import and by require, under Node and Deno", async () => {
  const folder = await app();
  const names = JSON.stringify(Object.keys(library).sort());
  writeFileSync(
    join(folder, "doors.mjs"),
    'import * as library from "albert-guide";\nimport { createRequire } from "node:module";\n' +
      'const required = createRequire(import.meta.url)("albert-guide");\n' +
      "console.log(JSON.stringify(Object.keys(library).sort()));\n" +
      "console.log(required.CorruptFileError === library.CorruptFileError, library.readEmbedded('kjv').length);\n" +
      "for (const name of ['tfjs', 'reference']) {\n" +
      "  console.log(await library.openEngine(name).then((engine) => engine.name, ({ message }) => message));\n}\n" +
      "try { library.readEmbedded('sotu'); } catch ({ message }) { console.log(message); }\n",
  );
  for (const [program, ...args] of [...nodes.map((node) => [node]), [Deno.execPath(), "run", "-A"]]) {
    const lines = done(run(folder, program as string, [...args, "doors.mjs"])).trim().split("\n"); // as listed
    assert.equal(lines[0], names, program);
    assert.equal(lines[1], "true 1189");
    assert.match(
      lines[2] ?? "",
      /^Cannot open tfjs-wasm: the package @tensorflow\/tfjs-core is not installed; .*--include=optional/,
    );
    assert.equal(lines[3], "reference");
    assert.match(lines[4] ?? "", /^Cannot read the corpus sotu: .* the npm package brings kjv and handbuch/);
    assert.equal(lines.length, 5);
  }
});

/** What TypeScript says about files of the folder. */
function complaints(files: readonly string[], options: ts.CompilerOptions): string[] {
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    ...options,
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, " ")
  );
}

Deno.test("the installed package has types for import and for require, as Node and as bundlers find them", async () => {
  const folder = await app();
  const use =
    "const preset: AlbertConfig = albertPreset('tiny');\nexport const size: number = preset.hidden_size;\n" +
    "// @ts-expect-error a number is no text\nexport const wrong: string = preset.hidden_size;\n";
  const [esm, cjs] = [join(folder, "use.mts"), join(folder, "use.cts")];
  writeFileSync(esm, `import { type AlbertConfig, albertPreset } from "albert-guide";\n${use}`);
  writeFileSync(
    cjs,
    "import library = require('albert-guide');\ntype AlbertConfig = library.AlbertConfig;\n" +
      `const { albertPreset } = library;\n${use}`,
  );
  const { NodeNext, ESNext } = ts.ModuleKind; // Node16 finds packages as NodeNext does
  assert.deepEqual(
    complaints([esm, cjs], { module: NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext }),
    [],
  );
  assert.deepEqual(
    complaints([esm], { module: ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }),
    [],
  );
});

Deno.test("the installed albert walks every stage under Node, with threads and the XLA process", async () => {
  const folder = await app();
  addOptional(folder);
  const bin = join(folder, "node_modules", ".bin", "albert");
  for (const node of nodes) {
    const work = mkdtempSync(join(folder, "work-"));
    const path = node === "node" ? {} : { PATH: `${dirname(node)}${delimiter}${process.env["PATH"]}` };
    const albert = (...args: string[]): Outcome => run(work, bin, args, path);
    assert.match(done(albert("help", "guide")), /^albert guide \[flags\]/);
    assert.match(done(albert("--help")), / {2}albert <command> \[flags\]\n/);
    assert.deepEqual([albert("guid").code, albert("guid").err], [
      2,
      "albert: Cannot run guid: there is no such command, did you mean guide?\n",
    ]);
    done(albert("raws", "--corpus=kjv", "--output=all.txt", "--held_out_output=held_out.txt"));
    const some = readFileSync(join(work, "all.txt"), "utf8").split("\n").slice(0, 1500).join("\n");
    writeFileSync(join(work, "raw.txt"), some);
    const symbols = [
      "--pad_id=0",
      "--unk_id=1",
      "--bos_id=-1",
      "--eos_id=-1",
      "--control_symbols=[CLS],[SEP],[MASK]",
    ];
    const tokenizer = [
      "--model_prefix=spm",
      "--vocab_size=1000",
      "--preprocess=albert",
      "--num_threads=2",
      ...symbols,
    ];
    done(albert("tokenizer", "--input=raw.txt", ...tokenizer, "--workers=2"));
    const lengths = ["--max_seq_length=32", "--max_predictions_per_seq=5"];
    const records = ["--input_file=raw.txt", "--spm_model_file=spm.model", "--dupe_factor=1", ...lengths];
    done(albert("records", ...records, "--output_file=a.tfrecord", "--order=stream", "--workers=2"));
    for (const engine of [findPlugin("xla-cpu") === undefined ? [] : ["xla"], "tfjs"].flat()) {
      const training = [
        "--preset=tiny",
        "--train_batch_size=4",
        "--num_train_steps=2",
        "--num_warmup_steps=1",
      ];
      const files = ["--input_file=a.tfrecord", `--output_dir=${engine}`, "--spm_model_file=spm.model"];
      done(albert("pretrain", ...files, ...training, ...lengths, `--engine=${engine}`));
      assert.ok(existsSync(join(work, engine, "step-000002")), engine);
    }
    done(albert("export", "--checkpoint=tfjs", "--output_dir=hf"));
    assert.match(done(albert("fill-mask", "--model=hf", "--engine=tfjs", "in the [MASK]")), / 0\.\d{3} /);
  }
});
