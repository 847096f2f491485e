"""Arithmetic in double, of numbers in two parts: sums, powers of two and logarithms, in Triton.

As in `arithmetic`, every operation is rounded as IEEE 754 says, in the order of the compiled kernels.
"""

import triton
import triton.language as tl

from .arithmetic import INTEGER, double, pick

_hex = float.fromhex

_WIDE_MAGIC = tl.constexpr(_hex("0x1.8p49"))
_WIDE_SLOPE = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x1.62c574a74a628p-20",
                "0x1.ffd42b73c9ad4p-17",
                "0x1.430912edf42f9p-13",
                "0x1.5d87fe6b93751p-10",
                "0x1.3b2ab6fba4f80p-7",
                "0x1.c6b08d704a2afp-5",
                "0x1.ebfbdff82c58fp-3",
                "0x1.62e42fefa39efp-1",
            ),
        )
    )
)
_WIDE_POWERS = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x1p+0",
                "0x1.172b83c7d517bp+0",
                "0x1.306fe0a31b715p+0",
                "0x1.4bfdad5362a27p+0",
                "0x1.6a09e667f3bcdp+0",
                "0x1.8ace5422aa0dbp+0",
                "0x1.ae89f995ad3adp+0",
                "0x1.d5818dcfba487p+0",
            ),
        )
    )
)
_WIDE_LACKING = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x0p+0",
                "-0x1.01b15eaa59348p-55",
                "0x1.34d754db0abb6p-55",
                "0x1.690cebb7aafb0p-56",
                "-0x1.3b3efbf5e2228p-54",
                "0x1.db72fc1f0eab4p-55",
                "0x1.c1a7792cb3387p-55",
                "0x1.4a385a63d07a7p-56",
            ),
        )
    )
)
_LOGARITHM = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x1.1ba5d69d48b53p-3",
                "0x1.0dc6260c7ce08p-3",
                "0x1.3b36150998e0cp-3",
                "0x1.745c48394068cp-3",
                "0x1.c71c749b4c3a1p-3",
                "0x1.24924921d6cf4p-2",
                "0x1.999999999c267p-2",
                "0x1.555555555554fp-1",
            ),
        )
    )
)


@triton.jit
def _table(values: tl.constexpr):
    """Return eight constants as doubles."""
    entries = ()
    for i in tl.static_range(8):
        entries = entries + (double(values[i]),)
    return entries


@triton.jit
def two_sum(a, b):
    """Return a + b and what rounding took from it."""
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


@triton.jit
def add_totals(a_high, a_low, b_high, b_low):
    """Add two numbers that are each in two parts."""
    high, low = two_sum(a_high, b_high)
    return two_sum(high, low + (a_low + b_low))


@triton.jit
def scale_total(a_high, a_low, high, low):
    """Multiply two numbers that are each in two parts."""
    product = a_high * high
    return product, tl.fma(a_high, high, -product) + (a_high * low + a_low * high)


@triton.jit
def exp2(high, low):
    """Return 2^(high + low) in double and what rounding took from it; |low| < 2^-30."""
    high = tl.where(high < 1000.0, high, 1000.0)
    high = tl.where(high > -1080.0, high, -1080.0)
    half = (high * 0.5 + double(INTEGER)) - double(INTEGER)
    rest = high - half
    n = rest + double(_WIDE_MAGIC)
    t = (rest - (n - double(_WIDE_MAGIC))) + low
    slope = tl.fma(t, double(_WIDE_SLOPE[0]), double(_WIDE_SLOPE[1]))
    for k in tl.static_range(2, 8):
        slope = tl.fma(t, slope, double(_WIDE_SLOPE[k]))
    index = n.to(tl.int64, bitcast=True)
    q = tl.fma(t, slope, pick(_table(_WIDE_LACKING), index))
    entry = pick(_table(_WIDE_POWERS), index).to(tl.int64, bitcast=True)
    v = (entry + ((index - (index & 7)) << 49)).to(tl.float64, bitcast=True)
    result = tl.fma(v, q, v)
    steps = (half + double(_WIDE_MAGIC)).to(tl.int64, bitcast=True)
    one = double(1.0).to(tl.int64, bitcast=True)
    power = (one + (steps << 49)).to(tl.float64, bitcast=True)
    return result * power, tl.fma(v, q, v - result) * power


@triton.jit
def ratio(scale_high, scale_low, of, to, power):
    """Return exp((of - to) / T) * 2^power in two parts."""
    d_high, d_low = two_sum(of, -to)
    product = d_high * scale_high
    rest = tl.fma(d_high, scale_high, -product) + d_high * scale_low + d_low * scale_high
    e_high, e_low = two_sum(product, power)
    high, low = exp2(e_high, e_low + rest)
    keeps = e_high > -1080.0
    return tl.where(keeps, high, 0.0), tl.where(keeps, low, 0.0)


@triton.jit
def log1p(y):
    """Return log(1 + y) in double for y >= 0, and what rounding took from it."""
    u = y + 1.0
    lost = tl.where(y < 1.0, y - (u - 1.0), 1.0 - (u - y))
    bits = u.to(tl.int64, bitcast=True)
    k = (bits - 0x3FE8000000000000) >> 52
    fraction = (bits - (k << 52)).to(tl.float64, bitcast=True)
    exponent = k.to(tl.float64)
    small = u < 1.5
    f = tl.where(small, y, fraction - 1.0)
    correction = tl.where(small, 0.0, lost / u)
    s = f / (f + 2.0)
    z = s * s
    p = tl.fma(z, double(_LOGARITHM[0]), double(_LOGARITHM[1]))
    for i in tl.static_range(2, 8):
        p = tl.fma(z, p, double(_LOGARITHM[i]))
    square = (f * 0.5) * f
    inner = s * tl.fma(z, p, square) + tl.fma(exponent, double(1.90821492927058770002e-10), correction)
    whole = exponent * double(6.93147180369123816490e-01)
    total = whole + f
    rest = (f - (total - whole)) + (inner - square)
    result = total + rest
    return result, rest - (result - total)
