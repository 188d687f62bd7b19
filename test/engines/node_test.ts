/** tfjs-node: finding, refusing, building. No test fetches or compiles: npm, pip and the compiler are scripts of the test's own. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  add,
  type Buffer,
  constant,
  type Engine,
  findNodePackage,
  mul,
  openEngine,
  randomBits,
  reduceSum,
  reshape,
  scatterAdd,
  type Tensor,
  testNodePackage,
  tfjsEngine,
  trace,
  transpose,
} from "albert-guide";
import { openBackend } from "../../lib/engines/tfjs/backend.ts";
import { download, type TfjsBuffer, upload } from "../../lib/engines/tfjs/memory.ts";
import { type Binding, tensorFlowOn } from "../../lib/engines/tfjs/node/binding.ts";
import { buildAddon } from "../../lib/engines/tfjs/node/build.ts";
import { cudaPackages } from "../../lib/engines/tfjs/node/cuda_packages.ts";
import { installNodeWith, wheels } from "../../lib/engines/tfjs/node/install.ts";
import {
  addonOf,
  checkAlone,
  installedFolder,
  isolatedAddonOf,
} from "../../lib/engines/tfjs/node/package.ts";
import { compileFunction, failureOf } from "../../lib/engines/tfjs/node/function_program.ts";
import { compileStock } from "../../lib/engines/tfjs/stock_program.ts";
import { nodeHere, nodeNote } from "./node.ts";
import { assertAgree, randomGraph, runOn } from "./random_graphs.ts";
import { inFolder } from "../folder.ts";
import { withEnvironment } from "./plugin_places.ts";

function script(path: string, text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

function file(path: string, text: string = ""): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

Deno.test("every wheel of tfjs-node is pinned by its sum", () => {
  for (const { version, wheelSha256, companions = [] } of Object.values(wheels)) {
    for (const each of [{ version, sha256: wheelSha256 }, ...companions]) {
      assert.match(each.sha256, /^[0-9a-f]{64}$/);
      assert.match(each.version, /^\d+\./);
    }
  }
  assert.equal(new Set(cudaPackages.map(({ name }) => name)).size, cudaPackages.length);
});

Deno.test("findNodePackage() takes the installed package, and one without its addon not", async () => {
  await inFolder(async (folder) => {
    await withEnvironment({ XDG_CACHE_HOME: folder }, async () => {
      const own = join(installedFolder("tfjs-node-gpu"), "node_modules/@tensorflow/tfjs-node-gpu");
      mkdirSync(own, { recursive: true });
      assert.notEqual(findNodePackage("tfjs-node-gpu"), own);
      file(addonOf(own));
      assert.equal(findNodePackage("tfjs-node-gpu"), own);
      await Promise.resolve();
    });
  });
});

Deno.test("a package that does not load is named, with what builds one that does", async () => {
  await inFolder(async (folder) => {
    await withEnvironment({ XDG_CACHE_HOME: folder }, async () => {
      const remedy = /deno task albert environment --install=tfjs-node-gpu/;
      if (findNodePackage("tfjs-node-gpu") === undefined) {
        await assert.rejects(openEngine("tfjs-node-gpu"), remedy);
        await assert.rejects(tfjsEngine({ backend: "node-gpu" }), /tfjs-node-gpu: it is not installed/);
      }
      const own = join(installedFolder("tfjs-node-gpu"), "node_modules/@tensorflow/tfjs-node-gpu");
      file(addonOf(own));
      file(join(own, "package.json"), `{"main": "index.js"}`);
      file(join(own, "index.js"), `throw new Error("libcudart.so.12 is missing");`);
      if (!nodeHere) { // where one is loaded, no second is
        await assert.rejects(openEngine("tfjs-node-gpu"), /does not load \(.*tfjs_binding\.node/);
      }
      const { works, reason } = await testNodePackage(own);
      assert.ok(!works);
      assert.match(reason, /libcudart\.so\.12 is missing/);
    });
  });
});

Deno.test("an installation names the piece that is missing and what brings it, and leaves nothing half done", async () => {
  await inFolder(async (folder) => {
    const ok = script(join(folder, "ok"), "exit 0");
    const fails = script(join(folder, "fails"), "echo 'npm ERR! the registry is away' >&2; exit 1");
    const none = join(folder, "none");
    const tools = { python: none, npm: ok, compiler: ok };
    await withEnvironment({ XDG_CACHE_HOME: folder }, async () => {
      const refused = (changes: Partial<typeof tools>, message: RegExp): Promise<void> =>
        assert.rejects(installNodeWith("tfjs-node", { ...tools, ...changes }), message);
      await refused(
        { compiler: none },
        /Cannot install tfjs-node: there is no C\+\+ compiler .*apt-get install g\+\+/,
      );
      await refused({ npm: none }, /npm does not start .*install Node 20/);
      await refused({ npm: fails }, /npm cannot fetch @tensorflow\/tfjs-node@4\.22\.0 .*registry is away/);
      await refused({}, /python3? does not start.*apt-get install python3-pip/);
      const pipless = script(join(folder, "pipless"), "echo 'python3: No module named pip' >&2; exit 1");
      await refused({ python: pipless }, /No module named pip; .apt-get install python3-pip. brings/);
      assert.deepEqual(readdirSync(join(folder, "albert-guide/tfjs")), []);
    });
  });
});

Deno.test("buildAddon() says which headers are missing, and what the compiler said", async () => {
  await inFolder(async (folder) => {
    const compiler = script(join(folder, "cc"), "echo 'a.cc:1: error: no such type' >&2; exit 1");
    const build = (): Promise<void> => buildAddon("tfjs-node", folder, { compiler });
    await assert.rejects(
      build(),
      /TensorFlow's headers are missing: .*c_api\.h; .*--install=tfjs-node. fetches them anew/,
    );
    file(join(folder, "tensorflow/include/tensorflow/c/c_api.h"));
    await assert.rejects(build(), /Node's headers are missing: .*node_api\.h/);
    file(join(folder, "node_modules/node-api-headers/include/node_api.h"));
    await assert.rejects(build(), /cannot build the addon: a\.cc:1: error: no such type/);
    const place = join(folder, "node_modules/@tensorflow/tfjs-node");
    assert.ok(existsSync(join(place, "lib/napi-v8")));
    const told = script(
      join(folder, "told"),
      `for each; do case "$each" in *.node) echo x > "$each";; esac; done`,
    );
    await buildAddon("tfjs-node", folder, { compiler: told });
    assert.ok(existsSync(addonOf(place)) && existsSync(isolatedAddonOf(place)));
  });
});

const numbers = {
  ...{ TF_FLOAT: 1, TF_INT32: 3, TF_BOOL: 10, TF_ATTR_TYPE: 6, TF_ATTR_BOOL: 4, TF_ATTR_INT: 2 },
  TF_Version: "0",
};

Deno.test("a function runs without XLA where XLA refuses it, and what fails later is told", () => {
  const calls: string[] = [];
  let broken = false;
  const binding: Binding = {
    ...numbers,
    createTensor: () => 0,
    deleteTensor: () => {},
    tensorDataSync: () => Float32Array.of(1),
    executeOp: (name, attributes) => {
      calls.push(attributes.length > 0 ? `${name} by XLA` : name);
      if (attributes.length > 0 || broken) throw new Error("no such kernel");
      return [{ id: 1, shape: [1], dtype: 1 }];
    },
    isUsingGpuDevice: () => false,
    addFunction: (name) => void calls.push(`add ${name}`),
    removeFunction: (name) => void calls.push(`remove ${name}`),
  };
  const { functions } = tensorFlowOn(binding);
  const made = functions?.add(new Uint8Array(), [], ["y"], { often: true });
  made?.run([]);
  made?.run([]);
  broken = true;
  assert.throws(() => made?.run([]), /no such kernel/);
  made?.dispose();
  const name = "albert_program_0";
  assert.deepEqual(calls, [`add ${name}`, `${name} by XLA`, name, name, name, `remove ${name}`]);
  const { addFunction: _, ...stock } = binding;
  assert.equal(tensorFlowOn(stock).functions, undefined);
});

Deno.test("failureOf() says in one line what TensorFlow said, where, and what to do about memory", () => {
  const said =
    "Invalid TF_Status: 8\nMessage: {{function_node p_0}} OOM when allocating tensor with shape[9]\n" +
    "\t [[{{node reduce_sum_2/Sum_7}}]]\nHint: nothing";
  assert.equal(
    failureOf("tfjs-node", said),
    "Cannot compute reduce_sum on tfjs-node: OOM when allocating tensor with shape[9], at reduce_sum_2/Sum_7; take a " +
      "smaller train_batch_size or max_seq_length, or more gradient_accumulation_steps",
  );
  assert.equal(
    failureOf("tfjs-node", "no such function"),
    "Cannot run a program on tfjs-node: no such function",
  );
});

Deno.test("a stock package is refused beside a driver's LLVM, with what to do; one that was built here is not", async () => {
  await inFolder(async (folder) => {
    const maps = "7f-80 r-xp 00000000 08:01 42   /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n";
    assert.throws(
      () => checkAlone("tfjs-node", folder, maps),
      /graphics driver with \/usr.*libLLVM-15\.so\.1.*open tfjs-node before tfjs-webgpu, or .*--install=tfjs-node/,
    );
    checkAlone("tfjs-node", folder, "7f-80 r-xp 0 08:01 42 /usr/lib/libvulkan.so.1\n");
    file(isolatedAddonOf(folder));
    checkAlone("tfjs-node", folder, maps);
    await Promise.resolve();
  });
});

Deno.test("tensorFlowOn() frees a handle with its last use, and gives attributes their kinds", () => {
  const [alive, attributes] = [new Set<number>(), [] as unknown[]];
  let next = 0;
  const make = (): number => {
    alive.add(next);
    return next++;
  };
  const binding: Binding = {
    ...numbers,
    createTensor: make,
    deleteTensor: (id) => void alive.delete(id),
    tensorDataSync: () => Float32Array.of(1),
    executeOp: (_, given) => {
      attributes.push(...given);
      return [{ id: make(), shape: [1], dtype: 10 }];
    },
    isUsingGpuDevice: () => false,
  };
  const { backend, execute, vector } = tensorFlowOn(binding);
  const dataId = backend.write(Float32Array.of(1), [1], "float32");
  const x = { dataId, shape: [1], dtype: "float32" } as const;
  backend.incRef(dataId);
  assert.equal(backend.disposeData(dataId), false);
  const out = execute("Op", [{ ...x, shape: [1] }], {
    T: "float32",
    keep: true,
    N: { count: 2 },
    to: { type: 22 },
  });
  assert.deepEqual(attributes, [
    { name: "T", type: 6, value: 1 },
    { name: "keep", type: 4, value: true },
    { name: "N", type: 2, value: 2 },
    { name: "to", type: 6, value: 22 },
  ]);
  assert.equal(out.dtype, "bool");
  assert.equal(backend.disposeData(dataId), true);
  assert.throws(() => execute("Op", [{ ...x, shape: [1] }], {}), /it was released/);
  assert.equal(vector([1, 2]), vector([1, 2]));
  assert.deepEqual([...alive], [1, 2], "what was computed, and the vector");
});

const lib = (path: string): string => new URL(`../../lib/${path}`, import.meta.url).href;

Deno.test({
  name: `tfjs-node opens and computes in a process that has loaded a graphics driver${nodeNote}`,
  ignore: !nodeHere,
}, () => {
  // It ended with a segmentation fault while the LLVM inside TensorFlow started with parts of the driver's.
  const { stdout, stderr, status } = spawnSync(Deno.execPath(), ["run", "-A", "--no-check", "-"], {
    input: `
      import { openEngine } from "${lib("engines/mod.ts")}";
      import { add, constant, useEngine } from "${lib("tensor/mod.ts")}";
      await navigator.gpu?.requestAdapter();
      const told = await openEngine("tfjs-node").catch((error) => error);
      if (told instanceof Error) console.log(told.message);
      else { useEngine(told); console.log(...await add(constant([1]), 1).data()); }
      Deno.exit(0);`,
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^2$|open tfjs-node before tfjs-webgpu/m);
});

/** A program with views, sums by row and random bits. */
const graph = trace((x, i, key) => {
  const y = transpose(reshape(x as Tensor, [4, 6]));
  return [reduceSum(y), scatterAdd(i as Tensor, y, 3), randomBits(key as Tensor, [5])];
}, [
  { dtype: "float32", shape: [2, 12] },
  { dtype: "int32", shape: [6] },
  { dtype: "uint32", shape: [2] },
]);

