/** WebGPU voids bad work in silence; here it is asked, and names the operation. */
import assert from "node:assert/strict";
import { add, compile, exp, mul, tfjsEngine, trace } from "albert-guide";
import { findBackend } from "@tensorflow/tfjs-core";
import { openBackend } from "../../lib/engines/tfjs/backend.ts";
import { download, type TfjsBuffer, upload } from "../../lib/engines/tfjs/memory.ts";
import { compileStock } from "../../lib/engines/tfjs/stock_program.ts";
import { hasWebgpuAdapter } from "../../lib/engines/tfjs/webgpu.ts";

const adapter = await hasWebgpuAdapter();
const note = adapter ? "" : " (no WebGPU adapter)";

/** What tfjs' webgpu backend gives to run a shader of one's own. */
type Gpu = {
  readonly device: {
    readonly limits: { readonly maxStorageBufferBindingSize: number };
    readonly destroy: () => void;
  };
  readonly runWebGPUProgram: (program: object, inputs: readonly object[], dtype: string) => object;
  readonly numDataIds: () => number;
};

const type = { dtype: "float32", shape: [4] } as const;

Deno.test({
  name: `an invalid shader throws under the name of its operation, and leaves no memory behind${note}`,
  ignore: !adapter,
}, async () => {
  const opened = await openBackend("webgpu");
  const gpu = opened.backend as unknown as Gpu;
  const broken = {
    outputShape: [4],
    variableNames: ["A"],
    workgroupSize: [64, 1, 1],
    dispatchLayout: { x: [0] },
    dispatch: [1, 1, 1],
    shaderKey: "broken",
    getUserCode: () => "fn main(index : i32) { let nothing = noSuchFunction(index); }",
  };
  const graph = trace((x) => [mul(exp(add(x!, 1)), 2)], [type]); // ! one parameter
  const program = await compileStock(
    {
      ...opened,
      kernel: (name) =>
        name === "Exp"
          ? ({ inputs }) => gpu.runWebGPUProgram(broken, [(inputs as { x: object }).x], "float32") as never
          : opened.kernel(name),
    },
    graph,
    { donate: [] },
  );
  const x = upload(opened, Float32Array.of(1, 2, 3, 4), type);
  await assert.rejects(program.run([x]), /^Error: Cannot compute exp on tfjs: .*noSuchFunction/s);
  const held = gpu.numDataIds();
  await assert.rejects(program.run([x]), /^Error: Cannot compute exp on tfjs: /);
  assert.equal(gpu.numDataIds(), held);

  const sound = await compileStock(opened, graph, { donate: [] });
  const [y] = await sound.run([x]);
  const values = await download(opened, y as TfjsBuffer);
  assert.ok(Math.abs(values[0]! - 2 * Math.exp(2)) < 1e-4, "what came before is not blamed on what follows");
});

const limit = adapter
  ? ((await openBackend("webgpu")).backend as unknown as Gpu).device.limits.maxStorageBufferBindingSize
  : 0;

Deno.test({
  name: `a value that the device cannot hold is refused with what to do${note}`,
  ignore: !adapter || limit > 2 ** 27, // larger ones take seconds to fill
}, async () => {
  const engine = await tfjsEngine({ backend: "webgpu" });
  const large = { dtype: "float32", shape: [limit / 4 + 1] } as const;
  const program = await compile(({ x }) => ({ y: add(exp(x), 1) }), { x: large }, { engine });
  await assert.rejects(
    program.run({ x: new Float32Array(large.shape[0]) }),
    /Cannot compute exp on tfjs: .*take a smaller train_batch_size or max_seq_length, or another engine/,
  );
  const small = await compile(({ x }) => ({ y: add(exp(x), 1) }), { x: type }, { engine });
  const { y } = await small.run({ x: new Float32Array(4) });
  assert.deepEqual([...await y.data()], [2, 2, 2, 2]);
});

// A software GPU whose device is alive at the end has spoiled the heap of the process.
globalThis.addEventListener(
  "unload",
  () => (findBackend("webgpu") as unknown as Gpu | undefined)?.device.destroy(),
);
