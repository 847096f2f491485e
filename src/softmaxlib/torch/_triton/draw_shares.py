"""Log probabilities of the drawn tokens: in the whole row, and among the tokens that filters left."""

import triton
import triton.language as tl

from .arithmetic import double
from .chunks import CHUNK, load_chunk, part_of_loaded
from .doubles import add_totals, log1p, ratio, scale_total, two_sum
from .draw_numbers import decided_exp
from .draw_scan import PART
from .draw_scores import load_parameter, scale_at
from .row_sums import joined, nothing_known, offset_of


@triton.jit
def _joined_few_parts(parts, number, scale):
    """Join up to 64 stored chunks of a row in order.

    What `merged` multiplies by depends on the largest elements alone, so it is found for all at once.
    """
    place = tl.arange(0, 64)
    top = tl.load(parts + place * PART, mask=place < number, other=float("-inf"))
    before = tl.max(tl.where(place[None, :] < place[:, None], top[None, :], float("-inf")), axis=1)
    smaller, larger = tl.minimum(before, top), tl.maximum(before, top)
    high, low = ratio(scale[0], scale[1], smaller, larger, double(300.0))
    tl.store(parts + (place * PART + 7), high, mask=place < number)
    tl.store(parts + (place * PART + 8), low, mask=place < number)
    tl.debug_barrier()
    most = double(float("-inf"))
    total = double(0.0)
    rest = double(0.0)
    for c in range(0, number):
        here = parts + c * PART
        one, of_one, rest_of_one = tl.load(here), tl.load(here + 4), tl.load(here + 5)
        first = most >= one
        s_high, s_low = tl.where(first, of_one, total), tl.where(first, rest_of_one, rest)
        total, rest = tl.where(first, total, of_one), tl.where(first, rest, rest_of_one)
        s_high, s_low = add_totals(s_high, s_low, double(1.0), double(0.0))
        s_high, s_low = scale_total(s_high, s_low, tl.load(here + 7), tl.load(here + 8))
        both, lost = add_totals(total, rest, s_high * double(2.0**-300), s_low * double(2.0**-300))
        alone = (tl.minimum(most, one) == float("-inf")) | (tl.maximum(most, one) == float("inf"))
        total, rest = tl.where(alone, total, both), tl.where(alone, rest, lost)
        most = tl.maximum(most, one)
    return most, most, most, most, total, rest


@triton.jit
def _joined_parts(parts, number, scale, segmented: tl.constexpr):
    """Join the stored chunks of a row in order."""
    state = nothing_known(1)
    if segmented:
        segment = nothing_known(1)
        for c in range(0, number):
            one = ()
            for i in tl.static_range(6):
                one = one + (tl.load(parts + (c * PART + i)),)
            state, segment = joined(
                c, state, segment, one, number, scale, tl.cdiv(number, 64), False, 1, segmented
            )
    else:
        state = _joined_few_parts(parts, number, scale)
    return state


@triton.jit
def _log_share(x, state, slope):
    """Return the logarithm of a score's share of a row, rounded to float32."""
    others = state[4]
    log_high, log_low = log1p(tl.where(others > 0.0, others, 0.0))
    log_high, log_low = two_sum(log_high, log_low + state[5] / (others + 1.0))
    log_high = tl.where(others > 0.0, log_high, 0.0)
    return tl.fma(x.to(tl.float64) - state[0], slope, -log_high).to(tl.float32)


@triton.jit
def _log_share_of_kept(kept, count, x, temperature, segmented: tl.constexpr):
    """Return the logarithm of a score's share of the tokens that are left."""
    scale, lane_scale = scale_at(temperature)
    number = tl.cdiv(count, CHUNK)
    at = tl.zeros((), tl.int64)
    source = (kept[0], at, (count,), (1,), kept[0], at, (1,))
    state = nothing_known(1)
    segment = nothing_known(1)
    for c in range(0, number):
        start = at + c * CHUNK
        length = tl.minimum(count - start, CHUNK).to(tl.int32)
        tiles, tail = load_chunk(source, start, length, False, False, True, True, False, 8)
        part, _ = part_of_loaded(tiles, tail, length, scale, lane_scale, False, False, False, 1, 8)
        state, segment = joined(
            c, state, segment, part, number, scale, tl.cdiv(number, 64), False, 1, segmented
        )
    return _log_share(x, state, 1.0 / temperature)


