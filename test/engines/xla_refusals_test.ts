/**
 * What would crash a plugin, or make it compute nonsense in silence, must be refused by this library, and the process must
 * live on: the list of crashes in the notes on the PJRT C API, one test each.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import process from "node:process";
import {
  add,
  compile,
  deviceArray,
  matmul,
  mul,
  reduceSum,
  scan,
  trace,
  xlaEngine,
  XlaError,
} from "albert-guide";
import type { Engine, Tensor, TensorType } from "albert-guide";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { findPlugin } from "../../lib/engines/xla/plugin.ts";
import { startSession } from "../../lib/engines/xla/session.ts";
import type { Session } from "../../lib/engines/xla/session.ts";
import { node } from "../../lib/tensor/graph.ts";
import { xlaHere, xlaNote } from "./xla.ts";

const ignore = !xlaHere;
const plugin = findPlugin() ?? "";
const vector: TensorType = { dtype: "float32", shape: [4] };

/** Runs a test on its own engine, and asks afterwards whether the process that started it still computes. */
function guarded(name: string, fn: (engine: Engine) => Promise<void>): void {
  Deno.test({ name: `xla ${name}${xlaNote}`, ignore }, async () => {
    const engine = xlaEngineOn({ plugin });
    try {
      const { pid } = await engine.status();
      await fn(engine);
      assert.equal((await engine.status()).pid, pid, "the process was replaced");
    } finally {
      await engine.dispose();
    }
  });
}

const square = (engine: Engine, donate: "x"[] = []) =>
  compile(({ x }) => ({ y: mul(x, x) }), { x: vector }, { engine, donate });

guarded("refuses an argument of equal size and another type", async (engine) => {
  const program = await engine.compile(trace((x) => [mul(x as Tensor, 2)], [vector]), { donate: [] });
  const ints = await engine.upload(Int32Array.of(1, 2, 3, 4), { dtype: "int32", shape: [4] });
  await assert.rejects(program.run([ints]), /argument 0 must be float32 \[4\], it is int32 \[4\]/);
});

guarded("refuses an argument of equal size and another shape", async (engine) => {
  const program = await engine.compile(trace((x) => [mul(x as Tensor, 2)], [vector]), { donate: [] });
  const square = await engine.upload(Float32Array.of(1, 2, 3, 4), { dtype: "float32", shape: [2, 2] });
  await assert.rejects(program.run([square]), /must be float32 \[4\], it is float32 \[2, 2\]/);
});

guarded("refuses a wrong number of arguments", async (engine) => {
  const program = await engine.compile(trace((x) => [mul(x as Tensor, 2)], [vector]), { donate: [] });
  await assert.rejects(program.run([]), /takes 1 arguments, 0 are given/);
});

guarded("refuses a value that was released or donated, twice too", async (engine) => {
  const program = await engine.compile(trace((x) => [mul(x as Tensor, 2)], [vector]), { donate: [0] });
  const x = await engine.upload(Float32Array.of(1, 2, 3, 4), vector);
  const [y] = await program.run([x]);
  await assert.rejects(program.run([x]), /it was donated to a program/);
  await assert.rejects(engine.download(x), /it was donated to a program/);
  engine.release(x);
  engine.release(x);
  assert.ok(y !== undefined);
  engine.release(y);
  engine.release(y);
  await assert.rejects(engine.download(y), /it was released/);
});

guarded("refuses one value as donated and as another argument", async (engine) => {
  const program = await engine.compile(
    trace((x, y) => [add(x as Tensor, y as Tensor)], [vector, vector]),
    { donate: [0] },
  );
  const x = await engine.upload(Float32Array.of(1, 2, 3, 4), vector);
  await assert.rejects(program.run([x, x]), /arguments 0 and 1 are one value, and it is donated/);
  assert.deepEqual(Array.from(await engine.download(x)), [1, 2, 3, 4]);
});

guarded("refuses values of another engine", async (engine) => {
  const other = xlaEngineOn({ plugin });
  const x = await other.upload(Float32Array.of(1, 2, 3, 4), vector);
  await other.download(x);
  const program = await engine.compile(trace((x) => [mul(x as Tensor, 2)], [vector]), { donate: [] });
  await assert.rejects(program.run([x]), /belongs to another engine/);
  await assert.rejects(program.run([{ ...vector }]), /belongs to another engine/);
  await other.dispose();
});

