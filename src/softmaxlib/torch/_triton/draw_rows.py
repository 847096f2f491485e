"""One token a row: filters and the draw on the tokens that are left, by one program for each row."""

import triton
import triton.language as tl

from .arithmetic import double, log1p, plain_tables, two_sum
from .chunks import CHUNK, load_tail, load_tile, part_of_chunks
from .draw_filters import (
    bound_of,
    keep_min_p,
    keep_nucleus,
    keep_top_k,
    keep_top_n_sigma,
    keep_typical_p,
    order_of_kth,
    put,
    stored_masses,
)
from .draw_numbers import decided_exp, gumbel, key_of_draw
from .draw_scan import BLOCKS, PART
from .draw_scores import (
    BLOCK,
    divided,
    largest_in,
    load_parameter,
    load_scores,
    offset_from,
    order_of,
    scale_at,
    score_at,
)
from .row_sums import chosen_part, merged, nothing_known, offset_of

TEMPERATURE = tl.constexpr(0)
TOP_K = tl.constexpr(1)
TOP_P = tl.constexpr(2)
MIN_P = tl.constexpr(3)
TYPICAL_P = tl.constexpr(4)
TOP_N_SIGMA = tl.constexpr(5)


@triton.jit
def _joined(state, segment, one, at, number, scale, per_segment, segmented: tl.constexpr):
    """Join one more chunk to what is known of a row, as `chunks.joined_chunks` does."""
    if segmented:
        within = at % per_segment
        segment = chosen_part(within > 0, merged(scale[0], scale[1], segment, one, False), one)
        ends = (within == per_segment - 1) | (at == number - 1)
        joined = chosen_part(at < per_segment, segment, merged(scale[0], scale[1], state, segment, False))
        state = chosen_part(ends, joined, state)
    else:
        state = chosen_part(at == 0, one, merged(scale[0], scale[1], state, one, False))
    return state, segment


@triton.jit
def _joined_parts(parts, number, scale, segmented: tl.constexpr):
    """Join the stored chunks of a row in order; tell whether one of them holds NaN."""
    state = nothing_known(1)
    segment = nothing_known(1)
    wrong = double(0.0)
    for c in range(0, number):
        one = ()
        for i in tl.static_range(6):
            one = one + (tl.load(parts + (c * PART + i)),)
        wrong = tl.maximum(wrong, tl.load(parts + (c * PART + 6)))
        state, segment = _joined(state, segment, one, c, number, scale, tl.cdiv(number, 64), segmented)
    return state, wrong > 0.0


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
    tables = plain_tables()
    one = tl.arange(0, 1)
    number = tl.cdiv(count, CHUNK)
    at = tl.zeros((1, 1, 1), tl.int64)
    source = (kept[0], at, (count,), (1,), kept[0], at, (1,))
    state = nothing_known(1)
    segment = nothing_known(1)
    block = tl.arange(0, 8)[None, :, None]
    for c in range(0, number):
        start = c * CHUNK + one
        length = tl.minimum(count - start, CHUNK)
        tiles = ()
        for j in tl.static_range(8):
            tiles = tiles + (load_tile(source, start, length, block, j, False),)
        tail = load_tail(source, start, length, False)
        part, wrong, values, excesses = part_of_chunks(
            c, source, one == 0, count, scale, lane_scale, tables, tiles, tail,
            False, False, True, True, 1, 1, 8,
        )  # fmt: skip
        part_here = ()
        for i in tl.static_range(6):
            part_here = part_here + (tl.sum(part[i], axis=0),)
        state, segment = _joined(state, segment, part_here, c, number, scale, tl.cdiv(number, 64), segmented)
    return _log_share(x, state, 1.0 / temperature)


@triton.jit
def _wide_log_share(kept, count, x, largest, tile: tl.constexpr):
    """Return the same for doubles."""
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
def _gathered(
    source, row, kept, blocks, maxima, classes, bound, temperature,
    wide: tl.constexpr, divides: tl.constexpr,
):  # fmt: skip
    """Collect the tokens whose score is at least the bound, block by block."""
    number = tl.cdiv(classes, CHUNK) * BLOCKS
    chosen = number * 0
    place = tl.arange(0, 1024)
    for start in range(0, number, 1024):
        there = (start + place < number) & ((start + place) * BLOCK < classes)
        most = tl.load(maxima + (start + place), mask=there, other=float("-inf")).to(tl.float64)
        if divides:
            most = divided(most, temperature)
        takes = there & (most >= bound)
        at = chosen + tl.cumsum(takes.to(tl.int32), axis=0) - 1
        tl.store(blocks + at, start + place, mask=takes)
        chosen += tl.sum(takes.to(tl.int32), axis=0)
    tl.debug_barrier()
    filled = number * 0
    for start in range(0, chosen, 16):
        which = start + tl.arange(0, 16)
        block = tl.load(blocks + which, mask=which < chosen, other=0)
        k = tl.reshape(block[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :], (16 * BLOCK,))
        known = tl.reshape((which < chosen)[:, None] & (tl.arange(0, BLOCK)[None, :] >= 0), (16 * BLOCK,))
        there = known & (k < classes)
        x = load_scores(source, row, k, there, wide)
        if divides:
            x = divided(x, temperature)
        filled = put(kept, x, k, there & (x.to(tl.float64) >= bound), filled)
    tl.debug_barrier()
    return filled


