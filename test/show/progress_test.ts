/** Progress on a terminal, in a log, in a cell and headless, with a clock that the test moves. */
import assert from "node:assert/strict";
import type { Bundle } from "../../lib/show/mod.ts";
import type { Host, SendOptions } from "../../lib/show/host.ts";
import { liveSlot } from "../../lib/show/live.ts";
import { makeLiveChart } from "../../lib/show/live_chart.ts";
import { clockText, makeProgressDisplay } from "../../lib/show/progress_display.ts";

type Sent = { bundle: Bundle; options: SendOptions };

function fakeHost(kind: Host["kind"]): { host: Host; sent: Sent[] } {
  const sent: Sent[] = [];
  const send = (bundle: Bundle, options: SendOptions = {}): Promise<void> => {
    sent.push({ bundle, options });
    return Promise.resolve();
  };
  return { host: { kind, send }, sent };
}

/** Runs ten steps of `stepMs` and returns what was written. */
async function tenSteps(isTerminal: boolean, stepMs: number): Promise<string[]> {
  let time = 0;
  const written: string[] = [];
  const display = makeProgressDisplay("train", {
    host: fakeHost("plain").host,
    headless: false,
    now: () => time,
    write: (text) => void written.push(text),
    isTerminal,
    columns: 80,
  });
  for (let done = 0; done <= 10; done++) {
    display.onProgress({ stage: "steps", done, total: 10, unit: "steps", note: "loss 5.43" });
    time += stepMs;
  }
  await display.done();
  return written;
}

Deno.test("progressDisplay() writes plain lines at most every 2 s in a log", async () => {
  assert.deepEqual(await tenSteps(false, 900), [
    "train   30 %  3/10 steps  1.11/s  ETA 0:06  loss 5.43\n",
    "train   60 %  6/10 steps  1.11/s  ETA 0:04  loss 5.43\n",
    "train   90 %  9/10 steps  1.11/s  ETA 0:01  loss 5.43\n",
    "train: 10/10 steps in 9.0 s\n",
  ]);
});

Deno.test("progressDisplay() counts no time into the rate before the first unit, such as that of compiling", () => {
  let time = 0;
  const written: string[] = [];
  const display = makeProgressDisplay("train", {
    host: fakeHost("plain").host,
    headless: false,
    now: () => time,
    write: (text) => void written.push(text),
    isTerminal: false,
  });
  for (const note of ["compiling, 1 s", "compiling, 9 s"]) {
    display.onProgress({ stage: "steps", done: 0, total: 10, unit: "steps", note });
    time += 9000;
  }
  display.onProgress({ stage: "steps", done: 3, total: 10, unit: "steps" });
  assert.deepEqual(written, [
    "train    0 %  0/10 steps  compiling, 9 s\n",
    "train   30 %  3/10 steps  0.333/s  ETA 0:21\n",
  ]);
});

Deno.test("progressDisplay() redraws one line on a terminal at most every 100 ms", async () => {
  const written = await tenSteps(true, 50);
  assert.equal(written.length, 7);
  assert.equal(written[3], "\r\x1b[2Ktrain  [############........]   60 %  6/10 steps  loss 5.43");
  assert.equal(written.at(-1), "\r\x1b[2Ktrain: 10/10 steps in 0.5 s\n");
  assert.equal((await tenSteps(true, 900))[5]?.includes("1.11/s  ETA 0:05"), true);
});

Deno.test("progressDisplay() never writes past the terminal's edge", () => {
  const written: string[] = [];
  const write = (text: string): void => void written.push(text);
  const { host } = fakeHost("plain");
  const display = makeProgressDisplay("x".repeat(100), {
    host,
    headless: false,
    write,
    isTerminal: true,
    columns: 40,
  });
  display.onProgress({ stage: "s", done: 1, unit: "documents" });
  assert.equal(written[0]?.replace("\r\x1b[2K", "").length, 39);
});

