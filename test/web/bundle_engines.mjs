// Bundles engines_page.ts with the modules that stand in a page for Node's; the bundler belongs to web/deno.json.
//     deno run -A --config=web/deno.json test/web/bundle_engines.mjs page.js
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

// By computed names: the types of the pages' packages are checked with their own configuration (web/check.ts).
const packages = { bundler: "esbuild", builtins: new URL("../../web/builtins.ts", import.meta.url).href };
const { build } = await import(packages.bundler);
const { nodeModules } = await import(packages.builtins);
const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, "..", "..", "web");

await build({
  entryPoints: [join(here, "engines_page.ts")],
  outfile: process.argv[2] ?? "",
  bundle: true,
  format: "esm",
  target: "es2023",
  absWorkingDir: web,
  alias: { "albert-guide": join(here, "..", "..", "lib", "mod.ts") },
  define: { global: "globalThis" },
  logLevel: "error",
  plugins: [
    {
      name: "no assertions: the test compares",
      setup: ({ onResolve, onLoad }) => {
        onResolve({ filter: /^node:assert/ }, () => ({ path: "assert", namespace: "none" }));
        onLoad({ filter: /./, namespace: "none" }, () => ({ contents: "export default {};" }));
      },
    },
    nodeModules(web),
  ],
});
