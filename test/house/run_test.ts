import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chooseStages, countsIn, failuresIn, judgeStage, nextStage } from "../run.ts";
import { type Stage, stages } from "../stages.ts";

const counting = { counts: true };
const single = { counts: false };

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

Deno.test("failuresIn() names each failed test and notebook once", () => {
  const deno = [
    "a ... FAILED (3ms)",
    " ERRORS ",
    "a => ./x_test.ts:1:6",
    "error: Error: no",
    " FAILURES ",
    "",
    "a => ./x_test.ts:1:6",
    "b => ./x_test.ts:9:6",
    "",
    "FAILED | 1183 passed | 2 failed | 10 ignored (1m38s)",
  ];
  assert.deepEqual(failuresIn(deno.join("\n")), ["a => ./x_test.ts:1:6", "b => ./x_test.ts:9:6"]);
  assert.deepEqual(failuresIn("FAILED  deno   00_start.ipynb      3 of 5 cells\n1 passed, 1 failed\n"), [
    "deno  00_start.ipynb  3 of 5 cells",
  ]);
  assert.deepEqual(failuresIn("ok | 7 passed | 0 failed (1s)\n"), []);
});

Deno.test("chooseStages() takes the stages that are named, and refuses flags and names it does not know", () => {
  const names = (...args: string[]): string[] => chooseStages(args).map(({ name }) => name);
  assert.deepEqual(names("--only=unit,docs"), ["docs", "unit"]);
  assert.deepEqual(names(), stages.map(({ name }) => name));
  assert.deepEqual(names("--quick"), stages.filter(({ quick }) => quick).map(({ name }) => name));
  assert.throws(() => names("--onyl=docs"), { name: "RangeError", message: /--onyl.*known: .*notebooks/ });
  assert.throws(() => names("--only=unit,doc"), { name: "RangeError", message: /"doc".*docs,unit/ });
  assert.throws(() => names("--only="), RangeError);
  assert.throws(() => names("docs"), RangeError);
});

Deno.test("nextStage() fills the cores, and lets a stage wait for the one it reads from", () => {
  const stage = (name: string, cores: Stage["cores"], after?: readonly string[]): Stage => ({
    ...{ name, args: [], quick: true, counts: false, cores },
    ...(after === undefined ? {} : { after }),
  });
  const [a, b, wide, reads] = [stage("a", 1), stage("b", 1), stage("wide", 2), stage("reads", 1, ["b", "a"])];
  assert.equal(nextStage([wide, a], [], 2), wide);
  assert.equal(nextStage([a], [wide], 2), undefined);
  assert.equal(nextStage([wide, b], [a], 2), b, "a narrow stage overtakes a wide one");
  assert.equal(nextStage([reads, b], [a], 2), b);
  assert.equal(nextStage([reads], [b], 2), undefined, "one of two is not enough");
  assert.equal(nextStage([reads], [wide], 4), reads);
  assert.equal(nextStage([reads], [], 2), reads, "a stage alone waits for nobody");
  assert.equal(nextStage([wide], [], 1), wide, "one core runs them too");
  assert.equal(nextStage([wide], [a, b], 4), wide);
  const slow = { ...b, quick: false };
  assert.equal(nextStage([wide, slow], [a], 2), undefined, "what is quick comes first");
  const quiet = stage("quiet", "all");
  assert.equal(nextStage([quiet, a], [b], 4), a, "nothing runs beside it");
  assert.equal(nextStage([a], [quiet], 4), undefined);
});

Deno.test("stages hold the quick checks and the long ones, each by a name of its own", () => {
  assert.ok(stages.some(({ quick }) => quick) && stages.some(({ quick }) => !quick));
  assert.equal(new Set(stages.map(({ name }) => name)).size, stages.length);
  const named = stages.flatMap(({ after }) => after ?? []);
  assert.deepEqual(named.filter((name) => stages.every((stage) => stage.name !== name)), []);
});

Deno.test("stages name only test files that exist", () => {
  const root = new URL("../..", import.meta.url).pathname;
  const named = stages.flatMap(({ args }) => args).filter((arg) => arg.startsWith("test/"));
  assert.ok(named.length > 4);
  assert.deepEqual(named.filter((path) => !existsSync(`${root}/${path}`)), []);
});
