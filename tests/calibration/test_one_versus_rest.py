"""IsotonicScaling and HistogramBinning."""

import numpy as np
import pytest
from scipy.special import log_softmax

from softmaxlib.calibration import Calibration, HistogramBinning, IsotonicScaling
from softmaxlib.calibration.one_versus_rest import log_odds
from softmaxlib.errors import FileFormatError, InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError

from .test_laws import sample

KINDS = [IsotonicScaling, HistogramBinning]


def test_log_odds_keep_their_digits():
    expected = [[40.0, -40.0], [0.5, -0.5], [-700.0, 700.0]]
    np.testing.assert_allclose(
        log_odds(np.array([[40.0, 0.0], [0.5, 0.0], [0.0, 1e30]])), expected, rtol=1e-12
    )
    logits = sample(50, 4)[0]
    probability = np.exp(log_softmax(logits, axis=1))
    np.testing.assert_allclose(log_odds(logits), np.log(probability / (1 - probability)), rtol=1e-9)


def test_the_curve_is_scikit_learns_before_smoothing():
    """Knots at the centers of scikit-learn's blocks; frequencies after one more row at the base rate."""
    isotonic = pytest.importorskip("sklearn.isotonic")
    logits, labels = sample(300, 3)
    fitted = IsotonicScaling().fit(logits, labels)
    for index in range(3):
        odds = log_odds(logits)[:, index]
        levels = isotonic.IsotonicRegression().fit_transform(odds, labels == index)
        rate = ((labels == index).sum() + 1) / 303
        blocks = [levels == level for level in np.unique(levels)]
        centers = np.array([odds[block].mean() for block in blocks])
        frequencies = np.array(
            [((labels == index)[block].sum() + rate) / (block.sum() + 1) for block in blocks]
        )
        part = slice(fitted.starts_[index], fitted.starts_[index + 1])
        if (np.diff(frequencies) > 0).all():
            np.testing.assert_allclose(fitted.knots_[part], centers, rtol=1e-9)
            np.testing.assert_allclose(fitted.values_[part], frequencies, rtol=1e-9)
        else:  # smoothing broke the order, and blocks were pooled again
            assert len(fitted.knots_[part]) < len(blocks)
        assert (np.diff(fitted.values_[part]) > 0).all()


def test_two_classes_are_a_rising_curve():
    logits, labels = sample(800, 2)
    fitted = IsotonicScaling().fit(logits, labels)
    line = np.linspace(-9, 9, 400)
    probability = fitted.predict_proba(np.stack([0 * line, line], axis=1))[:, 1]
    assert (np.diff(probability) >= -1e-12).all()