@triton.jit
def _first_of_largest(kept, count, largest, tile: tl.constexpr):
    """Keep the first token with the largest score alone."""
    place = tl.arange(0, tile)
    first = tl.full((tile,), 0x7FFFFFFF, tl.int32)
    for start in range(0, count, tile):
        there = start + place < count
        x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
        token = tl.load(kept[1] + (start + place), mask=there, other=0)
        first = tl.where(there & (x.to(tl.float64) == largest), tl.minimum(first, token), first)
    token = tl.min(first, axis=0)
    tl.debug_barrier()
    tl.store(kept[0], largest.to(kept[0].dtype.element_ty))
    tl.store(kept[1], token)
    tl.debug_barrier()
    return tl.minimum(count, 1)


@triton.jit
def _divided_in_place(kept, count, temperature, tile: tl.constexpr):
    """Divide wide scores by the temperature."""
    place = tl.arange(0, tile)
    for start in range(0, count, tile):
        there = start + place < count
        x = tl.load(kept[0] + (start + place), mask=there, other=0.0)
        tl.store(kept[0] + (start + place), divided(x, temperature), mask=there)
    tl.debug_barrier()


@triton.jit
def _winner_of_kept(kept, count, key, temperature, largest, tile: tl.constexpr):
    """Return the token with the largest score plus noise, and its score."""
    top = largest / temperature
    place = tl.arange(0, tile)
    best = tl.full((tile,), float("-inf"), tl.float64)
    token_of_best = tl.full((tile,), 0x7FFFFFFF, tl.int32)
    score_of_best = tl.full((tile,), float("-inf"), kept[0].dtype.element_ty)
    for start in range(0, count, tile):
        there = start + place < count
        x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
        token = tl.load(kept[1] + (start + place), mask=there, other=0x7FFFFFFF)
        total = offset_from(x, temperature, top) + gumbel(key, token)
        better = there & (total > best)
        best = tl.where(better, total, best)
        token_of_best = tl.where(better, token, token_of_best)
        score_of_best = tl.where(better, x, score_of_best)
    most = tl.max(best, axis=0)
    token = tl.min(tl.where(best == most, token_of_best, 0x7FFFFFFF), axis=0)
    return token, tl.max(tl.where(token_of_best == token, score_of_best, float("-inf")), axis=0)


@triton.jit
def _winner_of_chunks(best, best_token, number):
    """Return the winner of the chunks' winners, and the sums that `contest_kernel` stores beside them."""
    most = double(float("-inf"))
    token = number * 0
    others = double(0.0)
    equal = double(0.0)
    for c in range(0, number):
        one = tl.load(best + 3 * c)
        token = tl.where(one > most, tl.load(best_token + c), token)
        most = tl.maximum(most, one)
        others += tl.load(best + 3 * c + 1)
        equal += tl.load(best + 3 * c + 2)
    return token, others, equal


