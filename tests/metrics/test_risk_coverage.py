import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError
from softmaxlib.metrics.predictions import Predictions
from softmaxlib.metrics.risk_coverage import DoubtGroups

AREAS = [metrics.aurc, metrics.excess_aurc, metrics.augrc]


def rows_with(wrong: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Logits that always predict class 0, and labels that say which rows are wrong."""
    return np.tile([2.0, 0.0], (len(wrong), 1)), np.array(wrong)


def area_in_order(wrong: np.ndarray) -> float:
    return float(np.mean(np.cumsum(wrong) / np.arange(1, wrong.size + 1)))


def test_the_curve_accepts_equal_doubts_together() -> None:
    curve = metrics.risk_coverage_curve(*rows_with([0, 1, 0, 1, 1]), score=[1.0, 2.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(curve.coverage, [0.2, 0.8, 1.0])
    np.testing.assert_allclose(curve.risk, [0.0, 0.5, 0.6])
    np.testing.assert_array_equal(curve.doubt, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("digits", [2, 16])  # few doubts, or many
def test_a_curve_of_few_points_is_a_part_of_the_whole_one(digits: int) -> None:
    generator = np.random.default_rng(2)
    doubts = np.round(generator.random(5000), digits)
    labels = (generator.random(5000) < doubts).astype(np.int64)
    logits = np.tile([2.0, 0.0], (5000, 1))
    whole = metrics.risk_coverage_curve(logits, labels, score=doubts)
    few = DoubtGroups.of(Predictions.of_logits(logits, labels), doubts, 400).curve()
    place = np.searchsorted(whole.doubt, few.doubt)
    for part, of_whole in zip(few, whole, strict=True):
        np.testing.assert_array_equal(part, of_whole[place])
    ends = np.searchsorted(whole.coverage, np.linspace(0, 1, 400) - 1e-9)
    np.testing.assert_array_equal(place, np.unique(ends) if digits == 16 else np.arange(whole.doubt.size))


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_every_point_is_a_threshold_applied(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    curve = metrics.risk_coverage_curve(logits, labels, score="entropy")
    doubts, wrong = metrics.doubt(logits, score="entropy"), logits.argmax(axis=1) != labels
    for point in np.linspace(0, curve.doubt.size - 1, 40).astype(int):
        accepted = doubts <= curve.doubt[point]
        assert curve.coverage[point] == pytest.approx(accepted.mean(), rel=1e-12)
        assert curve.risk[point] == pytest.approx(wrong[accepted].mean(), rel=1e-12)
    assert curve.risk[-1] == pytest.approx(1 - metrics.accuracy(logits, labels), rel=1e-12)


def test_the_area_is_the_mean_over_all_orders_of_equal_doubts() -> None:
    wrong, doubts = np.array([0, 1, 0, 1, 1, 0, 0]), np.array([1, 2, 2, 2, 3, 3, 4])
    orders = [
        [0, *middle, *after, 6]
        for middle in itertools.permutations([1, 2, 3])
        for after in itertools.permutations([4, 5])
    ]
    expected = np.mean([area_in_order(wrong[order]) for order in orders])
    for shuffle in (np.arange(7), np.array([6, 3, 5, 0, 2, 4, 1])):
        logits, labels = rows_with(list(wrong[shuffle]))
        assert metrics.aurc(logits, labels, score=doubts[shuffle]) == pytest.approx(expected, rel=1e-12)


def test_the_area_without_ties_is_the_plain_sum(real_predictions) -> None:
    logits, labels = real_predictions("densenet_cifar100")
    doubts, distinct = np.unique(metrics.doubt(logits), return_index=True)
    logits, labels = logits[distinct], labels[distinct]
    wrong = logits.argmax(axis=1) != labels
    assert doubts.size > 9000
    assert metrics.aurc(logits, labels) == pytest.approx(area_in_order(wrong), rel=1e-10)
    best = area_in_order(np.sort(wrong))
    assert metrics.excess_aurc(logits, labels) == pytest.approx(area_in_order(wrong) - best, rel=1e-9)


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_augrc_follows_from_the_area_under_the_roc(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    wrong = logits.argmax(axis=1) != labels
    for score in ("maximum_probability", "margin", np.round(metrics.doubt(logits), 2)):
        doubts = metrics.doubt(logits, score=score) if isinstance(score, str) else score
        error = wrong.mean()
        expected = (1 - roc_auc_score(wrong, doubts)) * error * (1 - error) + error**2 / 2
        assert metrics.augrc(logits, labels, score=score) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("area", AREAS)
def test_a_weight_of_two_is_the_row_twice(area) -> None:
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(200, 3)).round(1), generator.integers(0, 3, 200)
    counts = generator.integers(0, 4, 200)
    repeated = area(np.repeat(logits, counts, axis=0), np.repeat(labels, counts))
    assert area(logits, labels, sample_weight=counts) == pytest.approx(repeated, rel=1e-10)


@pytest.mark.parametrize("area", AREAS)
def test_no_mistake_is_zero_and_more_order_is_better(area) -> None:
    assert area(*rows_with([0, 0, 0])) == 0
    logits, labels = rows_with([0, 0, 1, 0, 1, 1])
    worse, better = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 3, 2, 4, 5])
    assert area(logits, labels, score=better) < area(logits, labels, score=worse)


def test_excess_is_zero_for_the_best_order_and_all_mistakes() -> None:
    assert metrics.excess_aurc(*rows_with([0, 0, 1, 1]), score=np.arange(4)) == pytest.approx(0, abs=1e-15)
    assert metrics.aurc(*rows_with([1, 1, 1])) == 1
    assert metrics.excess_aurc(*rows_with([1, 1, 1])) == 0


def test_a_doubt_of_another_length_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match=r"score must be a name or one doubt per row, shape \(2,\), got shape \(3,\)"
    ):
        metrics.aurc(*rows_with([0, 1]), score=[1.0, 2.0, 3.0])
    with pytest.raises(InvalidInputError, match="score must be finite, got nan at row 1"):
        metrics.risk_coverage_curve(*rows_with([0, 1]), score=[1.0, np.nan])
