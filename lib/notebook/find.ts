/**
 * From what a person typed to notebook files: files as they are, folders by their notebooks.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * Lists notebooks in the order of their names.
 *
 * @param paths Files and folders; a folder stands for the `.ipynb` files directly in it.
 * @returns Paths of notebooks, without hidden ones.
 * @throws {RangeError} When a path does not exist or is no notebook.
 */
export function findNotebooks(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!existsSync(path)) throw new RangeError(`Cannot find ${path}: there is no such file or folder`);
    if (statSync(path).isDirectory()) {
      return readdirSync(path).filter((name) => name.endsWith(".ipynb") && !name.startsWith(".")).sort()
        .map((name) => join(path, name));
    }
    if (!path.endsWith(".ipynb")) throw new RangeError(`Cannot run ${path}: it is not a notebook (.ipynb)`);
    return [path];
  });
}