@triton.jit(do_not_specialize=["seed_low", "seed_high", "position"])
def draw_kernel(
    logits, outer, outer_steps, inner, inner_steps,
    scores, scores_outer, scores_outer_steps, scores_inner, scores_inner_steps,
    parts, heated_parts, maxima, sums, best, best_token, blocks, kept_scores, kept_tokens, kept_masses,
    parameters, keys, token_out, logprob_out, processed_out, rows, classes,
    unit: tl.float64, seed_low: tl.uint32, seed_high: tl.uint32, position: tl.uint32,
    stages: tl.constexpr, filters: tl.constexpr, heat: tl.constexpr, heated: tl.constexpr,
    by_row: tl.constexpr, keyed: tl.constexpr, wide: tl.constexpr, segmented: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Draw the token of one row.

    ``stages`` are the codes of the stages in order, ``filters`` the numbers of those that remove tokens, ``heat`` the
    number of the temperature or -1. ``heated`` says that ``heated_parts`` hold the sums of what is drawn from, which
    are wanted where there is no filter.
    """
    heats_first: tl.constexpr = heat >= 0 and (len(filters) == 0 or heat < filters[0])
    divides: tl.constexpr = wide and heats_first
    row = tl.program_id(0).to(tl.int64)
    unit = double(0.0) + unit
    classes = tl.zeros((), tl.int32) + classes
    number = tl.cdiv(classes, CHUNK)
    unit_scale, unit_lanes = scale_at(double(1.0))
    raw, bad = _joined_parts(parts + row * number * PART, number, unit_scale, segmented)
    bad = bad | (tl.abs(raw[0]) == float("inf"))
    source = (scores, scores_outer, scores_outer_steps, scores_inner, scores_inner_steps)
    own_maxima = maxima + row * number * BLOCKS
    largest = largest_in(own_maxima, number * BLOCKS, 1024)
    bad = bad | (tl.abs(largest) == float("inf"))
    temperature = double(1.0)
    greedy = row < 0
    if heat >= 0:
        temperature = load_parameter(parameters, heat, rows, row, by_row)
        greedy = temperature == 0.0
        temperature = tl.where(greedy, 1.0, temperature)
    key = key_of_draw(keys, seed_low, seed_high, position, row, keyed)

    if len(filters) == 0:
        token, others, equal = _winner_of_chunks(best + 3 * row * number, best_token + row * number, number)
        token = tl.where(bad, 0, token)
        drawn = load_scores(source, row, token, token < classes, wide)
        if wide:
            log_total, _ = log1p(others + (equal - 1.0))
            share = (divided(drawn, temperature) - divided(largest, temperature) - log_total).to(tl.float32)
        elif heated:
            scale, lane_scale = scale_at(temperature)
            state, heated_bad = _joined_parts(heated_parts + row * number * PART, number, scale, segmented)
            share = _log_share(drawn, state, 1.0 / temperature)
        else:
            share = _log_share(drawn, raw, double(1.0))
        share = tl.where(greedy, 0.0, share)
    else:
        room = kept_scores + row * classes
        kept = (room, kept_tokens + row * classes, kept_masses + row * classes)
        now = double(1.0)
        if heats_first and not wide:
            now = temperature
        bound = double(float("-inf"))
        total = tl.full((), 0, tl.int64)
        if divides:
            largest = divided(largest, temperature)
        first: tl.constexpr = stages[filters[0]]
        value = load_parameter(parameters, filters[0], rows, row, by_row)
        if first == TOP_K:
            filled_blocks = tl.cdiv(classes, BLOCK)
            if value <= filled_blocks.to(tl.float64):
                low = order_of(tl.full((), float("-inf"), kept_scores.dtype.element_ty), wide)
                high = order_of(largest_in(own_maxima, number * BLOCKS, 1024).to(kept_scores.dtype.element_ty), wide)
                cut = order_of_kth(own_maxima, filled_blocks, value.to(tl.int32), low, high, wide, 1024)
                bound = score_at(cut, wide).to(tl.float64)
                if divides:
                    bound = divided(bound, temperature)
        if first == MIN_P:
            if value >= 1e-300:
                bound = bound_of(value, largest, now)
        if first == TOP_P:
            for c in range(0, number):
                total += tl.load(sums + (row * number + c))
            share_left_out = (1.0 - value) * total.to(tl.float64)
            if share_left_out > 4.0 * classes.to(tl.float64):
                bound = bound_of(share_left_out / 2.0 / classes.to(tl.float64) / unit, largest, now)
        if heats_first:
            bound = tl.where(greedy, largest, bound)
        bound = tl.where(bad, float("inf"), bound)
        count = _gathered(
            source, row, kept, blocks + row * number * BLOCKS, own_maxima, classes, bound, temperature,
            wide, divides,
        )  # fmt: skip
        for i in tl.static_range(len(stages)):
            value = load_parameter(parameters, i, rows, row, by_row)
            if stages[i] == TEMPERATURE:
                if greedy:
                    count = _first_of_largest(kept, count, largest, tile)
                else:
                    if wide and not divides:
                        _divided_in_place(kept, count, temperature, tile)
                if wide and not divides:
                    largest = tl.where(greedy, largest, divided(largest, temperature))
                if not wide:
                    now = temperature
            if stages[i] == TOP_K:
                smallest = bound.to(kept_scores.dtype.element_ty)
                if i != filters[0]:
                    smallest = tl.full((), float("-inf"), kept_scores.dtype.element_ty)
                count = keep_top_k(
                    kept, count, value, largest.to(kept_scores.dtype.element_ty), smallest, wide, tile
                )
            if stages[i] == TOP_P:
                if value < 1.0:
                    mass, smallest = stored_masses(kept, count, now, largest / now, unit, tile)
                    if i != filters[0] or greedy:
                        total = mass
                    count = keep_nucleus(
                        kept, count, value, total, largest.to(kept_scores.dtype.element_ty), smallest, wide, tile
                    )
            if stages[i] == MIN_P:
                count = keep_min_p(kept, count, value, now, largest, tile)
            if stages[i] == TYPICAL_P:
                count, largest = keep_typical_p(kept, count, value, now, largest, unit, tile)
            if stages[i] == TOP_N_SIGMA:
                count = keep_top_n_sigma(kept, count, value, now, largest, unit, tile)
        token, drawn = _winner_of_kept(kept, count, key, now, largest, tile)
        token = tl.where(bad | (count == 0), 0, token)
        if wide:
            share = _wide_log_share(kept, count, drawn, largest, tile)
        else:
            share = _log_share_of_kept(kept, count, drawn, now, segmented)
    at = offset_of(row, outer, outer_steps) + offset_of(token, inner, inner_steps)
    x = tl.load(logits + at).to(tl.float32)
    tl.store(token_out + row, tl.where(bad, -1, token).to(tl.int64))
    tl.store(logprob_out + row, tl.where(bad, float("nan"), _log_share(x, raw, double(1.0))))
    tl.store(processed_out + row, tl.where(bad, float("nan"), share))
