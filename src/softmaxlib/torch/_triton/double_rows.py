"""softmax, log_softmax and logsumexp in double, in Triton, and what other kernels in double share.

They are for tensors of float64, and for tensors of any type with a temperature for each row.

Blocks have the shape (rows, classes side by side). Sums are in two parts, so that the order in which they are
added does not show in a result.
"""

import triton
import triton.language as tl

from .arithmetic import INTEGER, double, rounded
from .doubles import add_totals, exp2, log1p, ratio, two_sum
from .row_sums import larger, offset_of

_hex = float.fromhex

# 2^f for |f| <= 1/2, within 2^-45
_SLOPE = tl.constexpr(
    tuple(
        map(
            _hex,
            (
                "0x1.b6571de2f2351p-24",
                "0x1.63ef969a64d3cp-20",
                "0x1.ffcb76789860fp-17",
                "0x1.43088e257f341p-13",
                "0x1.5d87fe908f88ap-10",
                "0x1.3b2ab72b175eep-7",
                "0x1.c6b08d7044119p-5",
                "0x1.ebfbdff8149f2p-3",
                "0x1.62e42fefa39f7p-1",
                "0x1p+0",
            ),
        )
    )
)
_LOG2E = tl.constexpr(_hex("0x1.71547652b82fep+0"))
_LOG2E_REST = tl.constexpr(_hex("0x1.777d0ffda0d24p-56"))


@triton.jit
def quick_exponential(difference, scale_high):
    """Return exp(difference / T) within 2^-40 for differences of at most 0."""
    t = difference * scale_high
    t = tl.where(t > -1022.0, t, -1022.0)
    n = t + double(INTEGER)
    f = t - (n - double(INTEGER))
    value = tl.fma(f, double(_SLOPE[0]), double(_SLOPE[1]))
    for i in tl.static_range(2, 10):
        value = tl.fma(value, f, double(_SLOPE[i]))
    bits = value.to(tl.int64, bitcast=True) + (n.to(tl.int64, bitcast=True) << 52)
    return tl.where(t > -1022.0, bits.to(tl.float64, bitcast=True), 0.0)


@triton.jit
def exponential_beside(x, reference, scale, wide: tl.constexpr):
    """Return exp((x - reference) / T) in two parts; the second is 0 unless ``wide``."""
    there = x > float("-inf")
    if wide:
        high, low = ratio(scale[0], scale[1], tl.where(there, x, 0.0), reference, double(0.0))
        high, low = tl.where(there, high, 0.0), tl.where(there, low, 0.0)
    else:
        high = quick_exponential(x - reference, scale[0])
        low = high * 0.0
    return high, low


@triton.jit
def load_doubles(source, k, there, masked: tl.constexpr):
    """Load elements ``k`` of rows as double; what is masked or not there is -inf."""
    numbers, at, lengths, strides, mask, mask_at, mask_strides = source
    x = tl.load(numbers + (at + offset_of(k, lengths, strides)), mask=there, other=float("-inf"))
    x = x.to(tl.float64)
    if masked:
        kept = tl.load(mask + (mask_at + offset_of(k, lengths, mask_strides)), mask=there, other=0)
        x = tl.where(kept != 0, x, float("-inf"))
    return x


@triton.jit
def times(a, b):
    """Return a * b, 0 where a is 0."""
    return tl.where(a == 0.0, 0.0, a * b)


@triton.jit
def to_the_power(negative_log, gamma):
    """Return a probability to the power of ``gamma``, from minus its logarithm."""
    product = -gamma * negative_log
    lost = tl.fma(-gamma, negative_log, -product)
    exponent = product * double(_LOG2E)
    rest = tl.fma(product, double(_LOG2E), -exponent)
    rest = rest + (product * double(_LOG2E_REST) + lost * double(_LOG2E))
    vanishes = exponent < -1070.0
    power, _rest = exp2(exponent, tl.where(vanishes, 0.0, rest))
    return tl.where(vanishes, 0.0, power)


@triton.jit
def as_type(x, dtype: tl.constexpr):
    """Return doubles in another type."""
    if dtype == tl.float64:
        out = x
    else:
        out = rounded(x.to(tl.float32), dtype, False)
    return out


@triton.jit
def nothing_added(together: tl.constexpr, width: tl.constexpr):
    """Return sums of nothing."""
    return tl.zeros((together, width), tl.float64), tl.zeros((together, width), tl.float64)


@triton.jit
def plus(total, high, low):
    """Add a number in two parts to a sum."""
    s, lost = two_sum(total[0], high)
    return s, total[1] + (lost + low)


@triton.jit
def of_each_row(total):
    """Return the sum of each row: (rows, 1)."""
    high, low = tl.reduce(total, 1, add_totals)
    return high[:, None], low[:, None]


@triton.jit
def largest_of_rows(
    source, row_there, classes, masked: tl.constexpr, together: tl.constexpr, width: tl.constexpr
):
    """Return the largest element of each row, NaN where one is NaN: (rows, 1)."""
    most = tl.zeros((together, width), tl.float64) + float("-inf")
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        most = larger(most, load_doubles(source, k, row_there & (k < classes), masked))
    return tl.reduce(most, 1, larger)[:, None]


