/** Debian's Chromium on a built page of web/, and what the page asks for and complains about. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { serveFolder } from "../../web/serve.ts";
import { installed, web } from "./exported.ts";

/** What is used of playwright-core. */
export type Page = {
  readonly goto: (url: string) => Promise<unknown>;
  readonly on: (event: "request" | "pageerror" | "console", listener: (what: unknown) => void) => void;
  readonly evaluate: (fn: string) => Promise<unknown>;
  readonly reload: () => Promise<unknown>;
  readonly setInputFiles: (
    selector: string,
    file: { readonly name: string; readonly mimeType: string; readonly buffer: Uint8Array },
  ) => Promise<void>;
  readonly keyboard: {
    readonly press: (key: string) => Promise<void>;
    readonly type: (text: string) => Promise<void>;
  };
  readonly setViewportSize: (size: { readonly width: number; readonly height: number }) => Promise<void>;
  readonly emulateMedia: (media: { readonly colorScheme: "light" | "dark" }) => Promise<void>;
  readonly screenshot: (options: { readonly path: string; readonly fullPage: boolean }) => Promise<unknown>;
};
type Browser = {
  readonly newContext: () => Promise<{ readonly newPage: () => Promise<Page> }>;
  readonly close: () => Promise<void>;
};
type Playwright = {
  readonly chromium: { readonly launch: (options: object) => Promise<Browser> };
};

const chromium = [process.env["ALBERT_CHROMIUM"], "/usr/bin/chromium"].find((path) =>
  path !== undefined && existsSync(path)
);
export const ready: boolean = installed("playwright-core") !== undefined &&
  installed("onnxruntime-web") !== undefined;
export const lacking: string = chromium === undefined
  ? " (no Chromium: apt-get install chromium, or ALBERT_CHROMIUM)"
  : ready
  ? ""
  : " (not installed: deno install --config web/deno.json)";

/** Waits until an expression is true in the page, whose policy forbids the waiting of Playwright itself. */
export async function until(
  page: Page,
  expression: string,
  { seconds = 20 }: { readonly seconds?: number } = {},
): Promise<void> {
  for (let tries = 0; tries < 20 * seconds; tries++) {
    if (await page.evaluate(expression) === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const status = await page.evaluate(`document.querySelector("#status")?.textContent`);
  assert.fail(`the page did not come to ${expression}; its status is ${JSON.stringify(status)}`);
}

/** Builds the page as `deno task web` does; the bundler belongs to web/deno.json. */
export function build(model: string | undefined, output: string): string {
  const args = ["run", "-A", `--config=${join(web, "deno.json")}`, join(web, "build.ts")];
  const { status, stdout, stderr } = spawnSync(Deno.execPath(), [
    ...args,
    ...(model === undefined ? [] : [`--model=${model}`]),
    `--output_dir=${output}`,
  ], {
    encoding: "utf8",
  });
  return status === 0 ? stdout : `failed: ${stderr}`;
}

/** A served page with a log of what it asked for and complained about; `lay` puts more files beside it. */
export async function inBrowser(
  model: string,
  test: (page: Page, url: string, log: PageLog) => Promise<void>,
  lay: (output: string) => void = () => {},
): Promise<void> {
  const output = `${model}-web`;
  assert.match(build(model, output), /the page with/);
  lay(output);
  const { url, close } = await serveFolder(output, 0);
  try {
    await openPage(url, (page, log) => test(page, url, log));
  } finally {
    close();
  }
}

/** What a page asked for and complained about. */
export type PageLog = { readonly requests: string[]; readonly errors: string[] };

/** A page at an address; `more` opens a second tab there. */
export async function openPage(
  address: string,
  test: (page: Page, log: PageLog, more: () => Promise<Page>) => Promise<void>,
  flags: readonly string[] = [],
): Promise<void> {
  const { chromium: kind } = createRequire(join(web, "_.js"))("playwright-core") as Playwright;
  const browser = await kind.launch({ executablePath: chromium, args: ["--no-sandbox", ...flags] });
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    const log: PageLog = { requests: [], errors: [] };
    page.on("request", (request) => void log.requests.push((request as { url: () => string }).url()));
    page.on("pageerror", (error) => void log.errors.push(String(error)));
    page.on("console", (message) => {
      const { type, text } = message as { type: () => string; text: () => string };
      if (type.call(message) === "error") log.errors.push(text.call(message));
    });
    await page.goto(address);
    await test(page, log, async () => {
      const another = await context.newPage();
      await another.goto(address);
      return another;
    });
  } finally {
    await browser.close();
  }
}
