/** The Python that holds a peer library: named by an environment variable, else python3, if it has the library. */
import { spawnSync } from "node:child_process";
import process from "node:process";

const version4 = "transformers.models.albert.modeling_tf_albert"; // version 5 has no TensorFlow

type Peer = { readonly variable: string; readonly modules: readonly string[] };

const peers = {
  tensorflow: { variable: "ALBERT_TF_PYTHON", modules: ["tensorflow"] } as Peer,
  nltk: { variable: "ALBERT_NLTK_PYTHON", modules: ["nltk"] } as Peer,
  jax: { variable: "ALBERT_JAX_PYTHON", modules: ["jax"] } as Peer,
  transformers: { variable: "ALBERT_HF_PYTHON", modules: ["torch", "transformers"] } as Peer,
  onnxruntime: { variable: "ALBERT_ONNX_PYTHON", modules: ["onnx", "onnxruntime"] } as Peer,
  tokenizers: { variable: "ALBERT_HF_PYTHON", modules: ["tokenizers"] } as Peer,
  safetensors: { variable: "ALBERT_HF_PYTHON", modules: ["torch", "safetensors"] } as Peer,
  sentencepiece: { variable: "ALBERT_SPM_PYTHON", modules: ["sentencepiece"] } as Peer, // the first of several
  converter: { variable: "ALBERT_CONVERTER_PYTHON", modules: ["torch", "tensorflow", version4] } as Peer,
};

/** Path of the Python, or undefined where the library is not installed. */
export function pythonWith(library: keyof typeof peers): string | undefined {
  const { variable, modules } = peers[library];
  const [python = "python3"] = (process.env[variable] ?? "python3").split(",");
  const look =
    "import importlib.util as u, sys; sys.exit(any(u.find_spec(name) is None for name in sys.argv[1:]))";
  return spawnSync(python, ["-c", look, ...modules], { stdio: "ignore" }).status === 0 ? python : undefined;
}

/** Runs a script of this folder and returns what it prints; a failure carries what it said. */
export function runPython(python: string, script: string, args: readonly string[]): string {
  const path = new URL(script, import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(python, [path, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2", HF_HUB_OFFLINE: "1" },
  });
  if (status !== 0) throw new Error(`${script} failed: ${stderr.slice(-4000)}`);
  return stdout;
}
