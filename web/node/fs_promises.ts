/** `node:fs/promises` of the page. */
import { fs } from "memfs";

export const { access, mkdir, open, readFile, readdir, rename, rm, stat, writeFile }: typeof fs.promises =
  fs.promises;
