/**
 * JSON files of a Hugging Face folder. Not part of the public door.
 */
import { readFileSync } from "node:fs";
import { CorruptFileError } from "../formats/mod.ts";

/** The content of a JSON file; names the file that is missing or no JSON. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") {
      throw new Error(`Cannot read the Hugging Face folder: there is no ${path}`);
    }
    throw new CorruptFileError(`Cannot read ${path}: it is no JSON (${(error as Error).message})`, { path });
  }
}
