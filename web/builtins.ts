/**
 * What stands in a page for the modules of Node that the library imports: small files of `node/` and well-kept packages, so
 * that the page runs the same library as a terminal.
 */
import type { Plugin } from "esbuild";
import { join } from "node:path";

const own: Readonly<Record<string, string>> = {
  crypto: "crypto.ts",
  fs: "fs.ts",
  "fs/promises": "fs_promises.ts",
  os: "os.ts",
  process: "process.ts",
  zlib: "zlib.ts",
};
/** Packages of the same interface; the slash keeps the bundler from taking them for Node's. */
const packages: Readonly<Record<string, string>> = {
  buffer: "buffer/",
  events: "events/",
  path: "path-browserify",
  stream: "readable-stream",
};

/** A plugin of esbuild that puts them in place; `folder` is that of web/. */
export function nodeModules(folder: string): Plugin {
  return {
    name: "modules of Node",
    setup: (build) => {
      // Native code: no page gets that far.
      build.onResolve({ filter: /^koffi$/ }, () => ({ path: join(folder, "node", "none.ts") }));
      build.onResolve(
        { filter: /^(node:)?[a-z_]+(\/promises)?$/ },
        ({ path, importer, kind, pluginData }) => {
          const name = path.replace(/^node:/, "");
          const isNode = path.startsWith("node:") || name in own || name in packages;
          if (!isNode || kind === "entry-point" || pluginData === "package") return undefined;
          // In tfjs these stand in branches for Node, which its package maps away for browsers.
          if (!path.startsWith("node:") && /[\\/]@tensorflow[\\/]/.test(importer)) return undefined;
          const found = packages[name];
          if (found === undefined) return { path: join(folder, "node", own[name] ?? "other.ts") };
          return build.resolve(found, { resolveDir: folder, kind, pluginData: "package" });
        },
      );
    },
  };
}
