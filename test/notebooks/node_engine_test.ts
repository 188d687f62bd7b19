/** tfjs-node under Node and in both kernels: the package that this library installed, and a stock one in the working folder. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findNodePackage } from "albert-guide";
import { buildPackage } from "../../lib/notebook/build.ts";
import { startKernel } from "../../lib/notebook/kernel.ts";
import { addonOf, isolatedAddonOf } from "../../lib/engines/tfjs/node/package.ts";
import { nodeHere, nodeNote } from "../engines/node.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const nodes = ["node", ...(process.env["ALBERT_NODES"] ?? "").split(",").filter((path) => path !== "")];
const package_ = findNodePackage("tfjs-node") ?? "";

/** Says where the package lies and whether a training step on it is right. */
const told = (cache: string): string => `
process.env["XDG_CACHE_HOME"] = ${JSON.stringify(cache)};
const engine = await albert.openEngine("tfjs-node");
const seconds = await albert.measureStep(engine, { seconds: 0 });
console.log(albert.findNodePackage("tfjs-node") + " " + (seconds > 0));`;

/** A folder whose programs find the package as one of their own: its files are links, its addon the one without loader. */
function stockIn(folder: string): string {
  const place = join(folder, "node_modules", "@tensorflow", "tfjs-node");
  const addons = join(addonOf(place), "..");
  mkdirSync(addons, { recursive: true });
  for (const name of readdirSync(package_)) {
    if (name === "package.json") copyFileSync(join(package_, name), join(place, name)); // a link's place would be found
    else if (name !== "lib") symlinkSync(join(package_, name), join(place, name));
  }
  const built = isolatedAddonOf(package_);
  symlinkSync(existsSync(built) ? built : addonOf(package_), addonOf(place));
  return place;
}

Deno.test({
  name: `tfjs-node trains under Node and in both kernels, installed and as a stock package${nodeNote}`,
  ignore: !nodeHere,
}, async () => {
  await buildPackage(); // problems in other parts of the library are not this test's business
  mkdirSync(join(root, "build"), { recursive: true });
  const folder = mkdtempSync(join(root, "build", "node-engine-test-")); // below the project: tslab finds its packages
  try {
    const place = stockIn(folder);
    for (
      const [cache, where] of [
        [process.env["XDG_CACHE_HOME"] ?? "", package_],
        [join(folder, "empty"), place],
      ] as const
    ) {
      for (const node of nodes) {
        const program = `(async () => { const albert = require("albert-guide"); ${told(cache)} })();`;
        const { stdout, stderr } = spawnSync(node, ["-e", program], { cwd: folder, encoding: "utf8" });
        assert.equal(stdout.trim(), `${where} true`, `${node}: ${stderr}`);
      }
      for (const name of ["deno", "tslab"] as const) {
        const kernel = await startKernel(name, { cwd: folder });
        try {
          const imported = `import * as albert from "albert-guide"; import * as process from "process";`;
          const { status, why, messages } = await kernel.execute(
            (name === "deno" ? imported.replace(`"process"`, `"node:process"`) : imported) + told(cache),
          );
          assert.equal(status, "ok", why);
          const text = messages.map(({ content }) => String(content["text"] ?? "")).join("");
          assert.ok(text.includes(`${where} true`), `${name}: ${text}`);
        } finally {
          await kernel.kill();
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
