"""Cross-entropy of binary logits, and its derivative, in double, in Triton: each element by itself.

With E = exp(-|x|), the probability of the likelier outcome is 1 / (1 + E), that of the other E / (1 + E), and
-log of these is log1p(E) and |x| + log1p(E): nothing is subtracted, so confident logits keep their digits.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .double_rows import as_type, exponential_beside, times, to_the_power
from .doubles import add_totals, log1p
from .row_sums import offset_of

_LOG2E = tl.constexpr(float.fromhex("0x1.71547652b82fep+0"))
_LOG2E_REST = tl.constexpr(float.fromhex("0x1.777d0ffda0d24p-56"))


@triton.jit
def _weight(weights, element, lengths, strides, there):
    """Load weights of elements as double."""
    return tl.load(weights + offset_of(element, lengths, strides), mask=there, other=0.0).to(tl.float64)


@triton.jit
def _known(
    logits, target, weights, positive_weights, mask, elements, inner, strides, smoothing, wide: tl.constexpr,
    weighted: tl.constexpr, positive_weighted: tl.constexpr, masked: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Return of ``width`` elements their places, which are there, which count, and what losses are made of.

    That is the logits, the weights of both outcomes, their probabilities and minus the logarithms of these.
    """
    element = tl.program_id(0).to(tl.int64) * width + tl.arange(0, width)
    there = element < elements
    counts = there
    if masked:
        kept = tl.load(mask + offset_of(element, inner, strides[4]), mask=there, other=0)
        counts = there & (kept != 0)
    x = tl.load(logits + offset_of(element, inner, strides[0]), mask=there, other=0.0).to(tl.float64)
    y = tl.load(target + offset_of(element, inner, strides[1]), mask=there, other=0).to(tl.float64)
    positive = (1.0 - smoothing) * y + smoothing * 0.5
    negative = (1.0 - smoothing) * (1.0 - y) + smoothing * 0.5
    if positive_weighted:
        positive *= _weight(positive_weights, element, inner, strides[3], there)
    if weighted:
        weight = _weight(weights, element, inner, strides[2], there)
        positive, negative = positive * weight, negative * weight
    scale = (double(_LOG2E), double(_LOG2E_REST))
    e_high, e_low = exponential_beside(-tl.abs(x), x * 0.0, scale, wide)
    e_high = e_high + e_low
    likely = 1.0 / (1.0 + e_high)
    other = e_high * likely
    p, q = tl.where(x < 0.0, other, likely), tl.where(x < 0.0, likely, other)
    log_high, log_low = log1p(e_high)
    rest = log_high + log_low
    negative_log_p = tl.where(x < 0.0, rest - x, rest)
    negative_log_q = tl.where(x < 0.0, rest, rest + x)
    return element, there, counts, x, (positive, negative), (p, q), (negative_log_p, negative_log_q)


@triton.jit
def _slopes(p, q, negative_log_p, negative_log_q, focus, other_focus, gamma, focal: tl.constexpr):
    """Return minus the derivative of the loss of the first outcome by the logit, and that of the second."""
    push, pull = q, p
    if focal:
        push = focus * (q + gamma * times(p, negative_log_p))
        pull = other_focus * (p + gamma * times(q, negative_log_q))
    return push, pull


@triton.jit
def _bend(p, q, negative_log_p, focus, gamma):
    """Return the second derivative of the focal loss (1 - p)^gamma (-log p) by the logit."""
    logarithm = tl.where(p == 0.0, 0.0, negative_log_p)
    return focus * p * (q * (1.0 + 2.0 * gamma - gamma * logarithm) + (gamma * gamma) * p * logarithm)


