/**
 * Packages that the library works without: an engine, charts, Parquet. They are loaded when they are needed, and who left
 * them out of the installation reads which one is missing.
 */

/**
 * Loads a package that may be missing.
 *
 * @param name Its name, as in `import`.
 * @param purpose What is attempted, behind "Cannot": `draw a chart`.
 * @param load Loads it: `() => import("vega")`, in the caller's file so that compilers and bundlers see the name.
 * @returns What `load` gives.
 * @throws {Error} When the package is not installed; says how to install it.
 */
export async function optionalPackage<Package>(
  name: string,
  purpose: string,
  load: () => Promise<Package>,
): Promise<Package> {
  try {
    return await load();
  } catch (error) {
    const { code = "", message = "" } = error as { readonly code?: string; readonly message?: string };
    const missing = code.endsWith("MODULE_NOT_FOUND") || /^Cannot find (module|package)/.test(message);
    const [firstLine = ""] = message.split("\n");
    if (!missing || !firstLine.includes(name)) throw error;
    throw new Error(
      `Cannot ${purpose}: the package ${name} is not installed; it comes with albert-guide unless optional packages are ` +
        "left out, `npm install --include=optional` brings it",
      { cause: error },
    );
  }
}
