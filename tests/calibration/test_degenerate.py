"""Rows that say too little, or one thing too loudly: a warning, and a calibration that can be used."""

import json
import warnings

import numpy as np
import pytest

import softmaxlib.calibration as calibration
from softmaxlib.calibration import (
    Auto,
    Calibration,
    HistogramBinning,
    IsotonicScaling,
    LogarithmicPool,
    MatrixScaling,
    TemperatureScaling,
    VectorScaling,
)
from softmaxlib.calibration.conditioning import factor_above_identity
from softmaxlib.calibration.degenerate import bounded_weights
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError

KINDS = [
    getattr(calibration, name)
    for name in calibration.__all__
    if isinstance(getattr(calibration, name), type) and getattr(calibration, name) is not Calibration
]
QUICK = [kind for kind in KINDS if kind is not Auto]
LEARNING = [kind for kind in QUICK if kind is not calibration.Identity]


def sample(rows=300, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(rows, classes))
    return logits, (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)


def assert_usable(fitted, logits):
    """Finite on the fitting rows and on others, and the same after a round trip through JSON."""
    other = np.concatenate([logits[:20], np.zeros((1, logits.shape[1])), 50 * np.eye(logits.shape[1])])
    for rows in (logits, other):
        probabilities = fitted.predict_proba(rows)
        assert np.isfinite(fitted.transform(rows)).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    again = Calibration.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.transform(other), fitted.transform(other))


def fit_with_warning(kind, logits, labels, words, sample_weight=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = kind().fit(logits, labels, sample_weight)
    assert {one.category for one in caught} == {SoftmaxlibWarning}
    assert sum(words in str(one.message) for one in caught) == 1
    assert {one.filename for one in caught} == {__file__}
    return fitted


@pytest.mark.parametrize("kind", [*LEARNING, Auto])
@pytest.mark.parametrize("classes", [2, 5])
def test_one_class_only(kind, classes):
    logits, _ = sample(60, classes)
    words = f"{kind.__name__} has little to learn from: all 60 rows are of class 1, so that nothing"
    fitted = fit_with_warning(kind, logits, np.ones(60, int), words)
    assert_usable(fitted, logits)


def test_one_class_of_many_makes_no_matrix_of_nan():
    logits, _ = sample(100, 40)
    fitted = fit_with_warning(MatrixScaling, logits, np.zeros(100, int), "all 100 rows are of class 0")
    assert_usable(fitted, logits)


@pytest.mark.parametrize("kind", LEARNING)
@pytest.mark.parametrize("size", [1e4, 1e30, 1e300, 1.7e308])
def test_one_row_that_rules_its_own_label_out(kind, size):
    logits, labels = sample(400)
    spoiled, marked = np.vstack([logits, [[size, 0, 0]]]), np.append(labels, 1)
    fitted = fit_with_warning(kind, spoiled, marked, f"in row 400 the label's logit is {size:.4g} below")
    assert_usable(fitted, spoiled)


def test_the_floor_keeps_one_such_row_from_ruling_a_linear_correction():
    logits, labels = sample(1000)
    spoiled, marked = np.vstack([logits, [[1e4, 0, 0]]]), np.append(labels, 1)

    def loss(fitted):
        return -np.log(fitted.predict_proba(logits)[np.arange(1000), labels]).mean()

    for kind in (VectorScaling, MatrixScaling):
        fitted = fit_with_warning(kind, spoiled, marked, "that row alone can decide the fit")
        assert loss(fitted) < np.log(3)  # what the uniform guess costs


@pytest.mark.parametrize("kind", QUICK)
def test_a_row_whose_label_is_its_largest_logit_is_no_outlier(kind):
    logits, labels = sample(300)
    fitted = kind().fit(np.vstack([logits, [[1e6, 0, 0]]]), np.append(labels, 0))  # warnings are errors
    assert_usable(fitted, logits)


@pytest.mark.parametrize("kind", LEARNING)
@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
def test_rows_that_are_all_the_same(kind, row):
    labels = np.arange(50) % 3
    words = f"{kind.__name__} has little to learn from: all 50 rows hold the same logits"
    fitted = fit_with_warning(kind, np.tile(row, (50, 1)), labels, words)
    assert_usable(fitted, np.tile(row, (50, 1)))


@pytest.mark.parametrize("kind", LEARNING)
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_few_rows(kind, rows):
    logits, _ = sample(rows, 8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = kind().fit(logits, np.arange(rows))
    expected = "all 1 rows are of class 0" if rows == 1 else f"{rows} rows are fewer than the 8 classes"
    told = [str(one.message) for one in caught]
    assert any(expected in message for message in told) == (kind is not TemperatureScaling or rows == 1)
    assert_usable(fitted, logits)


@pytest.mark.parametrize("kind", QUICK)
def test_columns_that_say_nothing(kind):
    logits, labels = sample(300)
    for column in (0.0, -1e4):
        changed = logits.copy()
        changed[:, 1] = column
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted = kind().fit(changed, labels)
        assert {one.category for one in caught} <= {SoftmaxlibWarning}
        assert_usable(fitted, changed)
    equal = np.repeat(logits[:, :1], 3, axis=1)
    with pytest.warns(SoftmaxlibWarning) if kind is TemperatureScaling else warnings.catch_warnings():
        assert_usable(kind().fit(equal, labels), equal)


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("scale", [1e-300, 5e-324, 1e299])
def test_extreme_units_of_logits(kind, scale):
    logits, labels = sample(200)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = kind().fit(logits * scale, labels)
    assert {one.category for one in caught} <= {SoftmaxlibWarning}
    assert_usable(fitted, logits * scale)


@pytest.mark.filterwarnings("ignore:sample_weight says how many rows each row counts for")
@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1e20, 1e300, 1.7e308])
def test_weights_of_any_size(kind, weight):
    logits, labels = sample(100)
    assert_usable(kind().fit(logits, labels, np.full(100, weight)), logits)


