"""One token per row: filters, and the draw from the remaining tokens, by one program for each row."""

import triton
import triton.language as tl

from .arithmetic import double
from .chunks import CHUNK
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
from .draw_numbers import gumbel, key_of_draw
from .draw_scan import BLOCKS
from .draw_scores import (
    BLOCK,
    divided,
    largest_in,
    load_parameter,
    load_scores,
    offset_from,
    order_of,
    score_at,
)
from .parts import PART

TEMPERATURE = tl.constexpr(0)
TOP_K = tl.constexpr(1)
TOP_P = tl.constexpr(2)
MIN_P = tl.constexpr(3)
TYPICAL_P = tl.constexpr(4)
TOP_N_SIGMA = tl.constexpr(5)

GATHERED = tl.constexpr(2048)  # scores per block


@triton.jit
def _cannot_be_drawn_from(parts, number):
    """Return whether a row contains NaN or +inf, or nothing above -inf, from its chunks."""
    place = tl.arange(0, 64)
    most = tl.full((64,), float("-inf"), tl.float64)
    wrong = tl.zeros((64,), tl.float64)
    for start in range(0, number, 64):
        there = start + place < number
        most = tl.maximum(most, tl.load(parts + (start + place) * PART, mask=there, other=float("-inf")))
        wrong = tl.maximum(wrong, tl.load(parts + ((start + place) * PART + 6), mask=there, other=0.0))
    return (tl.abs(tl.max(most, axis=0)) == float("inf")) | (tl.max(wrong, axis=0) > 0.0)


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
    least = bound.to(kept[0].dtype.element_ty)
    place = tl.arange(0, GATHERED)
    for start in range(0, chosen, GATHERED // BLOCK):
        which = start + place // BLOCK
        block = tl.load(blocks + which, mask=which < chosen, other=0)
        k = block * BLOCK + place % BLOCK
        there = (which < chosen) & (k < classes)
        x = load_scores(source, row, k, there, wide)
        if divides:
            x = divided(x, temperature)
        filled = put(kept, x, k, there & (x >= least), filled)
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
    """Return the winner of the chunks' winners."""
    most = double(float("-inf"))
    token = number * 0
    for c in range(0, number):
        one = tl.load(best + 3 * c)
        token = tl.where(one > most, tl.load(best_token + c), token)
        most = tl.maximum(most, one)
    return token


@triton.jit(do_not_specialize=["rows", "classes", "seed_low", "seed_high", "position"])
def draw_kernel(
    scores, outer, outer_steps, inner, inner_steps,
    parts, maxima, sums, best, best_token, blocks, kept_scores, kept_tokens, kept_masses,
    parameters, keys, drawn, rows, classes,
    unit: tl.float64, seed_low: tl.uint32, seed_high: tl.uint32, position: tl.uint32,
    stages: tl.constexpr, filters: tl.constexpr, heat: tl.constexpr,
    by_row: tl.constexpr, keyed: tl.constexpr, wide: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Draw the token of one row; -1 for an invalid row.

    ``stages`` are the codes of the stages in order, ``filters`` the numbers of those that remove tokens,
    ``heat`` the number of the temperature or -1. ``drawn`` gets four numbers a row: the token, its score, how
    many tokens are left, and the largest score of these.
    """
    heats_first: tl.constexpr = heat >= 0 and (len(filters) == 0 or heat < filters[0])
    divides: tl.constexpr = wide and heats_first
    row = tl.program_id(0).to(tl.int64)
    unit = double(0.0) + unit
    classes = tl.zeros((), tl.int32) + classes
    number = tl.cdiv(classes, CHUNK)
    bad = _cannot_be_drawn_from(parts + row * number * PART, number)
    source = (scores, outer, outer_steps, inner, inner_steps)
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
        token = _winner_of_chunks(best + 3 * row * number, best_token + row * number, number)
        token = tl.where(bad, 0, token)
        score = load_scores(source, row, token, token < classes, wide)
        if wide:
            score = divided(score, temperature)
            largest = divided(largest, temperature)
        count = tl.where(greedy, 1, classes)
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
                low = order_of(tl.full((), float("-inf"), kept_scores.dtype.element_ty), wide).to(tl.int64)
                most = largest_in(own_maxima, number * BLOCKS, 1024).to(kept_scores.dtype.element_ty)
                high = order_of(most, wide).to(tl.int64)
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
                        kept,
                        count,
                        value,
                        total,
                        largest.to(kept_scores.dtype.element_ty),
                        smallest,
                        wide,
                        tile,
                    )
            if stages[i] == MIN_P:
                count = keep_min_p(kept, count, value, now, largest, tile)
            if stages[i] == TYPICAL_P:
                count, largest = keep_typical_p(kept, count, value, now, largest, unit, tile)
            if stages[i] == TOP_N_SIGMA:
                count = keep_top_n_sigma(kept, count, value, now, largest, unit, tile)
        token, score = _winner_of_kept(kept, count, key, now, largest, tile)
    bad = bad | (count == 0)
    tl.store(drawn + 4 * row, tl.where(bad, -1.0, token.to(tl.float64)))
    tl.store(drawn + 4 * row + 1, score.to(tl.float64))
    tl.store(drawn + 4 * row + 2, count.to(tl.float64))
    tl.store(drawn + 4 * row + 3, largest)
