/** `node:process` of the page: one process, without a command line. */
const process = {
  pid: 1,
  platform: "browser",
  arch: "wasm32",
  argv: [] as string[],
  env: {} as Record<string, string>,
  versions: {} as Record<string, string>,
  version: "",
  cwd: (): string => "/",
  nextTick: (work: (...args: unknown[]) => void, ...args: unknown[]): void =>
    queueMicrotask(() => work(...args)),
  memoryUsage: (): { rss: number; heapUsed: number } => ({ rss: 0, heapUsed: 0 }),
  cpuUsage: (): { user: number; system: number } => ({ user: 0, system: 0 }),
  kill: (id: number): true => {
    if (id === 1) return true;
    throw Object.assign(new Error("no such process"), { code: "ESRCH" });
  },
  emitWarning: (): void => {},
  on: (): void => {},
  off: (): void => {},
};
export default process;
export const { arch, argv, cwd, env, kill, memoryUsage, nextTick, pid, platform, version, versions } =
  process;
