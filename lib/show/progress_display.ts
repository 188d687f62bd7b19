/**
 * Draws progress reports: one line that is redrawn on a terminal, plain lines in a log, a replaceable slot in a cell. What is
 * stored in a notebook is the last state without any time, so that every run stores the same.
 */
import process from "node:process";
import type { OnProgress, Progress } from "../progress.ts";
import { type Bundle, escapeMarkup } from "./bundle.ts";
import { detectHost, type Host, isHeadless } from "./host.ts";
import { type LiveSlot, liveSlot } from "./live.ts";
import { shortCount } from "./numbers.ts";
import { clip } from "./svg.ts";
import { throwIfStopped } from "./stop.ts";

const BAR = 20;

/**
 * A display for the reports of one command or cell.
 *
 * @example
 * ```ts
 * import { type ProgressDisplay, progressDisplay } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const display: ProgressDisplay = progressDisplay({ label: "nothing" });
 * assert.equal(await display.done(), undefined); // no report, no output
 * ```
 */
export type ProgressDisplay = {
  /** Give this to a stage as its `onProgress`. */
  readonly onProgress: OnProgress;
  /** Shows the final state; call it when the work has ended, also after an error. */
  readonly done: () => Promise<void>;
};

/** Where progress is drawn; tests give their own. */
export type ProgressOutput = {
  /** Where outputs of cells go; default the detected host. */
  readonly host?: Host;
  /** Whether only the final state is shown; default the environment's NOTEBOOK_HEADLESS. */
  readonly headless?: boolean;
  /** Clock in milliseconds; default `performance.now`. */
  readonly now?: () => number;
  /** Writes to the terminal or log; default standard error. */
  readonly write?: (text: string) => void;
  /** Whether lines can be redrawn; default whether standard error is a terminal. */
  readonly isTerminal?: boolean;
  /** Width of the terminal; default what it says, or 80. */
  readonly columns?: number;
};

/** What is known about one stage. */
type Stage = {
  readonly name: string;
  readonly first: number;
  from: number;
  last: Progress;
  at: number;
};

function share({ done, total }: Progress): number | undefined {
  if (total === undefined || !(total > 0)) return undefined;
  return Math.min(1, Math.max(0, done / total));
}

function bar(progress: Progress): string {
  const filled = Math.floor((share(progress) ?? 0) * BAR);
  return "#".repeat(filled) + ".".repeat(BAR - filled);
}

function amount(value: number, unit: string): string {
  return unit === "bytes" ? `${shortCount(value)}B` : shortCount(value);
}

function counts({ done, total, unit }: Progress, exact: boolean): string {
  const text = (value: number): string => exact ? String(value) : amount(value, unit);
  const name = unit === "bytes" && !exact ? "" : ` ${unit}`;
  return total === undefined ? `${text(done)}${name}` : `${text(done)}/${text(total)}${name}`;
}

/** Seconds as `0:08`, `12:30`, `1:02:03`. */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Rate and time to go, once half a second has passed. */
function pace({ first, from, last, at }: Stage): string[] {
  const seconds = (at - from) / 1000;
  const rate = (last.done - first) / seconds;
  if (!(seconds >= 0.5) || !(rate > 0)) return [];
  const left = last.total === undefined ? undefined : (last.total - last.done) / rate;
  return [
    `${amount(rate, last.unit)}/s`,
    ...(left === undefined || left <= 0 ? [] : [`ETA ${clockText(left)}`]),
  ];
}

/** A stage while it runs: share, counts, rate, ETA, note. */
function runningText(stage: Stage, label: string, drawBar: boolean): string {
  const part = share(stage.last);
  const { note } = stage.last;
  return [
    label,
    ...(drawBar && part !== undefined ? [`[${bar(stage.last)}]`] : []),
    ...(part === undefined ? [] : [`${String(Math.floor(part * 100)).padStart(3)} %`]),
    counts(stage.last, false),
    ...pace(stage),
    ...(note === undefined ? [] : [note]),
  ].join("  ");
}

/** The state that may be stored: no time, no rate, no note. */
function storedText({ last }: Stage, label: string): string {
  return [label, ...(share(last) === undefined ? [] : [bar(last)]), counts(last, true)].join(" ");
}

function storedBundle(stages: readonly Stage[], label: (stage: Stage) => string): Bundle {
  const lines = stages.map((stage) => storedText(stage, label(stage)));
  return { "text/plain": lines.join("\n") };
}

