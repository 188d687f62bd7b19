/**
 * Where the project lies. This room runs from a checkout, never from the package, so its own place tells the root.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the project: holds `deno.json`, `lib`, `notebooks` and `node_modules`. */
export const projectRoot: string = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
