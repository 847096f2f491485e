// Numbers of 16 bits, which not every browser has: 1 sign, 5 bits of exponent, 10 of fraction.

const LARGEST_BEFORE_OVERFLOW = 65520; // half-way from the largest number, 65504, to the next power of two
const SMALLEST_NORMAL = 2 ** -14;

/** The nearest number of float16; of two equally near ones the even one. */
export function roundToHalf(value) {
  if (!Number.isFinite(value) || value === 0) return value;
  const size = Math.abs(value);
  if (size >= LARGEST_BEFORE_OVERFLOW) return value > 0 ? Infinity : -Infinity;
  const exponent = size < SMALLEST_NORMAL ? -14 : exponentOf(size);
  const unit = 2 ** (exponent - 10);
  const units = size / unit; // exact: a power of two
  const floor = Math.floor(units);
  const rest = units - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  return Math.sign(value) * rounded * unit;
}

export function bitsOfHalf(value) {
  const half = roundToHalf(value);
  const sign = half < 0 || Object.is(half, -0) ? 0x8000 : 0;
  const size = Math.abs(half);
  if (Number.isNaN(half)) return 0x7e00;
  if (size === Infinity) return sign | 0x7c00;
  if (size < SMALLEST_NORMAL) return sign | (size * 2 ** 24);
  const exponent = exponentOf(size);
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
}

export function halfOfBits(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The whole number e with 2^e <= size < 2^(e + 1). */
function exponentOf(size) {
  const exponent = Math.floor(Math.log2(size)); // next to a power of two the logarithm may be rounded over it
  if (2 ** exponent > size) return exponent - 1;
  return 2 ** (exponent + 1) <= size ? exponent + 1 : exponent;
}
