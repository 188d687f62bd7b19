/**
 * A Slurm of one machine for tests: Debian's munged, slurmctld and slurmd with a configuration in a folder of their own, on the
 * loopback address, ended by their process ids. It needs root, and `apt-get install slurm-wlm munge`.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const daemons = { munged: "/usr/sbin/munged", slurmctld: "/usr/sbin/slurmctld", slurmd: "/usr/sbin/slurmd" };

/** What is lacking for a Slurm here, in words; empty when nothing is. */
export const slurmLacks: string = process.getuid?.() !== 0
  ? " (needs root)"
  : Object.values(daemons).every((path) => existsSync(path))
  ? ""
  : " (no Slurm: apt-get install slurm-wlm munge)";

export type LocalSlurm = {
  /** Runs a command of Slurm, such as `sbatch`; returns what it printed. */
  readonly run: (command: string, args: readonly string[]) => string;
  /** States of the tasks of a job by their index, by `squeue` and what Slurm remembers of ended ones. */
  readonly states: (job: string) => Readonly<Record<string, string>>;
  readonly close: () => void;
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Starts it with so many processors, as Slurm counts them. */
export async function startSlurm({ cpus }: { readonly cpus: number }): Promise<LocalSlurm> {
  const folder = mkdtempSync(join(tmpdir(), "albert-slurm-"));
  chmodSync(folder, 0o755);
  for (const name of ["munge", "state", "spool"]) mkdirSync(join(folder, name), { mode: 0o755 });
  const socket = join(folder, "munge", "socket");
  const key = join(folder, "munge.key");
  writeFileSync(key, randomBytes(1024), { mode: 0o400 });
  const name = hostname().split(".")[0] ?? "localhost";
  const config = join(folder, "slurm.conf");
  writeFileSync(
    config,
    `ClusterName=albert
SlurmctldHost=${name}(127.0.0.1)
SlurmctldPort=${await freePort()}
SlurmdPort=${await freePort()}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${socket}
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
MpiDefault=none
JobRequeue=1
ReturnToService=2
MinJobAge=600
SchedulerParameters=sched_interval=1,batch_sched_delay=1
NodeName=${name} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`.replace("CryptoType=crypto/munge\n", ""),
  );
  const env = { ...process.env, SLURM_CONF: config };
  const children: ChildProcess[] = [];
  const start = (command: string, args: readonly string[]): void => {
    children.push(spawn(command, args, { env, stdio: "ignore" }));
  };
  const close = (): void => {
    spawnSync("scancel", ["--user=root"], { env }); // a test that failed may have left jobs
    for (let i = 0; i < 40 && String(spawnSync("squeue", ["-h"], { env }).stdout ?? "").trim() !== ""; i++) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
    }
    for (const child of children.reverse()) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }); // they end in a moment
  };
  const run: LocalSlurm["run"] = (command, args) => {
    const { status, stdout, stderr } = spawnSync(command, args, { env, encoding: "utf8" });
    if (status === 0) return stdout.trim();
    throw new Error(`Cannot run ${command} ${args.join(" ")}: ${stderr || stdout}`);
  };
  const munge = ["--foreground", "--force", `--socket=${socket}`, `--key-file=${key}`];
  const own = ["pid", "log", "seed"].map((kind) => `--${kind}-file=${folder}/munge/${kind}`);
  start(daemons.munged, [...munge, ...own]);
  for (let i = 0; i < 100 && !existsSync(socket); i++) await pause(50);
  start(daemons.slurmctld, ["-D", "-f", config]);
  start(daemons.slurmd, ["-D", "-f", config, "-N", name]);
  for (let i = 0;; i++) {
    try {
      if (/\bidle\b/.test(run("sinfo", ["-h", "-o", "%T"]))) break;
    } catch {
      // Not up yet.
    }
    if (i > 200) {
      const logs = ["slurmctld.log", "slurmd.log"].map((file) =>
        existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8").slice(-1500) : `no ${file}`
      );
      close();
      throw new Error(`Cannot start Slurm: no node became idle\n${logs.join("\n")}`);
    }
    await pause(100);
  }
  return {
    run,
    states: (job) => {
      const lines = run("scontrol", ["show", "job", job, "--oneliner"]).split("\n");
      return Object.fromEntries(
        lines.map((line) => [
          /ArrayTaskId=(\S+)/.exec(line)?.[1] ?? "0",
          /JobState=(\S+)/.exec(line)?.[1] ?? "",
        ]),
      );
    },
    close,
  };
}
