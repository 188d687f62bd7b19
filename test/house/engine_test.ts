import assert from "node:assert/strict";
import { compile, type Engine, mul, referenceEngine, type Tensor, type TensorType } from "albert-guide";
import { compilingOnce } from "../engine.ts";

Deno.test("compilingOnce() compiles equal programs once, others again, and asks again after a refusal", async () => {
  const plain = referenceEngine();
  let asked = 0;
  const counting: Engine = {
    ...plain,
    compile: (graph, options) =>
      ++asked === 1 ? Promise.reject(new Error("no")) : plain.compile(graph, options),
  };
  const engine = compilingOnce(counting);
  const x: TensorType = { dtype: "float32", shape: [1] };
  const times = async (factor: number): Promise<number> => {
    const program = await compile((args) => ({ y: mul(args.x as Tensor, factor) }), { x }, { engine });
    const { y } = await program.run({ x: Float32Array.of(3) });
    program.dispose();
    return (await y.data())[0] as number;
  };
  await assert.rejects(times(2), /no/);
  assert.deepEqual([await times(2), await times(2), await times(5)], [6, 6, 15]);
  assert.equal(asked, 3);
});
