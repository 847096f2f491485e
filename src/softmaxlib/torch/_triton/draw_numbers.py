"""The numbers that decide which token is drawn: exponential, logarithm and noise, with the bits of the CPU.

`softmaxlib.sampling._elementary` and `_generator` define them. Here are the same additions, multiplications
and divisions of doubles in the same order, without fused multiply-adds.
"""

import math

import triton
import triton.language as tl

from .arithmetic import double

_LOG2_E = tl.constexpr(1.4426950408889634)
_LN2_HIGH = tl.constexpr(6.93147180369123816490e-01)
_LN2_LOW = tl.constexpr(1.90821492927058770002e-10)
_TO_INTEGER = tl.constexpr(1.5 * 2.0**52)
_EXPONENTIAL = tl.constexpr(tuple(1.0 / math.factorial(power) for power in range(13, -1, -1)))
_LOGARITHM = tl.constexpr(tuple(1.0 / power for power in range(21, 0, -2)))
_HALF_SQUARE_ROOT = tl.constexpr(0.7071067811865476)
_ROTATIONS = tl.constexpr((13, 15, 26, 6, 17, 29, 16, 24))
_PARITY = tl.constexpr(0x1BD11BDA)
_ROW_KEY = tl.constexpr(0xFFFFFFFD)


@triton.jit
def decided_exp(x):
    """Return exp(x) of doubles x <= 0: 1 at 0, and 0 below -700."""
    small = x < -700.0
    x = tl.where(small, 0.0, x)
    exponent = (x * double(_LOG2_E) + double(_TO_INTEGER)) - double(_TO_INTEGER)
    rest = (x - exponent * double(_LN2_HIGH)) - exponent * double(_LN2_LOW)
    result = rest * double(_EXPONENTIAL[0]) + double(_EXPONENTIAL[1])
    for i in tl.static_range(2, 14):
        result = result * rest + double(_EXPONENTIAL[i])
    bits = result.to(tl.int64, bitcast=True) + (exponent.to(tl.int64) << 52)
    return tl.where(small, 0.0, bits.to(tl.float64, bitcast=True))


@triton.jit
def decided_log(x):
    """Return log(x) of positive normal doubles."""
    bits = x.to(tl.int64, bitcast=True)
    power = (bits >> 52) - 1022
    fraction = ((bits & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000).to(tl.float64, bitcast=True)
    low = fraction < double(_HALF_SQUARE_ROOT)
    fraction = tl.where(low, fraction * 2.0, fraction)
    power = tl.where(low, power - 1, power).to(tl.float64)
    ratio = (fraction - 1.0) / (fraction + 1.0)
    square = ratio * ratio
    series = square * double(_LOGARITHM[0]) + double(_LOGARITHM[1])
    for i in tl.static_range(2, 11):
        series = series * square + double(_LOGARITHM[i])
    series = (ratio + ratio) * series
    return power * double(_LN2_HIGH) + (series + power * double(_LN2_LOW))


@triton.jit
def _four_rounds(first, second, start: tl.constexpr, key_first, key_second):
    """Mix two words four times, and add words of the key."""
    for i in tl.static_range(4):
        first = first + second
        second = (second << _ROTATIONS[start + i]) | (second >> (32 - _ROTATIONS[start + i]))
        second = second ^ first
    return first + key_first, second + key_second


@triton.jit
def random_words(key, token):
    """Return two words of Threefry-2x32-20 for each token; ``key`` is of `key_of`."""
    low, high, position = key
    parity = low ^ high ^ _PARITY
    first = token + low
    second = (first ^ first) + (position + high)
    first, second = _four_rounds(first, second, 0, high, parity + 1)
    first, second = _four_rounds(first, second, 4, parity, low + 2)
    first, second = _four_rounds(first, second, 0, low, high + 3)
    first, second = _four_rounds(first, second, 4, high, parity + 4)
    return _four_rounds(first, second, 0, parity, low + 5)


@triton.jit
def key_of_draw(keys, seed_low, seed_high, position, row, keyed: tl.constexpr):
    """Return the words of a row's key: two of its seed, and the position.

    With ``keyed`` seeds and positions lie in memory, in turns. Otherwise one seed is for all rows: the first
    draws with it, the others with seeds that follow from it and the row's number.
    """
    if keyed:
        own = tl.load(keys + 2 * row)
        at = tl.load(keys + 2 * row + 1).to(tl.uint32)
        low, high = own.to(tl.uint32), (own >> 32).to(tl.uint32)
    else:
        nothing = tl.full((), 0, tl.uint32)
        low, high, at = nothing + seed_low, nothing + seed_high, nothing + position
        words = (low, high, row.to(tl.uint32))
        other_high, other_low = random_words(words, tl.full((), _ROW_KEY, tl.uint32))
        low, high = tl.where(row == 0, low, other_low), tl.where(row == 0, high, other_high)
    return low, high, at


@triton.jit
def gumbel(key, token):
    """Return the standard Gumbel noise of tokens."""
    first, second = random_words(key, token.to(tl.uint32))
    bits = (first.to(tl.uint64) << 32) | second.to(tl.uint64)
    uniform = ((bits >> 12).to(tl.int64).to(tl.float64) + 0.5) * double(2.0**-52)
    return -decided_log(-decided_log(uniform))
