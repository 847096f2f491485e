"""Thresholds from passes over rows: exactly those of rows in memory."""

import numpy as np
import pytest
from blocks_of_rows import BlocksOfRows

from softmaxlib.decisions import MostLikely, PredictionSets, Rule, SelectiveRisk, TunedThreshold
from softmaxlib.decisions._selection import Scores, _cell_of, select

from .made import made

GROUPS = np.array(list("bca"), object)


def scores_of(block, groups):
    return Scores(block.values[:, 0], block.labels % groups)


def of_target(target):
    return lambda groups: np.full(groups.rows.size, float(target))


@pytest.mark.parametrize("kind", ["any", "ties", "negative", "huge", "one value", "subnormal"])
@pytest.mark.parametrize("groups", [1, 3, 40])
def test_the_score_of_a_rank(kind, groups):
    rng = np.random.default_rng(0)
    values = {
        "any": rng.random(2000),
        "ties": rng.integers(0, 5, 2000) / 4,
        "negative": rng.normal(size=2000).round(2) * 1e-3,
        "huge": rng.normal(size=2000) * 1e300,
        "one value": np.zeros(2000),
        "subnormal": rng.integers(0, 50, 2000) * 5e-324,
    }[kind]
    labels = np.arange(2000)
    blocks = BlocksOfRows(np.stack([values, values], axis=1), labels)
    for rank in (1, 7, 49, 50, 51):
        found = select(blocks, groups, of_target(rank), scores_of, groups)
        for group in range(groups):
            own = np.sort(values[labels % groups == group])
            assert found.values[group] == (own[rank - 1] if rank <= own.size else np.inf)
        assert found.groups.rows.sum() == 2000


def test_rounded_sums_of_weights_lead_to_no_cell_without_rows():
    """A sum of weights may be a little smaller than the target that was computed in another order."""
    counts = np.array([[0, 3, 0, 2, 0], [0, 0, 0, 0, 7], [4, 0, 0, 0, 0], [0, 1, 2, 3, 0]])
    weights = counts / 10
    for target, cells in ((0.0, [1, 4, 0, 1]), (0.2, [1, 4, 0, 2]), (0.4, [3, 4, 0, 3]), (9.0, [3, 4, 0, 3])):
        found, before = _cell_of(counts, weights, np.full(4, target))
        assert found.tolist() == cells
        expected = [one[:cell].sum() for one, cell in zip(weights, cells, strict=True)]
        np.testing.assert_allclose(before, expected, atol=1e-15)


def rules(**options):
    return [
        PredictionSets(**options),
        PredictionSets("aps", groups="class", **options),
        PredictionSets("raps", groups="rows", randomized=True, **options),
        PredictionSets("saps", groups=[0, 1, 0, 2, 2], **options),
        PredictionSets("aps", include_last=False, **options),
    ]


@pytest.mark.filterwarnings("ignore:alpha")
@pytest.mark.parametrize("digits", [17, 1])
@pytest.mark.parametrize("weights", ["none", "whole", "any"])
@pytest.mark.parametrize("rule", [*rules(), *rules(alpha=1e-3), SelectiveRisk(0.4)], ids=repr)
def test_what_rows_in_memory_give(rule, weights, digits):
    probabilities, labels = made(3, rows=1500)
    probabilities = probabilities.round(digits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(1)
    groups = GROUPS[rng.integers(3, size=1500)] if rule.takes_groups else None
    of_rows = {"none": None, "whole": rng.integers(1, 4, 1500) * 1.0, "any": 0.01 * rng.random(1500) + 1e-3}[
        weights
    ]
    expected = rule.fit(probabilities, labels, groups, sample_weight=of_rows, probabilities=True)
    before = {name: value for name, value in vars(expected).items() if name.endswith("_")}
    blocks = BlocksOfRows(probabilities, labels, of_rows, groups)
    found = rule.fit_all(blocks)
    assert blocks.passes <= 6
    for name, value in before.items():
        if name == "weighted_coverage_" and value is not None:  # a share, not a threshold
            assert getattr(found, name) == pytest.approx(value, rel=1e-14)
        else:
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


def test_a_group_without_rows():
    probabilities, labels = made(0, rows=600, classes=3)
    labels[labels == 2] = 1
    with pytest.warns(match="nothing can be ruled out in group 2"):
        found = PredictionSets(groups="class").fit_all(BlocksOfRows(probabilities, labels))
    assert found.thresholds_[2] == np.inf
    assert found.group_sizes_.tolist() == np.bincount(labels, minlength=3).tolist()
    assert Rule.from_dict(found.to_dict()).group_sizes_.tolist() == found.group_sizes_.tolist()


def test_only_rules_that_ask_for_sums():
    class Own(SelectiveRisk):
        def _fit(self, probabilities, labels, groups, weights):
            self.threshold_ = 0.5

    assert PredictionSets().learns_by_sums
    assert SelectiveRisk(0.1).learns_by_sums
    assert not any(rule.learns_by_sums for rule in (Own(0.1), MostLikely(), TunedThreshold("f1_score")))
