/**
 * Building tfjs-node's addon against a current TensorFlow: the package's two files and one of ours become
 * `tfjs_tensorflow.node`, and a loader beside it takes the name under which the package looks for its addon.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { functionsSource, loaderSource } from "./addon_source.ts";
import type { NodePackage } from "./package.ts";
import { addonOf, isolatedAddonOf } from "./package.ts";
import type { Ended, NodeTools } from "./programs.ts";
import { errorLine, run } from "./programs.ts";

/** TensorFlow's libraries in its wheel. */
export const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

function checkCompiled({ code, said }: Ended, compiler: string): void {
  if (code === null) {
    throw new Error(
      `there is no C++ compiler (${compiler}: ${said}): \`apt-get install g++\` brings one on Debian and Ubuntu, or CXX ` +
        "names one",
    );
  }
  if (code !== 0) throw new Error(`${compiler} cannot build the addon: ${errorLine(said)}`);
}

/** Compiles the addon; its path to TensorFlow's libraries is relative, so that the folder can be renamed. */
export async function buildAddon(
  name: NodePackage,
  folder: string,
  { compiler }: Pick<NodeTools, "compiler">,
  signal?: AbortSignal,
): Promise<void> {
  const npmFolder = join(folder, "node_modules", "@tensorflow", name);
  const apiHeaders = join(folder, "node_modules", "node-api-headers", "include");
  const include = join(folder, "tensorflow", "include");
  for (
    const [file, what] of [
      [join(include, "tensorflow/c/c_api.h"), "TensorFlow's headers"],
      [join(apiHeaders, "node_api.h"), "Node's headers"],
    ] as const
  ) {
    if (!existsSync(file)) {
      throw new Error(
        `${what} are missing: there is no ${file}; \`deno task albert environment --install=${name}\` fetches them anew`,
      );
    }
  }
  const [target, binding] = [addonOf(npmFolder), join(npmFolder, "binding")];
  mkdirSync(join(target, ".."), { recursive: true });
  mkdirSync(binding, { recursive: true });
  writeFileSync(join(binding, "albert_functions.cc"), functionsSource);
  writeFileSync(join(binding, "albert_loader.cc"), loaderSource);
  const form = ["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-DBUILDING_NODE_EXTENSION"];
  const compile = async (out: string, files: readonly string[], more: readonly string[]): Promise<void> => {
    const given = ["-I", apiHeaders, "-I", include, "-o", out, ...files.map((file) => join(binding, file))];
    checkCompiled(await run(compiler, [...form, ...given, ...more], { seconds: 300, signal }), compiler);
  };
  await compile(isolatedAddonOf(npmFolder), ["tfjs_backend.cc", "tfjs_binding.cc", "albert_functions.cc"], [
    ...libraries.map((library) => join(folder, "tensorflow", library)),
    "-Wl,-rpath,$ORIGIN/../../../../../tensorflow", // from node_modules/@tensorflow/<name>/lib/napi-v8
  ]);
  await compile(target, ["albert_loader.cc"], ["-ldl"]);
}