guarded("refuses values that do not fill their shape", async (engine) => {
  await assert.rejects(engine.upload(Float32Array.of(1), vector), /Cannot upload float32 \[4\]: 1 values/);
});

guarded("refuses types that no device has, and shapes that are none", async (engine) => {
  for (
    const type of [
      { dtype: "float64", shape: [4] },
      { dtype: "toString", shape: [4] },
      { dtype: "float32", shape: [-4] },
      { dtype: "float32", shape: [NaN] },
      { dtype: "float32", shape: [0.5, 8] },
      { dtype: "float32", shape: [2 ** 53, 2 ** 53] },
    ] as unknown as TensorType[]
  ) {
    await assert.rejects(
      engine.upload(new Float32Array(4), type),
      (error) =>
        (error instanceof TypeError || error instanceof RangeError) && /Cannot upload/.test(error.message),
    );
  }
});

guarded("refuses to free values of another engine", async (engine) => {
  assert.throws(
    () => engine.release({ ...vector }),
    /Cannot release float32 \[4\]: it belongs to another engine/,
  );
  await Promise.resolve();
});

guarded("runs a program while its arguments are freed and it is disposed", async (engine) => {
  const program = await engine.compile(trace((x) => [mul(x as Tensor, 2)], [vector]), { donate: [] });
  const x = await engine.upload(Float32Array.of(1, 2, 3, 4), vector);
  const running = program.run([x]);
  const late = program.run([x]);
  engine.release(x);
  program.dispose();
  const values = async (run: typeof running): Promise<unknown> => {
    try {
      const [y] = await run;
      return Array.from(await engine.download(y as NonNullable<typeof y>));
    } catch (error) {
      return (error as Error).message;
    }
  };
  // Either it was sent before the release, or it is refused; nothing dead reaches the plugin.
  for (const run of [running, late]) {
    assert.match(String(await values(run)), /^2,4,6,8$|it was released|it was disposed/);
  }
});

guarded("refuses a program that was disposed", async (engine) => {
  const program = await square(engine);
  program.dispose();
  program.dispose();
  await assert.rejects(program.run({ x: new Float32Array(4) }), /it was disposed/);
});

guarded("refuses a program that needs more memory than there is, before the first run", async (engine) => {
  const big: TensorType = { dtype: "float32", shape: [Math.ceil(totalmem() / 2 ** 13), 2 ** 12] };
  await assert.rejects(
    compile(({ x }) => ({ y: mul(x, 2) }), { x: big }, { engine }),
    (error) =>
      error instanceof XlaError && error.code === "RESOURCE_EXHAUSTED" &&
      /it needs at least .* GiB .* are free.*largest values: .*mul float32.*smaller model/.test(
        error.message,
      ),
  );
});

guarded(
  "quotes the line of a program that XLA refuses, and the operation that it was written for",
  async (engine) => {
    // Operations of the library never make such a node: its shape is not that of its operands.
    const lie = (w: Tensor): Tensor => node("tanh", [matmul(w, w)], {}, { dtype: "float32", shape: [3, 3] });
    const specs = { w: { dtype: "float32", shape: [4, 4] } } as const;
    const wanted =
      /-:\d+:\d+: error[\s\S]*\n%v\d+ = stablehlo\.tanh .*\nwritten for tanh float32 \[3, 3\] of w, made from float32 \[4, 4\]$/;
    const refused = (fn: (w: Tensor) => Tensor) =>
      assert.rejects(
        compile(({ w }) => ({ y: fn(w) }), specs, { engine }),
        (error) => error instanceof XlaError && wanted.test(error.message),
      );
    await refused(lie);
    await refused((w) =>
      scan(([h]) => ({ carries: [add(h as Tensor, reduceSum(lie(w)))] }), { carries: [w], length: 100 })
        .carries[0] as Tensor
    );
  },
);

Deno.test({ name: `xla refuses everything after dispose() and starts anew${xlaNote}`, ignore }, async () => {
  const engine = await xlaEngine();
  const x = await deviceArray(Float32Array.of(1, 2, 3, 4), { engine });
  const program = await square(engine);
  await engine.dispose();
  await assert.rejects(x.data(), /the engine was disposed/);
  const { y } = await program.run({ x: Float32Array.of(1, 2, 3, 4) });
  assert.deepEqual(Array.from(await y.data()), [1, 4, 9, 16]);
  await engine.dispose();
});

