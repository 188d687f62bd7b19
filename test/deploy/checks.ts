// What is wrong with a file of deploy/: against Kubernetes' published types, Docker's grammar, sbatch's options and the
// flags of our own commands. Each check returns its complaints.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DockerfileParser } from "dockerfile-ast";
import ts from "typescript";
import { parseAllDocuments } from "yaml";
import { type Command, commands, parseArguments } from "../../lib/commands/mod.ts";

export const root: string = new URL("../..", import.meta.url).pathname;

const known: readonly Command[] = await commands();

/** What our command line says of arguments, from the name of the command on. */
export function checkAlbert([name = "", ...args]: readonly string[]): string[] {
  const command = known.find((one) => one.name === name || one.aliases.includes(name));
  if (command === undefined) return [`there is no command ${name}`];
  try {
    parseArguments(command, args);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Types of the package kubernetes-types, made from Kubernetes' OpenAPI, by apiVersion and kind. */
const kinds: Readonly<Record<string, readonly [module: string, name: string]>> = {
  "batch/v1 Job": ["kubernetes-types/batch/v1", "Job"],
  "kubeflow.org/v2beta1 MPIJob": ["./mpi_job.ts", "MPIJob"],
};

type Container = {
  readonly name?: string;
  readonly args?: readonly string[];
  readonly volumeMounts?: readonly { readonly name: string }[];
};
type Job = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly spec?: {
    readonly mpiReplicaSpecs?: Readonly<Record<string, NonNullable<Job["spec"]>>>;
    readonly completionMode?: string;
    readonly completions?: number;
    readonly podFailurePolicy?: {
      readonly rules?: readonly { readonly onExitCodes?: { readonly containerName?: string } }[];
    };
    readonly template?: {
      readonly spec?: {
        readonly restartPolicy?: string;
        readonly containers?: readonly Container[];
        readonly volumes?: readonly { readonly name: string }[];
      };
    };
  };
};

/** Complaints of the TypeScript compiler about objects as literals of their published types: unknown keys count too. */
function typeErrors(objects: readonly Job[]): string[] {
  const path = join(root, "test/deploy/literal.ts"); // only in memory
  const source = objects.map((object, i) => {
    const [module, name] = kinds[`${object.apiVersion} ${object.kind}`] ?? ["", ""];
    return `import type { ${name} as T${i} } from "${module}";\n` +
      `export const o${i}: T${i} = ${JSON.stringify(object, undefined, 1)};\n`;
  }).join("");
  const options: ts.CompilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    lib: ["lib.es2022.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, language, ...rest) =>
    name === path ? ts.createSourceFile(name, source, language) : getSourceFile(name, language, ...rest);
  const program = ts.createProgram([path], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, " ")
  );
}

/** What the types do not say: parts of a job that name each other. */
function jobErrors({ spec = {} }: Job): string[] {
  const { mpiReplicaSpecs } = spec;
  if (mpiReplicaSpecs !== undefined) {
    return Object.values(mpiReplicaSpecs).flatMap((each) => jobErrors({ spec: each }));
  }
  const { containers = [], volumes = [], restartPolicy } = spec.template?.spec ?? {};
  const problems: string[] = [];
  const indexed = spec.completionMode === "Indexed";
  if (indexed && spec.completions === undefined) problems.push("an Indexed Job needs completions");
  if (spec.podFailurePolicy !== undefined && restartPolicy !== "Never") {
    problems.push("podFailurePolicy needs restartPolicy Never");
  }
  for (const { onExitCodes } of spec.podFailurePolicy?.rules ?? []) {
    const { containerName } = onExitCodes ?? {};
    if (containerName !== undefined && containers.every(({ name }) => name !== containerName)) {
      problems.push(`there is no container ${containerName}`);
    }
  }
  for (const { args = [], volumeMounts = [] } of containers) {
    if (args.length > 0) problems.push(...checkAlbert(args));
    for (const { name } of volumeMounts) {
      if (volumes.every((volume) => volume.name !== name)) problems.push(`there is no volume ${name}`);
    }
    const count = args.find((arg) => arg.startsWith("--shard_count="))?.split("=")[1];
    if (indexed && count !== String(spec.completions)) {
      problems.push(`--shard_count is ${count}, completions are ${spec.completions}`);
    }
  }
  return problems;
}

/** A file of Kubernetes objects. */
export function checkKubernetes(text: string): string[] {
  const documents = parseAllDocuments(text);
  const broken = documents.flatMap(({ errors }) => errors.map(({ message }) => message));
  if (broken.length > 0 || documents.length === 0) return ["it is no YAML", ...broken];
  const objects = documents.map((document) => document.toJS() as Job);
  const unknown = objects.filter(({ apiVersion, kind }) => kinds[`${apiVersion} ${kind}`] === undefined);
  if (unknown.length > 0) {
    return unknown.map(({ apiVersion, kind }) => `no types are known of ${apiVersion} ${kind}`);
  }
  return [...typeErrors(objects), ...objects.flatMap(jobErrors)];
}

/** Options of sbatch that may stand in a script (its manual, version 24), those that we may come to use. */
const sbatchOptions = new Map<string, RegExp>([
  ["job-name", /^[\w.-]+$/],
  ["array", /^\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?$/],
  ["nodes", /^\d+(-\d+)?$/],
  ["ntasks", /^\d+$/],
  ["ntasks-per-node", /^\d+$/],
  ["cpus-per-task", /^\d+$/],
  ["gpus-per-node", /^([a-z]\w*:)?\d+$/],
  ["mem", /^\d+[KMGT]?$/],
  ["time", /^(\d+-)?\d+(:\d\d){0,2}$/],
  ["requeue", /^$/],
  ["open-mode", /^(append|truncate)$/],
  ["output", /^\S+$/],
  ["signal", /^(R|B|RB)?:?[A-Z0-9]+(@\d+)?$/],
  ["partition", /^[\w,-]+$/],
]);

/** Arguments that a script of Slurm gives to `srun`, each call one list. */
export function srunCalls(
  path: string,
  folder: string,
  env: Readonly<Record<string, string>> = {},
): string[][] {
  const stub = 'srun() { printf "%s\\0" "$@"; printf "\\1"; }; mkdir() { :; }; . "$0"';
  const { stdout } = spawnSync("bash", ["-c", stub, path], {
    cwd: folder,
    env: { PATH: Deno.env.get("PATH") ?? "", ...env },
    encoding: "utf8",
  });
  return stdout.split("\x01").filter((call) => call !== "").map((call) => call.split("\0").slice(0, -1));
}

/** A script for sbatch; `path` is where it lies. */
export function checkSbatch(text: string, path: string): string[] {
  const problems: string[] = [];
  const { status, stderr } = spawnSync("bash", ["-n"], { input: text, encoding: "utf8" });
  if (status !== 0) problems.push(`bash: ${stderr.trim()}`);
  const lines = text.split("\n");
  if (!/^#!\/bin\/bash$/.test(lines[0] ?? "")) problems.push("sbatch wants #! in its first line");
  const firstCommand = lines.findIndex((line) => line !== "" && !line.startsWith("#"));
  lines.forEach((line, at) => {
    if (!/^#\s*SBATCH\b/.test(line)) return;
    const [, name = "", value = ""] = /^#SBATCH --([a-z-]+)(?:=(.*))?$/.exec(line) ?? [];
    if (!(sbatchOptions.get(name)?.test(value) ?? false)) {
      problems.push(`line ${at + 1}: sbatch knows no "${line}"`);
    }
    if (at > firstCommand) problems.push(`line ${at + 1}: sbatch reads no options after the first command`);
  });
  if (status !== 0) return problems;
  const calls = srunCalls(path, root);
  if (calls.length === 0) problems.push("it starts nothing");
  for (const call of calls) {
    const at = call.indexOf("lib/cli.ts");
    problems.push(
      ...(at < 0 ? [`srun ${call.join(" ")} starts no command of ours`] : checkAlbert(call.slice(at + 1))),
    );
  }
  return problems;
}

const dockerKeywords = ["ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD", "LABEL"];

/** Commands of ours in a line of a shell. */
const oursIn = (line: string): string[][] =>
  [...line.matchAll(/lib\/cli\.ts ([^&|;]+)/g)].map(([, args = ""]) => args.trim().split(/\s+/));

/** A Dockerfile whose context is the root of a checkout. */
export function checkDockerfile(text: string): string[] {
  const file = DockerfileParser.parse(text);
  const problems: string[] = [];
  const stages = new Set<string>();
  for (const instruction of file.getInstructions()) {
    const keyword = instruction.getKeyword();
    const line = `line ${instruction.getRange().start.line + 1}`;
    const content = instruction.getArgumentsContent() ?? "";
    if (!dockerKeywords.includes(keyword)) problems.push(`${line}: unknown instruction ${keyword}`);
    if (content === "") problems.push(`${line}: ${keyword} needs arguments`);
    if (keyword === "ENTRYPOINT" || keyword === "CMD") {
      try {
        JSON.parse(content);
      } catch {
        problems.push(`${line}: ${keyword} is no list, so signals would reach a shell`);
      }
    }
    if (keyword === "RUN") problems.push(...oursIn(content.replaceAll("\\\n", " ")).flatMap(checkAlbert));
  }
  for (const from of file.getFROMs()) {
    const stage = from.getBuildStage();
    if (from.getImage() === null) problems.push("FROM names no image");
    if (stage !== null) stages.add(stage);
  }
  for (const copy of file.getCOPYs()) {
    const flags = copy.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? ""] as const);
    const from = flags.find(([name]) => name === "from")?.[1];
    const sources = copy.getArguments().map((argument) => argument.getValue()).slice(0, -1);
    if (sources.length === 0) problems.push("COPY has no source");
    if (from !== undefined) {
      if (!stages.has(from)) problems.push(`COPY takes from ${from}, which is no stage`);
      continue;
    }
    for (const source of sources) {
      if (!existsSync(join(root, source))) problems.push(`COPY takes ${source}, which is not there`);
    }
  }
  return file.getFROMs().length === 0 ? [...problems, "it has no FROM"] : problems;
}
