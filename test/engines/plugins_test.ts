/** Plugins: fetching, unpacking, finding, and refusing what is none. No test fetches: pip is a script of the test's own. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { deflateRawSync } from "node:zlib";
import {
  CorruptFileError,
  ensurePlugin,
  findPlugin,
  installPlugin,
  openEngine,
  xlaEngine,
} from "albert-guide";
import { clientAttempts, namedValues } from "../../lib/engines/xla/client_options.ts";
import type { Ffi } from "../../lib/engines/xla/ffi.ts";
import { installFrom, unpackPlugin } from "../../lib/engines/xla/install.ts";
import { packagesHere, pluginPackages } from "../../lib/engines/xla/packages.ts";
import type { PluginPackage } from "../../lib/engines/xla/packages.ts";
import { layouts } from "../../lib/engines/xla/pjrt_layout.ts";
import { installedPath } from "../../lib/engines/xla/plugin.ts";
import { extractAll, extractMember } from "../../lib/engines/xla/wheel.ts";
import { inFolder } from "../folder.ts";
import { bytes, sha256, withEnvironment } from "./plugin_places.ts";

function fields(length: number, values: readonly (readonly [number, number, 2 | 4])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(length));
  for (const [at, value, size] of values) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  return new Uint8Array(view.buffer);
}

/** A zip: members of an even length are deflated, others stored; all may be executed. */
function zipOf(members: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const parts: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(members)) {
    const deflate = content.length % 2 === 0;
    const [title, packed] = [bytes(name), deflate ? deflateRawSync(content) : content];
    const local = [fields(30, [[0, 0x04034b50, 4], [26, title.length, 2]]), title, packed];
    entries.push(
      fields(46, [
        [0, 0x02014b50, 4],
        [10, deflate ? 8 : 0, 2],
        [20, packed.length, 4],
        [24, content.length, 4],
        [28, title.length, 2],
        [38, 0o100755 * 65536, 4],
        [42, at, 4],
      ]),
      title,
    );
    parts.push(...local);
    at += local.reduce((sum, part) => sum + part.length, 0);
  }
  const directory = Buffer.concat(entries);
  const end = fields(22, [[0, 0x06054b50, 4], [12, directory.length, 4], [16, at, 4]]);
  return Buffer.concat([...parts, directory, end]);
}

Deno.test("extractMember() unpacks one member and names what is damaged", async () => {
  await inFolder(async (folder) => {
    const content = Uint8Array.from({ length: 30_000 }, (_, i) => i * i);
    const [wheel, target] = [join(folder, "a.whl"), join(folder, "out")];
    const zip = zipOf({ "a/plugin.so": content, "a/odd": content.subarray(1) });
    writeFileSync(wheel, zip);
    assert.equal(await extractMember(wheel, "a/plugin.so", target), sha256(content));
    assert.deepEqual(new Uint8Array(readFileSync(target)), content);
    assert.equal(await extractMember(wheel, "a/odd", target), sha256(content.subarray(1)));
    await assert.rejects(extractMember(wheel, "b.so", target), /it has no b\.so/);
    for (const cut of [10, zip.length - 30, zip.length - 5]) {
      writeFileSync(wheel, zip.subarray(0, cut));
      await assert.rejects(extractMember(wheel, "a/plugin.so", target), CorruptFileError);
    }
  });
});

Deno.test("extractAll() keeps paths and permissions, and refuses names that lead out", async () => {
  await inFolder(async (folder) => {
    const wheel = join(folder, "a.whl");
    const place = join(folder, "place");
    writeFileSync(
      wheel,
      zipOf({ "n/bin/ptxas": bytes("go"), "n/include/a.h": bytes("x"), "n/empty": bytes("") }),
    );
    await extractAll(wheel, place, (name) => !name.includes("/include/"));
    assert.deepEqual(readdirSync(join(place, "n")).sort(), ["bin", "empty"]);
    assert.equal(readFileSync(join(place, "n/bin/ptxas"), "utf8"), "go");
    assert.equal(statSync(join(place, "n/bin/ptxas")).mode & 0o100, 0o100);
    for (const name of ["../a", "/a", "n/../../a", "n\\a"]) {
      writeFileSync(wheel, zipOf({ [name]: bytes("ab") }));
      await assert.rejects(extractAll(wheel, place, () => true), /leads out of the folder/);
    }
  });
});

