/** Reads the committed golden files: what the original ALBERT programs produced. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** The parsed content of `test/golden/albert/<name>.json.gz`; the caller states its type. */
export function goldenAlbert<T>(name: string): T {
  const url = new URL(`./golden/albert/${name}.json.gz`, import.meta.url);
  return JSON.parse(gunzipSync(readFileSync(url)).toString("utf8")) as T;
}
