"""softmax, log_softmax and logsumexp to some 60 bits, and to any number of digits for an audit.

Long doubles carry 64 bits, eleven more than float64. The errors of x - max and of the division by the
temperature are kept beside the numbers, so that exp gets its argument to more than those 64 bits.
"""

from typing import NamedTuple

import mpmath
import numpy as np

Long = np.longdouble
FLOOR = Long(-20000)  # exp of less is 0 in every type here


class Pair(NamedTuple):
    """A number as high + low."""

    high: np.ndarray
    low: np.ndarray


class Format(NamedTuple):
    """Bits of the significand, exponent of the smallest normal number, the largest number."""

    digits: int
    least: int
    most: Long


FORMATS = {
    "float16": Format(11, -14, Long(65504)),
    "bfloat16": Format(8, -126, Long(2) ** 128 - Long(2) ** 120),
    "float32": Format(24, -126, Long(2) ** 128 - Long(2) ** 104),
    "float64": Format(53, -1022, Long(np.finfo(np.float64).max)),
}


def softmax(x, temperature=1.0, sink=None):
    """Along the last axis, for rows of finite numbers and -inf with at least one finite."""
    return _shares(*_parts(_with_sink(x, sink), temperature))[..., : np.shape(x)[-1]]


def log_softmax(x, temperature=1.0):
    scaled, _, log_total = _log_total(np.asarray(x).astype(Long), temperature)
    return (scaled.high - log_total) + scaled.low


def logsumexp(x, digits=53):
    """Rows whose maximum and logarithm cancel to less than `digits` + 5 good bits are done by mpmath."""
    x = np.asarray(x).astype(Long)
    _, largest, log_total = _log_total(x, 1.0)
    result = np.asarray(largest[..., 0] + log_total[..., 0])
    lost = np.abs(result) < np.abs(largest[..., 0]) * Long(2) ** (digits + 5 - 63)
    for row in np.argwhere(lost):
        result[tuple(row)] = logsumexp_to_any_digits(x[tuple(row)])
    return result


def error_in_ulp(actual, exact, dtype):
    """|actual - exact| in units of the last place of `exact` in the type; inf where one is no number."""
    digits, least, most = FORMATS[dtype]
    exact = np.asarray(exact, Long)
    actual = np.asarray(actual)
    actual = actual if actual.dtype == Long else actual.astype(np.float64).astype(Long)
    exponent = np.frexp(np.where(np.isfinite(exact), exact, 0))[1] - 1
    unit = np.ldexp(Long(1), np.maximum(exponent, least) - digits + 1)
    beyond = np.abs(exact) >= most + np.ldexp(Long(1), int(np.frexp(most)[1]) - digits - 1)
    exact = np.where(beyond, np.copysign(Long(np.inf), exact), exact)
    with np.errstate(invalid="ignore"):
        error = np.abs(actual - exact) / unit
    error = np.where(actual == exact, Long(0), error)
    return np.where(np.isnan(error), Long(np.inf), error)


def softmax_to_any_digits(row, temperature=1.0):
    with mpmath.workdps(60):
        powers = [mpmath.exp((_number(v) - _number(max(row))) / _number(temperature)) for v in row]
        total = mpmath.fsum(powers)
        return [to_long(p / total) for p in powers]


def log_softmax_to_any_digits(row, temperature=1.0):
    with mpmath.workdps(400):  # 1 + exp(-745) takes 324 digits
        scaled = [(_number(v) - _number(max(row))) / _number(temperature) for v in row]
        log_total = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in scaled))
        return [to_long(v - log_total) for v in scaled]


def logsumexp_to_any_digits(row, digits=60):
    with mpmath.workdps(digits):
        return to_long(mpmath.log(mpmath.fsum(mpmath.exp(_number(v)) for v in row)))


def to_long(number):
    """mpmath's number as a long double, in two steps of float64."""
    high = float(number)
    if abs(number) < mpmath.mpf("1e-4900"):
        return Long(0)
    if not np.isfinite(high) or abs(high) < 1e-290:
        return Long(mpmath.nstr(number, 25))
    return Long(high) + Long(float(number - mpmath.mpf(high)))


def _number(value):
    value = Long(value)
    if np.isinf(value):
        return mpmath.mpf(float(value))
    high = float(value)
    return mpmath.mpf(high) + mpmath.mpf(float(value - Long(high)))


def _with_sink(x, sink):
    x = np.asarray(x).astype(Long)
    if sink is None:
        return x
    return np.concatenate([x, np.broadcast_to(np.asarray(sink, Long), (*x.shape[:-1], 1))], axis=-1)


def _two_sum(a, b):
    total = a + b
    part = total - a
    return Pair(total, (a - (total - part)) + (b - part))


def _halves(a):
    scaled = a * (Long(2) ** 32 + 1)
    high = scaled - (scaled - a)
    return high, a - high


def _product(a, b):
    """a b without error (Dekker)."""
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    high = a * b
    return Pair(high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low)


def _parts(x, temperature):
    """(x - max) / temperature in two parts, and the maxima."""
    largest = x.max(axis=-1, keepdims=True)
    finite = np.where(np.isneginf(x), largest, x)
    difference = _two_sum(finite, -largest)
    divisor = Long(temperature)
    quotient = difference.high / divisor
    product = _product(quotient, divisor)
    rest = ((difference.high - product.high) - product.low + difference.low) / divisor
    quotient = np.where(np.isneginf(x), Long(-np.inf), quotient)
    return Pair(quotient, rest), largest


def _powers(scaled):
    return np.exp(np.maximum(scaled.high, FLOOR)) * (1 + np.where(scaled.high > FLOOR, scaled.low, 0))


def _shares(scaled, _):
    powers = np.where(scaled.high > FLOOR, _powers(scaled), 0)
    return powers / powers.sum(axis=-1, keepdims=True)


def _log_total(x, temperature):
    scaled, largest = _parts(x, temperature)
    others = np.where(scaled.high > FLOOR, _powers(scaled), 0)
    np.put_along_axis(others, scaled.high.argmax(axis=-1)[..., None], 0, axis=-1)
    return scaled, largest, np.log1p(others.sum(axis=-1, keepdims=True))