Deno.test(
  { name: `xla ignores XLA_FLAGS, of which an unknown one would abort${xlaNote}`, ignore },
  async () => {
    process.env["XLA_FLAGS"] = "--no_such_flag=1";
    try {
      const engine = xlaEngineOn({ plugin, programCache: false });
      const { y } = await (await square(engine)).run({ x: Float32Array.of(1, 2, 3, 4) });
      assert.deepEqual(Array.from(await y.data()), [1, 4, 9, 16]);
      await engine.dispose();
    } finally {
      delete process.env["XLA_FLAGS"];
    }
  },
);

/** Speaks with the process itself, below the engine's checks: the second line of defence. */
function raw(name: string, fn: (session: Session) => Promise<void>): void {
  Deno.test({ name: `the XLA process ${name}${xlaNote}`, ignore }, async () => {
    const session = startSession({ plugin, threads: 1, devices: 1, cache: "", cacheBytes: 0 });
    try {
      await session.opened;
      await fn(session);
      const { message } = await session.ask({ kind: "status" });
      assert.equal(message.kind, "status");
    } finally {
      await session.close();
    }
  });
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const compileText = (
  session: Session,
  text: string,
  outputs: readonly TensorType[] = [vector],
): Promise<unknown> =>
  session.ask(
    { kind: "compile", program: 1, signature: { inputs: [vector], outputs, donated: [] }, absent: "compile" },
    encode(text),
  );
const identity =
  "func.func @main(%arg0: tensor<4xf32>) -> (tensor<4xf32>) {\nreturn %arg0 : tensor<4xf32>\n}\n";

raw("reports a program that does not parse with its line", async (session) => {
  await assert.rejects(
    compileText(session, "func.func @main() -> (tensor<f32>) {\n%0 = stablehlo.nonsense : tensor<f32>\n}"),
    (error) => error instanceof XlaError && /:2:\d+: error[\s\S]*%0 = stablehlo.nonsense/.test(error.message),
  );
  await assert.rejects(compileText(session, ""), XlaError);
});

raw("refuses a program that gives other types than announced", async (session) => {
  await assert.rejects(
    compileText(session, identity, [{ dtype: "int32", shape: [4] }]),
    /wanted is \[int32 \[4\]\]/,
  );
  await assert.rejects(compileText(session, identity, []), /Cannot use the program: it gives/);
});

raw("refuses unknown values and programs", async (session) => {
  await assert.rejects(session.ask({ kind: "download", buffer: 99, device: 0 }), /value 99: it is freed/);
  await assert.rejects(session.ask({ kind: "run", program: 99, inputs: [], outputs: [5] }), /program 99/);
  await assert.rejects(session.ask({ kind: "download", buffer: 5, device: 0 }), /program 99/);
  session.tell({ kind: "release", buffers: [5, 6, 6], programs: [4, 4] });
});

raw("refuses values of a wrong size", async (session) => {
  session.tell({ kind: "upload", buffer: 3, type: vector, split: false }, Uint8Array.of(1, 2, 3));
  await assert.rejects(
    session.ask({ kind: "download", buffer: 3, device: 0 }),
    /it has 16 bytes, 3 are given/,
  );
});

raw("refuses wrong arguments of a program", async (session) => {
  await compileText(session, identity);
  session.tell(
    { kind: "upload", buffer: 3, type: { dtype: "int32", shape: [4] }, split: false },
    new Uint8Array(16),
  );
  const run = (inputs: readonly number[]): Promise<unknown> =>
    session.ask({ kind: "run", program: 1, inputs, outputs: [7] });
  await assert.rejects(run([3]), /argument 0 must be float32 \[4\], it is int32 \[4\]/);
  await assert.rejects(run([]), /takes 1 arguments, 0 are given/);
});

raw("refuses types that no device has", async (session) => {
  const type = { dtype: "float64", shape: [4] } as unknown as TensorType;
  session.tell({ kind: "upload", buffer: 3, type, split: false }, new Uint8Array(32));
  await assert.rejects(session.ask({ kind: "download", buffer: 3, device: 0 }));
  session.tell(
    { kind: "upload", buffer: 4, type: { dtype: "float32", shape: [-4] }, split: false },
    new Uint8Array(16),
  );
  await assert.rejects(session.ask({ kind: "download", buffer: 4, device: 0 }));
});

raw("refuses devices that are not there, and a second client", async (session) => {
  session.tell({ kind: "upload", buffer: 3, type: vector, split: false }, new Uint8Array(16));
  for (const device of [1, -1, 0.5]) {
    await assert.rejects(session.ask({ kind: "download", buffer: 3, device }), /there is no device/);
  }
  const again = { kind: "open", plugin, devices: 1, cache: "", cacheBytes: 0, parent: process.pid } as const;
  await assert.rejects(session.ask(again as Parameters<Session["ask"]>[0]), /has one already/);
});

raw("reports unknown calls and values that no memory holds", async (session) => {
  await assert.rejects(
    compileText(
      session,
      "func.func @main(%arg0: tensor<4xf32>) -> (tensor<4xf32>) {\n" +
        "%0 = stablehlo.custom_call @nobody(%arg0) : (tensor<4xf32>) -> tensor<4xf32>\n" +
        "return %0 : tensor<4xf32>\n}\n",
    ).then(async () => {
      session.tell({ kind: "upload", buffer: 3, type: vector, split: false }, new Uint8Array(16));
      return await session.ask({ kind: "run", program: 1, inputs: [3], outputs: [7] });
    }),
    (error) => error instanceof XlaError && /nobody/.test(error.message),
  );
  const huge: TensorType = { dtype: "float32", shape: [300_000_000_000] };
  const text = "func.func @main(%arg0: tensor<4xf32>) -> (tensor<300000000000xf32>) {\n" +
    "%0 = stablehlo.iota dim = 0 : tensor<300000000000xf32>\nreturn %0 : tensor<300000000000xf32>\n}\n";
  await compileText(session, text, [huge]);
  session.tell({ kind: "upload", buffer: 3, type: vector, split: false }, new Uint8Array(16));
  await assert.rejects(
    session.ask({ kind: "run", program: 1, inputs: [3], outputs: [8] }),
    (error) => error instanceof XlaError && error.code === "RESOURCE_EXHAUSTED",
  );
  await assert.rejects(session.ask({ kind: "download", buffer: 8, device: 0 }), XlaError);
});

raw("reports a value that a program has taken, whoever knew of it", async (session) => {
  // The text donates, the signature does not say so: the plugin alone knows.
  await compileText(
    session,
    "func.func @main(%arg0: tensor<4xf32> {tf.aliasing_output = 0 : i32}) -> (tensor<4xf32>) {\n" +
      "%0 = stablehlo.add %arg0, %arg0 : tensor<4xf32>\nreturn %0 : tensor<4xf32>\n}\n",
  );
  session.tell({ kind: "upload", buffer: 3, type: vector, split: false }, new Uint8Array(16));
  const run = (outputs: readonly number[]): Promise<unknown> =>
    session.ask({ kind: "run", program: 1, inputs: [3], outputs });
  await run([7]);
  await assert.rejects(run([9]), /deleted or donated/);
  await assert.rejects(session.ask({ kind: "download", buffer: 3, device: 0 }), XlaError);
  session.tell({ kind: "release", buffers: [3, 3, 7, 7], programs: [1, 1] });
});

raw("refuses a wrong number of results", async (session) => {
  await compileText(session, identity);
  session.tell({ kind: "upload", buffer: 3, type: vector, split: false }, new Uint8Array(16));
  for (const outputs of [[], [7, 8]]) {
    await assert.rejects(
      session.ask({ kind: "run", program: 1, inputs: [3], outputs }),
      /it gives 1 values, names for/,
    );
  }
  await assert.rejects(session.ask({ kind: "download", buffer: 8, device: 0 }), /names for 2/);
  session.tell({ kind: "release", buffers: [7, 8], programs: [] });
});

Deno.test("what calls the PJRT C API needs nothing of the rest of the library but types", () => {
  const folder = new URL("../../lib/engines/xla/", import.meta.url);
  for (
    const name of ["ffi", "pjrt_api", "pjrt_client", "pjrt_layout", "messages", "worker", "program_cache"]
  ) {
    const source = readFileSync(new URL(`${name}.ts`, folder), "utf8");
    const outside = source.split("\n").filter((line) =>
      /from "\.\.\//.test(line) && !line.startsWith("import type")
    );
    assert.deepEqual(outside, [], name);
  }
});
