import numpy as np
import pytest
from scipy import stats

from softmaxlib import metrics, softmax
from softmaxlib.errors import InvalidInputError
from softmaxlib.metrics._poisson_binomial import Cells, two_sided_p_value
from softmaxlib.metrics.holm import holm_adjusted
from softmaxlib.metrics.predictions import Predictions


def drawn(logits: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    below = softmax(logits).cumsum(axis=1) < generator.random((len(logits), 1))
    return np.minimum(below.sum(axis=1), logits.shape[1] - 1)


def rare(rows: int, generator: np.random.Generator) -> np.ndarray:
    return np.stack([np.zeros(rows), generator.normal(-6.2, 1.5, rows)], axis=1)


def many(classes: int):
    return lambda rows, generator: 2 * generator.normal(size=(rows, classes)) - np.linspace(0, 6, classes)


def convolved(probability: np.ndarray) -> np.ndarray:
    law = np.array([1.0])
    for one in probability:
        law = np.convolve(law, [1 - one, one])
    return law


def cells_of(probability: np.ndarray, outcome: np.ndarray) -> Cells:
    """The cells of the second of two classes."""
    both = np.stack([1 - probability, probability], axis=1)
    return list(Cells.of_classes(Predictions(both, outcome.astype(np.int64), None, True)))[1]


class TestLaw:
    @pytest.mark.parametrize("hits", [0, 1, 5, 9, 40])
    def test_is_the_convolution_of_the_rows(self, hits: int) -> None:
        probability = np.sort(np.random.default_rng(0).random(40) ** 3)
        law = convolved(probability)
        one, hit = np.ones(40, int), np.repeat([1, 0], [hits, 40 - hits])
        cells = Cells(np.arange(40), 32, one, one, probability, hit, one.astype(float), hit.astype(float))
        expected = min(1, 2 * min(law[: hits + 1].sum(), law[hits:].sum()))
        assert two_sided_p_value(cells) == pytest.approx(max(expected, 2**-52), rel=1e-8, abs=1e-14)

    def test_of_equal_rows_is_the_binomial(self) -> None:
        outcome = np.arange(5000) < 23
        expected = 2 * stats.binom.cdf(23, 5000, 0.008)
        assert two_sided_p_value(cells_of(np.full(5000, 0.008), outcome)) == pytest.approx(expected, rel=1e-9)

    def test_cells_keep_mean_and_variance(self) -> None:
        probability = np.random.default_rng(1).random(5000) ** 6
        cells = cells_of(probability, probability > 0.5)
        assert cells.rows.sum() == 5000
        assert cells.rows @ cells.probability == pytest.approx(probability.sum(), rel=1e-12)
        exact = (probability * (1 - probability)).sum()
        assert exact <= cells.variance.sum() <= exact * (1 + 3e-5)
        assert cells.hits.sum() == (probability > 0.5).sum()

    @pytest.mark.parametrize("z", [-4, -2, 1, 3, 5])
    def test_of_many_rows_is_as_good_by_its_skewness(self, z: int) -> None:
        law = stats.binom(40_000, 0.03)
        hits = round(law.mean() + z * law.std())
        cells = cells_of(np.full(40_000, 0.03), np.arange(40_000) < hits)
        assert cells.variance.sum() > 1000
        expected = 2 * min(law.cdf(hits), law.sf(hits - 1))
        assert two_sided_p_value(cells) == pytest.approx(expected, rel=0.01)

    def test_certainty(self) -> None:
        sure = np.array([0.0, 0.0, 1.0, 1.0])
        assert two_sided_p_value(cells_of(sure, sure == 1)) == 1
        assert two_sided_p_value(cells_of(sure, np.array([True, False, True, True]))) < 1e-12


def test_where_two_bands_are_off_beyond_doubt_the_one_that_is_off_by_more_is_named() -> None:
    rows = np.repeat([0.05, 0.9], 4000)
    outcome = np.concatenate([np.arange(4000) < 400, np.arange(4000) < 3400])
    both = np.stack([1 - rows, rows], axis=1)
    test = metrics.class_calibration_test(both, outcome.astype(int), probabilities=True)
    assert test.p_value.max() < 1e-9  # in both bands p is 0 but for rounding
    assert test.band[1, 0] == 0
    assert test.band_rows[1] == 4000


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (rare, 200),
        (many(20), 40),
        *(
            pytest.param(*one, marks=pytest.mark.sweep)
            for one in ((rare, 2000), (many(3), 300), (many(100), 60))
        ),
    ],
)
def test_exact_models_are_rejected_no_more_often_than_stated(model, rows: int) -> None:
    generator = np.random.default_rng(2)
    rejected = 0
    for _ in range(80):
        logits = model(rows, generator)
        test = metrics.class_calibration_test(logits, drawn(logits, generator))
        rejected += test.adjusted_p_value.min() <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 80, 0.05)