Deno.test("progressDisplay() shows only the last state when headless, without any time", async () => {
  for (const kind of ["deno", "tslab", "plain"] as const) {
    const { host, sent } = fakeHost(kind);
    let time = 0;
    const display = makeProgressDisplay(undefined, {
      host,
      headless: true,
      now: () => time,
      write: () => assert.fail("nothing goes to the terminal"),
    });
    for (let done = 1; done <= 30; done++) {
      display.onProgress({ stage: "train", done, total: 30, unit: "steps", note: `${done} ms` });
      time += 1000;
    }
    assert.equal(sent.length, 0);
    await display.done();
    assert.deepEqual(sent, [{
      bundle: { "text/plain": "train #################### 30/30 steps" },
      options: {},
    }]);
  }
});

Deno.test("progressDisplay() fills one slot in a cell, one row a stage", async () => {
  const { host, sent } = fakeHost("deno");
  let time = 0;
  const display = makeProgressDisplay("tokenizer", { host, headless: false, now: () => time });
  for (let i = 0; i < 20; i++) {
    display.onProgress({ stage: i < 10 ? "E-step" : "<M>", done: i % 10, total: 9, unit: "pieces" });
    time += 50;
  }
  await display.done();
  assert.equal(sent.length, 11, "ten updates in a second, and the end");
  const ids = new Set(sent.map(({ options }) => options.id));
  assert.equal(ids.size, 1);
  assert.deepEqual(sent.map(({ options }) => options.update), [
    false,
    ...Array.from({ length: 10 }, () => true),
  ]);
  assert.match(
    String(sent[9]?.bundle["text/html"]),
    /<progress max="1" value="0\.889">.*tokenizer: &lt;M&gt;/,
  );
  assert.equal(
    sent.at(-1)?.bundle["text/plain"],
    "tokenizer: E-step #################### 9/9 pieces\ntokenizer: <M> #################### 9/9 pieces",
  );
});

Deno.test("progressDisplay() does not fail its stage when the host fails", async () => {
  const host: Host = { kind: "deno", send: () => Promise.reject(new Error("closed")) };
  const display = makeProgressDisplay("x", { host, headless: false });
  display.onProgress({ stage: "s", done: 1, unit: "steps" });
  await assert.rejects(display.done(), /closed/);
});

Deno.test("liveSlot() gives every slot its own name", async () => {
  const { host, sent } = fakeHost("tslab");
  for (let i = 0; i < 2; i++) await liveSlot({ host, headless: false }).update({ "text/plain": "x" });
  assert.notEqual(sent[0]?.options.id, sent[1]?.options.id);
});

Deno.test("liveChart() sends SVG while it moves and all forms at the end", async () => {
  const { host, sent } = fakeHost("deno");
  let time = 0;
  const live = makeLiveChart({ title: "Loss" }, { host, headless: false, now: () => time });
  for (let x = 0; x < 10; x++) {
    await live.add({ x, y: 10 - x });
    time += 100;
  }
  await live.done();
  assert.deepEqual(sent.map(({ bundle }) => Object.keys(bundle).length), [2, 2, 3]);
  assert.ok("application/vnd.vegalite.v5+json" in (sent.at(-1)?.bundle ?? {}));
});

Deno.test("liveChart() shows itself once when headless", async () => {
  const { host, sent } = fakeHost("tslab");
  const live = makeLiveChart({}, { host, headless: true });
  for (let x = 0; x < 5; x++) await live.add({ x, y: x, series: x % 2 === 0 ? "even" : "odd" });
  await live.done();
  assert.equal(sent.length, 1);
  assert.deepEqual(sent[0]?.options, {});
  assert.match(String(sent[0]?.bundle["text/plain"]), /even: first 0, last 4[^]*odd: first 1, last 3/);
});

Deno.test("clockText() counts minutes and hours", () => {
  assert.deepEqual([8.4, 750, 3723, -1].map(clockText), ["0:08", "12:30", "1:02:03", "0:00"]);
});
