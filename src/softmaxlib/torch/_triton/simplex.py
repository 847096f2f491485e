"""sparsemax and entmax of order 1.5, and their derivative, by the steps of ``cpp/simplex.h`` in double.

In units of z = (x - largest) (alpha - 1) an entry is max(z - tau, 0), or its square, and tau is such that
they sum to one. tau starts at -1, below every answer. Its steps come from sums that round, and a last one
from sums of whole numbers, which are exact. Rounding to the logits' type hides what is left of the difference
to the CPU.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .double_rows import as_type, load_doubles
from .row_sums import known, load_logits, offset_of

SPARSEMAX = tl.constexpr(0)
ENTMAX15 = tl.constexpr(1)
_UNITS = tl.constexpr(2.0**62)  # of the last sums


@triton.jit
def _load(source, k, there, masked: tl.constexpr):
    """Load elements ``k`` of rows as float32, float64 as it is; what is masked or not there is -inf."""
    if source[0].dtype.element_ty == tl.float64:
        out = load_doubles(source, k, there, masked)
    else:
        out = load_logits(source, k, there, masked)
    return out


@triton.jit
def _sums_above(x, top, tau, function: tl.constexpr):
    """Return of z - tau, where it is above 0: the sum, the sum of squares, how many, the smallest."""
    d = _distance(x, top, tau, function)
    above = d > 0.0
    d = tl.where(above, d, 0.0)
    return d, d * d, above.to(tl.int32), tl.where(above, d, float("inf"))


@triton.jit
def _distance(x, top, tau, function: tl.constexpr):
    """Return z - tau."""
    z = x.to(tl.float64) - top
    if function == ENTMAX15:
        z = z * 0.5
    return z - tau


@triton.jit
def _step(first, second, count, least, function: tl.constexpr):
    """Return the next step of tau, and whether the support stays as it is, so that it is the last."""
    if function == ENTMAX15:
        excess = second - 1.0
        step = excess / (first + tl.sqrt(first * first - count * excess))
        norm = tl.sqrt(second)
        nearer = (norm - 1.0) * norm / first
    else:
        step = (first - 1.0) / count
        nearer = step
    settled = step <= least
    return tl.where(settled, step, nearer), settled


@triton.jit
def _whole(d, function: tl.constexpr):
    """Return z - tau or its square in whole units."""
    d = tl.where(d > 0.0, d, 0.0)
    if function == ENTMAX15:
        square = d * d
        units = (square * double(_UNITS)).to(tl.int64)
        units += (tl.fma(d, d, -square) * double(_UNITS)).to(tl.int64)
    else:
        units = (d * double(_UNITS)).to(tl.int64)
    return units


@triton.jit
def _corrected(tau, units, first, count, function: tl.constexpr):
    """Return tau after the last step."""
    excess = (units - (1 << 62)).to(tl.float64) * double(1.0 / _UNITS)
    if function == ENTMAX15:
        step = excess / (first + tl.sqrt(first * first - count * excess))
    else:
        step = excess / count
    return tl.where(step == step, tau + step, tau)


@triton.jit
def _threshold(x, top, done, function: tl.constexpr):
    """Return tau of rows (rows, width) in the registers; rows that are ``done`` have none."""
    tau = top * 0.0 - 1.0
    left = tl.sum(1 - done.to(tl.int32), axis=0)
    while left > 0:
        d, square, count, least = _sums_above(x, top[:, None], tau[:, None], function)
        step, settled = _step(
            tl.sum(d, axis=1), tl.sum(square, axis=1), tl.sum(count, axis=1).to(tl.float64),
            tl.min(least, axis=1), function,
        )  # fmt: skip
        after = tl.where(done, tau, tau + step)
        done = done | settled | (after == tau)
        tau = after
        left = tl.sum(1 - done.to(tl.int32), axis=0)
    d, _, count, _ = _sums_above(x, top[:, None], tau[:, None], function)
    units = tl.sum(_whole(d, function), axis=1)
    return _corrected(tau, units, tl.sum(d, axis=1), tl.sum(count, axis=1).to(tl.float64), function)


@triton.jit
def _store_densities(
    target, k, x, there, top, tau, bad, source, masked: tl.constexpr, function: tl.constexpr
):
    """Write the probabilities: NaN in bad rows, 0 where the mask is False."""
    result, at, strides = target
    lengths = source[2]
    d = _distance(x, top, tau, function)
    d = tl.where(d > 0.0, d, 0.0)
    if function == ENTMAX15:
        d = d * d
    out = tl.where(bad, float("nan"), d)
    if masked:
        kept = tl.load(source[4] + (source[5] + offset_of(k, lengths, source[6])), mask=there, other=0)
        out = tl.where(kept != 0, out, 0.0)
    tl.store(
        result + (at + offset_of(k, lengths, strides)),
        as_type(out, result.dtype.element_ty),
        mask=there,
    )


@triton.jit
def kept_rows_kernel(
    logits, result, mask, rows, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    function: tl.constexpr, masked: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute ``together`` rows that stay in the registers."""
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    k = tl.arange(0, width)[None, :]
    there = row_there[:, None] & (k < classes)
    at, mask_at = offset_of(row, outer, outer_in)[:, None], offset_of(row, outer, outer_mask)[:, None]
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
    x = _load(source, k, there, masked)
    top = tl.max(known(x), axis=1)
    bad = (tl.max((there & (x != x)).to(tl.int32), axis=1) > 0) | (tl.abs(top) == float("inf"))
    top = tl.where(bad, 0.0, top).to(tl.float64)
    tau = _threshold(x, top, bad, function)
    target = (result, offset_of(row, outer, outer_out)[:, None], inner_out)
    _store_densities(target, k, x, there, top[:, None], tau[:, None], bad[:, None], source, masked, function)


