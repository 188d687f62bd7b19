/** Values as text, escaping, hosts and the kernel guard, with stand-ins for the two kernels. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { bundleFor, html, table } from "../../lib/show/mod.ts";
import { escapeMarkup, svgPicture } from "../../lib/show/bundle.ts";
import { installGuard } from "../../lib/show/guard.ts";
import { listenToStop, throwIfStopped } from "../../lib/show/stop.ts";
import { detectHost } from "../../lib/show/host.ts";
import { numberText, roundTo } from "../../lib/show/numbers.ts";
import { valueText } from "../../lib/show/text.ts";

Deno.test("valueText() keeps visible what a kernel hides", () => {
  const cases: [unknown, string][] = [
    [NaN, "NaN"],
    [-Infinity, "-Infinity"],
    [-0, "-0"],
    [12n, "12n"],
    [undefined, "undefined"],
    [null, "null"],
    ["plain\ntext", "plain\ntext"],
    [["quoted", -0, 5n, undefined], '["quoted", -0, 5n, undefined]'],
    [1 / 3, "0.333333"],
    [123456789, "123456789"],
    [-1e-12 / 3, "-3.33333e-13"],
    [new Float32Array([0.1, NaN, -0]), "Float32Array(3) [0.1, NaN, -0]"],
    [new BigInt64Array([1n]), "BigInt64Array(1) [1n]"],
    [{ a: { "b c": [1, 2] } }, '{ a: { "b c": [1, 2] } }'],
    [new Map([["a", 1]]), 'Map(1) { "a" => 1 }'],
    [new Set([]), "Set(0) {}"],
    [{}, "{}"],
    [[], "[]"],
    [new TypeError("no"), "TypeError: no"],
    [Symbol("x"), "Symbol(x)"],
    [Object.create(null), "{}"],
  ];
  for (const [value, text] of cases) assert.equal(valueText(value), text);
});

Deno.test("valueText() cuts long lists and stops at circles", () => {
  assert.match(valueText(new Uint8Array(100)), /, … 80 more\]$/);
  assert.match(valueText(Array.from({ length: 300 }, (_, i) => i)), /98, 99, … 200 more,\n\]$/);
  const circle: { self?: unknown } = {};
  circle.self = circle;
  assert.equal(valueText(circle), "{ self: [circular] }");
  for (const line of valueText(Array.from({ length: 99 }, (_, i) => i / 7)).split("\n")) {
    assert.ok(line.length <= 88);
  }
});

Deno.test("numberText() rounds fractions and never integers", () => {
  assert.equal(numberText(2.7213046600369784), numberText(2.721304660036979));
  assert.equal(roundTo(1234567.89, 6), 1234570);
  assert.equal(numberText(1234567), "1234567");
  assert.equal(numberText(0.1 + 0.2, 4), "0.3");
});

Deno.test("bundleFor() awaits tensors and promises", async () => {
  const tensor = {
    data: () => Promise.resolve(Float32Array.from([1, -0.5, 1 / 3, 10])),
    shape: [2, 2],
    dtype: "float32",
  };
  const text = "float32 [2, 2]\n[[       1,     -0.5],\n [0.333333,       10]]";
  assert.deepEqual(await bundleFor(tensor), { "text/plain": text });
  assert.deepEqual(await bundleFor(Promise.resolve(tensor)), { "text/plain": text });
  assert.equal((await bundleFor([tensor]))["text/plain"], "[float32 [2, 2]]");
  const scalar = { data: () => Promise.resolve([7]), shape: [], dtype: "int32" };
  assert.deepEqual(await bundleFor(scalar), { "text/plain": "int32 [] 7" });
  const long = { data: () => Promise.resolve(new Int32Array(40)), shape: [20, 2], dtype: "int32" };
  assert.match(String((await bundleFor(long))["text/plain"]), /\n \[0, 0\],\n …,\n \[0, 0\]/);
});

Deno.test("bundleFor() takes bundle and toBundle()", async () => {
  const bundle = { "text/plain": "x" };
  assert.equal(await bundleFor({ bundle }), bundle);
  assert.equal(await bundleFor({ toBundle: () => Promise.resolve(bundle) }), bundle);
});

Deno.test("table() escapes cells, headings and captions", () => {
  const evil = '<script>alert("1")</script>';
  const markup = String(table([{ [evil]: evil }], { caption: evil }).bundle["text/html"]);
  assert.doesNotMatch(markup, /<script/);
  assert.equal(markup.split("&lt;script&gt;alert(&quot;1&quot;)").length, 4);
});

Deno.test("table() puts numbers to the right and shows -0, NaN and gaps", () => {
  const { bundle } = table([{ n: -0, t: "a" }, { n: NaN, t: "日本" }, { t: "c" }, { n: 1 / 3 }]);
  assert.equal(
    bundle["text/plain"],
    "       n  t\n--------  ----\n      -0  a\n     NaN  日本\n          c\n0.333333",
  );
  assert.match(String(bundle["text/html"]), /<td align="right">-0<\/td>/);
  assert.match(String(bundle["text/html"]), /<td style="text-align:left">a<\/td>/);
});

Deno.test("escapeMarkup() leaves nothing that XML forbids", () => {
  assert.equal(escapeMarkup(`<a b="c">&'\u0000\ud800`), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\ufffd\ufffd");
  assert.equal(html("<b>1</b>", { text: "one" }).bundle["text/plain"], "one");
});

Deno.test("svgPicture() carries the same SVG as an HTML image", () => {
  const { bundle } = svgPicture("<svg>▁</svg>", 'a "picture"\nmore');
  const found = /^<img alt="a &quot;picture&quot;" src="data:image\/svg\+xml;base64,([^"]+)">$/.exec(
    String(bundle["text/html"]),
  );
  assert.equal(
    new TextDecoder().decode(Uint8Array.from(atob(found?.[1] ?? ""), (c) => c.charCodeAt(0))),
    "<svg>▁</svg>",
  );
});

Deno.test("detectHost() uses the Deno kernel when its getter answers", async () => {
  const sent: unknown[] = [];
  const jupyter = { broadcast: (...args: unknown[]) => Promise.resolve(void sent.push(args)) };
  const host = detectHost({ Deno: { jupyter }, __tslab__: { require: () => ({}) } });
  assert.equal(host.kind, "deno");
  const data = { "text/plain": "x" };
  await host.send(data);
  await host.send(data, { id: "a", update: true });
  assert.deepEqual(sent, [
    ["display_data", { data, metadata: {}, transient: {} }],
    ["update_display_data", { data, metadata: {}, transient: { display_id: "a" } }],
  ]);
});

Deno.test("detectHost() is plain where the getter throws and there is no tslab", () => {
  const Deno = {
    get jupyter(): never {
      throw new Error("outside a kernel");
    },
  };
  assert.equal(detectHost({ Deno }).kind, "plain");
  assert.equal(detectHost({}).kind, "plain");
  assert.equal(detectHost().kind, "plain");
});

Deno.test("detectHost() sends through tslab's running copy, else by its display", async () => {
  const sent: unknown[] = [];
  const lastWriteDisplayData = (...args: unknown[]): void => void sent.push(args);
  const display = { raw: (...args: unknown[]) => void sent.push(args) };
  const require = Object.assign(() => ({ display }), {
    cache: { "C:\\x\\tslab\\dist\\jupyter.js": { exports: { lastWriteDisplayData } as object } },
  });
  const host = detectHost({ __tslab__: { require } });
  assert.equal(host.kind, "tslab");
  const data = { "image/svg+xml": "<svg/>", "text/plain": "x" };
  await host.send(data, { id: "b" });
  require.cache["C:\\x\\tslab\\dist\\jupyter.js"].exports = {};
  await host.send(data);
  assert.deepEqual(sent, [
    [{ data, metadata: {}, transient: { display_id: "b" } }, false],
    ["image/svg+xml", "<svg/>"],
  ]);
});

Deno.test("tslab still has the sender that is not documented", () => {
  const path = new URL("../../node_modules/tslab/dist/jupyter.js", import.meta.url);
  assert.match(readFileSync(path, "utf8"), /exports\.lastWriteDisplayData = writeDisplayData;/);
});

Deno.test("installGuard() listens once and prints what tslab prints", () => {
  const target = new EventTarget();
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  assert.equal(installGuard(target as never, print), true);
  assert.equal(installGuard(target as never, print), true);
  const rejection = Object.assign(new Event("unhandledrejection", { cancelable: true }), {
    reason: new RangeError("r"),
  });
  const error = Object.assign(new Event("error", { cancelable: true }), { error: new Error("e") });
  target.dispatchEvent(rejection);
  target.dispatchEvent(error);
  assert.deepEqual(lines, ["UnhandledPromiseRejection: RangeError: r", "UncaughtException: Error: e"]);
  assert.ok(rejection.defaultPrevented && error.defaultPrevented, "the kernel lives on");
});

Deno.test("throwIfStopped() throws once for each press", () => {
  const target = {};
  const listeners: (() => void)[] = [];
  const signals = { addSignalListener: (_: "SIGINT", listener: () => void) => void listeners.push(listener) };
  throwIfStopped(target);
  listenToStop(target, signals);
  listenToStop(target, signals);
  assert.equal(listeners.length, 1, "it listens once");
  throwIfStopped(target);
  listeners[0]?.();
  assert.throws(() => throwIfStopped(target), /^Error: Interrupted: the stop button was pressed$/);
  throwIfStopped(target);
});
