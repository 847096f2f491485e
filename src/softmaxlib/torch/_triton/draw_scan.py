"""Passes over whole rows before a draw: sums of exponentials, block maxima, masses, winners of chunks.

Each program reads one chunk of one row, so that even a few rows fill the device.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .chunks import CHUNK, READ_ONCE, load_chunk, part_of_loaded
from .draw_numbers import decided_exp, gumbel, key_of_draw
from .draw_scores import (
    BLOCK,
    divided,
    largest_in,
    load_parameter,
    load_scores,
    mass_of,
    offset_from,
    scale_at,
)
from .parts import store_part
from .row_sums import offset_of

BLOCKS = tl.constexpr(32)  # in a chunk


@triton.jit(do_not_specialize=["rows"])
def scan_kernel(
    logits, wide_scores, parts, heated_parts, maxima, parameters, rows, classes,
    outer, outer_steps, inner, inner_steps,
    heat: tl.constexpr, by_row: tl.constexpr, wide: tl.constexpr, has_tail: tl.constexpr,
):  # fmt: skip
    """Sum the exponentials of a chunk for its log_softmax, and find the largest score of each block.

    With a stage ``heat`` (its number, or -1) the sums are taken at the row's temperature too. With ``wide``
    the scores are not the logits but doubles that lie row after row.
    """
    row, s = tl.program_id(0).to(tl.int64), tl.program_id(1)
    number = tl.cdiv(classes, CHUNK)
    at = offset_of(row, outer, outer_steps)
    source = (logits, at, inner, inner_steps, logits, at, inner_steps)
    start = tl.zeros((), tl.int64) + s * CHUNK
    length = tl.minimum(classes - start, CHUNK).to(tl.int32)
    tiles, tail = load_chunk(source, start, length, False, False, False, has_tail, 0, 8, READ_ONCE)
    scale, lane_scale = scale_at(double(1.0))
    part, wrong = part_of_loaded(tiles, tail, length, scale, lane_scale, False, False, 0, 1, 8)
    store_part(parts, row * number + s, part, wrong)
    if heat >= 0:
        temperature = load_parameter(parameters, heat, rows, row, by_row)
        scale, lane_scale = scale_at(tl.where(temperature > 0.0, temperature, 1.0))
        part, wrong = part_of_loaded(tiles, tail, length, scale, lane_scale, False, False, 0, 1, 8)
        store_part(heated_parts, row * number + s, part, wrong)
    for pair in tl.static_range(4):
        here = tl.arange(0, 8)[None, :] * 4 + pair
        if wide:
            k = start + tl.arange(0, 8)[None, :, None] * 512 + pair * 128 + tl.arange(0, BLOCK)[None, None, :]
            x = tl.load(wide_scores + (row * classes + k), mask=k < classes, other=float("-inf"))
            largest = tl.max(x, axis=2)
        else:
            largest = tl.max(tl.maximum(tiles[2 * pair], tiles[2 * pair + 1]), axis=2)
            if has_tail:
                last = tl.max(tl.max(tail[0], axis=2), axis=1)[:, None]
                largest = tl.where(here == length // BLOCK, tl.maximum(largest, last), largest)
        tl.store(maxima + ((row * number + s) * BLOCKS + here), largest)


@triton.jit
def largest_of_row(maxima, row, classes):
    """Return the largest score of a row, in double."""
    number = tl.cdiv(classes, CHUNK) * BLOCKS
    return largest_in(maxima + row * number, number, 1024)


@triton.jit(do_not_specialize=["rows"])
def mass_kernel(
    scores, maxima, parameters, sums, rows, classes, outer, outer_steps, inner, inner_steps,
    unit: tl.float64, heat: tl.constexpr, by_row: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    """Sum the masses of a chunk at the temperature of the stage ``heat`` (its number, or -1)."""
    row, s = tl.program_id(0).to(tl.int64), tl.program_id(1)
    unit = double(0.0) + unit
    largest = largest_of_row(maxima, row, classes)
    temperature = double(1.0)
    if heat >= 0:
        temperature = load_parameter(parameters, heat, rows, row, by_row)
        temperature = tl.where(temperature > 0.0, temperature, 1.0)
    k = s * CHUNK + tl.arange(0, CHUNK)
    source = (scores, outer, outer_steps, inner, inner_steps)
    x = load_scores(source, row, k, k < classes, wide)
    if wide:
        x = divided(x, temperature)
        largest = divided(largest, temperature)
        temperature = double(1.0)
    mass = mass_of(x, temperature, largest / temperature, unit)
    tl.store(sums + (row * tl.cdiv(classes, CHUNK) + s), tl.sum(mass, axis=0))


@triton.jit(do_not_specialize=["rows", "seed_low", "seed_high", "position"])
def contest_kernel(
    scores, maxima, parameters, keys, best, best_token, rows, classes,
    outer, outer_steps, inner, inner_steps,
    seed_low: tl.uint32, seed_high: tl.uint32, position: tl.uint32,
    heat: tl.constexpr, by_row: tl.constexpr, keyed: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    """Find the token of a chunk with the largest score plus noise, where no filter is asked for.

    At temperature 0 there is no noise. For wide scores the sum of exponentials is stored too: of those below
    the largest, and how many equal it.
    """
    row, s = tl.program_id(0).to(tl.int64), tl.program_id(1)
    largest = largest_of_row(maxima, row, classes)
    temperature = double(1.0)
    greedy = row < 0
    if heat >= 0:
        temperature = load_parameter(parameters, heat, rows, row, by_row)
        greedy = temperature == 0.0
        temperature = tl.where(greedy, 1.0, temperature)
    k = s * CHUNK + tl.arange(0, CHUNK)
    there = k < classes
    source = (scores, outer, outer_steps, inner, inner_steps)
    x = load_scores(source, row, k, there, wide)
    if wide:
        x = divided(x, temperature)
        largest = divided(largest, temperature)
        temperature = double(1.0)
    offset = offset_from(x, temperature, largest / temperature)
    total = offset + gumbel(key_of_draw(keys, seed_low, seed_high, position, row, keyed), k)
    total = tl.where(greedy, tl.where(offset == 0.0, 0.0, float("-inf")), total)
    total = tl.where(there, total, float("-inf"))
    most = tl.max(total, axis=0)
    at = row * tl.cdiv(classes, CHUNK) + s
    tl.store(best + 3 * at, most)
    tl.store(best_token + at, tl.min(tl.where(total == most, k, 0x7FFFFFFF), axis=0))
    if wide:
        equal = there & (offset == 0.0)
        others = tl.where(equal, 0.0, decided_exp(offset))
        tl.store(best + 3 * at + 1, tl.sum(others, axis=0))
        tl.store(best + 3 * at + 2, tl.sum(equal.to(tl.int32), axis=0).to(tl.float64))
