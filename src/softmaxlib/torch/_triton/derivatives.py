"""The derivatives of softmax and log_softmax along a tangent, in double, in Triton.

p (t - sum(p t)), and g - exp(l) sum(g) with l the logarithm of p: the sums are in two parts, so that what is
left of a difference is right to the last place.
"""

import triton
import triton.language as tl

from .arithmetic import double, two_sum
from .double_rows import as_type, exponential_beside, load_doubles, nothing_added, of_each_row, plus
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
            exponential, _rest = exponential_beside(x, double(0.0), scale, wide)
            exponential = tl.where(x == x, exponential, x)
            rest_high, rest_low = two_sum(sum_high, -t)
            out = -_less_one(x, exponential) * t - exponential * (rest_high + (rest_low + sum_low))
        else:
            rest_high, rest_low = two_sum(t, -sum_high)
            out = x * (rest_high + (rest_low - sum_low))
        tl.store(target + offset_of(k, inner, inner_out), as_type(out, result.dtype.element_ty), mask=there)
