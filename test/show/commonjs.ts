/** The room, and the graph it draws, as CommonJS for Node and tslab, made on the fly with the compiler settings of the package. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Translates the room and the samples; returns their folder, which the caller removes. */
export function translateShow(): string {
  // Inside the project, so that Node finds node_modules upward.
  mkdirSync(join(root, "build"), { recursive: true });
  const target = mkdtempSync(join(root, "build", "show-cjs-"));
  const files = [
    ...readdirSync(join(root, "lib/show")).map((file) => `lib/show/${file}`),
    ...readdirSync(join(root, "lib/tensor")).map((file) => `lib/tensor/${file}`),
    ...["lib/progress.ts", "lib/optional_package.ts"],
    "test/show/samples.ts",
  ];
  for (const file of files) {
    const { outputText } = ts.transpileModule(readFileSync(join(root, file), "utf8"), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.CommonJS,
        esModuleInterop: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    const path = join(target, file.replace(/\.ts$/, ".js"));
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, outputText);
  }
  return target;
}
