// The reference library reads what we write and writes the same bytes, where it is installed (ALBERT_HF_PYTHON).
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SafetensorsTensor, writeSafetensors } from "../../lib/formats/mod.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("safetensors");

Deno.test({
  name: "writeSafetensors() gives the bytes that the reference library writes, for every type it shares",
  ignore: python === undefined,
  fn: () => {
    const tensors: Record<string, SafetensorsTensor> = {
      "b.weight": { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, -0) },
      a: { dtype: "F32", shape: [], data: Float32Array.of(NaN) },
      ids: { dtype: "I64", shape: [2], data: BigInt64Array.of(-1n, 2n ** 40n) },
      wide: { dtype: "F64", shape: [1], data: Float64Array.of(Math.PI) },
      half: { dtype: "F16", shape: [2], data: Uint16Array.of(0x3c00, 0x0001) },
      brain: { dtype: "BF16", shape: [1], data: Uint16Array.of(0x3f80) },
      int: { dtype: "I32", shape: [1, 1, 1], data: Int32Array.of(-7) },
      short: { dtype: "I16", shape: [1], data: Int16Array.of(-7) },
      byte: { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 255) },
      signed: { dtype: "I8", shape: [1], data: Int8Array.of(-1) },
      flag: { dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) },
      empty: { dtype: "F32", shape: [0, 4], data: new Float32Array(0) },
      "ä/▁x": { dtype: "F32", shape: [1], data: Float32Array.of(1) },
    };
    const folder = mkdtempSync(join(tmpdir(), "albert-st-"));
    try {
      const [from, to] = [join(folder, "from.safetensors"), join(folder, "to.safetensors")];
      for (const metadata of [{ format: "pt" }, {}] as Record<string, string>[]) {
        const bytes = writeSafetensors(tensors, { metadata });
        writeFileSync(from, bytes);
        const names = runPython(python ?? "", "safetensors_copy.py", [from, to]).trim().split(" ");
        assert.equal(names.length, Object.keys(tensors).length);
        assert.deepEqual(new Uint8Array(readFileSync(to)), bytes);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
