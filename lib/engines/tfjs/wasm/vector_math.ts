/**
 * exp, log, tanh and erf on four floats, as instruction sequences. Methods: Cephes' expf and logf (S. Moshier) with
 * their published coefficients; tanh and erf as the odd rational approximations that Eigen uses. Errors are below
 * about 3e-7 relative (erf, tanh: absolute); infinities and NaN go where they should.
 */
import type { FunctionBuilder } from "./assembler.ts";

/** Constants and temporaries are locals made once per function: V8 builds vector constants slowly. */
export type MathContext = {
  readonly f: FunctionBuilder;
  /** Pushes four equal floats. */
  readonly float: (value: number) => void;
  /** Pushes four equal integers. */
  readonly int: (value: number) => void;
  /** A temporary vector by name. */
  readonly temp: (name: string) => number;
};

/** Horner's rule: the value of `x` (a local) stays on the stack as the polynomial. */
function polynomial({ f, float }: MathContext, x: number, coefficients: readonly number[]): void {
  coefficients.forEach((coefficient, i) => {
    if (i > 0) {
      f.get(x);
      f.emit("f32x4Mul");
    }
    float(coefficient);
    if (i > 0) f.emit("f32x4Add");
  });
}

const expCoefficients = [
  1.9875691500e-4,
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
];

// ln of the smallest normal number.
const smallest = -87.33654;

/** e^x of the vector on the stack. */
export function exp(math: MathContext): void {
  const { f, float, int, temp } = math;
  const [x, n, z, tiny] = [temp("x"), temp("n"), temp("z"), temp("w")];
  // Results below the normal range become 0: processors take a hundred times longer for subnormal numbers, and the
  // masked scores of attention would make many of them.
  f.tee(x);
  float(smallest);
  f.emit("f32x4Lt");
  f.set(tiny);
  f.get(x);
  float(89);
  f.emit("f32x4Pmin");
  float(smallest);
  f.emit("f32x4Pmax");
  f.tee(x);
  float(Math.LOG2E);
  f.emit("f32x4Mul", "nearest");
  f.tee(n);
  float(0.693359375);
  f.emit("f32x4Mul");
  f.set(z);
  f.get(x, z);
  f.emit("f32x4Sub");
  f.get(n);
  float(-2.12194440e-4);
  f.emit("f32x4Mul", "f32x4Sub");
  f.set(x);
  polynomial(math, x, expCoefficients);
  f.get(x);
  f.emit("f32x4Mul");
  f.get(x);
  f.emit("f32x4Mul");
  f.get(x);
  f.emit("f32x4Add");
  float(1);
  f.emit("f32x4Add");
  // 2^n in two factors, so that the upper edge overflows as it should.
  f.get(n);
  f.emit("truncS");
  f.tee(n);
  f.i32(1);
  f.emit("i32x4ShrS");
  f.tee(z);
  int(127);
  f.emit("i32x4Add");
  f.i32(23);
  f.emit("i32x4Shl", "f32x4Mul");
  f.get(n, z);
  f.emit("i32x4Sub");
  int(127);
  f.emit("i32x4Add");
  f.i32(23);
  f.emit("i32x4Shl", "f32x4Mul");
  f.get(tiny);
  f.emit("not", "and");
}

const logCoefficients = [
  7.0376836292e-2,
  -1.1514610310e-1,
  1.1676998740e-1,
  -1.2420140846e-1,
  1.4249322787e-1,
  -1.6668057665e-1,
  2.0000714765e-1,
  -2.4999993993e-1,
  3.3333331174e-1,
];

