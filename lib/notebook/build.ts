/**
 * The compiled copy of the library for tslab and Node: `lib/` compiled with the pinned `typescript` into
 * `node_modules/albert-guide`, with declarations that tslab's own TypeScript 5.0 reads. It lies in `node_modules`
 * because that is where a cell's `import "albert-guide"` looks; `package.ts` makes an archive for npm of it. Built in a
 * folder beside it and renamed into place, so a kernel never loads half a copy; skipped when nothing changed.
 * Run: `deno run -A lib/notebook/build.ts`.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { pid } from "node:process";
import ts from "typescript";
import { checkDeclarations, rewriteDeclarationImports } from "./declarations.ts";
import { writeDocs } from "./docs.ts";
import { packPackage, writePackageFiles } from "./package.ts";
import { projectRoot } from "./paths.ts";

/** Parts of `lib/` that stay out of the copy: they run on Deno only. */
const excluded: readonly string[] = ["notebook", "cli.ts"];

/** Name of the file in the copy that holds the hash of what it was built from. */
const stampName = ".built-from";

/** Settings of `buildPackage`. */
export type BuildOptions = {
  /** Builds even when nothing changed. Default: false. */
  readonly force?: boolean;
  /** Folder of the project: holds `deno.json`, `lib` and `node_modules`. Default: this project. */
  readonly root?: string;
  /** Folder the copy is written to. Default: `node_modules/albert-guide` in `root`. */
  readonly output?: string;
};

/** What a build found and did. */
export type BuildResult = {
  /** False when the copy was already that of the present sources. */
  readonly built: boolean;
  /** Folder of the copy. */
  readonly output: string;
  /** Source files compiled; 0 when nothing was built. */
  readonly files: number;
  /** Seconds the build took. */
  readonly seconds: number;
  /** Complaints of both compilers, `file:line:column - text`; the copy is incomplete or wrong when there are any. */
  readonly problems: readonly string[];
};

/**
 * Builds `node_modules/albert-guide`, the package that tslab cells and Node programs load.
 *
 * A copy with problems is still written, so that one unfinished file does not stop work on the others, but it is not
 * stamped: the next call builds again.
 *
 * @param options See {@link BuildOptions}.
 * @returns What was done, with the problems of both compilers.
 * @throws {Error} When the output folder cannot be written.
 */