@pytest.mark.parametrize("kind", KINDS)
def test_any_rising_distortion_is_undone(kind):
    generator = np.random.default_rng(0)
    truth = generator.uniform(-3, 3, 20_000)
    labels = (generator.random(20_000) < 1 / (1 + np.exp(-truth))).astype(int)
    distorted = np.stack([np.zeros(20_000), np.sinh(truth) + 2], axis=1)
    found = kind().fit(distorted, labels).predict_proba(distorted)[:, 1]
    assert np.abs(found - 1 / (1 + np.exp(-truth))).mean() < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_equal_rows_get_their_frequency(kind):
    logits = np.repeat([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]], 1000, axis=0)
    labels = np.repeat([0, 1, 2, 0, 1, 2], [500, 300, 200, 100, 600, 300])
    found = kind().fit(logits, labels).predict_proba([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    together = np.array([[0.5, 0.3, 0.25], [0.1, 0.6, 0.25]])  # the log-odds of class 2 are the same in both
    np.testing.assert_allclose(found, together / together.sum(axis=1, keepdims=True), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_never_happened_keeps_a_small_probability(kind):
    logits = np.random.default_rng(0).standard_normal((100, 3))
    found = kind().fit(logits, np.arange(100) % 2).predict_proba(logits)[:, 2]
    assert (found > 0).all()
    assert (found < 0.05).all()


def test_bins_have_equal_weight():
    logits, labels = sample(1500, 3)
    fitted = HistogramBinning(n_bins=10).fit(logits, labels)
    assert fitted.starts_.tolist() == [0, 10, 20, 30]
    for index in range(3):
        edges = fitted.knots_[index * 10 : index * 10 + 10]
        counts = np.bincount(np.searchsorted(edges, log_odds(logits)[:, index], side="right") - 1)
        assert counts.tolist() == [150] * 10


@pytest.mark.parametrize(
    ("bins", "error"),
    [
        (0, InvalidInputError),
        (-1, InvalidInputError),
        (2**63, InvalidInputError),
        (2.5, UnsupportedTypeError),
        ("4", UnsupportedTypeError),
    ],
)
def test_bins_must_be_a_count(bins, error):
    with pytest.raises(error, match=f"bins must be a whole number.* got '?{bins}"):
        HistogramBinning(n_bins=bins)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("starts_", np.array([0, 2, 1, 3]), "rise from 0"),
        ("starts_", np.array([0, 1]), "must have 4 starts_"),
        ("knots_", np.zeros(7), "knots_"),
        ("values_", None, "between 0 and 1"),
        ("knots_", None, "must increase"),
    ],
)
def test_curves_that_contradict_themselves_are_refused(kind, name, value, message):
    fitted = kind().fit(*sample(200, 3))
    setattr(fitted, name, 0 * getattr(fitted, name) + 2 if value is None else value)
    with pytest.raises(FileFormatError, match=message):
        Calibration.from_dict(fitted.to_dict())


class TestTopLabel:
    def test_a_prediction_is_as_often_right_as_it_says(self):
        """Counted by hand: in each bin of each predicted class, hits + the base rate over rows + 1."""
        logits, labels = sample(3000, 4, temperature=3.0)
        fitted = HistogramBinning(n_bins=5, scope="top_label").fit(logits, labels)
        stated = fitted.predict_proba(logits)
        top = logits.argmax(axis=1)
        right = (np.count_nonzero(top == labels) + 1) / 3002
        for predicted in range(4):
            of_class = top == predicted
            values = stated[of_class, predicted]
            assert len(np.unique(values.round(12))) == 5
            for value in np.unique(values.round(12)):
                rows = of_class & (abs(stated[:, predicted] - value) < 1e-9)
                hits = np.count_nonzero(labels[rows] == predicted)
                assert value == pytest.approx((hits + right) / (np.count_nonzero(rows) + 1), rel=1e-9)

    def test_the_others_keep_their_proportions(self):
        logits, labels = sample(500, 4)
        found = HistogramBinning(scope="top_label").fit(logits, labels).transform(logits)
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-12)
        top = logits.argmax(axis=1)
        for row, (before, after) in enumerate(zip(logits, found, strict=True)):
            others = np.delete(np.arange(4), top[row])
            np.testing.assert_allclose(np.diff(after[others]), np.diff(before[others]), atol=1e-9)

    def test_a_class_never_predicted_gets_the_base_rate(self):
        logits = np.tile([2.0, 0.0, -9.0], (8, 1))
        with pytest.warns(SoftmaxlibWarning, match="all 8 rows hold the same logits"):
            fitted = HistogramBinning(scope="top_label").fit(logits, [0, 0, 0, 0, 0, 0, 1, 1])
        assert fitted.predict_proba([[0.0, 0.0, 9.0]])[0, 2] == pytest.approx(7 / 10)

    def test_extreme_logits_and_json(self):
        fitted = HistogramBinning(n_bins=3, scope="top_label").fit(*sample(200, 3))
        again = Calibration.from_dict(fitted.to_dict())
        assert again.scope == "top_label"
        extreme = np.array([[1e300, -1e300, 0.0], [0.0, 0.0, 0.0], [1e30, 1.0, 2.0]])
        np.testing.assert_array_equal(again.transform(extreme), fitted.transform(extreme))
        assert np.isfinite(fitted.transform(extreme)).all()

    def test_an_unknown_scope(self):
        with pytest.raises(InvalidInputError, match="scope must be one of classwise, top_label; got 'rows'"):
            HistogramBinning(scope="rows")
