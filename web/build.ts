/**
 * Makes the page: bundles its scripts, lays ONNX Runtime's WebAssembly, an exported model and the library's documentation
 * beside them, and serves the folder on this machine when asked. The result is static files that any server can give out.
 *
 *     deno task web --model=build/bible-albert --serve
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
import { serveFolder } from "./serve.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** Kinds of weights by the file that an export gives them, the most exact first. */
const kinds = [["model.onnx", "fp32"], ["model_fp16.onnx", "fp16"], [
  "model_quantized.onnx",
  "int8",
]] as const;

/** Bundles `page.ts`; a builtin of Node in the result is an error, for no browser has it. */
async function bundle(output: string): Promise<void> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(here, "page.ts")],
    bundle: true,
    format: "esm",
    target: "es2023",
    minify: true,
    write: false,
    metafile: true,
    absWorkingDir: here,
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "error",
    plugins: [{
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
  writeFileSync(join(output, "page.js"), script.contents);
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

/**
 * Builds the page into a folder, which is made anew.
 *
 * @param model An exported folder with `onnx/`.
 * @param output Where to; what stands there is replaced.
 */
export async function buildPage(model: string, output: string): Promise<void> {
  const temporary = `${output}.tmp-${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  try {
    layModel(model, join(temporary, "model"));
    await bundle(temporary);
    for (const name of ["index.html", "page.css"]) {
      copyFileSync(join(here, name), join(temporary, name));
    }
    const runtime = dirname(
      createRequire(import.meta.url).resolve(
        "onnxruntime-web/ort-wasm-simd-threaded.wasm",
      ),
    );
    for (
      const name of [
        "ort-wasm-simd-threaded.wasm",
        "ort-wasm-simd-threaded.mjs",
      ]
    ) {
      copyFileSync(join(runtime, name), join(temporary, name));
    }
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
        model: { type: "string", default: "build/bible-albert" },
        output_dir: { type: "string", default: "build/web" },
        serve: { type: "boolean", default: false },
        port: { type: "string", default: "8000" },
      },
    });
    await buildPage(values.model, values.output_dir);
    process.stdout.write(
      `${values.output_dir}: the page with ${values.model}; any static server can give it out\n`,
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
