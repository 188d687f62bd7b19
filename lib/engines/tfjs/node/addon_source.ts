/**
 * The two C++ files that this library adds to tfjs-node's own when it builds the addon. The loader keeps TensorFlow apart
 * from what else is in the process: drivers of graphics cards bring an LLVM whose symbols (Mesa opens its drivers with
 * RTLD_GLOBAL) would take the place of those of the LLVM inside TensorFlow, and the process would end while that starts.
 * The other file registers a graph as a function of TensorFlow's eager runtime, so that a whole step is one call.
 */

/** `tfjs_binding.node`: opens `tfjs_tensorflow.node` beside it, whose names are looked up in its own libraries first. */
export const loaderSource = `#include <dlfcn.h>
#include <node_api.h>
#include <string>

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env,
                                                                                    napi_value exports) {
  Dl_info here;
  if (dladdr(reinterpret_cast<void *>(&napi_register_module_v1), &here) == 0) {
    napi_throw_error(env, nullptr, "the addon does not find its own file");
    return nullptr;
  }
  std::string file(here.dli_fname);
  file = file.substr(0, file.rfind('/') + 1) + "tfjs_tensorflow.node";
  void *library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  void *start = library == nullptr ? nullptr : dlsym(library, "albert_register_module");
  if (start == nullptr) {
    napi_throw_error(env, nullptr, dlerror());
    return nullptr;
  }
  return reinterpret_cast<decltype(&napi_register_module_v1)>(start)(env, exports);
}
`;

/**
 * Linked into `tfjs_tensorflow.node`: wraps the package's registration and exports two more functions,
 * `addFunction(name, graph, inputs, outputs)` with a serialized GraphDef and names of its nodes, and
 * `removeFunction(name)`. Functions are then called by `executeOp`, like operations.
 */
export const functionsSource = `#include <memory>
#include <string>
#include <unordered_map>
#include <vector>
#include <node_api.h>
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"
#define private public  // the context of TensorFlow's eager runtime is a private member
#include "tfjs_backend.h"
#undef private

namespace {

napi_value fail(napi_env env, const std::string &why) {
  napi_throw_error(env, nullptr, why.c_str());
  return nullptr;
}

std::string text(napi_env env, napi_value value) {
  size_t size = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &size);
  std::string out(size, 0);
  napi_get_value_string_utf8(env, value, &out[0], size + 1, &size);
  return out;
}

TFE_Context *contextOf(napi_env env) {
  void *backend = nullptr;
  if (napi_get_instance_data(env, &backend) != napi_ok || backend == nullptr) return nullptr;
  return static_cast<tfnodejs::TFJSBackend *>(backend)->tfe_context_;
}

std::vector<TF_Output> outputsNamed(napi_env env, TF_Graph *graph, napi_value names, std::string *missing) {
  uint32_t count = 0;
  napi_get_array_length(env, names, &count);
  std::vector<TF_Output> found;
  for (uint32_t i = 0; i < count; i++) {
    napi_value each;
    napi_get_element(env, names, i, &each);
    const std::string name = text(env, each);
    TF_Operation *operation = TF_GraphOperationByName(graph, name.c_str());
    if (operation == nullptr) *missing = name;
    found.push_back({operation, 0});
  }
  return found;
}

napi_value addFunction(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value args[4];
  if (napi_get_cb_info(env, info, &argc, args, nullptr, nullptr) != napi_ok || argc != 4) {
    return fail(env, "addFunction takes a name, a graph, its inputs and its outputs");
  }
  napi_typedarray_type type;
  size_t size = 0;
  void *bytes = nullptr;
  if (napi_get_typedarray_info(env, args[1], &type, &size, &bytes, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    return fail(env, "addFunction takes its graph as a Uint8Array");
  }
  TFE_Context *context = contextOf(env);
  if (context == nullptr) return fail(env, "TensorFlow's runtime has not started");
  std::unique_ptr<TF_Status, void (*)(TF_Status *)> status(TF_NewStatus(), TF_DeleteStatus);
  std::unique_ptr<TF_Graph, void (*)(TF_Graph *)> graph(TF_NewGraph(), TF_DeleteGraph);
  std::unique_ptr<TF_Buffer, void (*)(TF_Buffer *)> buffer(TF_NewBufferFromString(bytes, size), TF_DeleteBuffer);
  std::unique_ptr<TF_ImportGraphDefOptions, void (*)(TF_ImportGraphDefOptions *)> options(
      TF_NewImportGraphDefOptions(), TF_DeleteImportGraphDefOptions);
  TF_GraphImportGraphDef(graph.get(), buffer.get(), options.get(), status.get());
  if (TF_GetCode(status.get()) != TF_OK) return fail(env, TF_Message(status.get()));
  std::string missing;
  const auto inputs = outputsNamed(env, graph.get(), args[2], &missing);
  const auto outputs = outputsNamed(env, graph.get(), args[3], &missing);
  if (!missing.empty()) return fail(env, "the graph has no node " + missing);
  const std::string name = text(env, args[0]);
  std::unique_ptr<TF_Function, void (*)(TF_Function *)> function(
      TF_GraphToFunction(graph.get(), name.c_str(), 0, -1, nullptr, inputs.size(), inputs.data(), outputs.size(),
                         outputs.data(), nullptr, nullptr, nullptr, status.get()),
      TF_DeleteFunction);
  if (TF_GetCode(status.get()) != TF_OK) return fail(env, TF_Message(status.get()));
  TFE_ContextAddFunction(context, function.get(), status.get());
  if (TF_GetCode(status.get()) != TF_OK) return fail(env, TF_Message(status.get()));
  return nullptr;
}

napi_value removeFunction(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value args[1];
  TFE_Context *context = contextOf(env);
  if (napi_get_cb_info(env, info, &argc, args, nullptr, nullptr) != napi_ok || argc != 1 || context == nullptr) {
    return fail(env, "removeFunction takes a name");
  }
  std::unique_ptr<TF_Status, void (*)(TF_Status *)> status(TF_NewStatus(), TF_DeleteStatus);
  TFE_ContextRemoveFunction(context, text(env, args[0]).c_str(), status.get());
  if (TF_GetCode(status.get()) != TF_OK) return fail(env, TF_Message(status.get()));
  return nullptr;
}

}  // namespace

extern "C" napi_value napi_register_module_v1(napi_env env, napi_value exports);

extern "C" __attribute__((visibility("default"))) napi_value albert_register_module(napi_env env,
                                                                                   napi_value exports) {
  exports = napi_register_module_v1(env, exports);
  bool failed = false;
  if (napi_is_exception_pending(env, &failed) != napi_ok || failed || exports == nullptr) return exports;
  const napi_property_descriptor more[] = {
      {"addFunction", nullptr, addFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"removeFunction", nullptr, removeFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, 2, more);
  return exports;
}
`;
