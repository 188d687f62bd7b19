// What transformers.js makes of an exported folder, offline. Usage: node|deno transformers_run.mjs LIBRARY FOLDER NAME INPUT;
// prints JSON: for each text of {fill, texts, sentences} the candidates, the mean vector, the scores, the ids.
const [library, folder, name, input] = globalThis.process.argv.slice(2);
const { env, pipeline } = await import(library);
env.allowRemoteModels = false;
env.localModelPath = folder;
const { fill, texts, sentences } = JSON.parse(input);
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
const ids = [...texts, ...sentences].map((text) => Array.from(filler.tokenizer(text).input_ids.data, Number));
globalThis.process.stdout.write(
  `${JSON.stringify({ answers, small, ids, vectors: vectors.tolist(), logits: logits.tolist() })}\n`,
);
