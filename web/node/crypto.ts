/** `node:crypto` of the page: the hashes that the library takes. */
import { md5, sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { Buffer } from "buffer";

const kinds = { md5, sha1, sha256 } as const;

/** As Node's class of that name, for what is asked of it here. */
export type Hash = {
  readonly update: (data: string | Uint8Array) => Hash;
  readonly digest: (encoding?: "hex" | "base64") => string | Uint8Array;
};

/** A hash of what `update` is given. */
export function createHash(name: keyof typeof kinds): Hash {
  const hash = kinds[name].create();
  const own: Hash = {
    update: (data) => {
      hash.update(typeof data === "string" ? utf8ToBytes(data) : data);
      return own;
    },
    digest: (encoding) => {
      const bytes = hash.digest();
      if (encoding === "hex") return bytesToHex(bytes);
      return encoding === undefined ? Buffer.from(bytes) : Buffer.from(bytes).toString(encoding);
    },
  };
  return own;
}

/** A whole number from `from` to `to - 1`. */
export const randomInt = (from: number, to: number): number => {
  const word = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return from + Math.floor(word / 2 ** 32 * (to - from));
};
export const randomUUID = (): string => crypto.randomUUID();
