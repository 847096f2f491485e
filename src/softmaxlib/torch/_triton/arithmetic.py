"""The arithmetic of the compiled kernels in Triton: exponentials, powers of two and logarithms in parts.

Every operation (add, multiply, divide, fused multiply-add) is rounded as IEEE 754 says, in the order of
``cpp/vecmath.h`` and ``cpp/row_state.h``. That is why the results have the same bits. Kernels that
call these functions are launched with ``enable_fp_fusion=False``.

References
----------
Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic" (1989).
Gal, "Computing elementary functions: a new approach for achieving high accuracy and good performance" (1986).
"""

import functools
from fractions import Fraction

import numpy as np
import triton
import triton.language as tl

_hex = float.fromhex

LIFT = tl.constexpr(2.0**64)  # results are computed this much larger, and lowered at the end
VANISHING = tl.constexpr(2.0**-86)
LEAST = tl.constexpr(-185.0)
PLAIN_RANGE = tl.constexpr(90.0)
START = tl.constexpr(2.0**67)  # where an accumulator begins: its additions are exact in two parts

# Adding it rounds to a sixteenth. Its low bits make the exponential of the largest number about 2^62, so that
# no part is ever subnormal.
MAGIC = tl.constexpr(_hex("0x1.8p19") + 127 + 62)
SURPLUS = tl.constexpr(3 / 64)  # 2^SURPLUS is the unit of all exponentials
INTEGER = tl.constexpr(_hex("0x1.8p52"))
_LOG2_E = tl.constexpr(_hex("0x1.71547652b82fep+0"))

