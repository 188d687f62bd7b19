/**
 * Weights in fewer bytes. Half: each is stored as float16 and cast back where it is used, so every runtime computes as
 * before. Eight bits: the layout of ONNX Runtime's dynamic quantization: matrices are unsigned bytes with one scale a column
 * of the product, activations are quantized while the model runs, the product is exact in whole numbers. Bytes are unsigned
 * around 128 because the signed kernels of older processors saturate in 16 bits.
 */
import type { OnnxTensor } from "../../formats/mod.ts";
import type { Tensor, TensorOf } from "../../tensor/mod.ts";
import { bytesOf, type OnnxWriter } from "./writer.ts";

/** A value with sign, 5 bits of exponent and 10 of fraction, rounded to the nearest, ties to even: IEEE 754 binary16. */
export function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const ulp = 2 ** (exponent - 10);
  const whole = Math.floor(size / ulp);
  const rest = size / ulp - whole;
  const rounded = rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
  // Below 2^-14 the exponent field is 0; above, the leading one of the fraction adds 1 to it.
  return sign | (((exponent + 14) << 10) + rounded);
}

/** Weights as float16 with the same shape. */
export function halfTensor(name: string, shape: readonly number[], values: Float32Array): OnnxTensor {
  const bits = Uint16Array.from(values, float16Bits);
  const bad = bits.findIndex((word) => (word & 0x7c00) === 0x7c00);
  if (bad >= 0) {
    throw new RangeError(
      `Cannot write ${name} in half precision: it holds ${
        values[bad]
      } at place ${bad}, float16 ends at 65504; choose fp32`,
    );
  }
  return { name, type: "float16", shape, data: new Uint8Array(bits.buffer) };
}

const zeroPoint = 128;

/** The scale of each row or column, and the bytes. */
export function quantize(
  values: Float32Array,
  [rows, columns]: readonly [number, number],
  along: "rows" | "columns",
): { readonly scales: Float32Array; readonly bytes: Uint8Array } {
  const scaleAt = (i: number): number => along === "rows" ? Math.floor(i / columns) : i % columns;
  const largest = new Float32Array(along === "rows" ? rows : columns);
  values.forEach((value, i) => {
    largest[scaleAt(i)] = Math.max(largest[scaleAt(i)] as number, Math.abs(value));
  });
  const scales = largest.map((size) => size === 0 ? 1 : size / 127);
  const bytes = Uint8Array.from(
    values,
    (value, i) => Math.round(value / (scales[scaleAt(i)] as number)) + zeroPoint,
  );
  return { scales, bytes };
}

/** A weight in bytes as it stands in the file. */
type Small = { readonly bytes: string; readonly scales: string };

/** Products and rows of weights in bytes. */
export type SmallWeights = {
  readonly product: (node: TensorOf<"dot">, left: string) => string | undefined;
  readonly rows: (node: TensorOf<"gather">, rows: string) => string | undefined;
};

/** Tables of fewer rows stay as they are: the two kinds of segments, not the pieces. */
const fewRows = 64;

/** Writes matrices in bytes; `valuesOf` gives the values of a weight, undefined for anything else. */
export function smallWeights(
  writer: OnnxWriter,
  valuesOf: (tensor: Tensor) => { readonly name: string; readonly values: Float32Array } | undefined,
): SmallWeights {
  const zero = (): string => writer.scalar(zeroPoint, "uint8");
  const stored = (tensor: Tensor, along: "rows" | "columns"): Small | undefined => {
    const [found, { shape }] = [valuesOf(tensor), tensor];
    if (found === undefined || shape.length !== 2) return undefined;
    const [bytes, scales] = [
      `${found.name}_quantized${along === "rows" ? "" : "_columns"}`,
      `${found.name}_scale_${along}`,
    ];
    if (!writer.written.tensors.some(({ name }) => name === bytes)) {
      const made = quantize(found.values, shape as [number, number], along);
      writer.tensor({ name: bytes, type: "uint8", shape, data: made.bytes });
      writer.tensor({
        name: scales,
        type: "float32",
        shape: [made.scales.length],
        data: bytesOf(made.scales, "float32"),
      });
    }
    return { bytes, scales };
  };
  return {
    product: ({ inputs: [left, right], attributes: { batch, contract } }, name) => {
      const plain = batch[0].length === 0 && left?.shape.length === 2 && contract[0].length === 1 &&
        contract[0][0] === 1 && contract[1].length === 1;
      const turned = contract[1][0] === 1; // the table of pieces, [V, E], is also the output layer
      const weight = plain ? stored(right as Tensor, turned ? "rows" : "columns") : undefined;
      if (weight === undefined) return undefined;
      const [values, scale, point] = writer.nodes("DynamicQuantizeLinear", [name], 3) as [
        string,
        string,
        string,
      ];
      const matrix = turned ? writer.node("Transpose", [weight.bytes], { perm: [1, 0] }) : weight.bytes;
      const whole = writer.node("MatMulInteger", [values, matrix, point, zero()]);
      const scales = writer.node("Mul", [scale, weight.scales]);
      return writer.node("Mul", [writer.node("Cast", [whole], { to: 1n }), scales]);
    },
    rows: ({ inputs: [table] }, name) => {
      if ((table as Tensor).shape[0] as number < fewRows) return undefined;
      const weight = stored(table as Tensor, "rows");
      if (weight === undefined) return undefined;
      const bytes = writer.node("Cast", [writer.node("Gather", [weight.bytes, name], { axis: 0n })], {
        to: 1n,
      });
      const scales = writer.node("Gather", [weight.scales, name], { axis: 0n });
      const centred = writer.node("Sub", [bytes, writer.scalar(zeroPoint, "float32")]);
      return writer.node("Mul", [centred, writer.node("Unsqueeze", [scales, writer.integers([-1])])]);
    },
  };
}
