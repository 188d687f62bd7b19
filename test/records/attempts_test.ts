// Several attempts at one task at the same time, as a scheduler starts that believes a node lost: all end well, the records
// are those of one.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkManifest } from "../../lib/records/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { inFolder } from "../folder.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

const cli = fileURLToPath(new URL("../../lib/cli.ts", import.meta.url));

function attempt(args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(Deno.execPath(), ["run", "-A", "--no-check", cli, "records", ...args]);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => said += bytes);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, said })));
}

Deno.test("attempts at one task that run at once all end well, and the records are those of one", async () => {
  await inFolder(async (folder) => {
    const text = goldenPipeline().input_files["corpus.txt"] ?? "";
    writeFileSync(join(folder, "raw.txt"), `${text}\n\n${text}`);
    const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
    writeFileSync(join(folder, "tok.model"), model, "base64");
    const args = (output: string): string[] => [
      "--order=stream",
      `--input_file=${join(folder, "raw.txt")}`,
      `--spm_model_file=${join(folder, "tok.model")}`,
      `--output_file=${join(folder, output)}`,
      ...["--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=100", "--block_bytes=2000"],
      ...["--shard_index=1", "--shard_count=3"],
    ];
    const sha256 = (output: string): string =>
      createHash("sha256").update(readFileSync(join(folder, `${output}-00001-of-00003`))).digest("hex");
    assert.equal((await attempt(args("one"))).code, 0);
    const others: Promise<{ readonly code: number | null; readonly said: string }>[] = [];
    for (let i = 0; i < 4; i++) {
      others.push(attempt(args("many")));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (const { code, said } of await Promise.all(others)) assert.equal(code, 0, said);
    assert.equal(sha256("many"), sha256("one"));
    assert.deepEqual(checkManifest(join(folder, "many-00001-of-00003.manifest.json")), []);
    assert.equal(existsSync(join(folder, "many-00001-of-00003.parts")), false);
    assert.deepEqual(readdirSync(folder).filter((name) => name.includes(".tmp-")), []);
    // At a terminal no scheduler says which task this is: the merge is none.
    const index = (
      n: number,
    ): string[] => [...args("many").slice(0, -2), `--shard_index=${n}`, "--shard_count=3"];
    for (const n of [0, 2]) assert.equal((await attempt(index(n))).code, 0);
    const merge = await attempt([...args("many").slice(0, -2), "--finish", "--shard_count=3"]);
    assert.equal(merge.code, 0, merge.said);
    assert.deepEqual(checkManifest(join(folder, "many.manifest.json")), []);
  });
});
