/** One trainer per output_dir: a lock file that names the process; a dead process's lock is taken over. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { kill, pid } from "node:process";

function alive(process: number): boolean {
  try {
    kill(process, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

const held = new Set<string>();

/** Takes the lock of a folder and returns what gives it back; throws when another trainer holds it. */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "train.lock");
  const own = `${pid} ${hostname()}\n`;
  try {
    writeFileSync(path, own, { flag: "wx" });
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    const [process, host] = readFileSync(path, "utf8").trim().split(" ");
    const elsewhere = host !== hostname();
    if (held.has(path) || elsewhere || (Number(process) !== pid && alive(Number(process)))) {
      throw new Error(
        `Cannot train in ${folder}: process ${process} on ${host} is training there; wait for it, choose another ` +
          "output_dir, or remove train.lock if it is gone",
      );
    }
    writeFileSync(path, own);
  }
  held.add(path);
  return () => {
    held.delete(path);
    rmSync(path, { force: true });
  };
}
