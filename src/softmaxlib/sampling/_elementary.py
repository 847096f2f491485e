"""exp and log in float64 that give the same bits on every machine.

NumPy's own `exp` and `log` differ in the last bit between processors, and one bit can decide which token
wins. These functions use only IEEE addition, subtraction, multiplication and division, in a fixed order and
without fused multiply-add. So NumPy and the compiled kernel give the same bits. The error is at most 2 ULP on
the domains below, checked against mpmath.
"""

import math

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has 21 trailing zero bits, so that n * LN2_HIGH is exact for |n| < 2^21.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
ROUND_TO_INTEGER = 1.5 * 2.0**52
EXP_SMALLEST = -700.0
EXP_COEFFICIENTS = tuple(1.0 / math.factorial(power) for power in range(13, -1, -1))
LOG_COEFFICIENTS = tuple(1.0 / power for power in range(21, 0, -2))
HALF_SQUARE_ROOT = 0.7071067811865476


def exp(x: Float64Array) -> Float64Array:
    """Compute exp(x) for x <= 0. Exactly 1 at 0, and exactly 0 below -700 (and at -inf)."""
    small = x < EXP_SMALLEST
    x = np.where(small, 0.0, x)
    exponent = (x * LOG2_E + ROUND_TO_INTEGER) - ROUND_TO_INTEGER
    rest = (x - exponent * LN2_HIGH) - exponent * LN2_LOW
    result = _horner(EXP_COEFFICIENTS, rest)
    result = np.ldexp(result, exponent.astype(np.int32))
    result[small] = 0.0
    return result


def log(x: Float64Array) -> Float64Array:
    """Compute log(x) for positive, finite, normal x."""
    fraction, exponent = np.frexp(x)
    low = fraction < HALF_SQUARE_ROOT
    fraction = np.where(low, fraction * 2.0, fraction)
    power = (exponent - low).astype(np.float64)
    ratio = (fraction - 1.0) / (fraction + 1.0)  # log(f) = 2 atanh((f - 1) / (f + 1))
    series = (ratio + ratio) * _horner(LOG_COEFFICIENTS, ratio * ratio)
    return power * LN2_HIGH + (series + power * LN2_LOW)


def _horner(coefficients: tuple[float, ...], x: Float64Array) -> Float64Array:
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result
