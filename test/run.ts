// Runs the project's checks and closes with one plain line, `N passed, N failed[, N skipped]`.
//
//   deno task ok      format, lint, types, documentation examples, unit tests
//   deno task test    all of that, the package build, every notebook under both kernels, the guide from end to end
//
// A stage is a child process. A stage that is itself a test runner adds its own counts; any other counts as one.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

type Count = { readonly passed: number; readonly failed: number; readonly skipped: number };
type Stage = {
  readonly name: string;
  readonly args: readonly string[];
  readonly quick: boolean;
  readonly counts: boolean;
  /** Variables of its process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Runs only where a plugin of XLA is installed. */
  readonly xla?: boolean;
};

// Unit tests that train, kill or start kernels for more than a few seconds: not part of `ok`.
const slow = [
  ...[
    "train/learns_test.ts",
    "train/kill_test.ts",
    "train/resume_test.ts",
    "show/kernels_test.ts",
    "show/figure_test.ts",
  ],
  ...["engines/xla_runtimes_test.ts", "engines/xla_caller_test.ts", "engines/xla_devices_test.ts"],
].map((name) => `test/${name}`);
// Unit tests that change environment variables, which tests in parallel share: run one after the other.
const alone = ["registry", "plugins", "plugin_files", "xla_process"].map((name) =>
  `test/engines/${name}_test.ts`
);
const elsewhere = ["test/notebooks", "test/e2e", "test/bench", ...slow, ...alone];
const unit = ["test", "-A", "--parallel", "test", `--ignore=${elsewhere.join(",")}`];

/** The tests that open the engine which ALBERT_TEST_ENGINE names. */
function filesThatTakeAnEngine(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith("_test.ts") && readFileSync(path, "utf8").includes('from "../engine.ts"'))
    .filter((path) => !slow.includes(path)).sort();
}

/** Every stage, in the order in which a mistake is cheapest to see. */
export const stages: readonly Stage[] = [
  { name: "format", args: ["fmt", "--check", "-q"], quick: true, counts: false },
  { name: "lint", args: ["lint", "-q"], quick: true, counts: false },
  { name: "types", args: ["check", "-q", "lib", "test", "data"], quick: true, counts: false },
  {
    name: "documentation examples",
    args: ["test", "-A", "--doc", "--parallel", "lib"],
    quick: true,
    counts: true,
  },
  { name: "unit tests", args: unit, quick: true, counts: true },
  { name: "unit tests one by one", args: ["test", "-A", ...alone], quick: true, counts: true },
  { name: "slow unit tests", args: ["test", "-A", ...slow], quick: false, counts: true },
  {
    // They run on tfjs and in float64 among the unit tests; the others there know no engine.
    name: "model and training on xla",
    args: ["test", "-A", "--parallel", ...filesThatTakeAnEngine(["test/model", "test/train"])],
    quick: false,
    counts: true,
    env: { ALBERT_TEST_ENGINE: "xla" },
    xla: true,
  },
  { name: "package build", args: ["run", "-A", "lib/notebook/build.ts"], quick: false, counts: false },
  { name: "cell types", args: ["run", "-A", "lib/notebook/check_cells.ts"], quick: false, counts: false },
  { name: "notebooks", args: ["run", "-A", "lib/notebook/run.ts"], quick: false, counts: true },
  { name: "runner and canaries", args: ["test", "-A", "test/notebooks"], quick: false, counts: true },
  { name: "end to end", args: ["test", "-A", "test/e2e"], quick: false, counts: true },
];

/** Counts from what a runner printed last, or undefined when it printed no count. */
export function countsIn(output: string): Count | undefined {
  const deno = [
    ...output.matchAll(/(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/g),
  ].at(-1);
  const plain = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  const found = deno ?? plain;
  if (found === undefined) return undefined;
  return { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? 0) };
}

/** What a stage adds to the sum: a failed run without a failed test is still a failure. */
export function judgeStage({ counts }: Stage, code: number, output: string): Count {
  const found = counts ? countsIn(output) : undefined;
  if (found === undefined) {
    return { passed: code === 0 && !counts ? 1 : 0, failed: code === 0 && !counts ? 0 : 1, skipped: 0 };
  }
  return code !== 0 && found.failed === 0 ? { ...found, failed: 1 } : found;
}

/** Sees to the plugin of XLA, as far as allowed, and says in one line what came of it. */
async function preparePlugin({ fetch }: { readonly fetch: boolean }): Promise<boolean> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    const { ensurePlugin, findPlugin } = await import("../lib/engines/mod.ts");
    const known = findPlugin();
    if (known !== undefined || !fetch) {
      say(
        known === undefined
          ? "no XLA plugin is installed: its tests are left out"
          : `XLA's plugin is ${known}`,
      );
      return known !== undefined;
    }
    const { path, note } = await ensurePlugin();
    say(path === undefined ? `${note}; its tests are left out` : note);
    return path !== undefined;
  } catch (error) {
    say(`XLA is left out: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

function runStage(
  { name, args, env = {} }: Stage,
): Promise<{ readonly code: number; readonly output: string }> {
  process.stdout.write(`\n== ${name}: deno ${args.join(" ")}\n`);
  const { promise, resolve } = Promise.withResolvers<{ code: number; output: string }>();
  const child = spawn(Deno.execPath(), [...args], {
    env: { ...process.env, ...env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const take = (chunk: Uint8Array): void => {
    const text = new TextDecoder().decode(chunk);
    output += text;
    process.stdout.write(text);
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  child.on("close", (code) => resolve({ code: code ?? 1, output }));
  return promise;
}

async function main(args: readonly string[]): Promise<number> {
  const quick = args.includes("--quick");
  let sum: Count = { passed: 0, failed: 0, skipped: 0 };
  const rows: string[] = [];
  // Tests never fetch anything themselves.
  const xla = await preparePlugin({ fetch: !quick });
  for (const stage of stages.filter((stage) => (stage.quick || !quick) && (xla || stage.xla !== true))) {
    const start = Date.now();
    const { code, output } = await runStage(stage);
    const count = judgeStage(stage, code, output);
    sum = {
      passed: sum.passed + count.passed,
      failed: sum.failed + count.failed,
      skipped: sum.skipped + count.skipped,
    };
    const seconds = ((Date.now() - start) / 1000).toFixed(0);
    rows.push(
      `${count.failed === 0 ? "ok    " : "FAILED"} ${
        stage.name.padEnd(24)
      } ${count.passed} passed, ${count.failed} failed, ${seconds} s`,
    );
  }
  process.stdout.write(
    `\n${rows.join("\n")}\n\n${sum.passed} passed, ${sum.failed} failed${
      sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""
    }\n`,
  );
  return sum.failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
