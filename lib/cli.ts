/**
 * The stages as commands of a checkout: `deno task albert <command>`. Exit code 0 done, 1 failed, 2 wrong usage, 130
 * interrupted. The installed package has `albert.js` in its place.
 */
import process from "node:process";
import { commands, runCommandLine } from "./commands/mod.ts";

/**
 * Runs one command line.
 *
 * @param args What follows `albert`.
 * @returns The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
 */
export const main = async (args: readonly string[]): Promise<number> =>
  await runCommandLine(args, { commands: await commands(args[0]) });

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
