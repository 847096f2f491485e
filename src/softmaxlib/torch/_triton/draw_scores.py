"""The scores of tokens: loading, ordering, division by the temperature, and masses.

If ``wide``, scores are doubles, and are divided by the temperature at its place in the chain. Other scores
are divided only when an exponential is taken, as on the CPU.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .draw_numbers import decided_exp
from .row_sums import offset_of

BLOCK = tl.constexpr(128)  # scores per stored maximum
_LARGEST = tl.constexpr(float.fromhex("0x1.fffffffffffffp1023"))
_LOG2_E = tl.constexpr(float.fromhex("0x1.71547652b82fep+0"))
_LOG2_E_LOW = tl.constexpr(float.fromhex("0x1.777d0ffda0d24p-56"))
_LN2 = tl.constexpr(float.fromhex("0x1.62e42fefa39efp-1"))


@triton.jit
def load_scores(source, row, k, there, wide: tl.constexpr):
    """Load the scores of tokens ``k`` of a row as float32 or doubles; missing ones are -inf."""
    scores, outer, outer_steps, inner, inner_steps = source
    at = offset_of(row, outer, outer_steps) + offset_of(k, inner, inner_steps)
    x = tl.load(scores + at, mask=there, other=float("-inf"))
    if not wide:
        x = x.to(tl.float32)
    return x


@triton.jit
def load_parameter(parameters, stage: tl.constexpr, rows, row, by_row: tl.constexpr):
    """Load the parameter of a stage: one for all rows, or one per row."""
    if by_row:
        value = tl.load(parameters + (stage * rows + row))
    else:
        value = tl.load(parameters + stage)
    return value


@triton.jit
def order_of(x, wide: tl.constexpr):
    """Return integers in the order of the scores."""
    x = tl.where(x == 0.0, 0.0, x)  # -0 and 0 are equal
    if wide:
        bits = x.to(tl.int64, bitcast=True)
        order = bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)
    else:
        bits = x.to(tl.int32, bitcast=True)
        order = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return order


@triton.jit
def as_order(number, wide: tl.constexpr):
    """Return a whole number in the type that `order_of` gives."""
    out = number
    if not wide:
        out = number.to(tl.int32)
    return out


@triton.jit
def score_at(order, wide: tl.constexpr):
    """Return the score that `order_of` brings to an integer."""
    if wide:
        x = (order ^ ((order >> 63) & 0x7FFFFFFFFFFFFFFF)).to(tl.float64, bitcast=True)
    else:
        bits = order.to(tl.int32)
        x = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)
    return x


@triton.jit
def middle_of(low, high):
    """Return the middle of two integers, rounded up, without overflow."""
    return (low | high) - ((low ^ high) >> 1)


@triton.jit
def held(x):
    """Return doubles, clipped to the largest finite one."""
    x = tl.where(x > double(_LARGEST), double(_LARGEST), x)
    return tl.where(x < double(-_LARGEST), double(-_LARGEST), x)


@triton.jit
def divided(x, temperature):
    """Return wide scores divided by the temperature; a removed token stays removed."""
    return tl.where(x == float("-inf"), x, held(x / temperature))


@triton.jit
def offset_from(x, temperature, top):
    """Return scores at a temperature minus the largest of them, in double."""
    return x.to(tl.float64) / temperature - top


@triton.jit
def whole_units(x, unit):
    """Return numbers from -1 to 1 in whole units, rounded half to even."""
    big = double(1.5 * 2.0**52)
    return ((x * unit + big) - big).to(tl.int64)


@triton.jit
def mass_of(x, temperature, top, unit):
    """Return the masses of scores: exp(score - largest) in whole units."""
    return whole_units(decided_exp(offset_from(x, temperature, top)), unit)


@triton.jit
def scale_at(temperature):
    """Return log2(e) / T in two doubles, T / log2(e), and the first in two floats: `scale_of`."""
    high = double(_LOG2_E) / temperature
    lost = tl.fma(-high, temperature, double(_LOG2_E))
    low = (lost + double(_LOG2_E_LOW)) / temperature
    lane_high = high.to(tl.float32)
    lane_low = (high - lane_high.to(tl.float64)).to(tl.float32)
    return (high, low, temperature * double(_LN2)), (lane_high, lane_low)


@triton.jit
def largest_in(pointer, count, tile: tl.constexpr):
    """Return the largest of ``count`` numbers in memory, in double; -inf where there is none."""
    place = tl.arange(0, tile)
    most = tl.full((tile,), float("-inf"), tl.float64)
    for start in range(0, count, tile):
        x = tl.load(pointer + (start + place), mask=start + place < count, other=float("-inf")).to(tl.float64)
        most = tl.maximum(most, x)
    return tl.max(most, axis=0)
