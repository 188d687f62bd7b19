/**
 * The rest of Node's modules as far as the library reaches for them in a page: addresses, timers, and threads and processes,
 * of which there are none.
 */
const lacking = (what: string) => (): never => {
  throw new Error(`Cannot start ${what}: a page has none`);
};
export const fileURLToPath = (address: string | URL): string => decodeURIComponent(new URL(address).pathname);
export const pathToFileURL = (path: string): URL => new URL(`file://${path}`);
export const promisify = (call: (...args: unknown[]) => void) => (...args: unknown[]): Promise<unknown> =>
  new Promise((resolve, reject) =>
    call(...args, (error: unknown, value: unknown) => error ? reject(error) : resolve(value))
  );
export const parseArgs: () => never = lacking("a command");
const channel = new MessageChannel();
const due: (() => void)[] = [];
channel.port1.onmessage = () => due.shift()?.();
/** Lets messages through, without the wait of 4 ms that browsers put into nested timers. */
export const setImmediate = (work: () => void): void => {
  due.push(work);
  channel.port2.postMessage(0);
};
export const isMainThread = true;
export const parentPort = null;
export const workerData = undefined;
export const threadId = 0;
export class Worker {
  constructor() {
    lacking("a thread")();
  }
}
export const spawn: () => never = lacking("a process");
export const spawnSync: () => never = lacking("a process");
export const createRequire: () => () => never = () => lacking("a package");
export const createServer: () => never = lacking("a server");
export const connect: () => never = lacking("a connection");
export const pipeline: () => never = lacking("a pipe");
const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
export { clearInterval, clearTimeout, setInterval, setTimeout };
