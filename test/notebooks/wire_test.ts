/** Signatures of kernel messages, and the reading of failures out of them. */
import assert from "node:assert/strict";
import { stderrText, whyFailed } from "../../lib/notebook/kernel.ts";
import { createWire, type JsonObject, type KernelMessage } from "../../lib/notebook/wire.ts";

const message = (type: string, content: JsonObject): KernelMessage => ({ type, parent: "", content });
const stderr = (text: string): KernelMessage => message("stream", { name: "stderr", text });
const ok = message("execute_reply", { status: "ok" });
const failed = message("execute_reply", { status: "error" });

Deno.test("decode() reads what encode() wrote, behind any routing frames", () => {
  const wire = createWire("key");
  const { frames } = wire.encode("execute_request", { code: "ä" });
  assert.deepEqual(wire.decode([Uint8Array.of(1), ...frames]).content, { code: "ä" });
});

Deno.test("decode() refuses a wrong key, a changed content and a missing part", () => {
  const { frames } = createWire("key").encode("execute_request", { code: "1" });
  assert.throws(() => createWire("other").decode(frames), /signature is wrong/);
  const changed = frames.with(5, new TextEncoder().encode('{"code":"2"}'));
  assert.throws(() => createWire("key").decode(changed), /signature is wrong/);
  assert.throws(() => createWire("key").decode(frames.slice(0, 5)), /without all of its parts/);
  assert.throws(() => createWire("key").decode(frames.slice(1)), /without all of its parts/);
});

Deno.test("whyFailed() finds the line that says it, in the words of each kernel", () => {
  const cases: readonly [KernelMessage, readonly KernelMessage[], string][] = [
    [ok, [], ""],
    [ok, [stderr("a warning\n")], ""],
    [ok, [message("error", { ename: "TypeError", evalue: "boom" })], "TypeError: boom"],
    [failed, [message("error", { ename: "Error", evalue: "one\n  two" })], "Error: one two"],
    [
      failed,
      [stderr('evalmachine.<anonymous>:2\nthrow new Error("boom");\n^\n\nError: boom\n    at x:1')],
      "Error: boom",
    ],
    [failed, [stderr("evalmachine.<anonymous>:2\nthrow 'odd';\n^\nodd\n")], "odd"],
    [failed, [stderr("\x1b[31mRangeError: far\x1b[39m\n    at x:1")], "RangeError: far"],
    [
      failed,
      [stderr("1:7 - Type 'string' is not"), stderr(" assignable\n")],
      "1:7 - Type 'string' is not assignable",
    ],
    [
      ok,
      [stderr("UnhandledPromise"), stderr("Rejection: Error: lost\n at x")],
      "UnhandledPromiseRejection: Error: lost",
    ],
    [ok, [stderr("UncaughtException: Error: late\n")], "UncaughtException: Error: late"],
    [message("execute_reply", { status: "abort" }), [], 'the kernel answered "abort"'],
  ];
  for (const [reply, messages, expected] of cases) assert.equal(whyFailed(reply, messages), expected);
  assert.equal(stderrText([message("stream", { name: "stdout", text: "UncaughtException: x" })]), "");
});
