/**
 * Running the programs that an installation needs: to their end, to the end of their time, or until someone stops it.
 */
import { spawn } from "node:child_process";
import process from "node:process";

/** Programs that an installation starts; tests give their own. */
export type NodeTools = {
  readonly python: string;
  readonly npm: string;
  /** A C++ compiler that takes GCC's options. */
  readonly compiler: string;
};

/** Those of this machine. */
export const toolsHere = (): NodeTools => ({
  python: "python3",
  npm: "npm",
  compiler: process.env["CXX"] ?? "c++",
});

/** How a program ended: what it wrote on both outputs, and on the first alone. */
export type Ended = { readonly code: number | null; readonly said: string; readonly wrote: string };

/** Runs a program to its end, or to the end of its time. */
export function run(
  program: string,
  args: readonly string[],
  { seconds, signal, env = {} }: {
    readonly seconds: number;
    readonly signal?: AbortSignal | undefined;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let [said, wrote, why] = ["", "", ""];
    const end = (reason: string): void => {
      why = reason;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => end(`it took longer than ${seconds} s`), 1000 * seconds);
    const abort = (): void => end("it was told to stop");
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    const done = (code: number | null, text: string): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve({ code: why === "" ? code : 1, said: why === "" ? text : why, wrote });
    };
    child.stdout.on("data", (text: Uint8Array) => void (wrote += new TextDecoder().decode(text)));
    child.stderr.on("data", (text: Uint8Array) => void (said += new TextDecoder().decode(text)));
    child.on("error", (error) => done(null, error.message));
    child.on("close", (code) => done(code ?? 1, `${said}${wrote}`));
  });
}

/** The first line that names an error, else the last one. */
export function errorLine(said: string): string {
  const lines = said.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return (lines.find((line) => /error|ERR!/i.test(line)) ?? lines.at(-1) ?? "it said nothing").slice(0, 300);
}
