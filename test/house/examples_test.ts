import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { examplesIn, writeExamples } from "../examples.ts";

const source = [
  "/** One line. */",
  "export const a = 1;",
  "  /**",
  "   * Two examples.",
  "   *",
  "   * ```ts",
  "   * const text = `",
  "   *   indented`;",
  "   * ```",
  "   * ```text",
  "   * no code",
  "   * ```",
  "   * ```ts",
  '   * throw new Error("the second");',
  "   * ```",
  "   */",
];

Deno.test("examplesIn() gives every example of a comment with its lines", () => {
  assert.deepEqual(examplesIn(source.join("\n")), [
    { first: 6, last: 9, code: "const text = `\n  indented`;" },
    { first: 13, last: 15, code: 'throw new Error("the second");' },
  ]);
  assert.throws(() => examplesIn("/**\n * ```ts\n * x\n */"), /line 2/);
});

Deno.test("writeExamples() makes a test of each, which fails when its example does", () => {
  const root = mkdtempSync(join(tmpdir(), "examples-"));
  try {
    mkdirSync(join(root, "lib/room"), { recursive: true });
    writeFileSync(join(root, "lib/room/a.ts"), source.join("\n"));
    const files = writeExamples(root, ["lib"], join(root, "build"));
    assert.deepEqual(files, [join(root, "build/room_test.ts")]);
    assert.match(readFileSync(join(root, "build/room/a_13.ts"), "utf8"), /the second/);
    const { stdout, stderr } = spawnSync(Deno.execPath(), [
      "test",
      "-A",
      "--no-check",
      "--no-config",
      ...files,
    ], {
      encoding: "utf8",
      env: { ...Deno.env.toObject(), NO_COLOR: "1" },
    });
    assert.match(stdout, /FAILED \| 1 passed \| 1 failed/, stderr);
    assert.match(stdout, /lib\/room\/a\.ts:13-15 => /);
  } finally {
    rmSync(root, { recursive: true });
  }
});