for (
  const [how, compile] of [["operation by operation", compileStock], [
    "as one function",
    compileFunction,
  ]] as const
) {
  Deno.test({
    name: `programs that run ${how} leave no memory behind on tfjs-node${nodeNote}`,
    ignore: !nodeHere,
  }, async () => {
    const opened = await openBackend("node");
    if (how === "as one function" && opened.functions === undefined) return; // a stock package takes none
    const program = await compile(opened, graph, { donate: [] });
    const inputs = [
      upload(opened, new Float32Array(24).fill(1), { dtype: "float32", shape: [2, 12] }),
      upload(opened, Int32Array.of(0, 1, 2, 3, -1, 0), { dtype: "int32", shape: [6] }),
      upload(opened, Uint32Array.of(1, 2), { dtype: "uint32", shape: [2] }),
    ];
    const once = async (): Promise<number> => {
      for (const output of await program?.run(inputs) ?? []) {
        opened.backend.disposeData((output as TfjsBuffer).info.dataId);
      }
      return opened.backend.numDataIds();
    };
    const held = await once();
    for (let i = 0; i < 5; i++) assert.equal(await once(), held);
    program?.dispose();
    // A GPU's memory is taken as it is needed.
    assert.equal(process.env["TF_FORCE_GPU_ALLOW_GROWTH"], "true");
  });
}

