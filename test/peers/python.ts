/** The Python that holds a peer library: named by an environment variable, else python3, if it has the library. */
import { spawnSync } from "node:child_process";
import process from "node:process";

const variables = {
  tensorflow: "ALBERT_TF_PYTHON",
  jax: "ALBERT_JAX_PYTHON",
  transformers: "ALBERT_HF_PYTHON",
} as const;

/** Path of the Python, or undefined where the library is not installed. */
export function pythonWith(library: keyof typeof variables): string | undefined {
  const python = process.env[variables[library]] ?? "python3";
  const look = `import importlib.util, sys; sys.exit(importlib.util.find_spec("${library}") is None)`;
  return spawnSync(python, ["-c", look], { stdio: "ignore" }).status === 0 ? python : undefined;
}

/** Runs a script of this folder and returns what it prints; a failure carries what it said. */
export function runPython(python: string, script: string, args: readonly string[]): string {
  const path = new URL(script, import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(python, [path, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2", HF_HUB_OFFLINE: "1" },
  });
  if (status !== 0) throw new Error(`${script} failed: ${stderr.slice(-4000)}`);
  return stdout;
}
