/**
 * The place an output goes to: the Deno kernel, tslab, or a plain process. Found anew at each call, so that importing the
 * library does nothing. tslab's whole-bundle sender is not documented; a test reads tslab's source and fails when it goes.
 */
import process from "node:process";
import type { Bundle } from "./bundle.ts";

/** How one bundle is sent: a slot name makes it replaceable later. */
export type SendOptions = {
  /** Name of the slot; absent for an output that never changes. */
  readonly id?: string;
  /** Whether the slot exists already and its content is replaced. */
  readonly update?: boolean;
  /** Words that a stored notebook keeps in place of this output, because it depends on the machine. */
  readonly volatile?: string;
};

/** One place for outputs. */
export type Host = {
  /** Which kind it is. */
  readonly kind: "deno" | "tslab" | "plain";
  /** Sends one bundle. */
  readonly send: (bundle: Bundle, options?: SendOptions) => Promise<void>;
};

type Message = {
  readonly data: Bundle;
  readonly metadata: { readonly "albert-guide"?: { readonly volatile: string } };
  readonly transient: { readonly display_id?: string };
};

type DenoJupyter = { broadcast(type: string, message: Message): Promise<void> };
type RawDisplay = { raw(type: string, content: string): void };
type TslabRequire = {
  (name: string): unknown;
  readonly cache?: Readonly<Record<string, { readonly exports?: unknown } | undefined>>;
};
type WriteDisplayData = (message: Message, update: boolean) => void;

/** What of the global object matters here; tests pass a stand-in. */
export type HostGlobals = { readonly Deno?: unknown; readonly __tslab__?: unknown };

function message(bundle: Bundle, { id, volatile }: SendOptions): Message {
  return {
    data: bundle,
    // The project's runner reads this mark (lib/notebook/volatile.ts); viewers pass it by.
    metadata: volatile === undefined ? {} : { "albert-guide": { volatile } },
    transient: id === undefined ? {} : { display_id: id },
  };
}

function denoHost(globals: HostGlobals): Host | undefined {
  let jupyter: DenoJupyter | undefined;
  try {
    // The getter throws outside a kernel.
    jupyter = (globals.Deno as { readonly jupyter?: DenoJupyter } | undefined)?.jupyter;
  } catch {
    return undefined;
  }
  if (typeof jupyter?.broadcast !== "function") return undefined;
  const { broadcast } = jupyter;
  return {
    kind: "deno",
    send: (bundle, options = {}) =>
      broadcast(options.update === true ? "update_display_data" : "display_data", message(bundle, options)),
  };
}

function tslabHost(globals: HostGlobals): Host | undefined {
  const require = (globals.__tslab__ as { readonly require?: TslabRequire } | undefined)?.require;
  if (typeof require !== "function") return undefined;
  return {
    kind: "tslab",
    send: (bundle, options = {}) => {
      // Looked up at each send: tslab replaces the function with every cell.
      const path = Object.keys(require.cache ?? {}).find((name) =>
        name.replace(/\\/g, "/").endsWith("/tslab/dist/jupyter.js")
      );
      const running = path === undefined ? undefined : require.cache?.[path]?.exports;
      const write = (running as { readonly lastWriteDisplayData?: WriteDisplayData } | undefined)
        ?.lastWriteDisplayData;
      if (typeof write === "function") {
        write(message(bundle, options), options.update === true);
        return Promise.resolve();
      }
      return sendRaw(require, bundle);
    },
  };
}

/** The documented way of tslab: one MIME type, the richest that is a string. */
function sendRaw(require: TslabRequire, bundle: Bundle): Promise<void> {
  const { display } = require("tslab") as { readonly display: RawDisplay };
  const type = ["image/svg+xml", "text/html", "text/plain"].find((name) => typeof bundle[name] === "string");
  if (type !== undefined) display.raw(type, String(bundle[type]));
  return Promise.resolve();
}

const plainHost: Host = {
  kind: "plain",
  send: (bundle) => {
    const text = bundle["text/plain"];
    process.stdout.write(`${typeof text === "string" ? text : JSON.stringify(text ?? bundle)}\n`);
    return Promise.resolve();
  },
};

/** Finds where outputs go: the Deno kernel, tslab, or standard output. */
export function detectHost(globals: HostGlobals = globalThis as HostGlobals): Host {
  return denoHost(globals) ?? tslabHost(globals) ?? plainHost;
}

/** Whether nothing may be shown before its final state, as when notebooks run in a test. */
export function isHeadless(): boolean {
  return process.env["NOTEBOOK_HEADLESS"] === "1";
}

/** Waits; with 0 it only lets the runtime send what is queued. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
