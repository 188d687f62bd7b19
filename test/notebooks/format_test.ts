/** The canonical form of notebooks and of outputs, and readable differences. */
import assert from "node:assert/strict";
import { compareOutputs, firstDifference } from "../../lib/notebook/compare.ts";
import { type Output, parseNotebook, serializeNotebook } from "../../lib/notebook/format.ts";
import { canonicalOutput, createOutputCollector } from "../../lib/notebook/outputs.ts";
import type { JsonObject, KernelMessage } from "../../lib/notebook/wire.ts";

const message = (type: string, content: JsonObject): KernelMessage => ({ type, parent: "", content });
const stdout = (text: string): Output => ({ output_type: "stream", name: "stdout", text });

Deno.test("serializeNotebook() writes what every editor's copy of a notebook comes down to", () => {
  const saved = {
    nbformat_minor: 4,
    nbformat: 4,
    metadata: {
      kernelspec: { name: "tslab", display_name: "TypeScript" },
      guide: { timeout_s: 5 },
      widgets: { a: 1 },
    },
    cells: [
      { source: "# Ü", metadata: { collapsed: true }, cell_type: "markdown" },
      {
        outputs: [{
          output_type: "execute_result",
          execution_count: 3,
          metadata: {},
          data: { "text/plain": "a\nb" },
        }],
        execution_count: 3,
        source: "1;\n2;",
        metadata: { tags: ["volatile"], scrolled: false },
        cell_type: "code",
        id: "x",
      },
    ],
  };
  const text = serializeNotebook(parseNotebook(JSON.stringify(saved)));
  const kernelspec = ['"kernelspec": {', '   "display_name": "Deno",', '   "language": "typescript",'].join(
    "\n",
  );
  assert.ok(text.includes(kernelspec), text);
  assert.ok(text.includes('"# Ü"') && text.includes('"id": "cell-01"'));
  const { cells, metadata } = JSON.parse(text);
  assert.deepEqual(metadata.guide, { timeout_s: 5 });
  assert.equal(metadata.widgets, undefined);
  assert.deepEqual(cells[1], {
    cell_type: "code",
    execution_count: null,
    id: "x",
    metadata: { tags: ["volatile"] },
    outputs: [{ data: { "text/plain": ["a\n", "b"] }, metadata: {}, output_type: "display_data" }],
    source: ["1;\n", "2;"],
  });
  assert.equal(serializeNotebook(parseNotebook(text)), text);
});

Deno.test("parseNotebook() names what is wrong with a file", () => {
  assert.throws(() => parseNotebook("{"), /it is not JSON/);
  assert.throws(() => parseNotebook('{"nbformat": 3}'), /nbformat is 3, expected 4/);
  assert.throws(
    () => parseNotebook('{"nbformat": 4, "cells": [{"cell_type": "x"}]}'),
    /cell 1 has cell_type "x"/,
  );
});

Deno.test("canonicalOutput() takes away colours, carriage returns, trailing blanks and places", () => {
  const hidden = [{ path: "/home/me/guide/", name: "" }, { path: "/home/me/guide", name: "." }];
  const text =
    "\x1b[1mbold\x1b[0m \r\n1 %\r2 %\nfile:///home/me/guide/lib/a.ts in /home/me/guide\nhttps://x/home/me/guide/b";
  assert.deepEqual(
    canonicalOutput(stdout(text), hidden),
    stdout("bold\n2 %\nlib/a.ts in .\nhttps://x/home/me/guide/b"),
  );
  const data = {
    "application/vnd.vegalite.v5+json": { title: " a ", url: "/home/me/guide/x" },
    "text/plain": "a ",
  };
  const output = canonicalOutput({ output_type: "display_data", data, metadata: {} }, hidden);
  const expected = { "application/vnd.vegalite.v5+json": { title: " a ", url: "x" }, "text/plain": "a" };
  assert.deepEqual(output, { output_type: "display_data", data: expected, metadata: {} });
});

Deno.test("createOutputCollector() joins streams, updates slots of earlier cells and honours clear_output", () => {
  const collector = createOutputCollector();
  const slot = (type: string, text: string): KernelMessage =>
    message(type, { data: { "text/plain": text }, metadata: {}, transient: { display_id: "s" } });
  collector.add(0, [
    message("stream", { name: "stdout", text: "a" }),
    message("stream", { name: "stdout", text: "b\n" }),
    message("stream", { name: "stderr", text: "c\n" }),
    slot("display_data", "10 %"),
  ]);
  collector.add(1, [
    message("stream", { name: "stdout", text: "gone" }),
    message("clear_output", { wait: true }),
    slot("update_display_data", "100 %"),
    message("execute_result", { data: { "text/plain": "7" }, metadata: {}, execution_count: 4 }),
  ]);
  const display = (text: string): Output => ({
    output_type: "display_data",
    data: { "text/plain": text },
    metadata: {},
  });
  const warning: Output = { output_type: "stream", name: "stderr", text: "c\n" };
  assert.deepEqual(collector.outputs(0), [stdout("ab\n"), warning, display("100 %")]);
  assert.deepEqual(collector.outputs(1), [display("7")]);
  collector.add(1, [message("clear_output", {})]);
  assert.deepEqual(collector.outputs(1), []);
});

Deno.test("firstDifference() shows the differing lines, few and short", () => {
  assert.equal(firstDifference([], []), undefined);
  assert.deepEqual(firstDifference(["a"], ["a", "b"]), { line: 2, lines: ["+ b"] });
  assert.deepEqual(firstDifference(["a", "b", "z"], ["a", "z"]), { line: 2, lines: ["- b"] });
  const long = "x".repeat(500);
  const { lines } = firstDifference([`${long}1`], [`${long}2`]) ?? { lines: [] };
  assert.deepEqual(lines, [`- …${"x".repeat(40)}1`, `+ …${"x".repeat(40)}2`]);
  const many = Array.from({ length: 10 }, (_, index) => `line ${index}`);
  assert.deepEqual(firstDifference(many, [])?.lines.at(-1), "- … 6 more lines");
});

Deno.test("compareOutputs() sees every byte but not the order of keys", () => {
  const show = (value: JsonObject): Output => ({
    output_type: "display_data",
    data: { "application/json": value as { [name: string]: number } },
    metadata: {},
  });
  assert.equal(compareOutputs([show({ a: 1, b: 2 })], [show({ b: 2, a: 1 })]), undefined);
  assert.deepEqual(compareOutputs([show({ a: 1 })], [show({ a: 2 })])?.lines, ['-  "a": 1', '+  "a": 2']);
  assert.deepEqual(compareOutputs([stdout("3\n")], [stdout("2\n")]), { line: 2, lines: ["- 3", "+ 2"] });
  assert.notEqual(compareOutputs([stdout("a"), stdout("b")], []), undefined);
  // Same readable text, another kind of output underneath.
  const metadata: Output = {
    output_type: "display_data",
    data: { "text/plain": "a" },
    metadata: { wide: true },
  };
  assert.notEqual(compareOutputs([{ ...metadata, metadata: {} }], [metadata]), undefined);
});
