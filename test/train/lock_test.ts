// The lock of a folder that is trained into. It needs no engine: disk_test.ts tries it with two trainers.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { lockFolder } from "../../lib/train/lock.ts";

async function inScratch(test: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

Deno.test("lockFolder() lets exactly one of ten in who find the same dead lock", async () => {
  await inScratch(async (folder) => {
    writeFileSync(join(folder, "train.lock"), `999999999 ${hostname()} 5\n`);
    // Whoever is in stays until all have asked: the end of the input says so.
    const script = `
      import { lockFolder } from ${JSON.stringify(new URL("../../lib/train/lock.ts", import.meta.url).href)};
      try {
        lockFolder(Deno.args[0]);
        console.log("in");
      } catch (error) {
        console.log(error.message);
      }
      for await (const _ of Deno.stdin.readable);`;
    const file = join(folder, "take.ts");
    writeFileSync(file, script);
    const children = Array.from(
      { length: 10 },
      () => spawn(Deno.execPath(), ["run", "-A", "--no-check", file, folder], { stdio: "pipe" }),
    );
    const firstWords = ({ stdout }: (typeof children)[number]): Promise<unknown[]> =>
      Promise.race([once(stdout, "data"), once(stdout, "end")]);
    const said = await Promise.all(children.map(async (child) => String(await firstWords(child))));
    const ended = children.map((child) => once(child, "close"));
    children.forEach(({ stdin }) => stdin.end());
    await Promise.all(ended);
    assert.equal(said.filter((line) => line.trim() === "in").length, 1, said.join("\n"));
    assert.equal(said.filter((line) => /is training there/.test(line)).length, 9, said.join("\n"));
  });
});

Deno.test({
  name: "lockFolder() takes over a lock whose number is another program's by now",
  ignore: !existsSync("/proc/1/stat"),
  fn: () =>
    inScratch((folder) => {
      writeFileSync(join(folder, "train.lock"), `1 ${hostname()} 123456789\n`); // process 1 began at another time
      const unlock = lockFolder(folder);
      unlock();
    }),
});
