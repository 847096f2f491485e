"""Maxima and sums of the ranks, without processes."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from softmaxlib.torch.parallel import _exponentials, _fixed_point, _largest, _packing, _row_scale
from softmaxlib.torch.parallel._pairs import Pair

ROWS = 200


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 7, 10, 11, 36, 70])
def test_the_two_largest_of_many_ranks_are_found_from_maxima(ranks):
    draw = np.random.default_rng(ranks)
    logits = draw.integers(-3, 4, (ROWS, 3 * ranks)).astype(float)  # with many ties
    logits[::3] = draw.normal(size=logits[::3].shape)
    logits[0], logits[1, 1:] = -np.inf, -np.inf
    for wide in (False, True):
        kind = torch.float64 if wide else torch.float32
        words = torch.full((_largest.top_slots(ranks, wide), ROWS), _largest.NOTHING)
        for rank in range(ranks):
            own = torch.full_like(words, _largest.NOTHING)
            of_rank = torch.tensor(np.sort(logits[:, 3 * rank : 3 * rank + 3], 1), dtype=kind)
            _largest.write_largest(own, rank, ranks, of_rank[:, 2], of_rank[:, 1])
            words = torch.maximum(words, own)
        words[:, 5] = _largest.NOTHING
        largest, second, exists = _largest.largest_two(words, wide)
        ordered = np.sort(logits.astype(np.float64 if wide else np.float32), 1)
        ordered[5] = -np.inf
        np.testing.assert_array_equal(largest.numpy(), ordered[:, -1])
        np.testing.assert_array_equal(second.numpy(), ordered[:, -2])
        assert exists.nonzero().flatten().tolist() == [row for row in range(ROWS) if row != 5]


def test_few_slots_serve_many_ranks():
    sizes = [_largest.slot_count(ranks) for ranks in (1, 2, 3, 4, 6, 7, 10, 11, 20, 21, 35, 36, 70)]
    assert sizes == [1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]


def test_keys_are_in_the_order_of_the_numbers():
    numbers = [-np.inf, -1e308, -1.0, -5e-324, 0.0, 5e-324, 1.0, 1e308, np.inf, np.nan]
    keys = _largest.keys_of(torch.tensor(numbers, dtype=torch.float64))
    assert (keys.diff() > 0).all()
    assert keys[0] > _largest.NOTHING
    np.testing.assert_array_equal(_largest.numbers_of(keys).numpy(), numbers)
    negative = torch.tensor([-0.0, -np.nan], dtype=torch.float64)
    assert torch.equal(_largest.keys_of(negative), keys[[4, 9]])


@pytest.mark.parametrize("digits", [_fixed_point.ONE, _fixed_point.TWO, _fixed_point.THREE])
def test_sums_are_exact_to_their_last_digit_for_any_split(digits):
    draw = np.random.default_rng(digits.words)
    numbers = draw.random((3, 1000)) * 2.0 ** draw.integers(-70, 1, (3, 1000))
    scaled = torch.tensor(numbers) * digits.unit
    whole = _fixed_point.sum_digits(scaled.clone(), digits)
    parts = [_fixed_point.sum_digits(part.clone(), digits) for part in scaled.split([1, 0, 600, 399], 1)]
    assert torch.equal(sum(parts), whole)
    value = _fixed_point.value_of(whole, digits)
    for row in range(3):
        exact = sum(map(Fraction, numbers[row]))
        error = Fraction(float(value.high[row])) + Fraction(float(value.low[row])) - exact
        last = Fraction(1, 2 ** (digits.width * digits.words + 1))
        assert abs(error) <= max(1000 * last, exact * Fraction(1, 2**100))


@pytest.mark.parametrize(("digits", "size"), [(_fixed_point.TWO, 2**17 + 1), (_fixed_point.ONE, 2**18)])
def test_many_large_digits_are_added_without_rounding(digits, size):
    numbers = torch.full((1, size), digits.unit - 1, dtype=torch.float64)
    assert _fixed_point.sum_digits(numbers, digits)[0] == size * (2**digits.width - 1)


@pytest.mark.parametrize("classes", [1, 2, 255, 511, 512, 513, 1000])
def test_the_two_largest_of_a_row(classes):
    draw = np.random.default_rng(classes)
    logits = torch.tensor(np.round(draw.normal(size=(300, classes)), 2), dtype=torch.float32)
    logits[0] = -torch.inf
    logits[1, -1], logits[2, 0] = 9, 9
    logits[3] = 1.5
    largest, second = _row_scale.two_largest(logits)
    ordered = torch.cat([torch.full((300, 1), -torch.inf), logits.sort(1).values], 1)
    assert torch.equal(largest, ordered[:, -1])
    assert torch.equal(second, ordered[:, -2])
    logits[:, classes // 2] = torch.nan
    assert _row_scale.two_largest(logits)[0].isnan().all()


def test_exponentials_of_pairs():
    draw = np.random.default_rng(0)
    high = np.concatenate([-draw.random(300) * 1000, -draw.random(100) * 1e-3, [0.0, -1e-300, 700.0, -744.0]])
    low = high * draw.uniform(-1, 1, len(high)) * 2.0**-54
    found = _exponentials.exponentials(Pair(torch.tensor(high), torch.tensor(low)))
    with mpmath.workdps(50):
        for place, (a, b) in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
            exact = mpmath.exp(mpmath.mpf(a) + mpmath.mpf(b))
            value = mpmath.mpf(float(found.value.high[place])) + mpmath.mpf(float(found.value.low[place]))
            value *= mpmath.mpf(2) ** int(found.exponent[place])
            assert abs(value / exact - 1) < mpmath.mpf(2) ** -58
    edges = torch.tensor([-torch.inf, -1e300], dtype=torch.float64)
    assert (_exponentials.exponentials(Pair(edges, torch.zeros(2))).scaled().high == 0).all()


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 70])
def test_numbers_are_read_from_the_sums_of_packed_words(ranks):
    draw = np.random.default_rng(ranks)
    digits = _fixed_point.Digits(36, 3)
    layout = _packing.Layout({"one": (11,), "sum": _packing.bits_of(digits, 8), "whole": (64,)}, ranks)
    sums = torch.tensor(draw.integers(0, 2**36, (ranks, 3, ROWS)))
    total, one, whole = sums.sum(0), torch.full((1, ROWS), 1234), torch.full((1, ROWS), -7)
    words = torch.zeros((layout.words, ROWS), dtype=torch.int64)
    for rank, of_rank in enumerate(sums):
        own = torch.empty_like(words)
        numbers = {"sum": _fixed_point.carried(of_rank, digits)}
        layout.pack(numbers | ({"one": one, "whole": whole} if rank == ranks - 1 else {}), own)
        words += own
    found = layout.unpack(words)
    assert torch.equal(found["one"], one)
    assert torch.equal(found["whole"], whole)
    assert torch.equal(found["sum"], _fixed_point.carried(total, digits))
