"""Maxima and sums of the ranks, without processes."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from softmaxlib.torch.parallel import _exponentials, _fixed_point, _largest
from softmaxlib.torch.parallel._pairs import Pair

ROWS = 200


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 7, 10, 11, 36, 70])
def test_the_two_largest_of_many_ranks_are_found_from_maxima(ranks):
    draw = np.random.default_rng(ranks)
    logits = draw.integers(-3, 4, (ROWS, 3 * ranks)).astype(float)  # with many ties
    logits[::3] = draw.normal(size=logits[::3].shape)
    logits[0], logits[1, 1:] = -np.inf, -np.inf
    slots = _largest.slot_count(ranks)
    words = torch.full((slots + 1, ROWS), _largest.NOTHING)
    for rank in range(ranks):
        of_rank = np.sort(logits[:, 3 * rank : 3 * rank + 3], 1)
        top, second = (_largest.keys_of(torch.tensor(of_rank[:, place])) for place in (2, 1))
        places = list(_largest.slots_of(ranks)[rank])
        words[places] = torch.maximum(words[places], top)
        words[slots] = torch.maximum(words[slots], second)
    ordered = np.sort(logits, 1)
    for keys, expected in zip(_largest.largest_two(words), (ordered[:, -1], ordered[:, -2]), strict=True):
        np.testing.assert_array_equal(_largest.numbers_of(keys).numpy(), expected)


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


@pytest.mark.parametrize("digits", [2, 3])
def test_sums_are_exact_to_their_last_digit_for_any_split(digits):
    draw = np.random.default_rng(digits)
    numbers = draw.random((3, 1000)) * 2.0 ** draw.integers(-70, 1, (3, 1000))
    scaled = torch.tensor(numbers) * _fixed_point.UNIT
    whole = _fixed_point.sum_digits(scaled.clone(), digits)
    parts = [_fixed_point.sum_digits(part.clone(), digits) for part in scaled.split([1, 0, 600, 399], 1)]
    assert torch.equal(sum(parts), whole)
    value = _fixed_point.value_of(whole)
    for row in range(3):
        exact = sum(map(Fraction, numbers[row]))
        error = Fraction(float(value.high[row])) + Fraction(float(value.low[row])) - exact
        assert abs(error) <= max(1000 * Fraction(1, 2 ** (36 * digits + 1)), exact * Fraction(1, 2**100))


def test_many_large_digits_are_added_without_rounding():
    numbers = torch.full((1, 2**17 + 1), _fixed_point.UNIT - 1, dtype=torch.float64)
    assert _fixed_point.sum_digits(numbers, 2)[0] == (2**17 + 1) * (2**36 - 1)


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