@triton.jit
def _threshold_of_long_row(
    source, classes, top, function: tl.constexpr, masked: tl.constexpr, tile: tl.constexpr
):
    """Return tau of one row that is read at each step."""
    place = tl.arange(0, tile)
    zeros = tl.zeros((tile,), tl.float64)
    tau = top * 0.0 - 1.0
    left = (classes > 0).to(tl.int32)
    while left > 0:
        first, second, count, least = zeros, zeros, tl.zeros((tile,), tl.int32), zeros + float("inf")
        for start in range(0, classes, tile):
            k = start + place
            d, square, one, smallest = _sums_above(_load(source, k, k < classes, masked), top, tau, function)
            first, second, count, least = first + d, second + square, count + one, tl.minimum(least, smallest)
        step, settled = _step(
            tl.sum(first, axis=0), tl.sum(second, axis=0), tl.sum(count, axis=0).to(tl.float64),
            tl.min(least, axis=0), function,
        )  # fmt: skip
        left = (1 - settled.to(tl.int32)) * (tau + step != tau).to(tl.int32)
        tau = tau + step
    units = tl.zeros((tile,), tl.int64)
    first, count = zeros, tl.zeros((tile,), tl.int32)
    for start in range(0, classes, tile):
        k = start + place
        d, _, one, _ = _sums_above(_load(source, k, k < classes, masked), top, tau, function)
        units, first, count = units + _whole(d, function), first + d, count + one
    return _corrected(
        tau, tl.sum(units, axis=0), tl.sum(first, axis=0), tl.sum(count, axis=0).to(tl.float64), function
    )


@triton.jit
def long_rows_kernel(
    logits, result, mask, candidates, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    function: tl.constexpr, masked: tl.constexpr, tile: tl.constexpr, room: tl.constexpr,
):  # fmt: skip
    """Compute one longer row: what may be in the support is collected, in room for a limited number."""
    row = tl.program_id(0).to(tl.int64)
    at, mask_at = offset_of(row, outer, outer_in), offset_of(row, outer, outer_mask)
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
    place = tl.arange(0, tile)
    most = tl.full((tile,), float("-inf"), candidates.dtype.element_ty)
    wrong = tl.zeros((tile,), tl.int32)
    for start in range(0, classes, tile):
        k = start + place
        x = _load(source, k, k < classes, masked)
        most = tl.maximum(most, known(x))
        wrong = wrong | (x != x).to(tl.int32)
    top = tl.max(most, axis=0)
    bad = (tl.max(wrong, axis=0) > 0) | (tl.abs(top) == float("inf"))
    top = tl.where(bad, 0.0, top).to(tl.float64)
    reach: tl.constexpr = 2.0 if function == ENTMAX15 else 1.0
    found = tl.where(bad, room + 1, 0)
    for start in range(0, classes, tile):
        k = start + place
        x = _load(source, k, k < classes, masked)
        near = x.to(tl.float64) - top > -reach
        number = tl.sum(near.to(tl.int32), axis=0)
        if number > 0:
            to = found + tl.cumsum(near.to(tl.int32), axis=0) - 1
            tl.store(candidates + (row * room + to), x, mask=near & (to < room))
        found += number
    tl.debug_barrier()
    tau = double(0.0)
    if found <= room:
        here = tl.arange(0, room)[None, :]
        x = tl.load(candidates + (row * room + here), mask=here < found, other=float("-inf"))
        one = tl.arange(0, 1)
        tau = tl.sum(_threshold(x, top + one, one > 0, function), axis=0)
    else:
        tau = _threshold_of_long_row(source, tl.where(bad, 0, classes), top, function, masked, tile)
    target = (result, offset_of(row, outer, outer_out), inner_out)
    for start in range(0, classes, tile):
        k = start + place
        x = _load(source, k, k < classes, masked)
        _store_densities(target, k, x, k < classes, top, tau, bad, source, masked, function)


