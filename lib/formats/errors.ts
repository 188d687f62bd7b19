/**
 * The named errors of the library. Everything else is a built-in class by meaning.
 */

/**
 * Where in a file the damage was found.
 *
 * @example
 * ```ts
 * import type { FilePlace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const place: FilePlace = { path: "a.tfrecord", record: 17, byte: 5312 };
 * assert.equal(place.record, 17);
 * ```
 */
export type FilePlace = {
  /** The file, as the caller named it. */
  readonly path: string;
  /** Index of the damaged record, from 0. */
  readonly record?: number;
  /** Offset of the damage in bytes from the start of the file. */
  readonly byte?: number;
};

/**
 * A file exists but its content breaks its format: a wrong checksum, a cut record, a broken header.
 *
 * @example
 * ```ts
 * import { CorruptFileError } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const error = new CorruptFileError("Cannot read record 2 of a.tfrecord: file ends at byte 40", {
 *   path: "a.tfrecord",
 *   record: 2,
 *   byte: 40,
 * });
 * assert.equal(error.name, "CorruptFileError");
 * assert.equal(error.place.byte, 40);
 * ```
 */
export class CorruptFileError extends Error {
  /** Name of the class, also for logs. */
  override readonly name: string = "CorruptFileError";
  /** Where the damage is. */
  readonly place: FilePlace;

  /**
   * @param message Attempted action, reason after a colon, and the place in words.
   * @param place The same place for programs.
   */
  constructor(message: string, place: FilePlace) {
    super(message);
    this.place = place;
  }
}
