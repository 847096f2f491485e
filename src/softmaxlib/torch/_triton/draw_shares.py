"""Log probabilities of the drawn tokens: in the whole row, and among the tokens that filters left."""

import triton
import triton.language as tl

from .arithmetic import double
from .chunks import CHUNK, READ_ONCE, load_chunk, part_of_loaded
from .doubles import log1p, two_sum
from .draw_numbers import decided_exp
from .draw_scores import load_parameter, scale_at
from .parts import PART, joined_parts
from .row_sums import joined, nothing_known, offset_of


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
        tiles, tail = load_chunk(source, start, length, False, False, True, True, 0, 8, READ_ONCE)
        part, _ = part_of_loaded(tiles, tail, length, scale, lane_scale, False, False, 0, 1, 8)
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
        state = joined_parts(
            parts + row * number * PART, number, scale, tl.cdiv(number, 64), False, segmented
        )
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
                state = joined_parts(
                    heated_parts + row * number * PART, number, scale, tl.cdiv(number, 64), False, segmented
                )
                share = _log_share(score, state, 1.0 / temperature)
            share = tl.where(greedy, 0.0, share)
        else:
            kept = (kept_scores + row * classes,)
            if wide:
                share = _wide_log_share(kept, count, score, largest, tile)
            else:
                share = _log_share_of_kept(kept, count, score, temperature, segmented)
        tl.store(processed_out + row, tl.where(bad, float("nan"), share))
