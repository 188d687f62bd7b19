/** The command: its arguments, what `--update` writes, and that nothing outlives it. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startKernel } from "../../lib/notebook/kernel.ts";
import { parseNotebook, serializeNotebook } from "../../lib/notebook/format.ts";
import { nextRun, parseRequest, runRequest } from "../../lib/notebook/run.ts";
import { runNotebook } from "../../lib/notebook/run_notebook.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const build = fileURLToPath(new URL("../../build", import.meta.url));
const runner = fileURLToPath(new URL("../../lib/notebook/run.ts", import.meta.url));

/** A folder below the project's `build`, so that tslab finds the types of Node upward; gone afterwards. */
async function withFolder(act: (folder: string) => Promise<void>): Promise<void> {
  mkdirSync(build, { recursive: true });
  const folder = mkdtempSync(join(build, "run-test-"));
  try {
    await act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeNotebook(path: string, sources: readonly string[], tags: readonly string[] = []): void {
  const cells = sources.map((source, index) => (
    { id: `cell-${index}`, type: "code", source, tags, outputs: [] } as const
  ));
  writeFileSync(path, serializeNotebook({ cells, guide: {} }));
}

Deno.test("parseRequest() reads options and names what is wrong", () => {
  const request = parseRequest(["--kernel=deno", "--only=canary_th,green", here]);
  assert.ok(request !== "help");
  assert.deepEqual(request.paths.map((path) => path.split("/").at(-1)), [
    "canary_throw.ipynb",
    "green.ipynb",
  ]);
  assert.deepEqual([request.kernels, request.compare, request.update], [["deno"], true, false]);
  assert.equal(parseRequest(["--help"]), "help");
  const wrong: readonly [string[], RegExp][] = [
    [["--kernel=python", here], /expected deno or tslab/],
    [["--kernel=deno", "--update", here], /needs what both kernels show/],
    [["--only=77", here], /begin with 77: there are none/],
    [["--jobs=0", here], /expected 1 or more/],
    [["--colour"], /--colour/],
    [[join(here, "missing.ipynb")], /no such file/],
    [[join(here, "run_test.ts")], /not a notebook/],
  ];
  for (const [args, text] of wrong) {
    assert.throws(() => parseRequest(args), { name: "RangeError", message: text });
  }
});

Deno.test("nextRun() keeps to its kernel as long as there is work, then helps the other", () => {
  const queues = new Map([["deno", ["a", "b"]], ["tslab", ["a", "b", "c"]]] as const);
  const left = new Map([...queues].map(([kernel, paths]) => [kernel, [...paths]]));
  const taken = Array.from({ length: 6 }, () => nextRun(left, "deno"));
  assert.deepEqual(taken.map((run) => run && `${run.kernel} ${run.path}`), [
    ...["deno a", "deno b", "tslab a", "tslab b", "tslab c"],
    undefined,
  ]);
});

Deno.test("runRequest() with update stores what both kernels showed and nothing else", async () => {
  await withFolder(async (folder) => {
    const agreed = join(folder, "agreed.ipynb");
    const differing = join(folder, "differing.ipynb");
    writeNotebook(agreed, ["console.log('same');"]);
    writeNotebook(differing, ["console.log('Deno' in globalThis);"]);
    const before = readFileSync(differing, "utf8");
    const lines: string[] = [];
    const request = parseRequest(["--update", "--no-build", folder]);
    assert.ok(request !== "help");
    const summary = await runRequest(request, { line: (text) => lines.push(text), state: () => {} });
    assert.deepEqual(summary, { passed: 4, failed: 1 }, lines.join("\n"));
    assert.match(lines.join("\n"), /differing\.ipynb: .* show different outputs/);
    assert.equal(readFileSync(differing, "utf8"), before);
    const [cell] = parseNotebook(readFileSync(agreed, "utf8")).cells;
    assert.deepEqual(cell?.outputs, [{ output_type: "stream", name: "stdout", text: "same\n" }]);
  });
});

Deno.test("runNotebook() refuses what is too large, has another form, or does not fail as tagged", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.ipynb");
    const problems = async (): Promise<string> =>
      (await runNotebook(path, { kernel: "deno" })).problems.map(({ text }) => text).join("\n");
    writeNotebook(path, ['console.log("x".repeat(5_000_000));']);
    assert.match(await problems(), /the notebook has 5\d{6} bytes, allowed are 100000/);
    writeNotebook(path, ["const a = 1;"]);
    writeFileSync(path, JSON.stringify(JSON.parse(readFileSync(path, "utf8"))));
    assert.match(await problems(), /not in canonical form from line 1/);
    writeNotebook(path, ["const a = 1;"], ["raises-exception"]);
    assert.match(await problems(), /the cell worked, but its tag/);
    writeFileSync(path, "no notebook");
    assert.match(await problems(), /it is not JSON/);
  });
});

Deno.test("startKernel() fails at once with the kernel's own words when it cannot run", async () => {
  const started = performance.now();
  await assert.rejects(startKernel("tslab", { cwd: here, root: join(here, "nowhere") }), (error: Error) => {
    assert.match(
      error.message,
      /^Cannot start the tslab kernel: .*exit code 1; it wrote:\n[^]*Cannot find module/,
    );
    return true;
  });
  assert.ok(performance.now() - started < 30_000, "it does not wait for its time-out of 60 s");
});

/** Starts a runner whose kernel writes the pids of itself and of a child, then never ends. */
Deno.test("the runner leaves no process and no folder behind when it is terminated", async () => {
  await withFolder(async (folder) => {
    const pids = join(folder, "pids");
    writeNotebook(join(folder, "a.ipynb"), [
      'import { spawn } from "node:child_process";\nimport { writeFileSync } from "node:fs";\n' +
      'const child = spawn("sleep", ["600"]);\n' +
      `writeFileSync(${JSON.stringify(pids)}, \`\${process.pid} \${child.pid}\`);\nwhile (true);`,
    ]);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", runner, "--kernel=deno", "--no-compare", join(folder, "a.ipynb")],
      env: { TMPDIR: folder },
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let wait = 0; wait < 600 && !existsSync(pids); wait++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    const [kernel, grandchild] = readFileSync(pids, "utf8").split(" ").map(Number);
    assert.ok(isAlive(kernel) && isAlive(grandchild), "both run before");
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 143);
    for (let wait = 0; wait < 100 && (isAlive(kernel) || isAlive(grandchild)); wait++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual([isAlive(kernel), isAlive(grandchild)], [false, false]);
    assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith("albert-kernel-")), []);
  });
});

/** Whether a process runs; an ended one that nobody has waited for (state Z) does not count. */
function isAlive(pid: number | undefined): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