@triton.jit
def _weights_and_gradients(probabilities, gradients, k, there, function: tl.constexpr, masked: tl.constexpr):
    """Load tiles of rows: p^(2 - alpha) on the support, the gradients, and where the support is."""
    p = _load(probabilities, k, there, masked)  # what is masked is -inf
    g = _load(gradients, k, there, masked).to(tl.float64)
    inside = (p > 0.0) | (p != p)
    weight = p.to(tl.float64)
    if function == ENTMAX15:
        weight = tl.sqrt(tl.where(inside, weight, 0.0))
    else:
        weight = tl.where(p == p, 1.0, weight)
    return tl.where(inside, weight, 0.0), g, inside


@triton.jit
def derivative_kernel(
    probabilities, gradient, result, mask, rows, classes,
    outer, outer_in, outer_gradient, outer_out, outer_mask,
    inner, inner_in, inner_gradient, inner_out, inner_mask,
    function: tl.constexpr, masked: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute s (g - sum(s g) / sum(s)) with s = p^(2 - alpha) of rows, in tiles of ``width`` classes.

    g is taken relative to that of the largest s, so that its own entry is a sum of the others and keeps its
    digits.
    """
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    mask_at = offset_of(row, outer, outer_mask)[:, None]
    p_at, g_at = offset_of(row, outer, outer_in)[:, None], offset_of(row, outer, outer_gradient)[:, None]
    out_at = offset_of(row, outer, outer_out)[:, None]
    of_p = (probabilities, p_at, inner, inner_in, mask, mask_at, inner_mask)
    of_g = (gradient, g_at, inner, inner_gradient, mask, mask_at, inner_mask)
    place = tl.arange(0, width)[None, :]
    largest = tl.zeros((together,), tl.float64)
    reference = tl.zeros((together,), tl.float64)
    for start in range(0, classes, width):
        k = start + place
        weight, g, inside = _weights_and_gradients(
            of_p, of_g, k, row_there[:, None] & (k < classes), function, masked
        )
        here = tl.max(known(weight), axis=1)
        first = tl.min(tl.where(inside & (weight == here[:, None]), k, 0x7FFFFFFF), axis=1)
        of_first = tl.sum(tl.where(inside & (k == first[:, None]), g, 0.0), axis=1)
        reference = tl.where(here > largest, of_first, reference)
        largest = tl.where(here > largest, here, largest)
    total = tl.zeros((together,), tl.float64)
    product = tl.zeros((together,), tl.float64)
    for start in range(0, classes, width):
        k = start + place
        weight, g, inside = _weights_and_gradients(
            of_p, of_g, k, row_there[:, None] & (k < classes), function, masked
        )
        total += tl.sum(weight, axis=1)
        product += tl.sum(tl.where(inside, weight * (g - reference[:, None]), 0.0), axis=1)
    mean = product / tl.where(total == 0.0, 1.0, total)
    for start in range(0, classes, width):
        k = start + place
        there = row_there[:, None] & (k < classes)
        weight, g, inside = _weights_and_gradients(of_p, of_g, k, there, function, masked)
        out = tl.where(inside, weight * ((g - reference[:, None]) - mean[:, None]), 0.0)
        to = result + (out_at + offset_of(k, inner, inner_out))
        tl.store(to, as_type(out, result.dtype.element_ty), mask=there)
