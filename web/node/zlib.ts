/** `node:zlib` of the page: what the library unpacks at once. Streams are read from memory, where nothing is packed. */
import { deflateSync, gunzipSync as gunzip } from "fflate";
import { Buffer } from "buffer";

const lacking = (what: string) => (): never => {
  throw new Error(`Cannot ${what}: the page reads no packed files; unpack it first`);
};
export const gunzipSync = (bytes: Uint8Array): Uint8Array => Buffer.from(gunzip(bytes));
export const deflateRawSync = (bytes: Uint8Array): Uint8Array => deflateSync(bytes);
export const createGunzip: () => never = lacking("open a gzip file");
export const createInflate: () => never = lacking("open a zlib file");
export const createGzip: () => never = lacking("write a gzip file");
export const createDeflate: () => never = lacking("write a zlib file");
export const brotliDecompressSync: () => never = lacking("unpack brotli");
export const createInflateRaw: () => never = lacking("unpack a wheel");
export const constants: Readonly<Record<string, number>> = {};
