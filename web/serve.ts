/**
 * A static server for this machine alone: it listens on the loopback address and gives out the files of one folder.
 */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, resolve, sep } from "node:path";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/**
 * Serves a folder.
 *
 * @param folder Its files, `index.html` for the folder itself.
 * @param port 0 for a free one.
 * @returns The address, and what ends the server.
 */
export function serveFolder(
  folder: string,
  port: number,
): Promise<{ readonly url: string; readonly close: () => void }> {
  const root = resolve(folder);
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://loopback");
    const path = join(
      root,
      decodeURIComponent(
        pathname.endsWith("/") ? `${pathname}index.html` : pathname,
      ),
    );
    const size = path.startsWith(root + sep) ? statSync(path, { throwIfNoEntry: false }) : undefined;
    if (size?.isFile() !== true) {
      return void response.writeHead(404).end("not found\n");
    }
    response.writeHead(200, {
      "content-type": types[extname(path)] ?? "application/octet-stream",
      "content-length": size.size,
      "cache-control": "no-cache",
    });
    createReadStream(path).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      resolve({
        url: `http://127.0.0.1:${port}/`,
        close: () => void server.close(),
      });
    });
  });
}
