/**
 * Files of the page kept in the browser: everything under one folder in one table of IndexedDB. All that changed since the
 * last time goes into one transaction, so a page that is closed in the middle finds the files of before or the new ones.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const FILES = "files";

/** A folder that outlives the page. */
export type KeptFolder = {
  /** Keeps what changed; resolves when the browser has it. */
  readonly keep: () => Promise<void>;
  /** Forgets everything, here and in the browser. */
  readonly clear: () => Promise<void>;
};

const open = (name: string): Promise<IDBDatabase> =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => void request.result.createObjectStore(FILES);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(storageError("open", request.error));
    request.onblocked = () => reject(storageError("open", new Error("another tab holds it")));
  });

/** One transaction over the table; what it asks for is read from its request when all is done. */
function transaction<T>(
  base: IDBDatabase,
  mode: IDBTransactionMode,
  work: (files: IDBObjectStore) => IDBRequest<T> | undefined,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const doing = base.transaction(FILES, mode, { durability: "strict" });
    const request = work(doing.objectStore(FILES));
    doing.oncomplete = () => resolve(request?.result);
    doing.onabort = () => reject(storageError(mode === "readonly" ? "read" : "write", doing.error));
  });
}

function storageError(doing: string, cause: unknown): Error {
  const name = (cause as { readonly name?: string } | null)?.name;
  const reason = name === "QuotaExceededError"
    ? "it is full: free some space, or let the browser keep more for this page"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new Error(`Cannot ${doing} the browser's storage: ${reason}; what was kept before stands`, {
    cause,
  });
}

function filesUnder(folder: string): string[] {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** Brings back what the browser kept of a folder, and keeps it from now on. */
export async function openKept(name: string, folder: string): Promise<KeptFolder> {
  const base = await open(name);
  const kept = new Map<string, string>(); // what the browser has: path to size and time
  const markOf = (path: string): string => {
    const { size, mtimeMs } = statSync(path);
    return `${size} ${mtimeMs}`;
  };
  const keys = (await transaction(base, "readonly", (files) => files.getAllKeys()) ?? []) as string[];
  for (const path of keys) {
    const bytes = await transaction(base, "readonly", (files) => files.get(path) as IDBRequest<Uint8Array>);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes ?? new Uint8Array(0));
    kept.set(path, markOf(path));
  }
  const write = async (): Promise<void> => {
    const now = filesUnder(folder).filter((path) => !path.includes(".tmp-"));
    const changed = now.map((path) => [path, markOf(path)] as const).filter(([path, mark]) =>
      kept.get(path) !== mark
    );
    const gone = [...kept.keys()].filter((path) => !now.includes(path));
    await transaction(base, "readwrite", (files) => {
      for (const [path] of changed) files.put(new Uint8Array(readFileSync(path)), path);
      for (const path of gone) files.delete(path);
      return undefined;
    });
    for (const [path, mark] of changed) kept.set(path, mark);
    for (const path of gone) kept.delete(path);
  };
  let last: Promise<void> = Promise.resolve();
  return {
    keep: () => last = last.catch(() => {}).then(write), // one at a time, in order
    clear: async () => {
      await last.catch(() => {});
      rmSync(folder, { recursive: true, force: true });
      await transaction(base, "readwrite", (files) => files.clear());
      kept.clear();
    },
  };
}