@triton.jit
def add_others(others, equal, x, most, scale, wide: tl.constexpr):
    """Add exponentials relative to the largest, and count the elements that are equal to it."""
    is_top = x == most
    high, low = exponential_beside(x, most, scale, wide)
    others = plus(others, tl.where(is_top, 0.0, high), tl.where(is_top, 0.0, low))
    return others, equal + is_top.to(tl.int32)


@triton.jit
def others_of_rows(others, equal, bad):
    """Return the sum of a row's exponentials beside the largest in two parts, and how often that occurs."""
    count = tl.sum(equal, axis=1)[:, None]
    high, low = of_each_row(others)
    high, rest = two_sum((count - 1).to(tl.float64), high)
    low = rest + low
    return tl.where(bad, 0.0, high), tl.where(bad, 0.0, low), count


@triton.jit
def logarithm_of_rows(others, rest):
    """Return log(1 + others) in two parts."""
    high, low = log1p(others)
    return two_sum(high, low + rest / (others + 1.0))


@triton.jit
def _scales_of(temperature):
    """Return log2(e) / T and 1 / T, each in two parts; NaN for a temperature that is not above 0."""
    t = tl.where(temperature > 0.0, temperature, float("nan"))
    t = tl.where(t < double(2.0**-1000), double(2.0**-1000), t)
    high = double(_LOG2E) / t
    low = (tl.fma(-high, t, double(_LOG2E)) + double(_LOG2E_REST)) / t
    slope = 1.0 / t
    slope_rest = tl.fma(-slope, t, double(1.0)) / t
    there = t < float("inf")
    return (high, tl.where(there, low, 0.0)), slope, tl.where(there, slope_rest, 0.0), t != t


@triton.jit(do_not_specialize=["rows", "outer"])
def double_rows_kernel(
    logits, result, mask, temperatures, rows, classes,
    outer, outer_in, outer_out, outer_mask, outer_temperature,
    inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, slope_high: tl.float64, slope_low: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, of_rows: tl.constexpr, wide: tl.constexpr,
    together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute softmax (0), log_softmax (1) or logsumexp (2) of ``together`` rows.

    ``of_rows``: each row has its own temperature, in the place of the one that the numbers tell.
    """
    row = (tl.program_id(0).to(tl.int64) * together + tl.arange(0, together))[:, None]
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    at, mask_at = offset_of(row, outer, outer_in), offset_of(row, outer, outer_mask)
    target = result + offset_of(row, outer, outer_out)
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
    scale = (double(0.0) + scale_high, double(0.0) + scale_low)
    slope, slope_rest = double(0.0) + slope_high, double(0.0) + slope_low
    largest = largest_of_rows(source, row_there, classes, masked, together, width)
    bad = (largest != largest) | (tl.abs(largest) == float("inf"))
    if of_rows:
        at_temperature = offset_of(row, outer, outer_temperature)
        temperature = tl.load(temperatures + at_temperature, mask=row_there, other=1.0).to(tl.float64)
        scale, slope, slope_rest, unknown = _scales_of(temperature)
        bad = bad | unknown
    most = tl.where(bad, 0.0, largest)
    others = nothing_added(together, width)
    equal = tl.zeros((together, width), tl.int32)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        x = load_doubles(source, k, row_there & (k < classes), masked)
        others, equal = add_others(others, equal, x, most, scale, wide)
    sum_high, sum_low, _count = others_of_rows(others, equal, bad)
    log_high, log_low = logarithm_of_rows(sum_high, sum_low)
    if function == 2:
        high, low = two_sum(most, log_high)
        out = tl.where(bad, largest, high + (low + log_low))
        tl.store(target, as_type(out, result.dtype.element_ty), mask=row_there)
    else:
        total, total_rest = two_sum(sum_high, double(1.0))
        total_rest = total_rest + sum_low
        for start in range(0, classes, width):
            k = start + tl.arange(0, width)[None, :]
            there = row_there & (k < classes)
            x = load_doubles(source, k, there, masked)
            if function == 0:
                high, low = exponential_beside(x, most, scale, wide)
                share = high / total
                lost = tl.fma(-share, total, high)
                out = share + (lost + (low - share * total_rest)) / total
            else:
                d_high, d_low = two_sum(tl.where(x > float("-inf"), x, 0.0), -most)
                product = d_high * slope
                rest = tl.fma(d_high, slope, -product) + (d_high * slope_rest + d_low * slope)
                rest = tl.where(tl.abs(product) == float("inf"), 0.0, rest)
                high, low = two_sum(product, -log_high)
                out = high + (low + (rest - log_low))
                out = tl.where(x > float("-inf"), out, float("-inf"))
            out = tl.where(bad, float("nan"), out)
            if masked:
                kept = tl.load(mask + (mask_at + offset_of(k, inner, inner_mask)), mask=there, other=0)
                out = tl.where(kept != 0, out, 0.0 if function == 0 else float("-inf"))
            tl.store(
                target + offset_of(k, inner, inner_out), as_type(out, result.dtype.element_ty), mask=there
            )
