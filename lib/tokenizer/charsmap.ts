/**
 * The `precompiled_charsmap` of a SentencePiece model: a trie of keys and a block of replacements in one blob. Built
 * here from rules, byte for byte as SentencePiece ships it; the usual ones come from a file. Kept per process.
 */
import { knownBlobs, packedBlob } from "./charsmap_blobs.ts";
import {
  charsmapRules,
  type NormalizationRuleName,
  type Rules,
  type TableUnicode,
} from "./charsmap_rules.ts";
import { buildDarts } from "./darts.ts";
import { type Pace, runSteps } from "./pace.ts";

/** A blob taken apart: `replacements` holds NUL-terminated UTF-8, the trie's values are offsets into it. */
export type Charsmap = { readonly units: Uint32Array; readonly replacements: Uint8Array };

const built = new Map<string, Uint8Array>();

/** UTF-8 of a string as a string of bytes, whose default order is that of the code points. */
export function binaryString(text: string): string {
  let out = "";
  for (let i = 0; i < text.length; i++) {
    const cp = text.codePointAt(i) as number;
    if (cp > 0xffff) i++;
    if (cp < 0x80) out += String.fromCharCode(cp);
    else if (cp < 0x800) out += String.fromCharCode(0xc0 | cp >> 6, 0x80 | cp & 63);
    else if (cp < 0x10000) out += String.fromCharCode(0xe0 | cp >> 12, 0x80 | cp >> 6 & 63, 0x80 | cp & 63);
    else {
      out += String.fromCharCode(0xf0 | cp >> 18, 0x80 | cp >> 12 & 63, 0x80 | cp >> 6 & 63, 0x80 | cp & 63);
    }
  }
  return out;
}

/**
 * Gives the charsmap blob of a built-in normalization; the first call of a name that is not packed takes two seconds.
 *
 * @param name Name of the normalization.
 * @param pace Lets others run in between.
 * @param unicode Version of the tables.
 * @returns The blob; empty for `identity`. Not to be written into.
 */
export async function builtInCharsmap(
  name: NormalizationRuleName,
  pace: Pace,
  unicode: TableUnicode = 13,
): Promise<Uint8Array> {
  if (name === "identity") return new Uint8Array(0);
  const key = `${name} ${unicode}`;
  let blob = built.get(key);
  if (blob === undefined) {
    const known = knownBlobs.find((each) => each.name === name && each.unicode === unicode);
    blob = (known && packedBlob(known)) ?? await buildCharsmap({ name, unicode }, pace);
    built.set(key, blob);
  }
  return blob;
}

/** Builds the blob from the rules. */
export async function buildCharsmap(
  { name, unicode }: {
    readonly name: Exclude<NormalizationRuleName, "identity">;
    readonly unicode: TableUnicode;
  },
  pace: Pace,
): Promise<Uint8Array> {
  return await runSteps(compileCharsmap(await runSteps(charsmapRules(name, unicode), pace)), pace);
}

/** Compiles rules into a blob, in steps. */
export function* compileCharsmap(rules: Rules): Generator<void, Uint8Array> {
  if (rules.size === 0) return new Uint8Array(0);
  const replacements = [...new Set(rules.values())].map(binaryString).sort();
  const offsets = new Map<string, number>();
  let block = "";
  for (const replacement of replacements) {
    offsets.set(replacement, block.length);
    block += replacement + "\0";
  }
  const keys: string[] = [];
  const offsetOf = new Map<string, number>();
  for (const [key, value] of rules) {
    if ((keys.length & 0x7fff) === 0) yield;
    const bytes = binaryString(key);
    keys.push(bytes);
    offsetOf.set(bytes, offsets.get(binaryString(value)) as number);
  }
  yield;
  keys.sort();
  yield;
  const units = yield* buildDarts(keys, keys.map((key) => offsetOf.get(key) as number));
  const blob = new Uint8Array(4 + units.length * 4 + block.length);
  const view = new DataView(blob.buffer);
  view.setUint32(0, units.length * 4, true);
  for (let i = 0; i < units.length; i++) view.setUint32(4 + 4 * i, units[i] as number, true);
  for (let i = 0; i < block.length; i++) blob[4 + units.length * 4 + i] = block.charCodeAt(i);
  return blob;
}

/**
 * Takes a blob apart.
 *
 * @returns The trie and the replacements, or undefined for an empty blob.
 * @throws {SyntaxError} When the sizes in the blob contradict each other.
 */
export function parseCharsmap(blob: Uint8Array): Charsmap | undefined {
  if (blob.length === 0) return undefined;
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const size = blob.length >= 4 ? view.getUint32(0, true) : 0;
  if (size === 0 || size % 4 !== 0 || 4 + size >= blob.length || blob[blob.length - 1] !== 0) {
    throw new SyntaxError(
      `Cannot read the normalization rules: the blob has ${blob.length} bytes and its trie claims ${size}`,
    );
  }
  const units = new Uint32Array(size / 4);
  for (let i = 0; i < units.length; i++) units[i] = view.getUint32(4 + 4 * i, true);
  return { units, replacements: blob.subarray(4 + size) };
}
