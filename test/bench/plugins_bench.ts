// Every known CPU plugin through the same suite: each is installed if need be, then the tests of the engines run on it.
import { spawn } from "node:child_process";
import process from "node:process";
import { installFrom } from "../../lib/engines/xla/install.ts";
import { packagesHere } from "../../lib/engines/xla/packages.ts";
import { testPlugin } from "../../lib/mod.ts";
import { countsIn } from "../run.ts";

function runSuite(
  plugin: string,
  files: string,
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = spawn(Deno.execPath(), ["test", "-A", ...files.split(",")], {
      env: { ...process.env, ALBERT_PJRT_PLUGIN: plugin, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const take = (chunk: Uint8Array): void => void (output += new TextDecoder().decode(chunk));
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** `--tests=a,b` takes other tests than all of test/engines; `--plugin=name` one package. */
export async function* pluginsBench(
  { tests = "test/engines", plugin = "" }: { readonly [flag: string]: string },
): AsyncGenerator<string> {
  const known = packagesHere("xla-cpu", process).filter(({ name }) => plugin === "" || name === plugin);
  if (known.length === 0) yield `skipped: no plugin is known for ${process.platform} on ${process.arch}`;
  for (const each of known) {
    const title = `${each.name} ${each.version}`.padEnd(36);
    try {
      const path = await installFrom("xla-cpu", [each], { python: "python3", verify: testPlugin });
      const { code, output } = await runSuite(path, tests);
      const counts = countsIn(output);
      yield counts === undefined
        ? `${title} the suite ended with ${code}`
        : `${title} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
      for (const [, name] of output.matchAll(/^(.+) \.\.\. FAILED/gm)) yield `  FAILED ${name}`;
    } catch (error) {
      yield `${title} ${(error as Error).message}`;
    }
  }
}
