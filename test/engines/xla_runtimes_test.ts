/**
 * The same bits in four processes: under Deno and under Node, compiled and from the cache of compiled programs that the
 * other runtime filled. Slow: it builds the package that Node loads.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { buildPackage } from "albert-guide/notebook";
import { findPlugin } from "albert-guide";
import { xlaHere, xlaNote } from "./xla.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const node = spawnSync("node", ["--version"]).status === 0;

/** Five steps with dropout, written for both runtimes: prints every bit of the weights, and how the program came to be. */
const steps = `
async function steps(a, programCache) {
  const engine = await a.xlaEngine({ programCache });
  const [H, B] = [96, 64];
  const type = (...shape) => ({ dtype: "float32", shape });
  const program = await a.compile(({ w, x, key }) => {
    const h = a.dropout(a.gelu(a.matmul(x, w)), 0.1, key);
    const loss = a.mean(a.mul(h, a.softmax(a.matmul(h, w))));
    const [g] = a.grad(loss, [w]);
    return { w: a.sub(w, a.mul(g, 5)), loss };
  }, { w: type(H, H), x: type(B, H), key: { dtype: "uint32", shape: [2] } }, { engine, donate: ["w"] });
  const values = (count) => Float32Array.from({ length: count }, (_, i) => (((i * 7919) % 1009) - 504) / 504);
  let w = await a.deviceArray(values(H * H), { engine, shape: [H, H] });
  for (let step = 0; step < 5; step++) {
    const out = await program.run({ w, x: values(B * H), key: Uint32Array.of(7, step) });
    w = out.w;
    out.loss.dispose();
  }
  const bytes = new Uint8Array((await w.data()).buffer);
  const digest = await globalThis.crypto.subtle.digest("SHA-256", bytes);
  await engine.dispose();
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}`;

Deno.test({
  name: `xla gives the same bits under Deno and Node, compiled and from the cache${xlaNote}`,
  ignore: !xlaHere || !node,
}, async () => {
  const { problems } = await buildPackage();
  assert.deepEqual(problems, []);
  const folder = mkdtempSync(join(tmpdir(), "albert-runtimes-"));
  try {
    const env = { ...process.env, XDG_CACHE_HOME: folder, ALBERT_PJRT_PLUGIN: findPlugin() ?? "" };
    const end = (load: string, cached: boolean): string =>
      `${steps}\n(async () => console.log(await steps(${load}, ${cached})))().catch((error) => { console.error(error); process.exit(1); });`;
    const run = (runtime: "deno" | "node", cached: boolean): string => {
      const file = join(folder, runtime === "deno" ? "steps.mjs" : "steps.cjs");
      const library = runtime === "deno"
        ? 'await import("albert-guide")'
        : `require(${JSON.stringify(join(root, "node_modules", "albert-guide"))})`;
      writeFileSync(
        file,
        `${runtime === "deno" ? 'import process from "node:process";' : ""}${end(library, cached)}`,
      );
      const [command, args] = runtime === "deno"
        ? [Deno.execPath(), ["run", "-A", "--no-check", "--config", join(root, "deno.json"), file]] as const
        : ["node", [file]] as const;
      const { status, stdout, stderr } = spawnSync(command, args, { env, cwd: root, encoding: "utf8" });
      assert.equal(status, 0, stderr);
      return stdout.trim();
    };
    const first = run("deno", false);
    assert.match(first, /^[0-9a-f]{64}$/);
    assert.equal(run("node", false), first, "Node, compiled");
    assert.equal(run("node", true), first, "Node, compiled and stored");
    assert.equal(run("deno", true), first, "Deno, from Node's cache");
    assert.equal(run("deno", false), first, "Deno, twice in a row");
    // Both runtimes have one key: the second found what the first stored.
    assert.equal(readdirSync(join(folder, "albert-guide", "programs")).length, 1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
