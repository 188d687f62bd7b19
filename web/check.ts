/**
 * Checks the types of the pages: their own packages and the library's together, which stand in two configurations, so that
 * whoever runs the guide does not install a bundler.
 *
 *     deno run -A web/check.ts
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

type Configuration = { readonly imports: Readonly<Record<string, string>>; readonly compilerOptions: object };

const here = dirname(fileURLToPath(import.meta.url));
const [library, pages] = ["../deno.json", "deno.json"].map((name) =>
  JSON.parse(readFileSync(join(here, name), "utf8")) as Configuration
);
const imports = { ...library?.imports, ...pages?.imports };
for (const [name, place] of Object.entries(imports)) {
  if (place.startsWith("./")) imports[name] = join(here, "..", place);
}
const folder = mkdtempSync(join(tmpdir(), "albert-web-"));
try {
  const config = join(folder, "deno.json");
  // Nobody takes declarations from a page.
  const compilerOptions = { ...pages?.compilerOptions, isolatedDeclarations: false };
  writeFileSync(config, JSON.stringify({ imports, compilerOptions }));
  const { status } = spawnSync(
    process.execPath,
    ["check", "-q", "--no-lock", "--node-modules-dir=none", "--config", config, here],
    { stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
