/** The package for tslab: what is in it, what is found wrong, and when it is left alone. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { buildPackage, describeBuild } from "../../lib/notebook/build.ts";
import { rewriteDeclarationImports } from "../../lib/notebook/declarations.ts";

const nodeModules = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** A project of a few files, gone afterwards. */
async function withProject(
  files: { readonly [path: string]: string },
  act: (root: string, output: string) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "albert-build-"));
  try {
    symlinkSync(nodeModules, join(root, "node_modules"), "dir");
    writeFileSync(
      join(root, "deno.json"),
      '{"name": "albert-guide", "version": "1.2.3", "license": "Apache-2.0"}',
    );
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    await act(root, join(root, "build", "albert-guide"));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

Deno.test("buildPackage() makes a package that Node loads, and skips when nothing changed", async () => {
  const files = {
    "lib/mod.ts": 'export { twice } from "./room/twice.ts";\nexport type { Pair } from "./room/twice.ts";\n',
    "lib/room/twice.ts":
      "export type Pair = readonly [number, number];\nexport function twice(x: number): Pair {\n  return [x, x];\n}\n",
    "lib/room/table.json": "[1]\n",
    "lib/notebook/own.ts": "export const secret: string = Deno.cwd();\n",
    "lib/cli.ts": "export const cli: string = Deno.cwd();\n",
  };
  await withProject(files, async (root, output) => {
    const first = await buildPackage({ root, output });
    assert.deepEqual([first.built, first.problems], [true, []]);
    const names = readdirSync(output, { recursive: true, encoding: "utf8" }).sort();
    assert.ok(names.includes("room/table.json") && names.includes("room/twice.d.ts"), names.join());
    assert.ok(!names.some((name) => name.startsWith("cli") || name.startsWith("notebook")), names.join());
    assert.match(readFileSync(join(output, "mod.d.ts"), "utf8"), /"\.\/room\/twice\.js"/);
    const manifest = JSON.parse(readFileSync(join(output, "package.json"), "utf8"));
    assert.deepEqual([manifest.main, manifest.types, manifest.version], ["./mod.js", "./mod.d.ts", "1.2.3"]);
    const code = `console.log(require(${JSON.stringify(output)}).twice(4).join())`;
    assert.equal(execFileSync("node", ["-e", code], { encoding: "utf8" }), "4,4\n");

    const second = await buildPackage({ root, output });
    assert.equal(second.built, false);
    assert.match(describeBuild(second), /build\/albert-guide is up to date/);
    writeFileSync(join(root, "lib/room/table.json"), "[2]\n");
    assert.equal((await buildPackage({ root, output })).built, true);
    assert.equal(readFileSync(join(output, "room/table.json"), "utf8"), "[2]\n");
    assert.deepEqual(readdirSync(join(root, "build")), ["albert-guide"], "no draft is left");
  });
});

Deno.test("buildPackage() names the file of every error, writes the rest and does not call it done", async () => {
  const files = {
    "lib/mod.ts": 'export * from "./good.ts";\n',
    "lib/good.ts":
      "export const good: number = 1;\nexport const weights: Float32Array<ArrayBuffer> = new Float32Array(1);\n",
    "lib/bad.ts": 'export const bad: number = "text";\n',
  };
  await withProject(files, async (root, output) => {
    const { problems } = await buildPackage({ root, output });
    assert.ok(problems.some((each) => each.startsWith("lib/bad.ts:1:14 - TS2322")), problems.join("\n"));
    const old = problems.find((each) => each.includes("tslab's TypeScript"));
    assert.match(old ?? "", /^good\.d\.ts:2:\d+ .*'Float32Array' is not generic/);
    assert.ok(existsSync(join(output, "good.js")));
    assert.equal(existsSync(join(output, ".built-from")), false, "without its stamp it is built again");
  });
});

Deno.test("rewriteDeclarationImports() touches relative .ts specifiers only", () => {
  const text =
    'import type { A } from "./a.ts";\nexport type B = import("../b/mod.ts").B;\nimport "x.ts";\nfrom "./c.d.ts"';
  assert.equal(
    rewriteDeclarationImports(text),
    'import type { A } from "./a.js";\nexport type B = import("../b/mod.js").B;\nimport "x.ts";\nfrom "./c.d.ts"',
  );
});
