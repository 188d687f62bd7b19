/**
 * Every picture against its committed SVG, byte for byte, and the same pictures under Node. A difference writes
 * `<name>-changed.svg` beside the snapshot: look at both, then rename it if the change is meant.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as lib from "../../lib/show/mod.ts";
import { translateShow } from "./commonjs.ts";
import { sampleBundles } from "./samples.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const golden = join(root, "test/golden/show");

function compare(name: string, svg: string): void {
  const path = join(golden, `${name}.svg`);
  const changed = join(golden, `${name}-changed.svg`);
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (before === svg) {
    rmSync(changed, { force: true });
    return;
  }
  writeFileSync(changed, svg);
  assert.fail(
    `${name}.svg differs from its snapshot: look at ${name}-changed.svg and rename it if it is meant`,
  );
}

const bundles = await sampleBundles(lib);

for (const [name, bundle] of Object.entries(bundles)) {
  Deno.test(`${name}: SVG equals its snapshot and is complete`, () => {
    const svg = String(bundle["image/svg+xml"]);
    compare(name, svg);
    const frame = /^<svg [^>]*\bwidth="(\d+)" height="(\d+)" viewBox="0 0 (\d+) (\d+)"/.exec(svg);
    assert.ok(frame, "width, height and viewBox");
    assert.deepEqual([frame[1], frame[2]], [frame[3], frame[4]]);
    assert.match(svg, /<rect[^>]*fill="(white|#ffffff)"/, "own background");
    assert.ok(svg.length < 30_000, `${svg.length} bytes are too many for a notebook`);
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  });
}

Deno.test("snapshots hold no file without a sample", () => {
  const names = readdirSync(golden).filter((file) => file.endsWith(".svg") && !file.endsWith("-changed.svg"));
  assert.deepEqual(names.sort(), Object.keys(bundles).map((name) => `${name}.svg`).sort());
});

Deno.test("bundles are the same bytes under Node as under Deno", () => {
  const target = translateShow();
  try {
    const script = `const lib = require("./lib/show/mod.js");
      require("./test/show/samples.js").sampleBundles(lib).then((all) => process.stdout.write(JSON.stringify(all)));`;
    const output = execFileSync("node", ["-e", script], { cwd: target, encoding: "utf8", maxBuffer: 1e8 });
    const node = JSON.parse(output) as Record<string, lib.Bundle>;
    const digest = (value: unknown): string =>
      createHash("sha256").update(JSON.stringify(value)).digest("hex");
    for (const [name, bundle] of Object.entries(bundles)) {
      assert.equal(String(node[name]?.["image/svg+xml"]), String(bundle["image/svg+xml"]), `${name}: SVG`);
      assert.equal(digest(node[name]), digest(bundle), `${name}: other forms`);
    }
  } finally {
    rmSync(target, { recursive: true });
  }
});
