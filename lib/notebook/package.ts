/**
 * What makes a package of the compiled copy: the manifest, the doors for `import` and `require`, the program `albert`, and
 * the archive that `npm install` takes. The code is CommonJS once; the ES door re-exports it, so that a program which comes
 * in by both doors meets one library and not two.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pid } from "node:process";

/** Most bytes of the archive: it comes with every install. */
const maxBytes = 3_000_000;

/** Corpora in the archive; the third would make it too large. */
const corpora = ["kjv", "handbuch"];

type Project = {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly imports?: { readonly [specifier: string]: string };
};

const readProject = (root: string): Project =>
  JSON.parse(readFileSync(join(root, "deno.json"), "utf8")) as Project;

/** Packages that compiled files load: at once, or late, where the library lives without them. */
function loaded(draft: string): { readonly atOnce: readonly string[]; readonly late: readonly string[] } {
  const [atOnce, late] = [new Set<string>(), new Set<string>()];
  for (const file of readdirSync(draft, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".js")) continue;
    const text = readFileSync(join(draft, file), "utf8");
    // As TypeScript writes `import ... from` and `await import(...)` for CommonJS.
    const names = (pattern: RegExp): string[] =>
      [...text.matchAll(pattern)].map((match) => match[1] as string); // its group
    names(/^(?:const|var) .*\brequire\("([^".][^"]*)"\)/gm).forEach((name) => atOnce.add(name));
    names(/\.then\(\(\) => .*\brequire\("([^".][^"]*)"\)/g).forEach((name) => late.add(name));
  }
  const own = (name: string): boolean => !name.startsWith("node:");
  return {
    atOnce: [...atOnce].filter(own),
    late: [...late].filter((name) => own(name) && !atOnce.has(name)),
  };
}

/** Names with the versions that `deno.json` pins. */
function pinned(names: readonly string[], { imports = {} }: Project): Record<string, string> {
  return Object.fromEntries(
    [...names].sort().map((name) => {
      const version = /@(\d+\.\d+\.\d+)$/.exec(imports[name] ?? "")?.[1];
      if (version === undefined) {
        throw new Error(`Cannot make the package: deno.json pins no version of ${name}`);
      }
      return [name, version];
    }),
  );
}

/**
 * Writes `package.json`, the door for `import` with its types, and `albert.js` beside compiled files.
 *
 * `main` and `types` stand beside `exports` because tslab's TypeScript resolves packages the old way of Node 10.
 *
 * @param root Folder of the project.
 * @param draft Folder with `mod.js` and everything below it.
 * @param names What the library exports at run time.
 * @throws {Error} When a package that the code loads has no pinned version in `deno.json`.
 */
export function writePackageFiles(root: string, draft: string, names: readonly string[]): void {
  const project = readProject(root);
  const { name, version, license } = project;
  const { atOnce, late } = loaded(draft);
  const program = existsSync(join(draft, "commands", "mod.js"));
  const content = {
    name,
    version,
    license,
    description: "From raw text to an own ALBERT language model",
    keywords: ["albert", "bert", "language-model", "pretraining", "sentencepiece", "transformers"],
    type: "commonjs",
    engines: { node: ">=20.19" },
    main: "./mod.js",
    types: "./mod.d.ts",
    exports: {
      ".": {
        import: { types: "./mod.d.mts", default: "./mod.mjs" },
        require: { types: "./mod.d.ts", default: "./mod.js" },
      },
      "./package.json": "./package.json",
    },
    ...(program ? { bin: { albert: "albert.js" } } : {}),
    dependencies: pinned(atOnce, project),
    optionalDependencies: pinned(late, project),
  };
  const write = (file: string, text: string): void => writeFileSync(join(draft, file), text);
  mkdirSync(draft, { recursive: true });
  write("package.json", `${JSON.stringify(content, null, 2)}\n`);
  write("mod.mjs", `export {\n${names.map((each) => `  ${each},\n`).join("")}} from "./mod.js";\n`);
  write("mod.d.mts", 'export * from "./mod.js";\n');
  if (!program) return;
  write(
    "albert.js",
    '#!/usr/bin/env node\n"use strict";\nconst { commands, runCommandLine } = require("./commands/mod.js");\n' +
      "const args = process.argv.slice(2);\ncommands(args[0])\n" +
      '  .then((loaded) => runCommandLine(args, { commands: loaded, program: "albert" }))\n' +
      "  .then((code) => process.exit(code));\n",
  );
}

/** An archive that was made. */
export type PackedPackage = {
  readonly path: string;
  readonly bytes: number;
  /** Files inside, sorted. */
  readonly files: readonly string[];
};

/**
 * Packs the compiled copy with licence, README and corpora as `npm install` takes it.
 *
 * @param options `root`: the project. `copy`: the compiled copy. `output`: folder of the archive.
 * @returns The archive.
 * @throws {Error} When npm is missing or the archive is too large to come with every install.
 */
export function packPackage(
  { root, copy, output }: { readonly root: string; readonly copy: string; readonly output: string },
): PackedPackage {
  const draft = join(output, `package.tmp-${pid}`);
  rmSync(draft, { recursive: true, force: true });
  try {
    cpSync(copy, draft, { recursive: true, filter: (path) => !/[\\/]\.built-from$/.test(path) });
    for (const file of ["LICENSE", "README.md"]) cpSync(join(root, file), join(draft, file));
    for (const corpus of corpora) {
      const files = ["README.md", "card.json", "documents.json", `${corpus}.txt.gz`];
      for (const file of files) cpSync(join(root, "data", corpus, file), join(draft, "data", corpus, file));
    }
    return runPack(draft, output);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function runPack(draft: string, output: string): PackedPackage {
  const { status, stdout, stderr, error } = spawnSync("npm", [
    "pack",
    "--json",
    "--offline",
    "--ignore-scripts",
  ], {
    cwd: draft,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`Cannot pack ${draft}: npm pack failed: ${error?.message ?? stderr}`);
  const [packed] = Object.values(JSON.parse(stdout)) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  const made = join(draft, packed.filename);
  const { size: bytes } = statSync(made);
  if (bytes > maxBytes) {
    throw new Error(
      `Cannot pack ${draft}: the archive has ${bytes} bytes, at most ${maxBytes} come with every install`,
    );
  }
  const path = join(output, packed.filename);
  renameSync(made, path);
  return { path, bytes, files: packed.files.map((file) => file.path).sort() };
}
