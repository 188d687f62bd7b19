/**
 * One command line: finds the command, draws its progress and words its failure. Exit code 0 done, 1 failed, 2 wrong usage,
 * 130 interrupted. `lib/cli.ts` calls it from a checkout, `albert.js` from the installed package.
 */
import process from "node:process";
import { progressDisplay } from "../show/mod.ts";
import { type Command, type Context, helpOf, nearest, parseArguments, UsageError } from "./command.ts";

/** What a command line needs to know of its surroundings. */
export type CommandLineOptions = {
  /** Every command, in the order of the stages; or the one that the command line names. */
  readonly commands: readonly Command[];
  /** What a user types before the name of a command; texts say it instead of `deno task albert`. */
  readonly program?: string;
};

const inCheckout = "deno task albert";

/** Texts name the program as it stands in a checkout; a user reads the name that works where they are. */
const asTyped = (text: string, program: string): string =>
  text.replaceAll(inCheckout, program).replaceAll("deno task guide", `${program} guide`);

function overview(list: readonly Command[]): string {
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

function find(name: string, list: readonly Command[]): Command {
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

function openContext(signal: AbortSignal, words: (text: string) => string): Context {
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
      process.stdout.write(`${words(line)}\n`);
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
 * @param args What follows the name of the program.
 * @param options The commands, and how the program is called.
 * @returns The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
 */
export async function runCommandLine(
  args: readonly string[],
  { commands, program = inCheckout }: CommandLineOptions,
): Promise<number> {
  const words = (text: string): string => asTyped(text, program);
  const say = (text: string): void => void process.stdout.write(`${words(text)}\n`);
  const complain = (text: string): void => void process.stderr.write(`${words(text)}\n`);
  const [name, ...rest] = args;
  const verbose = rest.includes("--verbose");
  const abort = new AbortController();
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(130); // asked twice: not waiting for the stage to end
    abort.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const context = openContext(abort.signal, words);
  try {
    if (name === undefined || name === "--help" || name === "-h" || name === "help") {
      say(rest[0] === undefined || name !== "help" ? overview(commands) : helpOf(find(rest[0], commands)));
      return name === undefined ? 2 : 0;
    }
    const command = find(name, commands);
    if (rest.includes("--help") || rest.includes("-h")) {
      say(helpOf(command));
      return 0;
    }
    const { values, positionals } = parseArguments(command, rest.filter((arg) => arg !== "--verbose"));
    await command.run(values, positionals, context);
    await context.endProgress();
    return abort.signal.aborted ? 130 : 0;
  } catch (error) {
    await context.endProgress();
    if (abort.signal.aborted) {
      complain("interrupted: no file is half-written; the same command goes on where it can");
      return 130;
    }
    complain(`albert: ${wordsOf(error)}`);
    if (verbose && error instanceof Error) complain(String(error.stack));
    return error instanceof UsageError ? 2 : 1;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
