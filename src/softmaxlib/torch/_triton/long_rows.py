"""Rows of several chunks: their chunks are read again, and results written, in Triton."""

import triton
import triton.language as tl

from .arithmetic import LIFT, PLAIN_RANGE, constants_of, inverse, multiplied_exponential, multiplier
from .chunks import CHUNK, READ_LAST, element_there, inside_block, inside_tail, load_chunk
from .results import LOG_SOFTMAX, SOFTMAX, logarithm_of, lowered, store, write_logarithms
from .row_sums import is_for_all, spread, spread_all


@triton.jit
def _long_probability(x, row, lane_scale, plain: tl.constexpr):
    """Return a probability in a row of several chunks, from its logit."""
    factor, constants = row
    return lowered(multiplied_exponential(x, constants, lane_scale, factor, plain), plain)


@triton.jit
def _write_long_chunk(
    target, source, start, length, row, bad, lane_scale,
    plain: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Read a chunk of rows again, and write its probabilities."""
    tiles, tail = load_chunk(
        source, start, length, False, masked, in_a_row, has_tail, whole, blocks, READ_LAST
    )
    for j in tl.static_range(8):
        out = _long_probability(tiles[j], row, lane_scale, plain)
        store(
            target, source, start + j * 64, inside_block(blocks), element_there(j, length, blocks), out, bad,
            plain, masked, 0.0, in_a_row,
        )  # fmt: skip
    if has_tail:
        out = _long_probability(tail[0], row, lane_scale, plain)
        inside = inside_tail(length)
        store(target, source, start, inside, inside < length, out, bad, plain, masked, 0.0, in_a_row)


@triton.jit
def _write_probabilities(
    target, source, classes, row, bad, lane_scale, chunks,
    plain: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Write the probabilities of some chunks."""
    for s in range(chunks[0], chunks[1]):
        start = tl.zeros((), tl.int64) + s * CHUNK
        _write_long_chunk(
            target, source, start, start.to(tl.int32) * 0 + CHUNK, row, bad, lane_scale,
            plain, masked, in_a_row, False, 8, rows, blocks,
        )  # fmt: skip
    if whole < 8:
        if chunks[2]:
            start = tl.zeros((), tl.int64) + classes // CHUNK * CHUNK
            _write_long_chunk(
                target, source, start, (classes - start).to(tl.int32), row, bad, lane_scale,
                plain, masked, in_a_row, has_tail, whole, rows, blocks,
            )  # fmt: skip


@triton.jit
def _write_logarithms(
    target, source, classes, row, bad, chunks,
    near: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Write the logarithms of the probabilities of some chunks."""
    for s in range(chunks[0], chunks[1]):
        start = tl.zeros((), tl.int64) + s * CHUNK
        length = start.to(tl.int32) * 0 + CHUNK
        tiles, tail = load_chunk(source, start, length, False, masked, in_a_row, False, 8, blocks, READ_LAST)
        write_logarithms(
            target, source, start, length, tiles, tail, row, bad, near, masked, in_a_row, rows, blocks
        )
    if whole < 8:
        if chunks[2]:
            start = tl.zeros((), tl.int64) + classes // CHUNK * CHUNK
            length = (classes - start).to(tl.int32)
            tiles, tail = load_chunk(
                source, start, length, False, masked, in_a_row, has_tail, whole, blocks, READ_LAST
            )
            write_logarithms(
                target, source, start, length, tiles, tail, row, bad, near, masked, in_a_row, rows, blocks
            )


@triton.jit
def write_long(
    target, source, classes, state, bad, scale, lane_scale, slope, chunks,
    function: tl.constexpr, masked: tl.constexpr, unit_temperature: tl.constexpr, in_a_row: tl.constexpr,
    has_tail: tl.constexpr, whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Write results for some chunks of rows, from what is known of the rows.

    ``chunks``: the first full chunk, the one after the last, and whether the last one, with ``whole`` full
    tiles, is among them.
    """
    bad_rows = spread(bad, rows)
    if function == SOFTMAX:
        plain = (state[2] == 0.0) & ((state[0] - state[1]) * scale[0] < PLAIN_RANGE)
        high, lacking = inverse(state[4], LIFT)
        known_row = (
            spread_all(multiplier(high, lacking), rows),
            spread_all(constants_of(state[2], state[3], scale[2]), rows),
        )
        if masked:
            _write_probabilities(
                target, source, classes, known_row, bad_rows, lane_scale, chunks,
                False, masked, in_a_row, has_tail, whole, rows, blocks,
            )  # fmt: skip
        elif is_for_all(plain & (bad == 0), rows):
            _write_probabilities(
                target, source, classes, known_row, bad_rows, lane_scale, chunks,
                True, masked, in_a_row, has_tail, whole, rows, blocks,
            )  # fmt: skip
        else:
            _write_probabilities(
                target, source, classes, known_row, bad_rows, lane_scale, chunks,
                False, masked, in_a_row, has_tail, whole, rows, blocks,
            )  # fmt: skip
    if function == LOG_SOFTMAX:
        logarithm = logarithm_of(state, bad, unit_temperature)
        known_row = spread_all(logarithm, rows) + (slope,)
        if is_for_all(logarithm[3] & (bad == 0), rows):
            _write_logarithms(
                target, source, classes, known_row, bad_rows, chunks,
                True, masked, in_a_row, has_tail, whole, rows, blocks,
            )  # fmt: skip
        else:
            _write_logarithms(
                target, source, classes, known_row, bad_rows, chunks,
                False, masked, in_a_row, has_tail, whole, rows, blocks,
            )  # fmt: skip