export function buildPackage(
  { force = false, root = projectRoot, output = join(root, "node_modules", "albert-guide") }: BuildOptions =
    {},
): Promise<BuildResult> {
  const started = performance.now();
  const stamp = sourceHash(root);
  const seconds = (): number => (performance.now() - started) / 1000;
  const stampFile = join(output, stampName);
  if (!force && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) {
    return Promise.resolve({ built: false, output, files: 0, seconds: seconds(), problems: [] });
  }
  const draft = `${output}.tmp-${pid}`;
  rmSync(draft, { recursive: true, force: true });
  try {
    const sources = listSources(join(root, "lib"));
    const { problems, names } = compile(root, sources.filter((path) => path.endsWith(".ts")), draft);
    copyAssets(root, sources, draft);
    writePackageFiles(root, draft, names);
    const declarations = checkDeclarations(draft, join(root, "node_modules"));
    problems.push(...declarations.map((each) => each.replaceAll(draft, "node_modules/albert-guide")));
    if (problems.length === 0) writeFileSync(join(draft, stampName), stamp);
    replaceFolder(draft, output);
    return Promise.resolve({ built: true, output, files: sources.length, seconds: seconds(), problems });
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Files below `folder` that belong to the copy, sorted, so that the hash does not depend on the file system. */
function listSources(folder: string, under = ""): string[] {
  return readdirSync(join(folder, under), { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith(".") && !entry.name.includes(".tmp-"))
    .filter((entry) => under !== "" || !excluded.includes(entry.name))
    .flatMap((entry) => {
      const path = join(under, entry.name);
      return entry.isDirectory() ? listSources(folder, path) : [join(folder, path)];
    })
    .sort();
}

/** SHA-256 over everything the copy is made from: sources, lock file, import map, and this room's build files. */
function sourceHash(root: string): string {
  const hash = createHash("sha256");
  const own = ["build.ts", "declarations.ts", "package.ts"].map((name) =>
    join(root, "lib", "notebook", name)
  );
  const fixed = [join(root, "deno.lock"), join(root, "deno.json"), ...own].filter((path) => existsSync(path));
  for (const path of [...listSources(join(root, "lib")), ...fixed]) {
    const bytes = readFileSync(path);
    hash.update(`${relative(root, path)}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

/** Compiler options of the copy: CommonJS for tslab, declarations that need no inference. */
function compilerOptions(root: string, draft: string): ts.CompilerOptions {
  return {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    esModuleInterop: true,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    isolatedDeclarations: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noImplicitOverride: true,
    noFallthroughCasesInSwitch: true,
    skipLibCheck: true,
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")],
    rootDir: join(root, "lib"),
    outDir: draft,
    newLine: ts.NewLineKind.LineFeed,
  };
}

/** What the compiler complained about, and the names that `mod.ts` exports at run time. */
type Compiled = { readonly problems: string[]; readonly names: readonly string[] };

/** Writes JavaScript and declarations into `draft`. */
function compile(root: string, files: readonly string[], draft: string): Compiled {
  const program = ts.createProgram(files, compilerOptions(root, draft));
  const emitted = program.emit(undefined, (path, text) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, path.endsWith(".d.ts") ? rewriteDeclarationImports(text) : text);
  });
  // Packages without declarations are `any` to `deno check` as well: TS7016 is no news to anyone.
  const diagnostics = [...ts.getPreEmitDiagnostics(program), ...emitted.diagnostics]
    .filter((diagnostic) => diagnostic.code !== 7016);
  const problems = ts.sortAndDeduplicateDiagnostics(diagnostics).map((each) => describe(root, each));
  return { problems: [...new Set(problems)], names: exportedValues(program, join(root, "lib", "mod.ts")) };
}

/** Names that a module exports at run time, sorted; types are none. */
function exportedValues(program: ts.Program, path: string): string[] {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(path);
  const symbol = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  if (symbol === undefined) return [];
  const isValue = (each: ts.Symbol): boolean => {
    const original = (each.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(each) : each;
    return (original.flags & ts.SymbolFlags.Value) !== 0;
  };
  return checker.getExportsOfModule(symbol).filter(isValue).map(({ name }) => name).sort();
}

function describe(root: string, { file, start, code, messageText }: ts.Diagnostic): string {
  const text = ts.flattenDiagnosticMessageText(messageText, "\n  ");
  if (file === undefined) return `TS${code}: ${text}`;
  const { line, character } = file.getLineAndCharacterOfPosition(start ?? 0);
  return `${relative(root, file.fileName)}:${line + 1}:${character + 1} - TS${code}: ${text}`;
}

/** Takes along what is not TypeScript (tables, kernels in other languages). */
function copyAssets(root: string, sources: readonly string[], draft: string): void {
  for (const path of sources) {
    if (path.endsWith(".ts")) continue;
    const target = join(draft, relative(join(root, "lib"), path));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
}

/**
 * Moves `draft` to `output`; the old folder steps aside first because a rename does not replace a full folder. Two
 * builds may end at the same time: whoever finds the place taken again tries again.
 */
function replaceFolder(draft: string, output: string): void {
  const old = `${output}.tmp-${pid}-old`;
  mkdirSync(dirname(output), { recursive: true });
  for (let attempt = 1;; attempt++) {
    try {
      rmSync(old, { recursive: true, force: true });
      if (existsSync(output)) renameSync(output, old);
      renameSync(draft, output);
      break;
    } catch (error) {
      if (attempt === 5) {
        throw new Error(`Cannot replace ${output}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  rmSync(old, { recursive: true, force: true });
}

/**
 * A build in the words of a terminal: one line when it went well, otherwise the problems grouped by file.
 *
 * @param result What `buildPackage` returned.
 * @returns Text without a final newline.
 * @example
 * ```ts
 * import { describeBuild } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const output = "node_modules/albert-guide";
 * const text = describeBuild({ built: false, output, files: 0, seconds: 0.1, problems: [] });
 * assert.equal(text, "node_modules/albert-guide is up to date");
 * ```
 */
export function describeBuild({ built, output, files, seconds, problems }: BuildResult): string {
  const name = output.split(sep).slice(-2).join("/");
  if (!built) return `${name} is up to date`;
  const head = `${name} built from ${files} files in ${seconds.toFixed(1)} s`;
  if (problems.length === 0) return head;
  return [...problems.map((each) => `error: ${each}`), `${head}, with ${problems.length} errors`].join("\n");
}

/** Command line of the build, which also makes the archive for npm and the documentation: exit code 0 when the copy is good, 1 when there are problems, 2 for wrong usage. */
export async function buildMain(args: readonly string[]): Promise<number> {
  const unknown = args.find((each) => each !== "--force" && each !== "--help");
  if (args.includes("--help") || unknown !== undefined) {
    const usage = "usage: deno run -A lib/notebook/build.ts [--force]";
    await Deno.stdout.write(
      new TextEncoder().encode(`${unknown ? `unknown argument ${unknown}\n` : ""}${usage}\n`),
    );
    return unknown === undefined ? 0 : 2;
  }
  const say = (text: string): Promise<number> => Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
  const result = await buildPackage({ force: args.includes("--force") });
  await say(describeBuild(result));
  if (result.problems.length > 0) return 1;
  const { path, bytes, files } = packPackage({
    root: projectRoot,
    copy: result.output,
    output: join(projectRoot, "build"),
  });
  const docs = writeDocs({ root: projectRoot, output: join(projectRoot, "build", "docs") });
  await say(`${relative(projectRoot, docs.index)} documents ${docs.symbols} symbols`);
  await say(
    `${relative(projectRoot, path)} packed for npm: ${files.length} files, ${(bytes / 1e6).toFixed(2)} MB`,
  );
  return 0;
}

if (import.meta.main) Deno.exit(await buildMain(Deno.args));
