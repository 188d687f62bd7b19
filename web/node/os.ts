/** `node:os` of the page. */
export const availableParallelism = (): number => navigator.hardwareConcurrency;
export const cpus = (): { readonly model: string }[] =>
  Array.from({ length: availableParallelism() }, () => ({ model: "" }));
export const hostname = (): string => "browser";
export const tmpdir = (): string => "/tmp";
export const homedir = (): string => "/";
export const freemem = (): number => 2 ** 31;
export const totalmem = (): number => 2 ** 32;
export const arch = (): string => "wasm32";
export const platform = (): string => "browser";
export const type = (): string => "browser";
export const release = (): string => "";
export const loadavg = (): number[] => [0, 0, 0];
