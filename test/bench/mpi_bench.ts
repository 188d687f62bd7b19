// Two processes of one thread over MPI beside one process of two threads: positions a second at the same global batch, in turn.
// `--hosts` runs the two as two hosts, in network namespaces of this machine whose only way to each other is a link of their own.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createRecords, loadSentencePiece, readEmbedded, trainUnigram } from "../../lib/mod.ts";
import { type Ratio, ratioOf } from "./pairs.ts";

const launcher = "/usr/bin/mpirun.openmpi";
const cli = fileURLToPath(new URL("../../lib/cli.ts", import.meta.url));
const sumScript = fileURLToPath(new URL("mpi_sum.ts", import.meta.url));
const asRoot = (): NodeJS.ProcessEnv => ({
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
});
const lengths = { max_seq_length: 128, max_predictions_per_seq: 20 };

type Size = {
  readonly name: string;
  readonly layers: number;
  readonly hidden: number;
  readonly batch: number;
  readonly steps: number;
};
const sizes: readonly Size[] = [
  { name: "4 layers of 256, 32 x 128", layers: 4, hidden: 256, batch: 32, steps: 40 },
  { name: "6 layers of 512, 32 x 128", layers: 6, hidden: 512, batch: 32, steps: 12 },
];

async function prepare(place: string): Promise<{ readonly records: string; readonly vocab_size: number }> {
  const documents = readEmbedded("kjv").slice(0, 200).map(({ paragraphs }) => paragraphs);
  const raw = join(place, "raw.txt");
  writeFileSync(raw, documents.map((lines) => `${lines.join("\n")}\n`).join("\n"));
  const { model } = await trainUnigram(documents.flat(), {
    vocab_size: 4000,
    pad_id: 0,
    unk_id: 1,
    bos_id: -1,
    eos_id: -1,
    control_symbols: "[CLS],[SEP],[MASK]",
  });
  const records = join(place, "records");
  const tokenizer = loadSentencePiece(model);
  await createRecords({ input_file: raw, output_file: records, tokenizer, dupe_factor: 1, ...lengths });
  return { records, vocab_size: tokenizer.size };
}

/** Seconds of a step, by the last log line of a run: the first line holds what is compiled late. */
function secondsOf(
  place: string,
  records: string,
  config: string,
  size: Size,
  before: readonly string[],
): number {
  const output = join(place, "model");
  rmSync(output, { recursive: true, force: true });
  const flags = [
    `--input_file=${records}`,
    `--output_dir=${output}`,
    `--albert_config_file=${config}`,
    ...Object.entries(lengths).map(([name, value]) => `--${name}=${value}`),
    `--train_batch_size=${size.batch}`,
    `--num_train_steps=${size.steps}`,
    "--num_warmup_steps=1",
    `--log_every=${size.steps / 2}`,
    "--save_checkpoints_steps=1000",
    "--nomeasure_peak",
    "--engine=xla",
  ];
  const [command = "", ...args] = [
    ...before,
    process.execPath,
    "run",
    "-A",
    "--no-check",
    cli,
    "pretrain",
    ...flags,
  ];
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: asRoot() });
  if (status !== 0) throw new Error(`Cannot measure: ${stdout.slice(-500)} ${stderr.slice(-2000)}`);
  const line = readFileSync(join(output, "metrics.jsonl"), "utf8").trim().split("\n").at(-1) ?? "{}";
  const { tokens_per_second } = JSON.parse(line) as { readonly tokens_per_second: number };
  return size.batch * lengths.max_seq_length / tokens_per_second;
}

/** Milliseconds of a sum over two processes. */
function sumOf(numbers: number, [command = "", ...before]: readonly string[]): number {
  const args = [...before, process.execPath, "run", "-A", "--no-check", sumScript, String(numbers)];
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: asRoot() });
  if (status !== 0) throw new Error(`Cannot measure: ${stdout.slice(-500)} ${stderr.slice(-2000)}`);
  return Number(stdout);
}

