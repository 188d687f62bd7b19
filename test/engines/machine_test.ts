/** What this machine is and which engines work on it. */
import assert from "node:assert/strict";
import { describeMachine, type Engine, measureStep, openEngine, surveyEngines } from "albert-guide";

Deno.test("describeMachine() says each thing in words", async () => {
  const facts = await describeMachine();
  assert.deepEqual(facts.map(({ what }) => what), [
    ...["processor", "cores", "memory", "system", "runtime", "graphics"],
  ]);
  assert.ok(facts.every(({ here }) => here.trim().length > 2));
  assert.match(facts[4]?.here ?? "", /^Deno \d/);
});

Deno.test("surveyEngines() opens what works and gives the reason for the rest", async () => {
  const states = await surveyEngines({ names: ["reference", "tfjs-wasm", "no such engine" as "reference"] });
  assert.deepEqual(states.map(({ engine }) => engine?.name), ["reference", "tfjs-wasm", undefined]);
  assert.match(states[0]?.state ?? "", /^works, on /);
  assert.match(states[2]?.state ?? "", /^Cannot open the engine no such engine: /);
});

Deno.test("measureStep() trusts no engine whose loss does not fall", async () => {
  const honest = await openEngine("tfjs-wasm");
  const liar: Engine = { ...honest, name: "liar", download: () => Promise.resolve(Float32Array.of(6.25)) };
  await assert.rejects(
    measureStep(liar, { seconds: 0 }),
    /Cannot trust liar: the loss of its test step went from 6\.25 to 6\.25/,
  );
});
