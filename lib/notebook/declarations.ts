/**
 * Declarations that tslab can read. TypeScript leaves `./x.ts` in the imports of a `.d.ts` (5.9 to 7.0), and tslab's
 * own TypeScript 5.0.4 turns what it does not know (generic typed arrays, `NoInfer`) silently into `any`. So the
 * imports are rewritten, and every declaration is checked with that very compiler.
 */
import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import type ts from "typescript";

/**
 * Rewrites relative `.ts` specifiers of a declaration file to `.js`, also in `import("./x.ts")` types.
 *
 * @param text Content of a `.d.ts` file.
 * @returns The same with every relative `.ts` specifier ending in `.js`.
 * @example
 * ```ts
 * import { rewriteDeclarationImports } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * assert.equal(rewriteDeclarationImports('export * from "./a/mod.ts";'), 'export * from "./a/mod.js";');
 * ```
 */
export function rewriteDeclarationImports(text: string): string {
  return text.replace(
    /(\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.{1,2}\/[^"']*?)(?<!\.d)\.ts\2/g,
    (_whole, before: string, quote: string, path: string) => `${before}${quote}${path}.js${quote}`,
  );
}

/**
 * Checks all declarations below a folder with tslab's TypeScript.
 *
 * @param folder The package, with `.d.ts` files.
 * @param nodeModules The `node_modules` folder that holds `@tslab/typescript-for-tslab` and `@types`.
 * @returns Complaints as `file:line:column - text`; empty when every declaration is understood.
 */
export function checkDeclarations(folder: string, nodeModules: string): string[] {
  const old = createRequire(join(nodeModules, "_.js"))("@tslab/typescript-for-tslab") as typeof ts;
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".d.ts"))
    .map((path) => join(folder, path));
  const program = old.createProgram(files, {
    target: old.ScriptTarget.ES2020,
    lib: ["lib.es2022.d.ts"],
    module: old.ModuleKind.CommonJS,
    moduleResolution: 2, // Node10 under its name of 5.0
    esModuleInterop: true,
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"],
    typeRoots: [join(nodeModules, "@types")],
  });
  const own = files.flatMap((path) => {
    const source = program.getSourceFile(path);
    if (source === undefined) return [];
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  });
  // A file that is missing was reported by the first compiler already, where it is imported.
  const news = own.filter(({ code, messageText }) =>
    code !== 2307 || !/module '\.{1,2}\//.test(String(messageText))
  );
  return news.map(({ file, start, messageText }) => {
    const text = old.flattenDiagnosticMessageText(messageText, "\n  ");
    const at = file?.getLineAndCharacterOfPosition(start ?? 0);
    const place = file && at ? `${relative(folder, file.fileName)}:${at.line + 1}:${at.character + 1}` : "";
    return `${place} - tslab's TypeScript: ${text}`;
  });
}
