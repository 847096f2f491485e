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


_HAS_ASSEMBLY = tl.constexpr(not triton.knobs.runtime.interpret)


@triton.jit
def _lane():
    """Return the number of the thread in its warp."""
    return tl.inline_asm_elementwise("mov.u32 $0, %laneid;", "=r", [], dtype=tl.int32, is_pure=True, pack=1)


@triton.jit
def _table(entries):
    """Return eight numbers as a table for `_entry`: each thread of a warp holds one of them."""
    if _HAS_ASSEMBLY:
        out = (pick(entries, _lane()),)
    else:
        out = entries
    return out


@triton.jit
def _entry(table, index):
    """Return the numbers of a table at the low three bits of an index.

    The threads of a warp look them up in each other, so this is not called pure: all have to take part.
    """
    if len(table) == 1:
        out = tl.inline_asm_elementwise(
            "shfl.sync.idx.b32 $0, $1, $2, 31, 0xffffffff;", "=r,r,r", [table[0], index],
            dtype=table[0].dtype, is_pure=False, pack=1,
        )  # fmt: skip
    else:
        out = pick(table, index)
    return out


@triton.jit
def _tables():
    """Return tables of the powers of two times BIAS, as bits less their index, and of what they lack."""
    values = ()
    lacking = ()
    for i in tl.static_range(8):
        values = values + (single(POWERS[i] * BIAS).to(tl.int32, bitcast=True) - (i << 20),)
        lacking = lacking + (single(LACKING[i]),)
    return _table(values), _table(lacking)


@triton.jit
def multiplier(unit, rows: tl.constexpr):
    """Return `_tables` for exponentials times a number in two parts, one for each of several rows.

    The number is relative to 2^62, and its products with exponentials are normal.
    """
    high, rest = unit
    values = ()
    lacking = ()
    for i in tl.static_range(8):
        product = single(POWERS[i]) * high
        lost = tl.fma(single(POWERS[i]), high, -product) + single(POWERS[i]) * rest
        values = values + (product.to(tl.int32, bitcast=True) - (i << 20),)
        lacking = lacking + (single(LACKING[i]) + tl.div_rn(lost, product),)
    if rows == 1:
        values, lacking = _table(values), _table(lacking)
    return values, lacking


@triton.jit
def _argument(x, constants, lane_scale, plain: tl.constexpr):
    """Return the index of a power of two by eighths, and the polynomial of what remains."""
    offset, magic, least = constants
    t = x
    if not plain:
        t = x - offset
        t = tl.where(least > t, least, t)
    n = tl.fma(t, lane_scale[0], magic)
    q = tl.fma(t, lane_scale[0], magic - n)
    t = tl.fma(t, lane_scale[1], q)
    slope = tl.fma(t, single(_SLOPE_0), single(_SLOPE_1))
    slope = tl.fma(t, slope, single(_SLOPE_2))
    slope = tl.fma(t, slope, single(_SLOPE_3))
    return n.to(tl.int32, bitcast=True), t, slope


@triton.jit
def _power(index, table):
    """Return a power of two by eighths from the table of its eighths."""
    return (_entry(table, index) + (index << 20)).to(tl.float32, bitcast=True)


@triton.jit
def exponential(x, constants, lane_scale, plain: tl.constexpr):
    """Return exp(x / T) relative to a reference as ``value * (1 + excess)``, never added up.

    ``plain``: the offset of the reference is 0, and no argument is below the least.
    """
    index, t, slope = _argument(x, constants, lane_scale, plain)
    values, lacking = _tables()
    return _power(index, values), tl.fma(t, slope, _entry(lacking, index))


@triton.jit
def multiplied_exponential(x, constants, lane_scale, factor, plain: tl.constexpr):
    """Return a plain `exponential` times the number that `multiplier` was given, rounded once."""
    index, t, slope = _argument(x, constants, lane_scale, plain)
    value = _power(index, factor[0])
    return tl.fma(value, tl.fma(t, slope, _entry(factor[1], index)), value)


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
