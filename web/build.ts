/**
 * Makes a page: bundles its scripts, lays WebAssembly, the embedded corpus or an exported model, and the library's
 * documentation beside them, and serves the folder on this machine when asked. The result is static files that any server
 * can give out.
 *
 *     deno task web --serve                              pretrain in a browser tab
 *     deno task web --model=build/bible-albert --serve   fill masks with a model
 */
import { build } from "esbuild";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeDocs } from "../lib/notebook/docs.ts";
import type { ModelIndex } from "./fill_mask.ts";
import { nodeModules } from "./builtins.ts";
import { serveFolder } from "./serve.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** Kinds of weights by the file that an export gives them, the most exact first. */
const kinds = [["model.onnx", "fp32"], ["model_fp16.onnx", "fp16"], [
  "model_quantized.onnx",
  "int8",
]] as const;

/** Bundles a script of a page; with `node` the library's modules of Node are those of `node/`, else one is an error. */
async function bundle(entry: string, file: string, { node = false } = {}): Promise<void> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(here, entry)],
    bundle: true,
    format: "esm",
    target: "es2023",
    minify: true,
    write: false,
    metafile: true,
    absWorkingDir: here,
    conditions: ["onnxruntime-web-use-extern-wasm"],
    define: { global: "globalThis" },
    logLevel: "error",
    plugins: node ? [nodeModules(here)] : [{
      name: "no builtins",
      setup: ({ onResolve }) =>
        onResolve(
          { filter: /^node:/ },
          ({ path }) => ({ path, external: true, sideEffects: false }),
        ),
    }],
  });
  const [script] = outputFiles;
  const builtin = Object.values(metafile.outputs).flatMap(({ imports }) => imports)
    .find(({ path, kind }) => path.startsWith("node:") && kind === "import-statement");
  if (script === undefined || builtin !== undefined) {
    throw new Error(
      `Cannot build the page: its script imports ${builtin?.path}, which no browser has`,
    );
  }
  writeFileSync(file, script.contents);
}

/** Copies what the page needs of an exported folder, and says what that is. */
function layModel(model: string, output: string): void {
  const needed = (name: string): string => {
    const path = join(model, name);
    if (existsSync(path)) return path;
    throw new Error(
      `Cannot build the page: ${path} is missing; make the folder by albert export --format=onnx --output_dir=${model}`,
    );
  };
  const read = (name: string): Record<string, unknown> => JSON.parse(readFileSync(needed(name), "utf8"));
  const weights = kinds.filter(([file]) => existsSync(join(model, "onnx", file))).map(([file, name]) => ({
    name,
    file,
    bytes: statSync(join(model, "onnx", file)).size,
  }));
  if (weights.length === 0) needed("onnx/model.onnx");
  const card = existsSync(join(model, "README.md")) ? readFileSync(join(model, "README.md"), "utf8") : "";
  const index: ModelIndex = {
    title: card.match(/^# (.+)$/m)?.[1] ?? basename(resolve(model)),
    positions: read("config.json")["max_position_embeddings"] as number,
    doLowerCase: read("tokenizer_config.json")["do_lower_case"] as boolean,
    keepAccents: read("tokenizer_config.json")["keep_accents"] === true,
    weights,
  };
  mkdirSync(output, { recursive: true });
  copyFileSync(needed("spiece.model"), join(output, "spiece.model"));
  for (const { file } of weights) {
    copyFileSync(join(model, "onnx", file), join(output, file));
  }
  writeFileSync(
    join(output, "index.json"),
    `${JSON.stringify(index, null, 2)}\n`,
  );
}

/** Files of a package of npm, copied beside the page. */
function layFiles(entry: string, names: readonly string[], output: string): void {
  const folder = dirname(createRequire(import.meta.url).resolve(entry));
  for (const name of names) copyFileSync(join(folder, name), join(output, name));
}

/** The page that fills masks with an exported model. */
async function layFillPage(model: string, output: string): Promise<void> {
  layModel(model, join(output, "model"));
  await bundle("page.ts", join(output, "page.js"));
  copyFileSync(join(here, "index.html"), join(output, "index.html"));
  const runtime = "ort-wasm-simd-threaded";
  layFiles(`onnxruntime-web/${runtime}.wasm`, [`${runtime}.wasm`, `${runtime}.mjs`], output);
}

/** The page that pretrains, with the embedded corpus and tfjs' WebAssembly beside it. */
async function layPretrainPage(output: string): Promise<void> {
  await bundle("pretrain/page.ts", join(output, "page.js"));
  await bundle("pretrain/worker.ts", join(output, "worker.js"), { node: true });
  for (const name of ["index.html", "pretrain.css"]) {
    copyFileSync(join(here, "pretrain", name), join(output, name));
  }
  const corpus = join("data", "kjv");
  mkdirSync(join(output, corpus), { recursive: true });
  for (const name of ["card.json", "documents.json", "kjv.txt.gz"]) {
    copyFileSync(join(dirname(here), corpus, name), join(output, corpus, name));
  }
  const kinds = ["", "-simd", "-threaded-simd"].map((kind) => `tfjs-backend-wasm${kind}.wasm`);
  layFiles("@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.wasm", kinds, output);
}

/**
 * Builds a page into a folder, which is made anew.
 *
 * @param model An exported folder with `onnx/`, whose masks the page fills; without one the page pretrains.
 * @param output Where to; what stands there is replaced.
 */
export async function buildPage(model: string | undefined, output: string): Promise<void> {
  const temporary = `${output}.tmp-${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    if (model === undefined) await layPretrainPage(temporary);
    else await layFillPage(model, temporary);
    copyFileSync(join(here, "page.css"), join(temporary, "page.css"));
    writeDocs({ root: dirname(here), output: join(temporary, "docs") });
    rmSync(output, { recursive: true, force: true });
    renameSync(temporary, output);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      options: {
        model: { type: "string" },
        output_dir: { type: "string", default: "build/web" },
        serve: { type: "boolean", default: false },
        port: { type: "string", default: "8000" },
      },
    });
    await buildPage(values.model, values.output_dir);
    process.stdout.write(
      `${values.output_dir}: the page ${
        values.model === undefined ? "that pretrains" : `with ${values.model}`
      }; any static server can give it out\n`,
    );
    if (values.serve) {
      const { url } = await serveFolder(values.output_dir, Number(values.port));
      process.stdout.write(`${url} until Ctrl+C\n`);
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  }
}
