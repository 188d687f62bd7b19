/**
 * The stages as commands: `deno task albert <command>`. Exit code 0 done, 1 failed, 2 wrong usage, 130 interrupted.
 * This file finds the command, draws its progress and words its failure; the commands themselves are in `commands/`.
 */
import process from "node:process";
import {
  type Command,
  commands,
  type Context,
  helpOf,
  nearest,
  parseArguments,
  UsageError,
} from "./commands/mod.ts";
import { progressDisplay } from "./show/mod.ts";

function overview(): string {
  const list = commands();
  const width = Math.max(...list.map(({ name }) => name.length)) + 2;
  return [
    "albert: from raw text to an own ALBERT language model",
    "",
    "  deno task albert <command> [flags]",
    "",
    ...list.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    "",
    "  deno task albert <command> --help shows the flags of one command",
  ].join("\n");
}

function find(name: string): Command {
  const list = commands();
  const found = list.find((command) => command.name === name || command.aliases.includes(name));
  if (found !== undefined) return found;
  const guess = nearest(name, list.flatMap((command) => [command.name, ...command.aliases]));
  throw new UsageError(
    `Cannot run ${name}: there is no such command, ` +
      (guess === undefined
        ? `known are ${list.map((command) => command.name).join(", ")}`
        : `did you mean ${guess}?`),
  );
}

function openContext(signal: AbortSignal): Context {
  let stage: string | undefined;
  let display: ReturnType<typeof progressDisplay> | undefined;
  const endProgress = async (): Promise<void> => {
    const open = display;
    display = undefined;
    stage = undefined;
    await open?.done();
  };
  return {
    print: (line = "") => {
      // A running progress line gives way; it draws itself again below.
      if (display !== undefined && process.stderr.isTTY) process.stderr.write("\r\x1b[K");
      process.stdout.write(`${line}\n`);
    },
    onProgress: (progress) => {
      if (progress.stage !== stage) {
        void display?.done();
        stage = progress.stage;
        display = progressDisplay({ label: progress.stage });
      }
      display?.onProgress(progress);
    },
    endProgress,
    signal,
  };
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder: check the name",
  EISDIR: "it is a folder, a file is needed",
  ENOTDIR: "a file is where a folder is needed: choose another name",
  EEXIST: "a file is where a folder is needed: choose another name",
  EACCES: "no permission: choose another place",
  EROFS: "it cannot be written to: choose another place",
  ENOSPC: "no space left on the device: free some and run the same command again",
};

/** A message for a person; what the system said in its own words gets ours. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as { code?: string; path?: string };
  const reason = reasons[code ?? ""];
  return reason === undefined || !error.message.startsWith(code ?? "")
    ? error.message
    : `Cannot use ${path ?? "a file"}: ${reason}`;
}

/**
 * Runs one command line.
 *
 * @param args What follows `albert`.
 * @returns The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  const verbose = rest.includes("--verbose");
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(
      `${rest[0] === undefined || name !== "help" ? overview() : helpOf(find(rest[0]))}\n`,
    );
    return name === undefined ? 2 : 0;
  }
  const abort = new AbortController();
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(130); // asked twice: not waiting for the stage to end
    abort.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const context = openContext(abort.signal);
  try {
    const command = find(name);
    if (rest.includes("--help") || rest.includes("-h")) {
      process.stdout.write(`${helpOf(command)}\n`);
      return 0;
    }
    const { values, positionals } = parseArguments(command, rest.filter((arg) => arg !== "--verbose"));
    await command.run(values, positionals, context);
    await context.endProgress();
    return abort.signal.aborted ? 130 : 0;
  } catch (error) {
    await context.endProgress();
    if (abort.signal.aborted) {
      process.stderr.write("interrupted: no file is half-written; the same command goes on where it can\n");
      return 130;
    }
    process.stderr.write(`albert: ${wordsOf(error)}\n`);
    if (verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return error instanceof UsageError ? 2 : 1;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