@triton.jit(do_not_specialize=["inner"])
def sigmoid_losses_kernel(
    logits, target, weights, positive_weights, mask, upstream, losses, sums, gradient, elements,
    inner, inner_in, inner_target, inner_weight, inner_positive, inner_mask, inner_upstream, inner_loss,
    inner_out, smoothing: tl.float64, gamma: tl.float64,
    weighted: tl.constexpr, positive_weighted: tl.constexpr, masked: tl.constexpr, focal: tl.constexpr,
    wide: tl.constexpr, each: tl.constexpr, derivative: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute derivatives of ``width`` elements times ``upstream``, or losses: of ``each``, or their sum."""
    smoothing, gamma = double(0.0) + smoothing, double(0.0) + gamma
    element, there, counts, x, factors, shares, logarithms = _known(
        logits, target, weights, positive_weights, mask, elements, inner,
        (inner_in, inner_target, inner_weight, inner_positive, inner_mask), smoothing, wide,
        weighted, positive_weighted, masked, width,
    )  # fmt: skip
    positive, negative = factors
    p, q = shares
    negative_log_p, negative_log_q = logarithms
    focus, other_focus = p, q
    if focal:
        focus, other_focus = to_the_power(negative_log_q, gamma), to_the_power(negative_log_p, gamma)
    if derivative:
        push, pull = _slopes(p, q, negative_log_p, negative_log_q, focus, other_focus, gamma, focal)
        arriving = tl.load(upstream + offset_of(element, inner, inner_upstream), mask=there, other=0.0)
        out = (negative * pull - positive * push) * arriving.to(tl.float64)
        out = tl.where(counts, tl.where(x == x, out, x), 0.0)
        to = gradient + offset_of(element, inner, inner_out)
        tl.store(to, as_type(out, gradient.dtype.element_ty), mask=there)
    else:
        if focal:
            negative_log_p = times(focus, negative_log_p)
            negative_log_q = times(other_focus, negative_log_q)
        value = times(positive, negative_log_p) + times(negative, negative_log_q)
        value = tl.where(counts, tl.where(x == x, value, x), 0.0)
        if each:
            to = losses + offset_of(element, inner, inner_loss)
            tl.store(to, as_type(value, losses.dtype.element_ty), mask=there)
        else:
            high, low = tl.reduce((value, value * 0.0), 0, add_totals)
            tl.store(sums + tl.program_id(0), high + low)


@triton.jit(do_not_specialize=["inner"])
def second_sigmoid_losses_kernel(
    logits, target, weights, positive_weights, mask, upstream, second, products, sums, result, elements,
    inner, inner_in, inner_target, inner_weight, inner_positive, inner_mask, inner_upstream, inner_second,
    inner_product, inner_out, smoothing: tl.float64, gamma: tl.float64,
    weighted: tl.constexpr, positive_weighted: tl.constexpr, masked: tl.constexpr, focal: tl.constexpr,
    wide: tl.constexpr, each: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute ``second`` times the derivative, of ``each`` element or their sum, and times the second one.

    The second derivatives are multiplied by ``upstream``.
    """
    smoothing, gamma = double(0.0) + smoothing, double(0.0) + gamma
    element, there, counts, x, factors, shares, logarithms = _known(
        logits, target, weights, positive_weights, mask, elements, inner,
        (inner_in, inner_target, inner_weight, inner_positive, inner_mask), smoothing, wide,
        weighted, positive_weighted, masked, width,
    )  # fmt: skip
    positive, negative = factors
    p, q = shares
    negative_log_p, negative_log_q = logarithms
    focus, other_focus = p, q
    bend = (positive + negative) * (p * q)
    if focal:
        focus, other_focus = to_the_power(negative_log_q, gamma), to_the_power(negative_log_p, gamma)
        bend = positive * _bend(p, q, negative_log_p, focus, gamma)
        bend += negative * _bend(q, p, negative_log_q, other_focus, gamma)
    push, pull = _slopes(p, q, negative_log_p, negative_log_q, focus, other_focus, gamma, focal)
    tangent = tl.load(second + offset_of(element, inner, inner_second), mask=there, other=0.0).to(tl.float64)
    arriving = tl.load(upstream + offset_of(element, inner, inner_upstream), mask=there, other=0.0)
    out = (bend * tangent) * arriving.to(tl.float64)
    out = tl.where(counts, tl.where(x == x, out, x), 0.0)
    to = result + offset_of(element, inner, inner_out)
    tl.store(to, as_type(out, result.dtype.element_ty), mask=there)
    product = (negative * pull - positive * push) * tangent
    product = tl.where(counts, tl.where(x == x, product, x), 0.0)
    if each:
        to = products + offset_of(element, inner, inner_product)
        tl.store(to, as_type(product, products.dtype.element_ty), mask=there)
    else:
        high, low = tl.reduce((product, product * 0.0), 0, add_totals)
        tl.store(sums + tl.program_id(0), high + low)
