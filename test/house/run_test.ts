import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { countsIn, judgeStage, stages } from "../run.ts";

const counting = { name: "x", args: [], quick: true, counts: true };
const single = { name: "x", args: [], quick: true, counts: false };

Deno.test("countsIn() reads the closing line of deno test and of the project's own runners", () => {
  assert.deepEqual(countsIn("ok | 7 passed | 0 failed (1s)\n"), { passed: 7, failed: 0, skipped: 0 });
  assert.deepEqual(countsIn("FAILED | 5 passed (3 steps) | 3 failed | 2 ignored (5s)"), {
    passed: 5,
    failed: 3,
    skipped: 2,
  });
  assert.deepEqual(countsIn("x\n4 passed, 1 failed, 2 skipped\n"), { passed: 4, failed: 1, skipped: 2 });
  assert.equal(countsIn("nothing"), undefined);
});

Deno.test("judgeStage() never counts a broken run as passed", () => {
  assert.equal(judgeStage(counting, 0, "").failed, 1, "a test runner that ran nothing");
  assert.equal(judgeStage(counting, 1, "ok | 7 passed | 0 failed (1s)").failed, 1, "a run that ended badly");
  assert.equal(judgeStage(counting, 1, "FAILED | 5 passed | 3 failed (1s)").failed, 3);
  assert.deepEqual(judgeStage(single, 0, ""), { passed: 1, failed: 0, skipped: 0 });
  assert.deepEqual(judgeStage(single, 1, ""), { passed: 0, failed: 1, skipped: 0 });
});

Deno.test("stages hold the quick checks and the long ones", () => {
  assert.ok(stages.some(({ quick }) => quick) && stages.some(({ quick }) => !quick));
});

Deno.test("stages name only test files that exist", () => {
  const root = new URL("../..", import.meta.url).pathname;
  const named = stages.flatMap(({ args }) => args).filter((arg) => arg.startsWith("test/"));
  assert.ok(named.length > 4);
  assert.deepEqual(named.filter((path) => !existsSync(`${root}/${path}`)), []);
});