/** Yields a ratio for each size. */
export async function* mpiBench(flags: { readonly [name: string]: string }): AsyncGenerator<Ratio | string> {
  if (!existsSync(launcher)) {
    yield `skipped: there is no ${launcher}; apt-get install openmpi-bin`;
    return;
  }
  const place = mkdtempSync(join(tmpdir(), "albert-mpi-"));
  const hosts = "hosts" in flags ? twoHosts(place) : undefined;
  try {
    if (typeof hosts === "string") return yield hosts;
    const { records, vocab_size } = await prepare(place);
    for (const size of sizes) {
      const config = join(place, "config.json");
      const { hidden: hidden_size, layers: num_hidden_layers } = size;
      writeFileSync(
        config,
        JSON.stringify({
          vocab_size,
          embedding_size: 128,
          hidden_size,
          num_hidden_layers,
          num_attention_heads: hidden_size / 64,
          intermediate_size: 4 * hidden_size,
        }),
      );
      const [ours, peer]: [number[], number[]] = [[], []];
      for (let round = 0; round < 3; round++) {
        ours.push(
          secondsOf(
            place,
            records,
            config,
            size,
            hosts?.launch ?? [launcher, "-n", "2", "--bind-to", "core"],
          ),
        );
        peer.push(secondsOf(place, records, config, size, []));
      }
      const where = hosts === undefined ? "" : " on two hosts";
      const ratio = ratioOf(`${size.name}: 2 processes${where} / 1 of two threads`, ours, peer);
      yield ratio;
      yield `${size.name}: efficiency ${(1 / ratio.ratio).toFixed(2)}`;
    }
    for (const layers of [4, 12]) {
      const numbers = 1e6 * layers;
      const milliseconds = sumOf(numbers, hosts?.launch ?? [launcher, "-n", "2", "--bind-to", "core"]);
      yield `the sum of ${layers} million numbers, ${layers === 4 ? "a small" : "a base"} model's gradient: ${
        milliseconds.toFixed(1)
      } ms, all that sending parts earlier could save of a step`;
    }
  } finally {
    if (typeof hosts === "object") hosts.close();
    rmSync(place, { recursive: true, force: true });
  }
}

type Hosts = { readonly launch: readonly string[]; readonly close: () => void };

/** Two network namespaces with a link between them; a line that says why not where they cannot be made. */
function twoHosts(place: string): Hosts | string {
  const names = [1, 2].map((i) => `albert-${process.pid}-${i}`);
  const links = [1, 2].map((i) => `al${process.pid % 100000}-${i}`);
  const run = (...args: readonly string[]): boolean =>
    spawnSync("ip", args, { encoding: "utf8" }).status === 0;
  const close = (): void => names.forEach((name) => void run("netns", "delete", name));
  const made = names.every((name) => run("netns", "add", name)) &&
    run("link", "add", links[0] ?? "", "type", "veth", "peer", "name", links[1] ?? "") &&
    names.every((name, i) => run("link", "set", links[i] ?? "", "netns", name)) &&
    names.every((name, i) =>
      run("-n", name, "addr", "add", `10.77.0.${i + 1}/24`, "dev", links[i] ?? "") &&
      run("-n", name, "link", "set", links[i] ?? "", "up") && run("-n", name, "link", "set", "lo", "up")
    );
  if (!made) {
    close();
    return "skipped: no network namespaces can be made here (root and iproute2 are needed)";
  }
  // What mpirun calls instead of ssh: the address of a host, then a command line.
  const agent = join(place, "agent.sh");
  const cases = names.map((name, i) => `10.77.0.${i + 1}) exec ip netns exec ${name} sh -c "$*" ;;`);
  writeFileSync(agent, `#!/bin/sh\nhost=$1\nshift\ncase $host in\n${cases.join("\n")}\nesac\nexit 1\n`);
  chmodSync(agent, 0o755);
  const launch = [
    ...["ip", "netns", "exec", names[0] ?? "", launcher, "--mca", "plm_rsh_agent", agent],
    ...["--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "10.77.0.0/24"],
    ...["--mca", "oob_tcp_if_include", "10.77.0.0/24", "-H", "10.77.0.1:1,10.77.0.2:1", "-n", "2"],
    ...["--cpu-set", "0,1", "--bind-to", "core", "-x", "PATH", "-x", "HOME"],
  ];
  return { launch, close };
}
