/**
 * What a command is: a name, flags and a function. Flags follow the reference's absl rules: `--flag=value`,
 * `--flag value`, and for booleans `--flag`, `--noflag`, `--flag=true`. Help and errors come from the same table.
 */
import type { OnProgress } from "../progress.ts";

/** The value kinds of flags, as TypeScript sees them. */
export type FlagKinds = {
  readonly string: string;
  readonly int: number;
  readonly float: number;
  readonly boolean: boolean;
};

/** One flag. Without a default it is optional, or required if `required` is true. */
export type Flag<Kind extends keyof FlagKinds = keyof FlagKinds> = {
  readonly kind: Kind;
  /** Value when not given. */
  readonly default?: FlagKinds[Kind];
  /** Must be given. */
  readonly required?: boolean;
  /** Allowed values. */
  readonly choices?: readonly string[];
  /** Meaning, with the unit; one line. */
  readonly help: string;
  /** Where the default comes from, such as `reference` or `spm_train`. */
  readonly source?: string;
};

/** Flags by name. */
export type Flags = { readonly [name: string]: Flag };

/** The values of a command's flags: always there with a default or when required. */
export type FlagValues<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends { default: unknown } | { required: true }
    ? FlagKinds[F[Name]["kind"]]
    : FlagKinds[F[Name]["kind"]] | undefined;
};

/** What a command may use of its surroundings. */
export type Context = {
  /** Prints a line of results. */
  readonly print: (line?: string) => void;
  /** Draws progress. */
  readonly onProgress: OnProgress;
  /** Ends the drawing of the running stage, so that the next line starts on its own. */
  readonly endProgress: () => Promise<void>;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
};

/** A command as the table of commands holds it. */
export type Command = {
  readonly name: string;
  /** Other names it answers to. */
  readonly aliases: readonly string[];
  /** One line for the list of commands. */
  readonly summary: string;
  /** A command line that works on a fresh clone. */
  readonly example: string;
  readonly flags: Flags;
  /** Name and meaning of what is given without a flag; none are taken when absent. */
  readonly positional: { readonly name: string; readonly help: string } | undefined;
  readonly run: (
    values: { readonly [name: string]: string | number | boolean | undefined },
    positionals: readonly string[],
    context: Context,
  ) => Promise<void>;
};

/** A wrong command line: exit code 2. */
export class UsageError extends Error {
  /** Name of the class, also for logs. */
  override readonly name: string = "UsageError";
}

/** Makes a command whose function sees its flags with their types. */
export function command<const F extends Flags>(
  { name, summary, example, flags, aliases = [], positional, run }: {
    readonly name: string;
    readonly summary: string;
    readonly example: string;
    readonly flags: F;
    readonly aliases?: readonly string[];
    readonly positional?: { readonly name: string; readonly help: string };
    readonly run: (values: FlagValues<F>, positionals: readonly string[], context: Context) => Promise<void>;
  },
): Command {
  return { name, aliases, summary, example, flags, positional, run: run as Command["run"] };
}

/** The known word that is nearest to a mistyped one, if any is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const distance = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
        next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
      }
      row = next;
    }
    return row[b.length] as number;
  };
  const ranked = known.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best !== undefined && best.far <= Math.max(2, word.length / 3) ? best.name : undefined;
}

function convert(name: string, flag: Flag, text: string): string | number | boolean {
  const wrong = (wish: string): UsageError =>
    new UsageError(`Cannot read --${name}=${text}: it must be ${wish}`);
  if (flag.choices !== undefined && !flag.choices.includes(text)) {
    throw wrong(`one of ${flag.choices.map((choice) => choice || "nothing").join(", ")}`);
  }
  if (flag.kind === "string") return text;
  if (flag.kind === "boolean") {
    if (/^(true|t|1|yes|y)$/i.test(text)) return true;
    if (/^(false|f|0|no|n)$/i.test(text)) return false;
    throw wrong("true or false");
  }
  const number = text.trim() === "" ? NaN : Number(text);
  if (Number.isNaN(number)) throw wrong("a number");
  if (flag.kind === "int" && !Number.isSafeInteger(number)) throw wrong("a whole number");
  return number;
}

/** Reads a command's arguments. */
export function parseArguments(
  { name: commandName, flags, positional }: Command,
  args: readonly string[],
): {
  readonly values: Record<string, string | number | boolean | undefined>;
  readonly positionals: string[];
} {
  const values: Record<string, string | number | boolean | undefined> = {};
  const positionals: string[] = [];
  const queue = [...args];
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    if (arg === "--") {
      positionals.push(...queue.splice(0));
      continue;
    }
    if (!arg.startsWith("--")) {
      positionals.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    const given = arg.slice(2, equals < 0 ? undefined : equals);
    const negated = given.startsWith("no") ? given.slice(2) : "";
    if (flags[given] === undefined && flags[negated]?.kind === "boolean" && equals < 0) {
      values[negated] = false;
      continue;
    }
    const flag = flags[given];
    if (flag === undefined) {
      const guess = nearest(given, Object.keys(flags));
      throw new UsageError(
        `Cannot run ${commandName}: unknown flag --${given}` +
          (guess === undefined ? `, see albert ${commandName} --help` : `, did you mean --${guess}?`),
      );
    }
    if (equals >= 0) values[given] = convert(given, flag, arg.slice(equals + 1));
    else if (flag.kind === "boolean") values[given] = true;
    else {
      const next = queue.shift();
      if (next === undefined || next.startsWith("--")) {
        throw new UsageError(`Cannot run ${commandName}: --${given} needs a value`);
      }
      values[given] = convert(given, flag, next);
    }
  }
  if (positional === undefined && positionals.length > 0) {
    throw new UsageError(
      `Cannot run ${commandName}: "${positionals[0]}" is no flag; values follow a flag as --flag=value`,
    );
  }
  const missing = Object.entries(flags).filter(([flag, { required }]) =>
    required === true && values[flag] === undefined
  );
  if (missing.length > 0) {
    throw new UsageError(
      `Cannot run ${commandName}: ${missing.map(([flag]) => `--${flag}`).join(", ")} must be given`,
    );
  }
  for (const [flag, { default: value }] of Object.entries(flags)) {
    if (values[flag] === undefined) values[flag] = value;
  }
  return { values, positionals };
}

/** The help text of one command. */
export function helpOf({ name, aliases, summary, example, flags, positional }: Command): string {
  const rows = Object.entries(flags).map(
    ([flag, { kind, help, default: value, source, required, choices }]) => {
      const left = kind === "boolean"
        ? `--[no]${flag}`
        : `--${flag}=${choices?.join("|") ?? kind.toUpperCase()}`;
      const notes = [
        required === true ? "required" : value === undefined ? undefined : `default ${value}`,
        source,
      ].filter((note) => note !== undefined).join(", ");
      return [left, `${help}${notes === "" ? "" : ` (${notes})`}`] as const;
    },
  );
  const lines = [
    `albert ${name}${positional === undefined ? "" : ` [${positional.name}]`} [flags]`,
    "",
    summary + (aliases.length > 0 ? ` Also named ${aliases.join(", ")}.` : ""),
    "",
    ...(positional === undefined ? [] : [`  ${positional.name}: ${positional.help}`, ""]),
    ...rows.flatMap(([left, right]) =>
      left.length > 30 ? [`  ${left}`, `${" ".repeat(34)}${right}`] : [`  ${left.padEnd(32)}${right}`]
    ),
    `  ${"--verbose".padEnd(32)}show the stack of an error`,
    "",
    `Example: ${example}`,
  ];
  return lines.join("\n");
}
