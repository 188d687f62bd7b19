// The checksum of records, in TypeScript, against a native one over the same bytes.
import { createHash } from "node:crypto";
import { crc32c } from "../../lib/mod.ts";
import { inPairs, type Ratio } from "./pairs.ts";

/** CRC-32C against native SHA-1, the fastest hash that every runtime has, over the same 16 MB. */
export async function* recordsBench(): AsyncGenerator<Ratio | string> {
  const bytes = new Uint8Array(1 << 24).map((_, i) => (i * 2654435761) >>> 24);
  yield await inPairs(
    "checksum of 16 MB",
    { name: "crc32c", run: () => crc32c(bytes) },
    { name: "native SHA-1", run: () => createHash("sha1").update(bytes).digest() },
  );
}
