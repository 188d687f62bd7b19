// The stages of the project's checks: what runs, in which order, and what may run beside what.
import { readdirSync, readFileSync } from "node:fs";

/** A child process that checks something. */
export type Stage = {
  /** What `--only` calls it. */
  readonly name: string;
  /** Arguments of deno. */
  readonly args: readonly string[];
  /** Part of `deno task ok`. */
  readonly quick: boolean;
  /** It counts its own tests; any other stage counts as one. */
  readonly counts: boolean;
  /** Processor cores that it keeps busy: stages of one core run side by side, nothing runs beside one of all. */
  readonly cores: 1 | 2 | "all";
  /** The stages that make what this one reads. */
  readonly after?: readonly string[];
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
  ...["engines/xla_runtimes_test.ts", "engines/xla_devices_test.ts"],
].map((name) => `test/${name}`);
// It compares waits with those of the same machine at the same load: nothing may begin or end beside it.
const quiet = "test/engines/xla_caller_test.ts";
// Unit tests that change environment variables or drive a GPU, which tests in parallel share: run one after the other.
const alone = [
  "operations",
  "graphs",
  "model",
  "webgpu_errors",
  "registry",
  "plugins",
  "plugin_files",
  "xla_process",
].map((
  name,
) => `test/engines/${name}_test.ts`);
const elsewhere = ["test/notebooks", "test/e2e", "test/bench", "test/web", ...slow, ...alone, quiet];

/** The tests that open the engine which ALBERT_TEST_ENGINE names. */
function filesThatTakeAnEngine(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith("_test.ts") && readFileSync(path, "utf8").includes('from "../engine.ts"'))
    .filter((path) => !slow.includes(path)).sort();
}

// `types` checks every file once, the examples too: nobody checks them again.
const test = ["test", "-A", "--no-check"];
const run = ["run", "-A"];

/** Every stage, in the order in which a mistake is cheapest to see. */
export const stages: readonly Stage[] = [
  { name: "format", args: ["fmt", "--check", "-q"], quick: true, counts: false, cores: 1 },
  { name: "lint", args: ["lint", "-q"], quick: true, counts: false, cores: 1 },
  {
    name: "types",
    args: ["check", "-q", "--doc", "lib", "test", "data"],
    quick: true,
    counts: false,
    cores: 1,
  },
  { name: "docs", args: [...run, "test/examples.ts"], quick: true, counts: true, cores: 2 },
  {
    name: "unit",
    args: [...test, "--parallel", "test", `--ignore=${elsewhere.join(",")}`],
    quick: true,
    counts: true,
    cores: 2,
  },
  { name: "alone", args: [...test, ...alone], quick: true, counts: true, cores: 1 },
  { name: "build", args: [...run, "lib/notebook/build.ts"], quick: false, counts: false, cores: 1 },
  {
    // Packages that only the page, notebook 10 and the tests of exports need, pinned in web/deno.json.
    name: "packages",
    args: ["install", "-q", "--frozen", "--config", "web/deno.json"],
    quick: false,
    counts: false,
    cores: 1,
  },
  { name: "cells", args: [...run, "lib/notebook/check_cells.ts"], quick: false, counts: false, cores: 1 },
  {
    name: "slow",
    args: [...test, ...slow],
    quick: false,
    counts: true,
    cores: 1,
    after: ["build"],
  },
  { name: "quiet", args: [...test, quiet], quick: false, counts: true, cores: "all" },
  {
    // They run on tfjs and in float64 among the unit tests; the others there know no engine.
    name: "xla",
    args: [...test, "--parallel", ...filesThatTakeAnEngine(["test/model", "test/train"])],
    quick: false,
    counts: true,
    cores: 2,
    env: { ALBERT_TEST_ENGINE: "xla" },
    xla: true,
  },
  {
    name: "notebooks",
    args: [...run, "lib/notebook/run.ts", "--no-build"],
    quick: false,
    counts: true,
    cores: 2,
    after: ["build", "packages"],
  },
  {
    name: "canaries",
    args: [...test, "test/notebooks"],
    quick: false,
    counts: true,
    cores: 1,
    after: ["build"],
  },
  {
    name: "pages",
    args: [...run, "web/check.ts"],
    quick: false,
    counts: false,
    cores: 1,
    after: ["packages"],
  },
  { name: "web", args: [...test, "test/web"], quick: false, counts: true, cores: 1, after: ["packages"] },
  { name: "e2e", args: [...test, "test/e2e"], quick: false, counts: true, cores: 1 },
];
