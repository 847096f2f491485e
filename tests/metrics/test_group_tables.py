"""Permutation tests of groups, against the hypergeometric law and laws of counting."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from softmaxlib import evaluate, metrics
from softmaxlib.metrics.group_tables import GroupTable, tables_p_value
from softmaxlib.metrics.simulation import simulated_p_value


def p_value(*strata):
    cells = len(strata[0][0])
    return tables_p_value(
        [GroupTable(np.array(one), np.arange(cells) * 1.0, np.ones(cells)) for one in strata]
    )


@pytest.mark.parametrize("table", [[[15, 5], [9, 11]], [[3, 1], [40, 2]], [[0, 6], [5, 1]]])
def test_two_groups_of_two_values_follow_the_hypergeometric_law(table):
    (_, hits), (_, others) = table
    first, second = map(sum, table)
    law = hypergeom(first + second, hits + others, first)
    possible = np.arange(max(0, hits + others - second), min(first, hits + others) + 1)
    as_far = abs(possible - law.mean()) >= abs(hits - law.mean()) - 1e-9
    exact = law.pmf(possible[as_far]).sum()
    # drawing ends after 50 draws that are as large
    assert p_value(table) == pytest.approx(exact, abs=4 * exact / np.sqrt(50))


@pytest.mark.parametrize(
    "strata",
    [
        [[[30], [30]]],
        [[[0, 60], [0, 30]]],
        [[[0, 0], [29, 1]]],
        [[[30, 0], [30, 0]], [[0, 0], [0, 7]]],
        [[[2, 5, 4], [0, 0, 0], [0, 0, 0]]],
    ],
)
def test_groups_whose_rows_can_only_be_as_they_are_do_not_differ(strata):
    assert p_value(*strata) == 1


def test_a_difference_is_found_beside_a_stratum_without_choice():
    assert p_value([[20, 0], [0, 20]], [[0, 3], [0, 0]]) < 0.005


@pytest.mark.parametrize("seed", range(10))
def test_groups_drawn_at_random_rarely_differ_in_a_confident_model(seed):
    """Before, two of five such evaluations called the groups different: no row, or one, was wrong."""
    rng = np.random.default_rng(seed)
    logits = np.tile([5.0, 0.0], (60, 1))
    labels = (rng.random(60) < 1 / (1 + np.exp(5))).astype(int)
    groups = rng.choice(["a", "b"], 60)
    found = evaluate(logits, labels, groups=groups).groups.differences
    assert min(one.p_value for one in found) > 0.05
    tally = metrics.Tally(2, tests=True).update(logits, labels, groups=groups).compute()
    assert [one.p_value for one in tally.differences] == [one.p_value for one in found]


def test_a_draw_that_is_no_number_counts_as_large():
    assert simulated_p_value(lambda _, count: np.full(count, np.nan), 1.0, 99) == 1
