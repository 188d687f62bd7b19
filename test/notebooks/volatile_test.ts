/** Outputs that depend on the machine: shown to who executes, kept as words. */
import assert from "node:assert/strict";
import { type Output, parseNotebook, serializeNotebook } from "../../lib/notebook/format.ts";
import { createOutputCollector } from "../../lib/notebook/outputs.ts";
import { keptDisplay } from "../../lib/notebook/volatile.ts";
import { detectHost } from "../../lib/show/host.ts";

const metadata = { "albert-guide": { volatile: "bars: steps < 1 s" } };
const words = {
  output_type: "display_data",
  data: { "text/html": "<p><em>bars: steps &lt; 1 s</em></p>", "text/plain": "bars: steps < 1 s" },
  metadata: { "albert-guide": { volatile: true } },
} as const;

Deno.test("keptDisplay() keeps the words of a marked output and leaves every other one", () => {
  const data = { "text/plain": "17 ms" };
  assert.deepEqual(keptDisplay({ output_type: "display_data", data, metadata }), words);
  assert.deepEqual(keptDisplay(words), words, "words stay words");
  const plain = { output_type: "display_data", data, metadata: {} } as const;
  assert.equal(keptDisplay(plain), plain);
});

Deno.test("createOutputCollector() keeps words also where a slot is updated", () => {
  const collector = createOutputCollector();
  const send = (type: string, text: string) => ({
    type,
    parent: "",
    content: { data: { "text/plain": text }, metadata, transient: { display_id: "a" } },
  });
  collector.add(0, [send("display_data", "1 ms"), send("update_display_data", "2 ms")]);
  assert.deepEqual(collector.outputs(0), [words]);
});

Deno.test("parseNotebook() takes the words where somebody saved what a machine showed", () => {
  const saved: Output = { output_type: "display_data", data: { "text/plain": "17 ms" }, metadata };
  const cell = { id: "a", type: "code", source: "1", tags: [], outputs: [saved] } as const;
  const read = parseNotebook(serializeNotebook({ cells: [cell], guide: {} }));
  assert.deepEqual(read.cells[0]?.outputs, [words]);
});

Deno.test("show() sends the mark with the output in the metadata that the runner reads", async () => {
  const sent: unknown[] = [];
  const jupyter = { broadcast: (...message: unknown[]) => Promise.resolve(void sent.push(message)) };
  await detectHost({ Deno: { jupyter } }).send({ "text/plain": "17 ms" }, { volatile: "bars: steps < 1 s" });
  assert.deepEqual(sent, [["display_data", { data: { "text/plain": "17 ms" }, metadata, transient: {} }]]);
});
