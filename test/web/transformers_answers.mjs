// What transformers.js makes of an exported folder, in Node, Deno and a browser: for each text of {fill, texts, sentences} the
// candidates, the mean vector, the scores, the ids.
export async function answersOf({ env, pipeline }, folder, name, { fill, texts, sentences }, { paths } = {}) {
  env.allowRemoteModels = false;
  env.allowLocalModels = true; // off in browsers
  env.localModelPath = folder;
  if (paths !== undefined) {
    env.useWasmCache = false;
    Object.assign(env.backends.onnx.wasm, { wasmPaths: paths, numThreads: 1 });
  }
  const answers = [];
  const filler = await pipeline("fill-mask", name, { dtype: "fp32" });
  for (const text of fill) {
    answers.push((await filler(text)).map(({ token, score }) => ({ id: Number(token), probability: score })));
  }
  const small = {};
  for (const dtype of ["fp16", "q8"]) {
    small[dtype] = (await (await pipeline("fill-mask", name, { dtype }))(fill[0])).length;
  }
  const extractor = await pipeline("feature-extraction", name, { dtype: "fp32" });
  const vectors = await extractor(texts, { pooling: "mean" });
  // The shorter texts of the batch are padded.
  const { logits } = await filler.model(filler.tokenizer(texts, { padding: true }));
  const ids = [...texts, ...sentences].map((text) =>
    Array.from(filler.tokenizer(text).input_ids.data, Number)
  );
  return { answers, small, ids, vectors: vectors.tolist(), logits: logits.tolist() };
}
