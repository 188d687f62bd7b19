/**
 * Where a module of this library was loaded from: workers and child processes start from a file beside it. Deno and the
 * CommonJS copy have no common word for it (`import.meta` and `__filename` exclude each other), but both name the file in
 * a stack trace.
 */
import { pathToFileURL } from "node:url";

/**
 * The address of the module that calls this.
 *
 * @param name Its name without extension, as it stands in its folder: `session`.
 * @returns A `file:` URL, ending in `.ts` or `.js`.
 * @throws {Error} When no caller has that name, for example in a bundle.
 */
export function ownFile(name: string): string {
  const Errors = Error as unknown as {
    prepareStackTrace?: (error: Error, sites: readonly { getFileName(): string | null }[]) => unknown;
  };
  const before = Errors.prepareStackTrace;
  Errors.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName());
  try {
    const files = new Error().stack as unknown as readonly (string | null)[];
    const file = files.find((each) => each !== null && new RegExp(`[\\\\/]${name}\\.[jt]s$`).test(each));
    if (typeof file !== "string") {
      throw new Error(`Cannot find the program file of ${name}: the library was bundled or renamed`);
    }
    return file.startsWith("file:") ? file : pathToFileURL(file).href;
  } finally {
    if (before === undefined) delete Errors.prepareStackTrace;
    else Errors.prepareStackTrace = before;
  }
}
