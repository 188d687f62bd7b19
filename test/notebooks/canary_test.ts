/** Notebooks that must fail, each with its own text, and one that must pass: under both kernels, in parallel lanes. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildPackage } from "../../lib/notebook/build.ts";
import { describeResult, type NotebookResult, runNotebook } from "../../lib/notebook/run_notebook.ts";
import type { KernelName } from "../../lib/notebook/process.ts";

const path = (name: string): string => fileURLToPath(new URL(`./${name}.ipynb`, import.meta.url));

const both = [
  "canary_endless_loop",
  "canary_throw",
  "canary_awaited_rejection",
  "canary_lost_rejection",
  "canary_timer",
  "canary_wrong_output",
  "canary_exit",
  "green",
];
const lanes: readonly [KernelName, readonly string[]][] = [
  ["deno", both],
  ["tslab", ["canary_type_error", ...both]],
];

async function runLane(
  kernel: KernelName,
  names: readonly string[],
  workers: number,
): Promise<NotebookResult[]> {
  const queue = [...names];
  const results: NotebookResult[] = [];
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      results.push(await runNotebook(path(name), { kernel }));
    }
  }));
  return results;
}

Deno.test("runNotebook() sees every kind of failure under both kernels and passes what is right", async (test) => {
  await buildPackage(); // problems in other parts of the library are not this test's business
  const results =
    (await Promise.all(lanes.map(([kernel, names]) => runLane(kernel, names, kernel === "deno" ? 1 : 2))))
      .flat();
  assert.equal(results.length, both.length * 2 + 1);
  for (const result of results) {
    const name = result.path.split(/[/\\]/).at(-1);
    await test.step(`${result.kernel} ${name}`, () => {
      assert.ok(result.ok, describeResult(result));
      assert.equal(result.mustFail === undefined, name === "green.ipynb");
      if (name === "green.ipynb") assert.equal(result.executed, 6);
      if (name === "canary_throw.ipynb") assert.equal(result.executed, 1, "cells after a failure do not run");
      if (name === "canary_exit.ipynb") assert.match(result.problems[0]?.text ?? "", /exit code 3/);
    });
  }
  const green = results.filter((result) => result.path === path("green"));
  assert.equal(green[0]?.text, green[1]?.text);
});

Deno.test("canaries cannot pass: each names the text it must fail with", () => {
  for (const name of ["canary_type_error", ...both]) {
    const { metadata } = JSON.parse(Deno.readTextFileSync(path(name)));
    assert.ok(existsSync(path(name)));
    assert.equal((metadata.guide?.must_fail ?? "").length > 5, name !== "green", name);
  }
});