@pytest.mark.parametrize("kind", QUICK)
def test_a_negligible_weight_is_none(kind):
    logits, labels = sample(200)
    weights = np.ones(200)
    weights[::2] = 1e-300
    expected = kind().fit(logits[1::2], labels[1::2]).transform(logits)
    np.testing.assert_array_equal(kind().fit(logits, labels, weights).transform(logits), expected)


def test_bounded_weights_stay_in_proportion():
    np.testing.assert_array_equal(bounded_weights(np.array([1.0, 2.5, 3.0])), [1.0, 2.5, 3.0])
    for weights in ([1e300, 2e300], [3e-310, 1e-310], [1.7e308] * 9):
        found = bounded_weights(np.array(weights))
        assert 2.0**-21 <= found.sum() <= 2.0**40
        np.testing.assert_array_equal(found / found[0], np.array(weights) / weights[0])


def test_weights_that_are_no_numbers():
    for weights in (["1", "2"], [1j, 2]):
        with pytest.raises(UnsupportedTypeError, match=r"sample_weight must be real numbers, got dtype"):
            TemperatureScaling().fit([[1.0, 2.0], [2.0, 1.0]], [0, 1], weights)


def test_shares_of_a_pool_of_any_size():
    members = [VectorScaling(), TemperatureScaling()]
    assert LogarithmicPool(members, [1.5e308, 0.5e308 * 1]).weights == (0.75, 0.25)
    assert LogarithmicPool(members, [1e308, 1e308]).weights == (0.5, 0.5)
    assert LogarithmicPool(members, [5e-324, 5e-324]).weights == (0.5, 0.5)
    with pytest.raises(InvalidInputError, match="weights must be finite, at least 0 and not all 0"):
        LogarithmicPool(members, [np.inf, 1])


@pytest.mark.parametrize("kind", [IsotonicScaling, HistogramBinning])
def test_a_frequency_never_rounds_to_one(kind):
    """2**28 rows without exception: one more row at the base rate is less than the last digit of 1."""
    fitted = kind().fit([[3.0, 0.0], [0.0, 3.0]], [0, 1], [2.0**28, 2.0**28])
    assert (fitted.values_ < 1).all()
    assert_usable(fitted, np.array([[3.0, 0.0], [0.0, 3.0]]))


def test_a_factor_of_a_matrix_that_rounding_made_indefinite():
    generator = np.random.default_rng(0)
    square = generator.normal(size=(6, 3))
    sound = np.eye(6) + square @ square.T
    np.testing.assert_array_equal(factor_above_identity(sound)[0], np.linalg.cholesky(sound))
    broken = sound - 4 * np.outer(*[np.linalg.eigh(sound)[1][:, 0]] * 2)  # one eigenvalue of 1 becomes -3
    factor, inverse = factor_above_identity(np.stack([broken, sound]))
    np.testing.assert_allclose(inverse @ factor, [np.eye(6)] * 2, atol=1e-12)
    np.testing.assert_allclose(factor @ factor.transpose(0, 2, 1), [sound, sound], atol=1e-12)
    np.testing.assert_array_equal(factor, np.tril(factor))


def test_the_identity_learns_nothing_and_says_nothing():
    assert_usable(calibration.Identity().fit(np.zeros((3, 2)), np.zeros(3, int)), np.zeros((3, 2)))


@pytest.mark.parametrize("kind", LEARNING)
def test_a_fit_that_fails_leaves_the_calibration_as_it_was(kind, monkeypatch):
    logits, labels = sample()
    fitted = kind().fit(logits, labels)
    before = json.dumps(fitted.to_dict())
    with pytest.raises(InvalidInputError):
        fitted.fit(logits[:, :2], labels)
    with pytest.raises(SoftmaxlibWarning):  # warnings are errors, and this one comes before the fit's end
        fitted.fit(logits[:5], np.zeros(5, int))

    def failing(self, *rows):
        original(self, *rows)
        raise RuntimeError("late")

    original = kind._fit
    monkeypatch.setattr(kind, "_fit", failing)
    with pytest.raises(RuntimeError, match="late"):
        fitted.fit(3 * logits, labels)
    assert json.dumps(fitted.to_dict()) == before
