"""Log-odds that are equal but for rounding: the same calibrated probability, in every arithmetic."""

import numpy as np
import pytest

from softmaxlib import softmax
from softmaxlib.calibration import (
    Auto,
    BetaCalibration,
    HistogramBinning,
    IsotonicScaling,
    VennAbers,
)
from softmaxlib.calibration.one_versus_rest import log_odds
from softmaxlib.calibration.ties import Odds, distinct

KINDS = [
    HistogramBinning(),
    HistogramBinning(scope="top_label"),
    IsotonicScaling(),
    VennAbers(),
    VennAbers(cv=5),
    BetaCalibration(),
    Auto(cv=2),
]
# by how much rounding may move the probabilities of a curve without steps
CLOSE = {np.float32: 1e-5, np.float64: 1e-13}


def made(rows, seed):
    """Logits with one decimal place, their differences in tenths, and labels."""
    generator = np.random.default_rng(seed)
    logits = np.round(2 * generator.normal(size=(rows, 2)), 1)
    labels = (generator.random(rows) < softmax(0.6 * logits)[:, 1]).astype(int)
    return logits, np.round(10 * (logits[:, 1] - logits[:, 0])).astype(int), labels


def spread(values, ties):
    """Return how far apart the values of one tie are at most."""
    lowest, highest = np.full(1000, np.inf), np.full(1000, -np.inf)
    np.minimum.at(lowest, ties + 500, values)
    np.maximum.at(highest, ties + 500, values)
    return np.max(highest - lowest, where=highest >= lowest, initial=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("calibration", KINDS, ids=str)
def test_equal_log_odds_get_equal_probabilities(calibration, dtype):
    logits, ties, labels = made(2000, 0)
    fitted = calibration.fit(logits.astype(dtype), labels)
    rows, of_rows, _ = made(20_000, 1)  # also log-odds that the fit did not see
    for given, tied in ((logits, ties), (rows, of_rows)):
        exact = fitted.predict_proba(given)[:, 1]
        assert spread(exact, tied) < CLOSE[np.float64]
        for offset in (4.0, 0.3, -7.7):
            np.testing.assert_allclose(fitted.predict_proba(given + offset)[:, 1], exact, atol=1e-13)
        np.testing.assert_allclose(fitted.predict_proba(given[:, 1] - given[:, 0])[:, 1], exact, atol=1e-13)
        for offset in (0, 4.3):
            single = fitted.predict_proba((given + offset).astype(np.float32))[:, 1]
            np.testing.assert_allclose(single, exact, atol=CLOSE[np.float32])


@pytest.mark.parametrize("calibration", KINDS[:5], ids=str)
def test_the_same_of_more_classes(calibration):
    """Whole logits: the log-odds of a class are often the same, with the other classes in another order."""
    generator = np.random.default_rng(0)
    logits = np.round(2 * generator.normal(size=(3000, 5)))
    labels = (generator.random((3000, 1)) > softmax(0.6 * logits).cumsum(axis=1)).sum(axis=1).clip(0, 4)
    fitted = calibration.fit(logits.astype(np.float32), labels)
    rows = np.round(2 * generator.normal(size=(20_000, 5)))
    exact = fitted.predict_proba(rows)
    np.testing.assert_allclose(fitted.predict_proba(rows.astype(np.float32)), exact, atol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(rows + 0.1), exact, atol=1e-13)


def test_a_bin_begins_below_all_rows_of_its_level():
    logits, ties, labels = made(2000, 0)
    fitted = HistogramBinning().fit(logits, labels)
    odds = log_odds(logits)[:, 1]
    for knot in fitted.knots_[fitted.starts_[1] + 1 : fitted.starts_[2]]:
        above = odds[odds >= knot].min()
        assert 1e-9 < above - knot < 0.01
        assert ties[odds >= knot].min() > ties[odds < knot].max()


def levels_of(logits, index=0):
    return Odds(np.asarray(logits)).levels(index)


def test_what_differs_by_more_than_rounding_stays_apart():
    score = np.array([0.1 + 0.2, 0.3, 0.3 + 1e-9, 5.0])
    logits = np.stack([score, np.zeros(4)], axis=1)
    assert levels_of(logits).place.tolist() == [0, 0, 1, 2]
    assert levels_of(logits.astype(np.float32)).place.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(levels_of(logits).values[1:], log_odds(logits)[2:, 0])
    assert (levels_of(logits).edges[1:] > levels_of(logits).tops[:-1]).all()


def test_a_masked_class_and_a_huge_logit_do_not_tie_the_others():
    score = np.linspace(-2, 2, 200)
    masked = np.stack([score, 0 * score, 0 * score - 1e9], axis=1).astype(np.float32)
    assert len(levels_of(masked).values) == 200
    masked[0] = [1e7, 1e7 - 1, 0]
    assert len(levels_of(masked).values) >= 197


def test_many_different_numbers_close_together_are_no_single_tie():
    """A million rows in float32 lie closer than it rounds."""
    score = np.random.default_rng(0).normal(8, 0.01, 200_000).astype(np.float32)
    levels = levels_of(np.stack([score, 0 * score], axis=1))
    assert len(levels.values) > 2000
    assert np.bincount(levels.place).max() < 5000
    assert (np.diff(levels.values) > 0).all()
    assert (np.diff(levels.edges) > 0).all()


def test_neither_the_order_of_rows_nor_their_parts_matter():
    logits, _, labels = made(500, 2)
    order, weights = np.random.default_rng(0).permutation(500), np.arange(1.0, 501)
    levels = levels_of(logits)
    one = distinct(levels, labels == 0, weights)
    other = distinct(levels_of(logits[order]), (labels == 0)[order], weights[order])
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)
    parts = [distinct(levels, labels == 0, weights, order[part::2]) for part in range(2)]
    assert np.isin(parts[0].edges, one.edges).all()
    assert sum(part.hits.sum() for part in parts) == one.hits.sum()
    back = levels.negated().negated()
    for first, second in zip(levels, back, strict=True):
        np.testing.assert_array_equal(first, second)