def test_a_rare_class_stated_at_a_tenth_is_found_where_the_top_label_looks_right() -> None:
    generator = np.random.default_rng(3)
    found = 0
    for _ in range(20):
        logits = rare(2000, generator)
        labels = drawn(logits, generator)
        stated = logits - [0, np.log(10)]
        found += metrics.class_calibration_test(stated, labels).adjusted_p_value[1] <= 0.01
    assert found >= 19


def test_a_rare_class_among_many_is_found_and_named() -> None:
    generator = np.random.default_rng(4)
    logits = many(20)(5000, generator)
    labels = drawn(logits, generator)
    stated = logits.copy()
    stated[:, 12] -= np.log(4)
    test = metrics.class_calibration_test(stated, labels)
    assert test.adjusted_p_value.argmin() == 12
    assert test.adjusted_p_value[12] < 0.001
    assert test.stated[12] < test.observed[12] / 2
    assert metrics.class_calibration_test(logits, labels).adjusted_p_value.min() > 0.01


def test_what_is_right_on_average_and_wrong_in_a_band() -> None:
    """Half of the rows state 5 % and 25 % are positive, half state 45 % and 25 % are."""
    stated = np.repeat([0.05, 0.45], 500)
    labels = (np.arange(1000) % 4 == 0).astype(int)
    probabilities = np.stack([1 - stated, stated], axis=1)
    test = metrics.class_calibration_test(probabilities, labels, probabilities=True)
    assert test.stated[1] == pytest.approx(test.observed[1])
    assert test.adjusted_p_value[1] < 1e-9
    assert test.band_rows[1] == 500
    low, high = test.band[1]
    assert low <= test.band_stated[1] <= high
    assert test.band_observed[1] == 0.25


def test_two_classes_are_one_test() -> None:
    generator = np.random.default_rng(5)
    logits = rare(3000, generator)
    test = metrics.class_calibration_test(logits + np.array([0, 1]), drawn(logits, generator))
    assert test.p_value[0] == test.p_value[1] == test.adjusted_p_value[1]
    np.testing.assert_allclose(test.band_stated.sum(), 1)
    np.testing.assert_allclose(test.stated.sum(), 1)


def test_ten_thousand_classes_of_sixty_rows() -> None:
    generator = np.random.default_rng(6)
    logits = generator.normal(size=(60, 10_000))
    test = metrics.class_calibration_test(logits, drawn(logits, generator))
    assert test.adjusted_p_value.shape == (10_000,)
    assert test.adjusted_p_value.min() > 0.01


def test_one_row_and_what_breaks_a_rule() -> None:
    test = metrics.class_calibration_test([[0.999, 0.001]], [1], probabilities=True)
    assert test.adjusted_p_value[1] == pytest.approx(0.002)
    with pytest.raises(InvalidInputError, match="labels"):
        metrics.class_calibration_test([[1.0, 2.0]], [2])


def test_holm() -> None:
    found = holm_adjusted([0.01, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(found, [0.04, 0.09, 0.09, 0.5])
    np.testing.assert_allclose(holm_adjusted([0.9, 0.8]), [1, 1])
