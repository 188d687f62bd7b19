/**
 * Keeps the Deno kernel alive and honest. There, a rejection nobody awaits says nothing, and an exception in a timer hangs
 * the kernel for ever; tslab prints a line in both cases. This installs listeners that print the same lines.
 */
import { detectHost } from "./host.ts";
import { listenToStop } from "./stop.ts";

const MARK: unique symbol = Symbol.for("albert-guide.kernel-guard") as never;

type Guarded = {
  [MARK]?: boolean;
  addEventListener?: (type: string, listener: (event: GuardEvent) => void) => void;
};

type GuardEvent = {
  readonly reason?: unknown;
  readonly error?: unknown;
  readonly message?: string;
  preventDefault(): void;
};

/** The first line of an error, as tslab's stderr shows it. */
function errorText(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return String(error);
}

/**
 * Makes the Deno kernel report failures outside a cell's own course (unawaited rejections, exceptions in timers) on
 * standard error and live on, and lets the stop button end a cell at its next output. `show` calls it; calling it again, or elsewhere than in that kernel, does nothing.
 *
 * @returns Whether the kernel is guarded now.
 *
 * @example
 * ```ts
 * import { guardKernel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(guardKernel(), false); // this example does not run in a kernel
 * ```
 */
export function guardKernel(): boolean {
  if (detectHost().kind !== "deno") return false;
  listenToStop();
  // The kernel sends console.error to the cell; process.stderr would go to the kernel's own log.
  // deno-lint-ignore no-console
  return installGuard(globalThis as unknown as Guarded, (line) => console.error(line));
}

/** Adds the two listeners to `target` once. */
export function installGuard(target: Guarded, print: (line: string) => void): boolean {
  if (target[MARK] === true) return true;
  if (typeof target.addEventListener !== "function") return false;
  target[MARK] = true;
  target.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    print(`UnhandledPromiseRejection: ${errorText(event.reason)}`);
  });
  target.addEventListener("error", (event) => {
    event.preventDefault();
    print(`UncaughtException: ${errorText(event.error ?? event.message)}`);
  });
  return true;
}