Deno.test({
  name:
    `operation by operation, as on a stock package, tfjs-node gives the numbers of whole functions${nodeNote}`,
  ignore: !nodeHere,
}, async () => {
  const opened = await openBackend("node");
  const whole = await tfjsEngine({ backend: "node" });
  const stepwise: Engine = {
    ...whole,
    compile: (each, options) => compileStock(opened, each, options),
    upload: (values, type) => Promise.resolve(upload(opened, values, type)),
    download: (buffer) => download(opened, buffer),
    release: (buffer) => void opened.backend.disposeData((buffer as TfjsBuffer).info.dataId),
  };
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomGraph(seed);
    assertAgree(await runOn(stepwise, random), await runOn(whole, random), `graph ${seed}`);
  }
});

Deno.test({
  name:
    `a step that XLA compiles inside tfjs-node frees what was donated, and names the node that fails${nodeNote}`,
  ignore: !nodeHere,
}, async () => {
  const opened = await openBackend("node");
  if (opened.functions === undefined) return; // a stock package runs operation by operation
  const type = { dtype: "float32", shape: [3] } as const;
  const program = await compileFunction(opened, trace((x) => [mul(x as Tensor, 2)], [type]), { donate: [0] });
  const before = opened.backend.numDataIds();
  let buffers: readonly Buffer[] = [upload(opened, Float32Array.of(1, 2, 3), type)];
  for (let i = 0; i < 3; i++) buffers = await program?.run(buffers) ?? [];
  assert.equal(opened.backend.numDataIds(), before + 1);
  assert.deepEqual([...await download(opened, buffers[0] as Buffer)], [8, 16, 24]);
  const wrong = upload(opened, Float32Array.of(1, 2), { dtype: "float32", shape: [2] });
  const plain = await compileFunction(opened, trace((x) => [add(x as Tensor, constant([1, 2, 3]))], [type]), {
    donate: [],
  });
  await assert.rejects(
    async () => await plain?.run([wrong]),
    /^Error: Cannot compute add on tfjs-node: Incompatible shapes: \[2\] vs\. \[3\], at add_\d+\/AddV2_\d+$/,
  );
});