function liveBundle(stages: readonly Stage[], label: (stage: Stage) => string): Bundle {
  const rows = stages.map((stage) => {
    const part = share(stage.last);
    const value = part === undefined ? "" : ` value="${part.toFixed(3)}"`;
    return `<div><progress max="1"${value}></progress> ${
      escapeMarkup(runningText(stage, label(stage), false))
    }</div>`;
  });
  return {
    "text/html": rows.join("\n"),
    "text/plain": stages.map((stage) => runningText(stage, label(stage), true)).join("\n"),
  };
}

/** Draws on a terminal or into a log. */
function lineWriter(
  { write, isTerminal, columns, now }: Required<
    Pick<ProgressOutput, "write" | "isTerminal" | "columns" | "now">
  >,
  label: (stage: Stage) => string,
): { draw(stage: Stage): void; finish(stage: Stage | undefined): void } {
  // A log stays quiet about what ends within two seconds.
  let last = isTerminal ? -Infinity : now();
  let current: Stage | undefined;
  const put = (stage: Stage): void =>
    write(`\r\x1b[2K${clip(runningText(stage, label(stage), true), columns - 1)}`);
  const ended = (stage: Stage): string => {
    const seconds = (stage.at - stage.from) / 1000;
    return `${label(stage)}: ${counts(stage.last, true)} in ${seconds.toFixed(1)} s`;
  };
  return {
    draw: (stage) => {
      const changed = current !== undefined && current.name !== stage.name;
      // A stage that took its time leaves its line; short ones are drawn over.
      if (changed && current !== undefined && isTerminal && current.at - current.from >= 2000) {
        write(`\r\x1b[2K${ended(current)}\n`);
      }
      current = stage;
      if (now() - last < (isTerminal ? 100 : 2000)) return;
      last = now();
      if (isTerminal) put(stage);
      else write(`${runningText(stage, label(stage), false)}\n`);
    },
    finish: (stage) => {
      if (stage !== undefined) write(`${isTerminal ? "\r\x1b[2K" : ""}${ended(stage)}\n`);
    },
  };
}

/**
 * Opens a display for progress reports. On a terminal it redraws one line with share, rate and ETA; in a log it writes a line
 * every two seconds at most; in a cell it fills a slot; headless it shows the last state once, without any time.
 *
 * @param options See the fields.
 * @param options.label Name before the bar; default the stage's own.
 * @returns The callback for a stage, and `done`.
 *
 * @example
 * ```ts
 * import { progressDisplay } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { onProgress, done } = progressDisplay({ label: "train" });
 * for (let step = 1; step <= 3; step++) onProgress({ stage: "train", done: step, total: 3, unit: "steps" });
 * assert.equal(await done(), undefined);
 * ```
 */
export function progressDisplay({ label }: { readonly label?: string } = {}): ProgressDisplay {
  return makeProgressDisplay(label, {});
}

/** {@linkcode progressDisplay} with a given output and clock. */
export function makeProgressDisplay(label: string | undefined, output: ProgressOutput): ProgressDisplay {
  const { host = detectHost(), headless = isHeadless(), now = () => performance.now() } = output;
  const {
    write = (text: string): void => void process.stderr.write(text),
    isTerminal = process.stderr.isTTY === true,
    // A terminal without a size says 0.
    columns = process.stderr.columns || 80,
  } = output;
  const stages = new Map<string, Stage>();
  const nameOf = ({ name }: Stage): string =>
    label === undefined ? name : stages.size > 1 ? `${label}: ${name}` : label;
  const quiet = headless || host.kind !== "plain";
  const slot: LiveSlot | undefined = quiet ? liveSlot({ host, headless, now }) : undefined;
  const lines = quiet ? undefined : lineWriter({ write, isTerminal, columns, now }, nameOf);
  let current: Stage | undefined;
  let failed = false;
  return {
    onProgress: (progress) => {
      throwIfStopped();
      const at = now();
      current = stages.get(progress.stage) ??
        { name: progress.stage, first: progress.done, from: at, last: progress, at };
      if (current.last.done === current.first) current.from = current.at; // a rate starts with the first unit
      current.last = progress;
      current.at = at;
      stages.set(progress.stage, current);
      lines?.draw(current);
      if (slot?.isDue() === true && !failed) {
        // A stage must not fail because its display does; the final state reports it.
        slot.update(liveBundle([...stages.values()], nameOf)).catch(() => failed = true);
      }
    },
    done: async () => {
      lines?.finish(current);
      if (stages.size > 0) await slot?.done(storedBundle([...stages.values()], nameOf));
    },
  };
}
