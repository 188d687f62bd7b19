import assert from "node:assert/strict";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { compile, constant, deviceArray } from "../../lib/tensor/mod.ts";
import { lamb, trustRatios } from "../../lib/train/mod.ts";

Deno.test("trustRatios() gives the length of LAMB's step over its rate and direction", async () => {
  const engine = referenceEngine();
  const values = (seed: number, scale: number): Float32Array =>
    Float32Array.from({ length: 6 }, (_, i) => scale * Math.sin(seed + 3 * i));
  const [w, m, g] = [values(1, 2), values(2, 0.01), values(3, 0.02)];
  const v = values(4, 0.01).map((x) => x * x);
  const type = { dtype: "float32", shape: [6] } as const;
  const step = await compile(
    ({ w, m, v, g }) => {
      const next = lamb({ w }, { w: g }, { m: { w: m }, v: { w: v } }, { learningRate: constant(0.5) });
      return { w: next.parameters["w"] ?? w, m: next.m["w"] ?? m, v: next.v["w"] ?? v };
    },
    { w: type, m: type, v: type, g: type },
    { engine },
  );
  const upload = (data: Float32Array) => deviceArray(data, { engine, shape: [6] });
  const out = await step.run({
    w: await upload(w),
    m: await upload(m),
    v: await upload(v),
    g: await upload(g),
  });
  const [after, m1, v1] = [
    await out.w.data(),
    Float32Array.from(await out.m.data()),
    Float32Array.from(await out.v.data()),
  ];
  const moved = Math.hypot(...Array.from(w, (x, i) => x - (after[i] ?? 0)));
  const ratio = trustRatios({ parameters: { w }, m: { w: m1 }, v: { w: v1 } })["w"] ?? NaN;
  // The length of the step is rate × ratio × ‖u‖, and ratio × ‖u‖ is ‖w‖.
  assert.ok(Math.abs(moved - 0.5 * Math.hypot(...w)) < 1e-5);
  const direction = Math.hypot(
    ...Array.from(w, (x, i) => (m1[i] ?? 0) / (Math.sqrt(v1[i] ?? 0) + 1e-6) + 0.01 * x),
  );
  assert.ok(
    Math.abs(moved / (0.5 * direction) - ratio) < 1e-5 * ratio,
    `${moved / (0.5 * direction)} ${ratio}`,
  );
});

Deno.test("trustRatios() leaves biases and LayerNorm out, takes 1 for zeros and refuses weights without moments", () => {
  const one = Float32Array.of(1);
  const parameters = { "a/kernel": one, "a/bias": one, "LayerNorm/gamma": one, empty: Float32Array.of(0) };
  const moments = Object.fromEntries(Object.keys(parameters).map((name) => [name, Float32Array.of(0)]));
  const ratios = trustRatios({ parameters, m: moments, v: moments });
  assert.deepEqual(Object.keys(ratios), ["a/kernel", "empty"]);
  assert.equal(ratios["empty"], 1);
  assert.throws(() => trustRatios({ parameters }), /no moments/);
});
