/**
 * Weights in fewer bytes. Half: each is stored as float16 and cast back where it is used, so every runtime computes as
 * before. Eight bits: the layout of ONNX Runtime's dynamic quantization: matrices are unsigned bytes with one scale a column
 * of the product, activations are quantized while the model runs, the product is exact in whole numbers. Bytes are unsigned
 * around 128 because the signed kernels of older processors saturate in 16 bits.
 */
import type { OnnxTensor } from "../../formats/mod.ts";
import type { Tensor, TensorOf } from "../../tensor/mod.ts";
import { bytesOf, type OnnxWriter } from "./writer.ts";

/** A float32, given as its bits, as IEEE 754 binary16: 5 bits of exponent, 10 of fraction, ties to even. */
function halfOf(bits: number): number {
  const sign = bits >>> 16 & 0x8000;
  const size = bits & 0x7fffffff;
  if (size >= 0x7f800000) return size > 0x7f800000 ? 0x7e00 : sign | 0x7c00; // NaN, infinity
  const exponent = (size >>> 23) - 112; // 127 is the bias there, 15 here
  if (exponent > 30) return sign | 0x7c00;
  if (exponent < -10) return sign;
  const fraction = size & 0x7fffff;
  // Below the smallest normal number the leading one stands among the bits of the fraction.
  const [kept, shift] = exponent > 0 ? [exponent << 23 | fraction, 13] : [0x800000 | fraction, 14 - exponent];
  const [half, rest] = [kept >>> shift, kept & (1 << shift) - 1];
  const tie = 1 << shift - 1;
  return sign | half + (rest > tie || (rest === tie && (half & 1) === 1) ? 1 : 0);
}

/** Values as IEEE 754 binary16; beyond 65520 they are infinite. */
export function float16Bits(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) halves[i] = halfOf(words[i] as number);
  return halves;
}

/** Weights as float16 with the same shape. */
export function halfTensor(name: string, shape: readonly number[], values: Float32Array): OnnxTensor {
  const bits = float16Bits(values);
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
  const byRow = along === "rows";
  const largest = new Float32Array(byRow ? rows : columns);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      const at = byRow ? row : column;
      const size = Math.abs(values[i] as number);
      if (size > (largest[at] as number)) largest[at] = size;
    }
  }
  const scales = largest.map((size) => size === 0 ? 1 : size / 127);
  const bytes = new Uint8Array(values.length);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      bytes[i] = Math.round((values[i] as number) / (scales[byRow ? row : column] as number)) + zeroPoint;
    }
  }
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
