/** The real package: it compiles without a complaint and exports what the library exports. */
import * as library from "albert-guide";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildPackage } from "../../lib/notebook/build.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

Deno.test("buildPackage() makes a copy of the whole library that plain Node loads", async () => {
  const { problems } = await buildPackage();
  assert.deepEqual(problems, []);
  const code = 'console.log(JSON.stringify(Object.keys(require("albert-guide")).sort()))';
  const names = JSON.parse(execFileSync("node", ["-e", code], { cwd: root, encoding: "utf8" }));
  assert.deepEqual(names, Object.keys(library).sort());
});