Deno.test("packages are pinned, at least two for Linux on x64 and one on arm64, none where there is none", () => {
  assert.ok(
    pluginPackages.every(({ wheelSha256, memberSha256, version, companions = [] }) =>
      /^[0-9a-f]{64}$/.test(wheelSha256) && /^[0-9a-f]{64}$/.test(memberSha256) && /^\d/.test(version) &&
      companions.every((each) => /^[0-9a-f]{64}$/.test(each.sha256) && /^\d/.test(each.version))
    ),
  );
  assert.ok(packagesHere("xla-cpu", { platform: "linux", arch: "x64" }).length >= 2);
  assert.ok(packagesHere("xla-cpu", { platform: "linux", arch: "arm64" }).length >= 1);
  assert.equal(packagesHere("xla-cpu", { platform: "darwin", arch: "arm64" }).length, 0);
  for (const name of ["xla-cuda", "xla-rocm", "xla-tpu"] as const) {
    assert.equal(packagesHere(name, { platform: "linux", arch: "x64" }).length, 1);
  }
});

Deno.test("installPlugin() tells why nothing can be fetched, and unpackPlugin() leaves nothing half done", async () => {
  await inFolder(async (folder) => {
    await withEnvironment({ XDG_CACHE_HOME: folder, PATH: folder, ALBERT_PJRT_PLUGIN: "" }, async () => {
      assert.equal(findPlugin("xla-cpu"), undefined);
      await assert.rejects(xlaEngine(), /no XLA plugin is installed; run .*--install=xla-cpu/);
      await assert.rejects(
        installPlugin("xla-cpu"),
        /Cannot install xla-cpu: (python3 does not start|no package)/,
      );
      const { path, note } = await ensurePlugin();
      assert.equal(path, undefined);
      assert.match(note, /^XLA is left out: .*(python3 does not start|no plugin is known)/);
      const each = pluginPackages[0] as PluginPackage;
      const wheel = join(folder, "a.whl");
      writeFileSync(wheel, zipOf({ [each.member]: Uint8Array.of(1, 2, 3) }));
      await assert.rejects(
        unpackPlugin(each, [wheel]),
        /its library has sha256 [0-9a-f]{64}, expected ad1309ac/,
      );
      assert.deepEqual(readdirSync(join(folder, "albert-guide/plugins")), []);
    });
  });
});

Deno.test("ensurePlugin() and the engines leave XLA out when ALBERT_PJRT_PLUGIN is none", async () => {
  await withEnvironment({ ALBERT_PJRT_PLUGIN: "none" }, async () => {
    assert.equal((await ensurePlugin()).path, undefined);
    assert.equal(findPlugin(), undefined);
    assert.equal((await openEngine("auto")).name, "tfjs-wasm");
    await assert.rejects(openEngine("xla-rocm"), /ALBERT_PJRT_PLUGIN is none/);
  });
});

/** A package that is not in the index's table, and its wheel. */
function madeUp(name: string, content: Uint8Array, changes: Partial<PluginPackage> = {}) {
  const member = `${name}/plugins/deep/lib.so`;
  const wheel = zipOf({ [member]: content, [`${name}/other.txt`]: bytes("no library") });
  const { platform, arch } = process;
  const each: PluginPackage = {
    plugin: "xla-cpu",
    name,
    version: "1.0",
    platform,
    arch,
    pipPlatform: "any",
    wheelSha256: sha256(wheel),
    wheelBytes: wheel.length,
    member,
    memberSha256: sha256(content),
    memberBytes: content.length,
    license: "none",
    ...changes,
  };
  return { each, wheel, file: `${name.replaceAll("-", "_")}-1.0-py3-none-any.whl` };
}

