"""Curves over all thresholds against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as peers

from softmaxlib import metrics, softmax
from softmaxlib.errors import InvalidInputError

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(2, size=300)
SCORES = GENERATOR.normal(LABELS).round(1)  # many are equal
PROBABILITIES = 1 / (1 + np.exp(-SCORES))
WEIGHTS = GENERATOR.integers(0, 4, 300).astype(float)
THREE = GENERATOR.normal(size=(300, 3))
THREE_LABELS = GENERATOR.integers(3, size=300)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("probabilities", [False, True])
def test_are_those_of_scikit_learn(weights, probabilities):
    given = PROBABILITIES if probabilities else SCORES
    options = {"sample_weight": weights, "probabilities": probabilities}
    roc = metrics.roc_curve(given, LABELS, **options)
    expected = peers.roc_curve(LABELS, PROBABILITIES, sample_weight=weights, drop_intermediate=False)
    for one, other in zip(roc, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    curve = metrics.precision_recall_curve(given, LABELS, **options)
    precision, recall, threshold = peers.precision_recall_curve(LABELS, PROBABILITIES, sample_weight=weights)
    np.testing.assert_allclose(curve.precision, precision[-2::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[-2::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.threshold, threshold[::-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("class_index", [0, 2])
def test_of_one_class_against_the_others(class_index):
    of_class = class_index == THREE_LABELS
    expected = peers.roc_curve(of_class, softmax(THREE)[:, class_index], drop_intermediate=False)
    curve = metrics.roc_curve(THREE, THREE_LABELS, class_index=class_index)
    np.testing.assert_allclose(curve, expected, rtol=0, atol=1e-12)


def test_the_first_of_two_classes_mirrors_the_second():
    logits = np.stack([np.zeros(300), SCORES], axis=1)
    curve = metrics.roc_curve(logits, LABELS, class_index=0)
    other = metrics.roc_curve(logits[:, ::-1].copy(), 1 - LABELS)
    np.testing.assert_allclose(curve, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_costs_are_those_that_rows_pay(weights):
    curve = metrics.cost_threshold_curve(
        SCORES, LABELS, false_positive=2, false_negative=7, sample_weight=weights
    )
    for cost, threshold in zip(*curve, strict=True):
        taken = threshold - 1e-12 <= PROBABILITIES
        paid = np.average(np.where(LABELS == 1, 7.0 * ~taken, 2.0 * taken), weights=weights)
        assert cost == pytest.approx(paid, rel=1e-12)


def test_confident_scores_are_told_apart_and_raise_no_warning():
    curve = metrics.roc_curve([800.0, 700.0, -900.0], [1, 0, 0])
    assert curve.true_positive_rate.tolist() == [0, 1, 1, 1]
    assert curve.threshold.tolist() == [np.inf, 1, 1, 0]


def test_what_can_not_be_drawn_is_refused():
    with pytest.raises(InvalidInputError, match="tells class 1 from others, and no row is of it; judge rows"):
        metrics.roc_curve([1.0, 2.0], [0, 0])
    with pytest.raises(InvalidInputError, match="and every row is of it"):
        metrics.precision_recall_curve([1.0, 2.0], [1, 1])
    with pytest.raises(InvalidInputError, match="class_index must be a whole number, 0 to 1; got 2"):
        metrics.roc_curve([1.0, 2.0], [0, 1], class_index=2)
    with pytest.raises(InvalidInputError, match="false_negative must be finite and above 0, got -1"):
        metrics.cost_threshold_curve([1.0, 2.0], [0, 1], false_positive=1, false_negative=-1)
