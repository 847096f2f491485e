"""The kernels behind tests and curves of calibration: bins, cells, order, draws."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from decision_oracle import class_cells
from scipy import stats

from softmaxlib import _kernels, softmax


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bins", [1, 2, 15, 300, 3000])
def test_sums_of_bins_are_those_of_numpy(weighted, bins):
    generator = np.random.default_rng(4)
    probability = generator.beta(5, 1, 4000)
    probability[:4] = [0.0, 1.0, 1 / 15, 0.5]
    outcome = generator.random(4000) < probability
    weight = generator.random(4000) if weighted else None
    ones = np.ones(4000) if weight is None else weight
    uneven = np.concatenate([[0.0], np.unique(generator.choice(probability[4:], bins - 1)), [1.0]])
    crowded = np.concatenate([[0.0], 0.9 + 1e-6 * np.arange(bins - 1), [1.0]])
    probability[4:100] = generator.choice(crowded, 96)
    for edges in (np.linspace(0, 1, bins + 1), uneven, crowded):
        found = np.frombuffer(_kernels.sum_bins(probability, weight, edges, (outcome,))).reshape(3, -1)
        index = np.searchsorted(edges[1:-1], probability, side="left")
        for part, values in zip(found, (ones, ones * probability, ones * outcome), strict=True):
            np.testing.assert_array_equal(part, np.bincount(index, values, edges.size - 1))


@pytest.mark.parametrize("rows", [100, 50_000])  # many are summed in parts
def test_sums_of_bins_of_any_values_with_columns(rows):
    generator = np.random.default_rng(5)
    value = np.round(generator.standard_normal(rows), 2)
    columns = generator.random(rows), generator.random(rows) < 0.5, generator.random(rows)
    weight = generator.random(rows)
    inner = np.sort(generator.choice(value, 9, replace=False))
    for edges in (np.concatenate([inner[:1], inner, inner[-1:]]), np.array([0.3, 0.3]), np.array([-9.0, 9])):
        index = np.searchsorted(edges[1:-1], value, side="left")
        for of_rows in (None, weight):
            found = np.frombuffer(_kernels.sum_bins(value, of_rows, edges, columns)).reshape(5, -1)
            one = np.ones(rows) if of_rows is None else of_rows
            for part, values in zip(found, (one, one * value, *(one * c for c in columns)), strict=True):
                exact = [math.fsum(values[index == number]) for number in range(edges.size - 1)]
                np.testing.assert_allclose(part, exact, rtol=1e-13, atol=1e-15 * rows)


@pytest.mark.parametrize("count", [1, 3, 900, 70_000])  # many are read in parts
def test_sums_to_ranks_are_those_of_the_sorted_rows(count):
    generator = np.random.default_rng(8)
    cases = [
        generator.standard_normal(count),
        np.round(generator.random(count), 2),
        generator.standard_normal(count) * 10.0 ** generator.integers(-300, 300, count),
        generator.choice([0.0, -0.0, np.inf, 5e-324], count),
        np.zeros(count),
    ]
    flag, number = generator.random(count) < 0.3, generator.random(count)
    ranks = np.unique(np.append(generator.integers(0, count, 20), [0, count - 1]))
    for values in cases:
        order = np.argsort(values, kind="stable")
        for whole_ties in (False, True):
            last = (
                np.searchsorted(values[order], values[order][ranks], side="right")
                if whole_ties
                else ranks + 1
            )
            for column in (flag, number):
                outputs = np.empty(ranks.size), np.empty(ranks.size, np.int64), np.empty(ranks.size)
                different = _kernels.sum_to_ranks(values, column, ranks, whole_ties, outputs)
                np.testing.assert_array_equal(outputs[0], values[order][ranks])
                np.testing.assert_array_equal(outputs[1], last)
                sums = np.append(0, np.cumsum(column[order]))[last]
                np.testing.assert_allclose(outputs[2], sums, rtol=0 if column is flag else 1e-13)
                assert 1 <= different <= np.unique(values).size


@pytest.mark.parametrize("rows", [100, 50_000])
def test_sums_of_several_sets_of_bins_are_those_of_each(rows):
    generator = np.random.default_rng(7)
    value = generator.beta(5, 1, rows)
    value[:4] = [0.0, 1.0, 0.5, 2 / 3]
    flags = generator.random(rows) < value
    fine = np.union1d(np.linspace(0, 1, 4), np.linspace(0, 1, 1025))
    sets = np.linspace(0, 1, 4), fine, np.array([0.0, *np.unique(value[4:40]), 1.0]), np.array([0.0, 1.0])
    for summed in range(len(sets) + 1):
        for place, (edges, sums) in enumerate(
            zip(sets, _kernels.sum_bin_sets(value, flags, sets, summed), strict=True)
        ):
            alone = np.frombuffer(_kernels.sum_bins(value, None, edges, (flags,))).reshape(3, -1)
            found = np.frombuffer(sums).reshape(-1, edges.size - 1)
            np.testing.assert_array_equal(found, alone if place < summed else alone[[0, 2]])


def test_bins_of_positive_numbers_far_apart():
    generator = np.random.default_rng(8)
    edges = 2.0 ** np.arange(-16, 11, 1 / 8)
    value = np.exp2(generator.uniform(-40, 40, 5000))
    value[:6] = [0.0, -1.0, np.inf, edges[0], edges[5], edges[-1]]
    rows = np.frombuffer(_kernels.sum_bins(value, None, edges, ())).reshape(2, -1)[0]
    index = np.searchsorted(edges[1:-1], value, side="left")
    np.testing.assert_array_equal(rows, np.bincount(index, minlength=edges.size - 1))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_picked_numbers_are_those_of_the_table(kind):
    generator = np.random.default_rng(9)
    table, out = generator.random((5, 4)), np.empty(40_000)
    rows, columns = generator.integers(0, 5, out.size), generator.integers(-1, 4, out.size).astype(kind)
    _kernels.pick_numbers(table, rows, columns, out)
    np.testing.assert_array_equal(out, table[rows, columns])
    for row, column in ((5, 0), (-1, 0), (0, 4), (0, -2)):
        rows[-1], columns[-1] = row, column
        with pytest.raises(IndexError, match="outside the table"):
            _kernels.pick_numbers(table, rows, columns, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (40, 3), (3000, 20), (50, 130)], ids=str)
def test_cells_hold_the_rows_of_their_log_odds(shape, dtype):
    generator = np.random.default_rng(6)
    logits = (generator.choice([0.1, 3, 30], (shape[0], 1)) * generator.standard_normal(shape)).astype(dtype)
    logits[0] = 0
    labels = generator.integers(0, shape[1], shape[0])
    for is_probabilities in (False, True):
        values = softmax(logits) if is_probabilities else logits
        exact = softmax(values.astype(np.float64)) if not is_probabilities else values.astype(np.float64)
        rows, hits, probability = class_cells(values, labels, is_probabilities=is_probabilities)
        assert rows.sum() == values.size
        np.testing.assert_allclose(probability.sum(axis=1), np.minimum(exact, 1).sum(axis=0), rtol=1e-13)
        np.testing.assert_array_equal(hits.sum(axis=1), np.bincount(labels, minlength=shape[1]))
        with np.errstate(divide="ignore"):
            log_odds = np.log(exact) - np.log1p(-np.minimum(exact, 1))
        place = np.clip(32 * log_odds, -1280, 1280) + 1280
        # of the others, the last digit of the probability decides
        sure = (np.abs(place - np.round(place)) > 1e-6) & (log_odds < 12)
        for label in range(shape[1]):
            counted = np.bincount(place[sure[:, label], label].astype(int), minlength=2561)
            assert (rows[label] >= counted).all()
        assert sure.mean() > 0.5 or shape[1] == 1


def test_a_probability_beside_the_end_of_a_cell_is_in_its_own():
    ends = np.arange(-1279, 384)  # of log-odds from -40 to 12, in 32nds; nearer to 1 doubles are too coarse
    for side in (-1e-9, 1e-9):
        probability = 1 / (1 + np.exp(-(ends / 32 + side)))
        values = np.stack([probability, 1 - probability], axis=1)
        rows, _, _ = class_cells(values, np.zeros(ends.size, np.int64), is_probabilities=True)
        counted = np.bincount(ends + 1280 - (side < 0), minlength=2561)
        np.testing.assert_array_equal(rows[0], counted)
        logits = np.stack([ends / 32 + side, np.zeros(ends.size)], axis=1)
        rows, _, _ = class_cells(logits, np.zeros(ends.size, np.int64))
        np.testing.assert_array_equal(rows[0], counted)


def test_log_odds_near_a_half_and_near_the_ends_lose_no_digit():
    with mpmath.workdps(40):
        for place in (-37.5, -20.03, -1.001, -0.03, 0.03, 0.5, 12.3, 30.7):
            odds = mpmath.exp(mpmath.mpf(place))
            values = np.array([[float(mpmath.log(odds)), 0.0]])
            rows, _, probability = class_cells(values, np.zeros(1, np.int64))
            assert np.flatnonzero(rows[0]).tolist() == [int(np.floor(32 * place)) + 1280]
            exact = odds / (1 + odds)
            assert abs(mpmath.mpf(float(probability[0].sum())) - exact) <= exact * mpmath.mpf(3e-15)


@pytest.mark.parametrize("count", [0, 1, 2, 64, 65, 5000, 100_000])
def test_order_is_that_of_a_stable_sort(count):
    generator = np.random.default_rng(7)
    cases = [
        generator.standard_normal(count),
        np.round(generator.standard_normal(count), 1),
        generator.standard_normal(count) * 10.0 ** generator.integers(-300, 300, count),
        generator.choice([0.0, -0.0, np.inf, -np.inf, 5e-324, -5e-324], count),
        1 + generator.permutation(count) * 2.0**-52,  # differ in their last bits alone
        np.zeros(count),
    ]
    for values in cases:
        places = np.full(count, -1)
        _kernels.find_order(values, places)
        np.testing.assert_array_equal(places, np.argsort(values, kind="stable"))


def test_draws_with_replacement_have_the_multinomial_law():
    counts = np.empty((400, 500))
    _kernels.draw_counts(3, 0, counts)
    np.testing.assert_array_equal(counts.sum(axis=1), 500)
    wanted = stats.binom.pmf(np.arange(12), 500, 1 / 500) * counts.size
    seen = np.bincount(counts.astype(int).ravel(), minlength=12)
    assert ((seen[:7] - wanted[:7]) ** 2 / wanted[:7]).sum() < 30
    # sums over half of the things are binomial, and neighbouring resamples independent
    half = counts[:, ::2].sum(axis=1)
    assert stats.kstest((half - 250) / np.sqrt(125), stats.norm.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(counts[:-1].ravel(), counts[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(half[:-1], half[1:])[0, 1]) < 0.2


@pytest.mark.parametrize("things", [1, 7, 4001])
def test_sums_of_drawn_things_are_those_of_their_counts(things):
    numbers, counts, sums = (
        np.random.default_rng(9).random((2, things)),
        np.empty((50, things)),
        np.empty((50, 2)),
    )
    _kernels.draw_counts(5, 0, counts)
    _kernels.draw_sums(5, numbers, sums)
    np.testing.assert_allclose(sums, counts @ numbers.T, rtol=1e-13)


@pytest.mark.parametrize("things", [1, 7, 100_000])
def test_a_resample_is_the_same_alone(things):
    counts, alone = np.empty((5, things)), np.empty((1, things))
    _kernels.draw_counts(2**64 - 1, 0, counts)
    _kernels.draw_counts(2**64 - 1, 3, alone)
    np.testing.assert_array_equal(alone[0], counts[3])
    assert things < 7 or (counts[2] != counts[3]).any()


def test_arguments_of_other_sizes_are_refused():
    values, flags, places = np.empty(5), np.empty(5, bool), np.empty(5, np.int64)
    rows, outputs = np.zeros((5, 3)), (*(np.empty((3, 2561)) for _ in range(3)), None)
    triple = (np.empty(2), np.empty(2, np.int64), np.empty(2))
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (_kernels.sum_bins, (values, places[:4], np.linspace(0, 1, 3), (flags,))),
        (_kernels.sum_bins, (values, None, np.linspace(0, 1, 3), (flags[:4],))),
        (_kernels.sum_bins, (values, None, np.linspace(0, 1, 3), (values,) * 4)),
        (_kernels.sum_bins, (values, None, np.linspace(0, 1, 1), (flags,))),
        (_kernels.sum_bin_sets, (values, flags[:4], (np.linspace(0, 1, 3),), 1)),
        (_kernels.sum_bin_sets, (values, values, (np.linspace(0, 1, 3),), 1)),
        (_kernels.sum_bin_sets, (values, flags, (), 0)),
        (_kernels.sum_bin_sets, (values, flags, (np.linspace(0, 1, 3),), 2)),
        (_kernels.sum_bin_sets, (values, flags, (np.linspace(0, 1, 3), np.linspace(0, 2, 3)), 1)),
        (_kernels.sum_bin_sets, (values, flags, (np.ones(1),), 1)),
        (_kernels.pick_numbers, (rows, places[:4], places, values)),
        (_kernels.pick_numbers, (rows, places, flags, values)),
        (_kernels.pick_numbers, (values, places, places, values)),
        (_kernels.sum_rows, (values,)),
        (_kernels.sum_rows, (values[None].astype(np.float32),)),
        (_kernels.sum_by_key, (places[:4], values, 3)),
        (_kernels.sum_by_key, (np.array([0, 1, 2, 3, 1]), np.zeros(5), 3)),
        (_kernels.sum_by_key, (np.array([0, 1, -1, 2, 1]), np.zeros(5), 3)),
        (_kernels.sum_by_key, (np.array([0, 0, 0, 0, 0]), np.zeros(5), 0)),
        (_kernels.sum_to_ranks, (values, flags, np.array([0, 5]), True, triple)),
        (_kernels.sum_to_ranks, (values, flags, np.array([1, 0]), True, triple)),
        (_kernels.sum_to_ranks, (values, flags[:4], np.array([0, 4]), True, triple)),
        (_kernels.sum_to_ranks, (values, flags, np.array([0, 1, 4]), True, triple)),
        (_kernels.draw_sums, (0, np.empty((2, 0)), np.empty((3, 2)))),
        (_kernels.draw_sums, (0, np.empty((2, 7)), np.empty((3, 1)))),
        (_kernels.find_order, (values, places[:4])),
        (_kernels.draw_counts, (0, 0, np.empty((3, 0)))),
        (_kernels.draw_counts, (0, 0, values)),
        (_kernels.count_cells, (rows, False, None, None, places, 0, 32.0, 40.0, outputs)),
        (_kernels.count_cells, (rows, True, None, None, places[:4], 0, 32.0, 40.0, outputs)),
        (_kernels.count_cells, (rows, True, None, None, places, 1, 32.0, 40.0, outputs)),
        (_kernels.count_cells, (rows, True, None, None, places, 0, 33.0, 40.0, outputs)),
        (_kernels.count_cells, (rows, True, None, None, places, 0, 32.0, 40.0, outputs[:3])),
        (_kernels.count_cells, (rows, True, None, None, places, 0, 1.0, 0.0, (None,) * 4)),
        (_kernels.count_cells, (rows, True, None, None, places, 0, 1.0, 0.0, (None, None, None, rows))),
    ]
    for call, arguments in calls:
        with pytest.raises(TypeError, match="expected"):
            call(*arguments)