/** A "python" whose pip copies wheels from a folder: `name==1.0` of the requirements to `name-1.0-….whl`. */
function fakePython(folder: string, index: string): string {
  const path = join(folder, "python");
  const script = `#!/bin/sh
while [ $# -gt 1 ]; do
  [ "$1" = --dest ] && dest="$2"
  [ "$1" = -r ] && list="$2"
  shift
done
while read -r wish _; do
  stem=$(echo "\${wish%%==*}-\${wish##*==}" | sed 's/\\([a-z]\\)-\\([a-z]\\)/\\1_\\2/g')
  cp ${index}/$stem-*.whl "$dest" 2>/dev/null || { echo "ERROR: No matching distribution found for $wish"; exit 1; }
done < "$list"
`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

const unix = process.platform !== "win32";

Deno.test({
  name: "installFrom() takes the next package when one has vanished, is another or fails",
  ignore: !unix,
}, async () => {
  await inFolder(async (folder) => {
    await withEnvironment({ XDG_CACHE_HOME: folder }, async () => {
      const python = fakePython(folder, folder);
      const vanished = madeUp("vanished-package", bytes("gone"));
      const swapped = madeUp("swapped-package", bytes("right"), { wheelSha256: "0".repeat(64) });
      const broken = madeUp("broken-package", bytes("does not compute"));
      const good = madeUp("good-package", bytes("computes"));
      for (const { wheel, file } of [swapped, broken, good]) writeFileSync(join(folder, file), wheel);
      const stages = new Set<string>();
      const tested: string[] = [];
      const verify = (path: string) => {
        const said = readFileSync(path, "utf8");
        tested.push(said);
        return Promise.resolve({ works: said === "computes", reason: "its numbers are wrong" });
      };
      const options = {
        python,
        verify,
        onProgress: ({ stage }: { readonly stage: string }) => void stages.add(stage),
      };
      const all = [vanished, swapped, broken, good].map(({ each }) => each);
      const path = await installFrom("xla-cpu", all, options);
      assert.equal(readFileSync(path, "utf8"), "computes");
      assert.equal(path, installedPath(good.each));
      assert.deepEqual(tested, ["does not compute", "computes"]);
      assert.deepEqual([...stages], ["download", "unpack", "test"]);
      assert.deepEqual(readdirSync(join(folder, "albert-guide/plugins")), ["good-package-1.0"]);
      assert.equal(await installFrom("xla-cpu", all, { ...options, python: "none" }), path, "it is kept");
      writeFileSync(path, "c0mputes");
      assert.equal(await installFrom("xla-cpu", all, options), path);
      assert.equal(readFileSync(path, "utf8"), "computes", "a damaged one is not");
      await assert.rejects(installFrom("xla-cpu", all.slice(0, 3), options), (error: Error) => {
        assert.match(
          error.message,
          /pip cannot fetch vanished-package 1\.0: ERROR: No matching distribution/,
        );
        assert.match(error.message, /the wheel of swapped-package 1\.0 has sha256 .* expected 0000/);
        assert.match(error.message, /broken-package 1\.0 fails its test: its numbers are wrong/);
        return true;
      });
    });
  });
});

Deno.test({ name: "installFrom() lays what a plugin needs beside it", ignore: !unix }, async () => {
  await inFolder(async (folder) => {
    await withEnvironment({ XDG_CACHE_HOME: folder }, async () => {
      const tools = zipOf({ "nvidia/cu13/bin/ptxas": bytes("go"), "nvidia/cu13/include/a.h": bytes("no") });
      writeFileSync(join(folder, "nvidia_tools-1.0-py3-none-any.whl"), tools);
      const companions = [{ name: "nvidia-tools", version: "1.0", sha256: sha256(tools) }];
      const { each, wheel, file } = madeUp("jax-cuda", bytes("a plugin"), { plugin: "xla-cuda", companions });
      writeFileSync(join(folder, file), wheel);
      const verify = () => Promise.reject(new Error("a plugin for a device is not tried here"));
      const path = await installFrom("xla-cuda", [each], { python: fakePython(folder, folder), verify });
      assert.ok(path.endsWith(`/jax-cuda-1.0/${each.member}`));
      const root = join(folder, "albert-guide/plugins/jax-cuda-1.0");
      assert.ok(existsSync(join(root, "nvidia/cu13/bin/ptxas")));
      assert.ok(!existsSync(join(root, "nvidia/cu13/include")));
    });
  });
});

Deno.test(
  { name: "installFrom() gives up where nothing arrives, and when it is told to", ignore: !unix },
  async () => {
    await inFolder(async (folder) => {
      await withEnvironment({ XDG_CACHE_HOME: folder }, async () => {
        const python = join(folder, "python");
        writeFileSync(python, "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
        const { each } = madeUp("slow-package", bytes("late"));
        const verify = () => Promise.resolve({ works: true, reason: "" });
        await assert.rejects(
          installFrom("xla-cpu", [each], { python, verify, stallSeconds: 0.5 }),
          /pip cannot fetch slow-package 1\.0: nothing arrived for 0\.5 s/,
        );
        const stop = new AbortController();
        const running = installFrom("xla-cpu", [each, each], { python, verify, signal: stop.signal });
        setTimeout(() => stop.abort(), 100);
        await assert.rejects(running, /: it was told to stop$/);
      });
    });
  },
);

Deno.test("namedValues() lays options out as the C API reads them", () => {
  const known: ArrayBuffer[] = [];
  const ffi = { addressOf: (memory: ArrayBuffer) => BigInt(known.push(memory)) } as unknown as Ffi;
  const { list, count } = namedValues(ffi, {
    cpu_device_count: 2,
    asynchronous: false,
    allocator: "bfc",
    visible_devices: [0, 3],
    memory_fraction: { float: 0.5 },
  });
  assert.equal(count, 5);
  const view = new DataView(list);
  const { size, type, value, value_size, name, name_size } = layouts.NamedValue;
  const at = (address: bigint): ArrayBuffer => known[Number(address) - 1] as ArrayBuffer;
  const text = (i: number, field: number, length: number): string =>
    new TextDecoder().decode(at(view.getBigUint64(size * i + field, true)).slice(0, length));
  const number = (i: number, field: number): number => Number(view.getBigInt64(size * i + field, true));
  assert.equal(text(0, name, number(0, name_size)), "cpu_device_count");
  assert.deepEqual(Array.from({ length: 5 }, (_, i) => view.getInt32(size * i + type, true)), [
    1,
    4,
    0,
    2,
    3,
  ]);
  assert.deepEqual(Array.from({ length: 5 }, (_, i) => number(i, value_size)), [1, 1, 3, 2, 1]);
  assert.deepEqual([number(0, value), number(1, value)], [2, 0]);
  assert.equal(text(2, value, 3), "bfc");
  assert.deepEqual(
    new BigInt64Array(at(view.getBigUint64(size * 3 + value, true))),
    BigInt64Array.of(0n, 3n),
  );
  assert.equal(view.getFloat32(size * 4 + value, true), 0.5);
});

Deno.test("clientAttempts() gives accelerators their own options and ends simply", () => {
  assert.deepEqual(clientAttempts("xla-cpu", { devices: 2 })[0], {
    cpu_device_count: 2,
    asynchronous: false,
  });
  assert.deepEqual(clientAttempts("xla-tpu", { devices: 1 }), [{}]);
  const [first, , last] = clientAttempts("xla-rocm", { devices: 2 });
  assert.equal(first?.["platform_name"], "ROCM");
  assert.deepEqual(last, { visible_devices: [0, 1] });
});