/** ln x of the vector on the stack. */
export function log(math: MathContext): void {
  const { f, float, int, temp } = math;
  const [x, e, m, z, small] = [temp("x"), temp("n"), temp("z"), temp("y"), temp("w")];
  f.tee(x);
  // Subnormal numbers are brought into the normal range first.
  float(1.17549435e-38);
  f.emit("f32x4Lt");
  f.set(small);
  f.get(x);
  float(2 ** 23);
  f.emit("f32x4Mul");
  f.get(x, small);
  f.emit("bitselect");
  f.tee(m);
  f.i32(23);
  f.emit("i32x4ShrU");
  int(126);
  f.emit("i32x4Sub", "convertS");
  float(23);
  f.get(small);
  f.emit("and", "f32x4Sub");
  f.set(e);
  // The mantissa in [0.5, 1).
  f.get(m);
  int(0x807fffff | 0);
  f.emit("and");
  int(0x3f000000);
  f.emit("or");
  f.tee(m);
  float(Math.SQRT1_2);
  f.emit("f32x4Lt");
  f.set(small);
  f.get(e);
  float(1);
  f.get(small);
  f.emit("and", "f32x4Sub");
  f.set(e);
  f.get(m);
  f.get(m, small);
  f.emit("and", "f32x4Add");
  float(1);
  f.emit("f32x4Sub");
  f.set(m);
  f.get(m, m);
  f.emit("f32x4Mul");
  f.set(z);
  polynomial(math, m, logCoefficients);
  f.get(m);
  f.emit("f32x4Mul");
  f.get(z);
  f.emit("f32x4Mul");
  f.get(e);
  float(-2.12194440e-4);
  f.emit("f32x4Mul", "f32x4Add");
  float(-0.5);
  f.get(z);
  f.emit("f32x4Mul", "f32x4Add");
  f.get(m);
  f.emit("f32x4Add");
  f.get(e);
  float(0.693359375);
  f.emit("f32x4Mul", "f32x4Add");
  f.set(z);
  // 0 gives -Infinity, negative numbers NaN, Infinity itself; NaN stays.
  float(Infinity);
  f.get(z, x);
  float(Infinity);
  f.emit("f32x4Eq", "bitselect");
  f.set(z);
  float(-Infinity);
  f.get(z, x);
  float(0);
  f.emit("f32x4Eq", "bitselect");
  f.set(z);
  f.get(z);
  float(NaN);
  f.get(x);
  float(0);
  f.emit("f32x4Ge", "bitselect");
}

type Rational = { readonly bound: number; readonly odd: readonly number[]; readonly even: readonly number[] };

const tanhForm: Rational = {
  bound: 7.90531110763549805,
  odd: [
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-8,
    1.48572235717979e-5,
    6.37261928875436e-4,
    4.89352455891786e-3,
  ],
  even: [1.19825839466702e-6, 1.18534705686654e-4, 2.26843463243900e-3, 4.89352518554385e-3],
};

const erfForm: Rational = {
  bound: 4,
  odd: [
    -2.72614225801306e-10,
    2.77068142495902e-8,
    -2.10102402082508e-6,
    -5.69250639462346e-5,
    -7.34990630326855e-4,
    -2.95459980854025e-3,
    -1.60960333262415e-2,
  ],
  even: [
    -1.45660718464996e-5,
    -2.13374055278905e-4,
    -1.68282697438203e-3,
    -7.37332916720468e-3,
    -1.42647390514189e-2,
  ],
};

/** x P(x²) / Q(x²) with x held within bounds. */
function rational(math: MathContext, { bound, odd, even }: Rational): void {
  const { f, float, temp } = math;
  const [x, square] = [temp("x"), temp("n")];
  float(bound);
  f.emit("f32x4Pmin");
  float(-bound);
  f.emit("f32x4Pmax");
  f.set(x);
  f.get(x, x);
  f.emit("f32x4Mul");
  f.set(square);
  polynomial(math, square, odd);
  f.get(x);
  f.emit("f32x4Mul");
  polynomial(math, square, even);
  f.emit("f32x4Div");
}

/** tanh x of the vector on the stack. */
export function tanh(math: MathContext): void {
  rational(math, tanhForm);
}

/** erf x of the vector on the stack. */
export function erf(math: MathContext): void {
  rational(math, erfForm);
}
