/** Plugin files: what is refused before anything loads it, what was damaged, where a path leads. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { findPlugin, openEngine, testPlugin, xlaEngine } from "albert-guide";
import { pluginPackages } from "../../lib/engines/xla/packages.ts";
import { checkLibrary, hasDevice, installedPath, pluginKind } from "../../lib/engines/xla/plugin.ts";
import { pluginSum } from "../../lib/engines/xla/plugin_sum.ts";
import { startSession } from "../../lib/engines/xla/session.ts";
import { inFolder } from "../folder.ts";
import { bytes, sha256, withEnvironment } from "./plugin_places.ts";

/** The head of an ELF file. */
function elf(
  { machine, type = 3, sections = 0 }: { machine: number; type?: number; sections?: number },
): Uint8Array {
  const view = new DataView(new ArrayBuffer(200));
  view.setUint32(0, 0x7f454c46, false);
  view.setUint8(4, 2);
  view.setUint8(5, 1);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  view.setBigUint64(40, 64n, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, sections, true);
  return new Uint8Array(view.buffer);
}

const own = process.arch === "arm64" ? 0xb7 : 0x3e;

Deno.test("checkLibrary() refuses what is missing, no library, cut off or for another processor", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "plugin.so");
    const refused = (content: Uint8Array | string, reason: RegExp): void => {
      writeFileSync(path, content);
      assert.throws(() => checkLibrary(path), reason);
    };
    assert.throws(() => checkLibrary(join(folder, "none.so")), /there is no such file/);
    assert.throws(() => checkLibrary(folder), /it is no file/);
    const pipe = join(folder, "pipe.so");
    if (spawnSync("mkfifo", [pipe]).status === 0) {
      const text = join(folder, "text.ts");
      const file = JSON.stringify(new URL("../../lib/engines/xla/plugin.ts", import.meta.url).href);
      writeFileSync(text, `import { checkLibrary } from ${file};\ncheckLibrary(${JSON.stringify(pipe)});\n`);
      // In a process of its own: what opens a named pipe waits, and no timer of this process would end that.
      const { stderr } = spawnSync(process.execPath, ["run", "-A", "--no-check", text], { timeout: 20000 });
      assert.match(String(stderr), /pipe\.so: it is no file/);
    }
    refused("", /no 64-bit ELF shared library/);
    refused("#!/bin/sh\n", /no 64-bit ELF shared library/);
    refused(elf({ machine: own, type: 2 }), /no 64-bit ELF shared library/);
    refused(elf({ machine: 0x28 }), /for another processor \(ELF machine 40\)/);
    refused(elf({ machine: own, sections: 9 }), /cut off: it has 200 of 640 bytes/);
    writeFileSync(path, elf({ machine: own }));
    checkLibrary(path);
    await assert.rejects(xlaEngine({ plugin: join(folder, "none.so") }), /there is no such file/);
    await assert.rejects(xlaEngine({ plugin: path, threads: 0 }), RangeError);
    const { works, reason } = await testPlugin(path);
    assert.ok(!works && reason.includes("Cannot load the plugin"), reason);
    await assert.rejects(openEngine("auto", { plugin: path }), /Cannot load the plugin/);
  });
});

Deno.test("testPlugin() tells an installed file that was damaged later, however it fails", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "plugin.so");
    writeFileSync(path, elf({ machine: own }));
    const note = (sha: string): void =>
      writeFileSync(`${path}.json`, JSON.stringify({ sha256: sha, bytes: 200 }));
    note(sha256(elf({ machine: own })));
    assert.doesNotMatch((await testPlugin(path)).reason, /damaged/);
    note("0".repeat(64));
    const told = /plugin\.so is damaged: install it again with --install=xla-cpu/;
    assert.match((await testPlugin(path)).reason, told);
    const { opened, close } = startSession({
      ...{ plugin: path, threads: 1, devices: 1, cache: "", cacheBytes: 0, openSeconds: 1e-3 },
    });
    await assert.rejects(opened, (error: Error) => {
      assert.match(error.message, /the plugin did not open within 0\.001 s and was given up/);
      assert.match(error.message, told);
      return true;
    });
    await close();
  });
});

Deno.test("pluginSum() believes the note of a file that was not written since", async () => {
  await inFolder((folder) => {
    const path = join(folder, "plugin.so");
    writeFileSync(path, "plugin");
    writeFileSync(`${path}.json`, JSON.stringify({ sha256: "noted", bytes: 6 }));
    const at = (file: string, seconds: number): void => utimesSync(file, seconds, seconds);
    at(path, 1000);
    at(`${path}.json`, 1001);
    assert.equal(pluginSum(path), "noted");
    at(path, 1002);
    assert.equal(pluginSum(path), sha256(bytes("plugin")));
  });
});

Deno.test("xlaEngine() refuses more threads than can work, and takes a plugin by its name alone", async () => {
  await inFolder(async (folder) => {
    writeFileSync(join(folder, "plugin.so"), elf({ machine: own }));
    const before = process.cwd();
    process.chdir(folder);
    try {
      await assert.rejects(
        xlaEngine({ plugin: "plugin.so", threads: 50_000 }),
        /threads must be a whole number from 1 to 1024, it is 50000/,
      );
      // The loader looks for a name without a slash elsewhere: it must be given the whole path.
      assert.match((await testPlugin("plugin.so")).reason, /Cannot load the plugin \/.*\/plugin\.so/);
      await withEnvironment({ ALBERT_PJRT_PLUGIN: "plugin.so" }, async () => {
        assert.equal(await Promise.resolve(findPlugin()), join(process.cwd(), "plugin.so"));
      });
    } finally {
      process.chdir(before);
    }
  });
});

const libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"].find(
  existsSync,
);

Deno.test(
  { name: "testPlugin() says that a shared library is no plugin", ignore: libc === undefined },
  async () => {
    const { works, reason } = await testPlugin(libc ?? "");
    assert.ok(!works);
    assert.match(reason, /Cannot load the plugin .*libc\.so\.6: .*GetPjrtApi/s);
  },
);

Deno.test({
  name: "checkLibrary() does not let libtpu look for a TPU for minutes",
  ignore: hasDevice("xla-tpu"),
}, async () => {
  await inFolder((folder) => {
    const path = join(folder, "libtpu.so");
    writeFileSync(path, elf({ machine: own }));
    assert.throws(() => checkLibrary(path), /shows no TPU \(\/dev\/accel0, \/dev\/vfio\/0\)/);
  });
});

Deno.test("pluginKind() tells a plugin's device from where it lies, and openEngine() minds it", async () => {
  const kinds = pluginPackages.map((each) => [each.plugin, pluginKind(installedPath(each))]);
  for (const [wanted, found] of kinds) assert.equal(found, wanted);
  assert.equal(pluginKind("/opt/x/xla_cuda_plugin.so"), "xla-cuda");
  assert.equal(pluginKind("/home/cuda/py/plugins/pjrt_c_api_cpu_plugin.so"), "xla-cpu");
  await assert.rejects(openEngine("xla-cpu", { plugin: "/x/xla_cuda_plugin.so" }), /is one for xla-cuda/);
});
