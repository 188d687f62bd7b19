/** WebGPU voids bad work in silence; here it is asked, and names the operation. And our own kernels there. */
import assert from "node:assert/strict";
import {
  add,
  cast,
  compile,
  exp,
  hashBits,
  mul,
  randomBits,
  scatterAdd,
  shiftRightLogical,
  slice,
  tfjsEngine,
  trace,
} from "albert-guide";
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

Deno.test({
  name: `random bits, integers and scattered sums stay on the device${note}`,
  ignore: !adapter,
}, async () => {
  const opened = await openBackend("webgpu");
  const graph = trace((i, updates, key) => {
    const bits = shiftRightLogical(randomBits(key!, [2, 3]), 8); // ! three parameters
    return [scatterAdd(i!, updates!, 2), cast(bits, "float32"), slice(add(i!, 1), [1], [3])];
  }, [
    { dtype: "int32", shape: [3] },
    { dtype: "float32", shape: [3, 2] },
    { dtype: "uint32", shape: [2] },
  ]);
  let reads = 0;
  const backend = Object.create(opened.backend, {
    read: { value: () => Promise.reject(new Error(`${++reads} values were read`)) },
  }) as typeof opened.backend;
  const program = await compileStock({ ...opened, backend }, graph, { donate: [] });
  const outputs = await program.run([
    upload(opened, Int32Array.of(1, 2 ** 30 + 1, 1), { dtype: "int32", shape: [3] }),
    upload(opened, Float32Array.of(1, 2, 3, 4, 5, 6), { dtype: "float32", shape: [3, 2] }),
    upload(opened, Uint32Array.of(5, 6), { dtype: "uint32", shape: [2] }),
  ]);
  const [sums, bits, next] = await Promise.all(outputs.map((each) => download(opened, each)));
  assert.deepEqual([...sums!], [0, 0, 6, 8]); // a row behind the end is left out
  assert.deepEqual([...bits!], [0, 1, 2, 3, 4, 5].map((i) => hashBits(5, 6, i) >>> 8));
  assert.deepEqual([...next!], [2 ** 30 + 2, 2]);
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