@triton.jit
def _wide_log_share(kept, count, x, largest, tile: tl.constexpr):
    """Return the same for doubles, at their temperature already."""
    place = tl.arange(0, tile)
    equal = tl.zeros((tile,), tl.float64)
    small = tl.zeros((tile,), tl.float64)
    for start in range(0, count, tile):
        y = tl.load(kept[0] + (start + place), mask=start + place < count, other=float("-inf"))
        equal += tl.where(y == largest, 1.0, 0.0)
        small += tl.where(y == largest, 0.0, decided_exp(y - largest))
    log_total, _ = log1p(tl.sum(small, axis=0) + (tl.sum(equal, axis=0) - 1.0))
    return ((x - largest) - log_total).to(tl.float32)


@triton.jit
def _wide_log_share_of_chunks(best, number, x, largest):
    """Return the same where every token is left, from the sums that `contest_kernel` stores."""
    others = double(0.0)
    equal = double(0.0)
    for c in range(0, number):
        others += tl.load(best + 3 * c + 1)
        equal += tl.load(best + 3 * c + 2)
    log_total, _ = log1p(others + (equal - 1.0))
    return ((x - largest) - log_total).to(tl.float32)


@triton.jit(do_not_specialize=["rows", "classes"])
def share_kernel(
    logits, outer, outer_steps, inner, inner_steps, parts, heated_parts, best, kept_scores, parameters, drawn,
    token_out, logprob_out, processed_out, rows, classes,
    heat: tl.constexpr, by_row: tl.constexpr, wide: tl.constexpr, whole: tl.constexpr,
    segmented: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Write the token of a row, and one of its two log probabilities by each of two programs.

    ``whole`` says that no filter was asked for: ``heated_parts`` or ``best`` hold the sums of the row.
    """
    row = tl.program_id(0).to(tl.int64)
    classes = tl.zeros((), tl.int32) + classes
    number = tl.cdiv(classes, CHUNK)
    token = tl.load(drawn + 4 * row).to(tl.int64)
    bad = token < 0
    temperature = double(1.0)
    greedy = row < 0
    if heat >= 0:
        temperature = load_parameter(parameters, heat, rows, row, by_row)
        greedy = temperature == 0.0
        temperature = tl.where(greedy, 1.0, temperature)
    if tl.program_id(1) == 0:
        tl.store(token_out + row, token)
        at = offset_of(row, outer, outer_steps) + offset_of(tl.maximum(token, 0), inner, inner_steps)
        scale, lane_scale = scale_at(double(1.0))
        state = _joined_parts(parts + row * number * PART, number, scale, segmented)
        share = _log_share(tl.load(logits + at).to(tl.float32), state, double(1.0))
        tl.store(logprob_out + row, tl.where(bad, float("nan"), share))
    else:
        score = tl.load(drawn + 4 * row + 1)
        count = tl.where(bad, 0, tl.load(drawn + 4 * row + 2).to(tl.int32))
        largest = tl.load(drawn + 4 * row + 3)
        if whole:
            if wide:
                share = _wide_log_share_of_chunks(best + 3 * row * number, number, score, largest)
            else:
                scale, lane_scale = scale_at(temperature)
                state = _joined_parts(heated_parts + row * number * PART, number, scale, segmented)
                share = _log_share(score, state, 1.0 / temperature)
            share = tl.where(greedy, 0.0, share)
        else:
            kept = (kept_scores + row * classes,)
            if wide:
                share = _wide_log_share(kept, count, score, largest, tile)
            else:
                share = _log_share_of_kept(kept, count, score, temperature, segmented)
        tl.store(processed_out + row, tl.where(bad, float("nan"), share))
