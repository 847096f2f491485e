"""The arithmetic of the compiled kernels in Triton: exponentials, powers of two and logarithms in parts.

Every operation (add, multiply, divide, fused multiply-add) is rounded as IEEE 754 says, in the order of
``cpp/vecmath.h`` and ``cpp/row_state.h``. That is why the results have the same bits. Kernels that
call these functions are launched with ``enable_fp_fusion=False``.

References
----------
Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic" (1989).
"""

import functools
from fractions import Fraction

import numpy as np
import triton
import triton.language as tl

_hex = float.fromhex

# the exponential of the largest number is about BIAS, so that no part is ever subnormal
BIAS = tl.constexpr(2.0**62)
LIFT = tl.constexpr(2.0**64)  # results are computed this much larger, and lowered at the end
VANISHING = tl.constexpr(2.0**-86)
LEAST = tl.constexpr(-185.0)
PLAIN_RANGE = tl.constexpr(90.0)
START = tl.constexpr(2.0**68)  # where an accumulator begins: its additions are exact in two parts

MAGIC = tl.constexpr(_hex("0x1.8p20"))
INTEGER = tl.constexpr(_hex("0x1.8p52"))

_SLOPE = tuple(map(_hex, ("0x1.3b330cp-7", "0x1.c6bf18p-5", "0x1.ebfbe0p-3", "0x1.62e430p-1")))
_SLOPE_0, _SLOPE_1, _SLOPE_2, _SLOPE_3 = map(tl.constexpr, _SLOPE)
# powers of two by eighths: the value, and what it lacks, relative to it
POWERS = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x1p+0",
                "0x1.172b84p+0",
                "0x1.306fe0p+0",
                "0x1.4bfdaep+0",
                "0x1.6a09e6p+0",
                "0x1.8ace54p+0",
                "0x1.ae89fap+0",
                "0x1.d5818ep+0",
            ),
        )
    )
)
LACKING = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x0p+0",
                "-0x1.9c0c22p-27",
                "0x1.125002p-25",
                "-0x1.0a3550p-25",
                "0x1.26055cp-26",
                "0x1.67a1cap-28",
                "-0x1.f9c304p-27",
                "-0x1.a5217cp-28",
            ),
        )
    )
)


@functools.lru_cache(maxsize=64)
def scale_of(temperature: float) -> tuple[float, float, float, float, float]:
    """log2(e) / T as the sum of two doubles, T / log2(e), and the first as the sum of two floats."""
    high = _hex("0x1.71547652b82fep+0") / temperature
    lost = _fused(-high, temperature, _hex("0x1.71547652b82fep+0"))
    low = (lost + _hex("0x1.777d0ffda0d24p-56")) / temperature
    lane_high = float(np.float32(high))
    return (
        high,
        low,
        temperature * _hex("0x1.62e42fefa39efp-1"),
        lane_high,
        float(np.float32(high - lane_high)),
    )


def _fused(a: float, b: float, c: float) -> float:
    """``a * b + c`` rounded once: Python 3.11 has no fma."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))


@triton.jit
def double(value: tl.constexpr):
    """Return a double: a bare number beside floats would become one of them."""
    return tl.full((), value, tl.float64)


@triton.jit
def single(value: tl.constexpr):
    """Return a float32."""
    return tl.full((), value, tl.float32)


@triton.jit
def arguments_as_numbers(scale_high, scale_low, scale_inverse, lane_high, lane_low, slope):
    """Return a kernel's numbers as tensors: Triton's interpreter passes Python's on as they are."""
    wide = tl.zeros((), tl.float64)
    lane = tl.zeros((), tl.float32)
    scale = (wide + scale_high, wide + scale_low, wide + scale_inverse)
    return scale, (lane + lane_high, lane + lane_low), wide + slope


@triton.jit
def pick(entries, index):
    """Choose one of eight numbers by the low three bits of an index."""
    a = tl.where((index & 1) == 0, entries[0], entries[1])
    b = tl.where((index & 1) == 0, entries[2], entries[3])
    c = tl.where((index & 1) == 0, entries[4], entries[5])
    d = tl.where((index & 1) == 0, entries[6], entries[7])
    low = tl.where((index & 2) == 0, a, b)
    high = tl.where((index & 2) == 0, c, d)
    return tl.where((index & 4) == 0, low, high)


def _words(entries: np.ndarray) -> list[tuple[str, str]]:
    """Return for each of the four bytes of eight words those of the first four, and of the others."""
    planes = entries.astype(np.uint32).view(np.uint8).reshape(8, 4).T
    return [
        tuple(f"0x{word:08x}" for word in np.ascontiguousarray(plane).view(np.uint32)) for plane in planes
    ]


