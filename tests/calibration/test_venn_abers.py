"""Venn-Abers calibration against its definition, and venn-abers 1.5.4, whose figures stand here as data."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from softmaxlib.calibration import Calibration, VennAbers
from softmaxlib.errors import FileFormatError, InvalidInputError, NotFittedError

NEW = np.array([-9.0, -2.0, -0.55, 0.0, 0.3, 1.7, 9.0])


def made(rows=300, digits=1, seed=0):
    """Scores of the second class, many of them equal, and labels of that log-odds."""
    generator = np.random.default_rng(seed)
    score = (2 * generator.standard_normal(rows)).round(digits)
    return score, (generator.random(rows) < 1 / (1 + np.exp(-score))).astype(int)


def test_is_that_of_venn_abers():
    fitted = VennAbers().fit(*made())
    lower, upper = fitted.predict_pair(NEW)
    expected = [
        [0, 0.0769230769, 0.3255813953, 0.3255813953, 0.3333333333, 0.8076923077, 0.962962963],
        [0.0434782609, 0.1111111111, 0.3372093023, 0.3372093023, 0.5, 0.8461538462, 1],
    ]
    np.testing.assert_allclose([lower[:, 1], upper[:, 1]], expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose([1 - upper[:, 0], 1 - lower[:, 0]], expected, rtol=0, atol=1e-10)
    between = [0.0416666667, 0.1074380165, 1 / 3, 1 / 3, 0.4285714286, 0.8148148148, 0.9642857143]
    np.testing.assert_allclose(fitted.predict_proba(NEW)[:, 1], between, rtol=0, atol=1e-10)


def test_the_cross_form_is_that_of_venn_abers():
    """Its geometric means of three fits, each on every third row of the same permutation."""
    expected = [0.0724333689, 0.187192114, 0.3442834559, 0.34952532, 0.4448264682, 0.7997184084, 0.9485824262]
    found = VennAbers(cv=3).fit(*made()).predict_proba(NEW)[:, 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("rows", "digits"), [(2, 5), (30, 0), (40, 1), (80, 5)])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_an_isotonic_regression_with_the_row_added(rows, digits, weighted):
    score, labels = made(rows, digits, seed=rows)
    weights = np.random.default_rng(1).integers(1, 4, rows) if weighted else np.ones(rows)
    new = np.concatenate([score[:20], NEW])
    lower, upper = VennAbers().fit(score, labels, weights).predict_pair(new)
    for taken_for, found in ((0, lower), (1, upper)):
        for one, value in zip(new, found[:, 1], strict=True):
            regression = IsotonicRegression().fit(
                np.append(score, one), np.append(labels, taken_for), np.append(weights, 1)
            )
            assert value == pytest.approx(regression.predict([one])[0], abs=1e-12)


def test_of_a_single_row():
    with pytest.warns(UserWarning, match="VennAbers has little to learn from"):
        fitted = VennAbers().fit([0.5], [1])
    lower, upper = fitted.predict_pair([0.5])
    assert (lower[0, 1], upper[0, 1]) == (0.5, 1)


def test_one_of_the_two_is_calibrated_and_the_pair_holds_the_frequency():
    """The probability that belongs to the true label is a frequency, whatever the scores are worth."""
    generator = np.random.default_rng(0)
    total, hits = 0.0, 0
    for _ in range(400):
        score = generator.normal(size=41)
        labels = (generator.random(41) < 0.5 + 0.4 * np.sin(3 * score)).astype(int)  # it rises and falls
        lower, upper = VennAbers().fit(score[:-1], labels[:-1]).predict_pair(score[-1:])
        total += upper[0, 1] if labels[-1] else lower[0, 1]
        hits += labels[-1]
        assert lower[0, 1] < upper[0, 1]
    assert abs(total - hits) < 4 * np.sqrt(400 * 0.25)


def test_classes_are_calibrated_one_by_one():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(300, 3))
    labels = (logits + generator.gumbel(size=(300, 3))).argmax(axis=1)
    fitted = VennAbers().fit(logits, labels)
    pair = fitted.predict_pair(logits)
    assert pair.lower.shape == pair.upper.shape == (300, 3)
    odds = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True) - np.exp(logits))
    alone = VennAbers().fit(odds[:, 2], labels == 2).predict_pair(odds[:, 2])
    np.testing.assert_allclose(pair.lower[:, 2], alone.lower[:, 1], atol=1e-12)
    np.testing.assert_allclose(pair.upper[:, 2], alone.upper[:, 1], atol=1e-12)
    between = pair.upper / (1 - pair.lower + pair.upper)
    expected = between / between.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(logits), expected, rtol=1e-12)


def test_parts_are_at_most_as_many_as_rows():
    score, labels = made(4)
    fitted, same = VennAbers(cv=10).fit(score, labels), VennAbers(cv=4).fit(score, labels)
    np.testing.assert_array_equal(fitted.transform(NEW), same.transform(NEW))


def test_wrong_arguments_and_files_are_refused():
    with pytest.raises(InvalidInputError, match="cv must be a whole number, 2 to"):
        VennAbers(cv=1)
    with pytest.raises(NotFittedError, match="VennAbers must be fitted before use"):
        VennAbers().predict_pair(NEW)
    state = VennAbers().fit(*made(50)).to_dict()
    broken = {**state, "knots_": {**state["knots_"], "numbers": [-800.0, *state["knots_"]["numbers"][1:]]}}
    with pytest.raises(FileFormatError, match=r"must begin with -701"):
        Calibration.from_dict(broken)
    broken = {**state, "values_": {**state["values_"], "numbers": [1.0, *state["values_"]["numbers"][1:]]}}
    with pytest.raises(FileFormatError, match="values_ must lie between 0 and 1"):
        Calibration.from_dict(broken)