_SLOPE = tuple(map(_hex, ("0x1.3af77p-7", "0x1.c6bc8ap-5", "0x1.ebfbe0p-3", "0x1.62e430p-1")))
_SLOPE_0, _SLOPE_1, _SLOPE_2, _SLOPE_3 = map(tl.constexpr, _SLOPE)
# j / 16 - log2(1 + j / 16) + SURPLUS
_CORRECTION = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x1.8p-5",
                "0x1.670242p-6",
                "0x1.ff2e30p-10",
                "-0x1.bc16bap-7",
                "-0x1.9a784cp-6",
                "-0x1.0ddd44p-5",
                "-0x1.33a9f0p-5",
                "-0x1.4105p-5",
                "-0x1.380348p-5",
                "-0x1.1a784cp-5",
                "-0x1.d4011cp-6",
                "-0x1.5013acp-6",
                "-0x1.5767f6p-7",
                "0x1.6d6e16p-10",
                "0x1.eb024cp-7",
                "0x1.ee729ap-6",
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
def _halved(entries, first):
    """Choose one of each two neighbours."""
    out = ()
    for i in tl.static_range(len(entries) // 2):
        out = out + (tl.where(first, entries[2 * i], entries[2 * i + 1]),)
    return out


@triton.jit
def pick(entries, index):
    """Choose one of eight or sixteen numbers by the low bits of an index."""
    out = _halved(entries, (index & 1) == 0)
    out = _halved(out, (index & 2) == 0)
    out = _halved(out, (index & 4) == 0)
    if len(entries) == 16:
        out = _halved(out, (index & 8) == 0)
    return out[0]


_HAS_ASSEMBLY = tl.constexpr(not triton.knobs.runtime.interpret)


@triton.jit
def _lane():
    """Return the number of the thread in its warp."""
    return tl.inline_asm_elementwise("mov.u32 $0, %laneid;", "=r", [], dtype=tl.int32, is_pure=True, pack=1)


@triton.jit
def _table(entries):
    """Return sixteen numbers as a table for `_entry`: each thread of a warp holds one of them."""
    if _HAS_ASSEMBLY:
        out = (pick(entries, _lane()),)
    else:
        out = entries
    return out


@triton.jit
def _entry(table, index):
    """Return the numbers of a table at the low four bits of an index.

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
def unseen(x):
    """Return float32 numbers as if they were others: what follows from them is computed again, not kept."""
    if _HAS_ASSEMBLY:
        out = tl.inline_asm_elementwise(
            "mov.b32 $0, $1;", "=r,r", [x], dtype=x.dtype, is_pure=False, pack=1
        )  # fmt: skip
    else:
        out = x
    return out


@triton.jit
def _correction(index):
    """Return what the table of corrections holds for an index."""
    entries = ()
    for j in tl.static_range(16):
        entries = entries + (single(_CORRECTION[j]),)
    return _entry(_table(entries), index)


@triton.jit
def _exponential(x, constants, lane_scale, powers, plain: tl.constexpr, raised: tl.constexpr):
    """Return the two parts of an `exponential`, 2^powers times as large where it is ``raised``."""
    offset, magic, least = constants
    if not plain:
        x = x - offset
        x = tl.where(least > x, least, x)
    n = tl.fma(x, lane_scale[0], magic)
    index = n.to(tl.int32, bitcast=True)
    correction = _correction(index)
    if raised:
        correction = correction + powers
    t = tl.fma(x, lane_scale[0], magic - n) + tl.fma(x, lane_scale[1], correction)
    slope = tl.fma(t, single(_SLOPE_0), single(_SLOPE_1))
    slope = tl.fma(t, slope, single(_SLOPE_2))
    slope = tl.fma(t, slope, single(_SLOPE_3))
    return (index << 19).to(tl.float32, bitcast=True), t * slope


@triton.jit
def exponential(x, constants, lane_scale, plain: tl.constexpr):
    """Return exp(x / T) relative to a reference as ``value * (1 + excess)``, never added up.

    ``plain``: the offset of the reference is 0, and no argument is below the least.
    """
    return _exponential(x, constants, lane_scale, 0.0, plain, False)


@triton.jit
def multiplied_exponential(x, constants, lane_scale, factor, plain: tl.constexpr):
    """Return an `exponential` times the number of `multiplier`, rounded once."""
    high, powers = factor
    value, excess = _exponential(x, constants, lane_scale, powers, plain, True)
    product = value * high
    return tl.fma(product, excess, product)


@triton.jit
def multiplier(high, lacking):
    """Return a number in the two parts of `inverse` for `multiplied_exponential`."""
    return high, (lacking.to(tl.float64) * double(_LOG2_E)).to(tl.float32)


@triton.jit
def share_of(value, excess, high, lacking):
    """Return value * (1 + excess) times a number in the two parts of `inverse`, rounded once."""
    share = value * high
    return tl.fma(share, tl.fma(excess, 1.0 + lacking, lacking), share)


@triton.jit
def references(maximum, scale_high):
    """Return what a row's exponentials are relative to: an offset and a power of two, in double.

    The power is an integer less the surplus.
    """
    exponent = maximum * scale_high
    near = (exponent > -65536.0) & (exponent < 65536.0)
    integer = (exponent + double(INTEGER)) - double(INTEGER)
    offset = tl.where(near, 0.0, maximum)
    power = tl.where(near, integer, 0.0) - double(SURPLUS)
    return offset, power


@triton.jit
def constants_of(offset, power, scale_inverse):
    """Return offset, magic number and least argument of `exponential`, in float32."""
    magic = (double(MAGIC) - (power + double(SURPLUS))).to(tl.float32)
    least = ((power + double(LEAST)) * scale_inverse).to(tl.float32)
    return offset.to(tl.float32), magic, least


@triton.jit
def short_part(x):
    """Return the nineteen leading bits of a double: their product with an exponential's value is exact."""
    cut = x * double(2.0**34 + 1)
    return cut - (cut - x)


@triton.jit
def inverse(total, factor: tl.constexpr):
    """Return nineteen bits of factor / total, and what they lack of it, relative to them, in float32."""
    quotient = double(factor) / total
    high = short_part(quotient)
    lacking = (quotient - high) * (total * double(1 / factor))
    return high.to(tl.float32), lacking.to(tl.float32)


@triton.jit
def rounded(x, dtype: tl.constexpr, finite: tl.constexpr):
    """Return float32 numbers in another type, rounded once; NaN has one form in bfloat16."""
    out = x.to(dtype)
    if dtype == tl.bfloat16 and not finite:
        not_a_number = tl.full((), 0x7FC0, tl.uint16).to(tl.bfloat16, bitcast=True)
        out = tl.where(x == x, out, not_a_number)
    return out