def _look_up_in_assembly() -> str:
    """Write PTX that looks up what four indices stand for: values, and what they lack.

    A permutation of bytes looks up one byte for each of four indices, whose low bits are its selector.
    """
    numbers = np.array([POWERS.value, LACKING.value], np.float32)
    values = (numbers[0] * np.float32(BIAS.value)).view(np.uint32) - (np.arange(8, dtype=np.uint32) << 20)
    lines = [".reg .b32 s, p<4>, q<4>;", "mov.b32 s, $11;"]
    for k in (10, 9, 8):
        lines += ["shl.b32 s, s, 4;", f"lop3.b32 s, s, ${k}, 7, 0xD8;"]
    lines += ["and.b32 s, s, 0x7777;"]
    for first, words in ((0, _words(values)), (4, _words(numbers[1].view(np.uint32)))):
        for byte, (low, high) in enumerate(words):
            lines += [f"prmt.b32 p{byte}, {low}, {high}, s;"]
        lines += ["prmt.b32 q0, p0, p1, 0x5140;", "prmt.b32 q1, p2, p3, 0x5140;"]
        lines += ["prmt.b32 q2, p0, p1, 0x7362;", "prmt.b32 q3, p2, p3, 0x7362;"]
        lines += [f"prmt.b32 ${first}, q0, q1, 0x5410;", f"prmt.b32 ${first + 1}, q0, q1, 0x7632;"]
        lines += [f"prmt.b32 ${first + 2}, q2, q3, 0x5410;", f"prmt.b32 ${first + 3}, q2, q3, 0x7632;"]
    return "{" + " ".join(lines) + "}"


_ASSEMBLY = tl.constexpr(_look_up_in_assembly())
_CONSTRAINTS = tl.constexpr(",".join(8 * ["=r"] + 4 * ["r"]))
_HAS_ASSEMBLY = tl.constexpr(not triton.knobs.runtime.interpret)


@triton.jit
def _look_up(index):
    """Return the bits of a power of two times BIAS, from which the index is taken, and what it lacks."""
    if _HAS_ASSEMBLY:
        value, lacks = tl.inline_asm_elementwise(
            _ASSEMBLY, _CONSTRAINTS, [index], dtype=(tl.int32, tl.float32), is_pure=True, pack=4
        )
    else:
        values = ()
        lacking = ()
        for i in tl.static_range(8):
            values = values + (single(POWERS[i] * BIAS).to(tl.int32, bitcast=True) - (i << 20),)
            lacking = lacking + (single(LACKING[i]),)
        value, lacks = pick(values, index), pick(lacking, index)
    return value, lacks


@triton.jit
def multiplier(unit):
    """Return what multiplies exponentials by a number in two parts: a factor, and what then is lacking."""
    high, rest = unit
    lacking = ()
    for i in tl.static_range(8):
        product = single(POWERS[i]) * high
        lost = tl.fma(single(POWERS[i]), high, -product) + single(POWERS[i]) * rest
        lacking = lacking + (single(LACKING[i]) + tl.div_rn(lost, product),)
    return high * (1 / BIAS), lacking


@triton.jit
def _argument(x, constants, lane_scale, plain: tl.constexpr):
    """Return the index of a power of two by eighths, and the polynomial of what remains."""
    offset, magic, least = constants
    t = x
    if not plain:
        t = x - offset
        t = tl.where(least > t, least, t)
    n = tl.fma(t, lane_scale[0], magic)
    q = tl.fma(t, lane_scale[0], -(n - magic))
    t = tl.fma(t, lane_scale[1], q)
    slope = tl.fma(t, single(_SLOPE_0), single(_SLOPE_1))
    slope = tl.fma(t, slope, single(_SLOPE_2))
    slope = tl.fma(t, slope, single(_SLOPE_3))
    return n.to(tl.int32, bitcast=True), t, slope


@triton.jit
def exponential(x, constants, lane_scale, plain: tl.constexpr):
    """Return exp(x / T) relative to a reference as ``value * (1 + excess)``, never added up.

    ``plain``: the offset of the reference is 0, and no argument is below the least.
    """
    index, t, slope = _argument(x, constants, lane_scale, plain)
    value, lacks = _look_up(index)
    return (value + (index << 20)).to(tl.float32, bitcast=True), tl.fma(t, slope, lacks)


@triton.jit
def multiplied_exponential(x, constants, lane_scale, factor, plain: tl.constexpr):
    """Return a plain `exponential` times a number that `multiplier` was given."""
    index, t, slope = _argument(x, constants, lane_scale, plain)
    value, _ = _look_up(index)
    value = (value + (index << 20)).to(tl.float32, bitcast=True) * factor[0]
    return value, tl.fma(t, slope, pick(factor[1], index))


@triton.jit
def references(maximum, scale_high):
    """Return what a row's exponentials are relative to: an offset and a power of two, in double."""
    exponent = maximum * scale_high
    near = (exponent > -65536.0) & (exponent < 65536.0)
    integer = (exponent + double(INTEGER)) - double(INTEGER)
    offset = tl.where(near, 0.0, maximum)
    power = tl.where(near, integer, 0.0)
    return offset, power


@triton.jit
def constants_of(offset, power, scale_inverse):
    """Return offset, magic number and least argument of `exponential`, in float32."""
    magic = (double(MAGIC) - power).to(tl.float32)
    least = ((power + double(LEAST)) * scale_inverse).to(tl.float32)
    return offset.to(tl.float32), magic, least


@triton.jit
def inverse(total_high, factor: tl.constexpr):
    """Return factor / total in two parts of float32."""
    quotient = double(factor) / total_high
    high = quotient.to(tl.float32)
    return high, (quotient - high.to(tl.float64)).to(tl.float32)


@triton.jit
def rounded(x, dtype: tl.constexpr, finite: tl.constexpr):
    """Return float32 numbers in another type, rounded once; NaN has one form in bfloat16."""
    out = x.to(dtype)
    if dtype == tl.bfloat16 and not finite:
        not_a_number = tl.full((), 0x7FC0, tl.uint16).to(tl.bfloat16, bitcast=True)
        out = tl.where(x == x, out, not_a_number)
    return out
