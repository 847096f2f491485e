"""The fallback procedure of SelectiveRisk: its level by counting, and what later starts bring."""

import itertools

import numpy as np
import pytest
from scipy import stats

from softmaxlib.decisions._fallback_tests import (
    _rows_with_half_the_risk,
    _shares,
    binomial_p_values,
    first_index,
    last_rejected,
    rejected,
    rows_needed,
)


def one_sequence(rows: np.ndarray, mistakes: np.ndarray, risk: float, level: float) -> int | None:
    """From the surest rows on until one threshold fails, with all of the level."""
    start = first_index(rows, risk, level)
    passed = binomial_p_values(mistakes[start:], rows[start:], risk) <= level
    count = int(np.argmin(np.append(passed, False)))
    return start + count - 1 if count else None


CELLS = np.array([1, 1, 2, 2, 2, 3, 3, 2])
LAWS = {
    "at the risk": [0.5] * 8,
    "first above, then below": [0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1],
    "above and below in turns": [0.6, 0.6, 0.2, 0.8, 0.45, 0.6, 0.2, 0.95],
    "below, above at the end": [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9],
}


@pytest.mark.parametrize("level", [0.3, 0.26, 0.1])
@pytest.mark.parametrize("law", LAWS)
def test_the_level_is_kept_by_counting_every_outcome(law: str, level: float) -> None:
    """All outcomes of 16 rows, each with its probability; surer rows may be wrong more often."""
    wrong, rows = np.array(LAWS[law]), np.cumsum(CELLS)
    above = np.cumsum(CELLS * wrong) / rows >= 0.5 - 1e-12
    broken = promised = 0.0
    for mistakes in itertools.product(*(range(size + 1) for size in CELLS)):
        last = last_rejected(rows, np.cumsum(mistakes), 0.5, level)
        if last is not None:
            probability = float(np.prod(stats.binom.pmf(mistakes, CELLS, wrong)))
            promised += probability
            broken += probability * above[last]
    assert broken <= level + 1e-12
    assert promised > 0


WAYS = (one_sequence, last_rejected)


def drawn(generator: np.random.Generator, rows: int, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cells = generator.multinomial(rows, np.full(wrong.size, 1 / wrong.size))
    return np.cumsum(cells), np.cumsum(generator.binomial(cells, wrong))


def test_a_model_exactly_at_the_risk_is_promised_no_more_often_than_stated() -> None:
    generator = np.random.default_rng(0)
    found = [last_rejected(*drawn(generator, 3000, np.full(500, 0.1)), 0.1, 0.2) for _ in range(1000)]
    promised = sum(last is not None for last in found)
    # not a test that never promises: above the level of a single later start
    assert stats.binom.ppf(0.001, 1000, 0.1) < promised <= stats.binom.ppf(0.999, 1000, 0.2)


def test_random_labels_at_the_top_do_not_end_the_search() -> None:
    generator = np.random.default_rng(1)
    wrong = np.concatenate([np.full(300, 0.04), np.linspace(0.04, 0.6, 200)])
    samples = [drawn(generator, 10_000, wrong) for _ in range(200)]
    refused = [sum(way(*sample, 0.1, 0.05) is None for sample in samples) for way in WAYS]
    assert refused[0] >= 30  # the fixed sequence refuses a fifth of the time
    assert refused[1] <= 1


def test_where_the_surest_rows_are_right_hardly_anything_is_lost() -> None:
    generator = np.random.default_rng(2)
    wrong = np.linspace(0, 0.5, 500)
    shares = []
    for _ in range(200):
        rows, mistakes = drawn(generator, 3000, wrong)
        shares.append([rows[way(rows, mistakes, 0.1, 0.05)] / 3000 for way in WAYS])
    fixed, fallback = np.mean(shares, axis=0)
    assert fallback > fixed - 0.002


def test_without_room_for_a_later_start_all_of_the_level_is_the_tests() -> None:
    rows = np.array([0, 299])
    assert rows_needed(0.01, 0.05) == 299
    assert last_rejected(rows, np.array([0, 0]), 0.01, 0.05) == 1
    assert last_rejected(rows, np.array([0, 1]), 0.01, 0.05) is None


def test_a_p_value_of_exactly_the_level_rejects() -> None:
    rows = np.array([2])
    assert binomial_p_values(np.array([0]), rows, 0.5)[0] == 0.25
    assert last_rejected(rows, np.array([0]), 0.5, 0.25) == 0
    assert last_rejected(rows, np.array([0]), 0.5, np.nextafter(0.25, 0)) is None


def test_p_values_are_the_binomials() -> None:
    rows, mistakes = np.array([10, 1000, 1_000_000]), np.array([0, 40, 99_000])
    expected = stats.binom.cdf(mistakes, rows, 0.1)
    np.testing.assert_allclose(binomial_p_values(mistakes, rows, 0.1), expected, rtol=1e-9)


@pytest.mark.parametrize(("risk", "level"), [(0.1, 0.05), (0.03, 0.01), (0.5, 0.25)])
def test_so_many_rows_pass_with_half_the_risk(risk: float, level: float) -> None:
    needed = rows_needed(risk, level)
    assert (1 - risk) ** needed <= level < (1 - risk) ** (needed - 1)
    tried = [needed]
    while stats.binom.cdf(np.floor(tried[-1] * risk / 2), tried[-1], risk) > level + 1e-12:
        tried.append(int(np.ceil(tried[-1] * 1.1)))
    assert _rows_with_half_the_risk(risk, level) == tried[-1]


def test_the_first_test_has_rows_enough_for_half_the_risk_where_possible() -> None:
    needed, half = rows_needed(0.1, 0.05), _rows_with_half_the_risk(0.1, 0.05)
    assert needed + 1 < half
    cases = {
        (needed, half - 1, half, half + 5): 2,
        (needed, half): 1,
        (needed - 1, needed, half - 1): 1,
        (1, 2): 1,
    }
    assert {rows: first_index(np.array(rows), 0.1, 0.05) for rows in cases} == cases


@pytest.mark.parametrize(
    ("rows", "sixteenths"),
    [
        # starts at 4, 8 and 16 rows; what is left of the level, 13/64, takes three rows
        ([1, 2, 4, 8, 16, 17], [0, 0, 14, 1, 1, 0]),
        # a start at 4 to 16 rows would be the last threshold, which can't be a start
        ([2, 3, 20], [16, 0, 0]),
        # eleven later starts share one half, and the first one takes three rows
        (2 ** np.arange(1, 14), [0, 8 + 8 / 11, *[8 / 11] * 10, 0]),
    ],
)
def test_the_shares_of_the_level(rows: list[int], sixteenths: list[float]) -> None:
    expected = 0.25 / 16 * np.array(sixteenths)
    np.testing.assert_allclose(_shares(np.array(rows), 0.5, 0.25), expected, rtol=1e-14)


def test_where_no_level_is_left_nothing_is_rejected() -> None:
    rows, mistakes = np.array([2, 3, 20_000]), np.array([2, 3, 3])
    assert binomial_p_values(mistakes, rows, 0.5)[-1] == 0  # rounded
    assert rejected(rows, mistakes, 0.5, 0.25).tolist() == [False, False, False]
