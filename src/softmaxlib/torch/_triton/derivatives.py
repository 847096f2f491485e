"""The derivatives of softmax and log_softmax along a tangent, and of these, in double, in Triton.

p (t - sum(p t)), and g - exp(l) sum(g) with l the logarithm of p: the sums are in two parts, so that what is
left of a difference is right to the last place.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .double_rows import as_type, exponential_beside, load_doubles, nothing_added, of_each_row, plus
from .doubles import two_sum
from .row_sums import offset_of

_LOG2E = tl.constexpr(float.fromhex("0x1.71547652b82fep+0"))
_LOG2E_REST = tl.constexpr(float.fromhex("0x1.777d0ffda0d24p-56"))
_TERMS = tl.constexpr(13)  # of the series of exp(l) - 1, for l from -1/4 to 0


@triton.jit
def _less_one(logarithm, exponential):
    """Return exp(l) - 1, from l and exp(l)."""
    near = logarithm > -0.25
    x = tl.where(near, logarithm, 0.0)
    series = x * 0.0 + 1.0
    for i in tl.static_range(_TERMS - 1):
        series = tl.fma(x * double(1.0 / (_TERMS - i)), series, double(1.0))
    return tl.where(near, x * series, exponential - 1.0)


@triton.jit
def _exponential(logarithm, scale, wide: tl.constexpr):
    """Return exp(l), NaN where l is."""
    high, low = exponential_beside(logarithm, double(0.0), scale, wide)
    return tl.where(logarithm == logarithm, high + low, logarithm)


@triton.jit(do_not_specialize=["rows", "outer"])
def softmax_derivative_kernel(
    values, tangent, result, rows, classes,
    outer, outer_in, outer_tangent, outer_out, inner, inner_in, inner_tangent, inner_out,
    of_logarithms: tl.constexpr, wide: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute the derivative of ``together`` rows from probabilities, or ``of_logarithms`` from these."""
    row = (tl.program_id(0).to(tl.int64) * together + tl.arange(0, together))[:, None]
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    # what stands in the place of a mask is not read
    of_values = (values, offset_of(row, outer, outer_in), inner, inner_in, values, row, inner_in)
    of_tangent = (tangent, offset_of(row, outer, outer_tangent), inner, inner_tangent, values, row, inner_in)
    target = result + offset_of(row, outer, outer_out)
    total = nothing_added(together, width)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = row_there & (k < classes)
        t = load_doubles(of_tangent, k, there, False)
        if of_logarithms:
            high, low = t, t * 0.0
        else:
            p = load_doubles(of_values, k, there, False)
            high = p * t
            low = tl.fma(p, t, -high)
        total = plus(total, tl.where(there, high, 0.0), tl.where(there, low, 0.0))
    sum_high, sum_low = of_each_row(total)
    scale = (double(_LOG2E), double(_LOG2E_REST))
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = row_there & (k < classes)
        x = load_doubles(of_values, k, there, False)
        t = load_doubles(of_tangent, k, there, False)
        if of_logarithms:
            exponential = _exponential(x, scale, wide)
            rest_high, rest_low = two_sum(sum_high, -t)
            out = -_less_one(x, exponential) * t - exponential * (rest_high + (rest_low + sum_low))
        else:
            rest_high, rest_low = two_sum(t, -sum_high)
            out = x * (rest_high + (rest_low - sum_low))
        tl.store(target + offset_of(k, inner, inner_out), as_type(out, result.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=["rows", "outer"])
def second_derivative_kernel(
    values, tangent, arriving, result, rows, classes,
    outer, outer_in, outer_tangent, outer_arriving, outer_out,
    inner, inner_in, inner_tangent, inner_arriving, inner_out,
    function: tl.constexpr, wide: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute, for what arrives at a derivative, its derivative by the probabilities or their logarithms.

    From probabilities p (0): g t - g sum(p t) - t sum(p g). From logarithms l: -g exp(l) sum(t) (1), or the
    derivative by the tangent, g - sum(g exp(l)) (2).
    """
    row = (tl.program_id(0).to(tl.int64) * together + tl.arange(0, together))[:, None]
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    of_values = (values, offset_of(row, outer, outer_in), inner, inner_in, values, row, inner_in)
    of_tangent = (tangent, offset_of(row, outer, outer_tangent), inner, inner_tangent, values, row, inner_in)
    at = offset_of(row, outer, outer_arriving)
    of_arriving = (arriving, at, inner, inner_arriving, values, row, inner_in)
    target = result + offset_of(row, outer, outer_out)
    scale = (double(_LOG2E), double(_LOG2E_REST))
    total, other = nothing_added(together, width), nothing_added(together, width)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = row_there & (k < classes)
        if function == 1:
            high = load_doubles(of_tangent, k, there, False)
            low = high * 0.0
        else:
            p = load_doubles(of_values, k, there, False)
            g = load_doubles(of_arriving, k, there, False)
            if function == 2:
                p = _exponential(p, scale, wide)
            high = p * g
            low = tl.fma(p, g, -high)
            if function == 0:
                t = load_doubles(of_tangent, k, there, False)
                product = p * t
                lost = tl.fma(p, t, -product)
                other = plus(other, tl.where(there, product, 0.0), tl.where(there, lost, 0.0))
        total = plus(total, tl.where(there, high, 0.0), tl.where(there, low, 0.0))
    sum_high, sum_low = of_each_row(total)
    other_high, other_low = of_each_row(other)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = row_there & (k < classes)
        g = load_doubles(of_arriving, k, there, False)
        if function == 0:
            t = load_doubles(of_tangent, k, there, False)
            rest_high, rest_low = two_sum(t, -other_high)
            out = g * (rest_high + (rest_low - other_low)) - t * (sum_high + sum_low)
        if function == 1:
            p = _exponential(load_doubles(of_values, k, there, False), scale, wide)
            out = -g * p * (sum_high + sum_low)
        if function == 2:
            rest_high, rest_low = two_sum(g, -sum_high)
            out = rest_high + (rest_low - sum_low)
        tl.store(target + offset_of(k, inner, inner_out), as_type(out, result.dtype.element_ty), mask=there)
