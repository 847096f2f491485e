"""Areas under ROC and precision-recall curves: as scikit-learn has them, also of ties and weights."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import sklearn.metrics

from softmaxlib import metrics
from softmaxlib.activations import softmax
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning

AREAS = [metrics.roc_auc, metrics.average_precision]


def cases(classes: int, count: int = 20):
    """Rows with many equal scores and weights of 0; every class has a row that counts."""
    for seed in range(count):
        generator = np.random.default_rng(seed)
        rows = int(generator.integers(classes, 80)) + classes
        p = softmax(generator.integers(-2, 3, (rows, classes)).astype(np.float64))
        labels = np.concatenate([np.arange(classes), generator.integers(0, classes, rows - classes)])
        weights = generator.exponential(size=rows) * (generator.random(rows) > 0.2)
        weights[:classes] += 0.5
        yield p, labels, weights


def test_two_classes() -> None:
    for p, labels, weights in cases(2):
        for metric, theirs in zip(
            AREAS, (sklearn.metrics.roc_auc_score, sklearn.metrics.average_precision_score), strict=True
        ):
            for weight in (None, weights):
                expected = theirs(labels, p[:, 1], sample_weight=weight)
                found = metric(p, labels, sample_weight=weight, probabilities=True)
                assert found == pytest.approx(expected, abs=1e-12), metric.__name__


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_many_classes(average: str) -> None:
    for p, labels, weights in cases(4):
        for weight in (None, weights):
            keywords = {"average": average, "sample_weight": weight}
            for metric, theirs in (
                (metrics.roc_auc, sklearn.metrics.roc_auc_score(labels, p, multi_class="ovr", **keywords)),
                (metrics.average_precision, sklearn.metrics.average_precision_score(labels, p, **keywords)),
            ):
                assert metric(p, labels, probabilities=True, **keywords) == pytest.approx(theirs, abs=1e-12)
        expected = sklearn.metrics.roc_auc_score(labels, p, multi_class="ovo", average=average)
        found = metrics.roc_auc(p, labels, multi_class="ovo", average=average, probabilities=True)
        assert found == pytest.approx(expected, abs=1e-12)


def test_two_classes_have_one_pair() -> None:
    for p, labels, weights in cases(2, 5):
        pair, rest = (
            metrics.roc_auc(p, labels, multi_class=one, sample_weight=weights, probabilities=True)
            for one in ("ovo", "ovr")
        )
        assert pair == rest


@pytest.mark.parametrize(
    "options", [{}, {"multi_class": "ovo", "average": "weighted"}, {"average": "weighted"}]
)
@pytest.mark.parametrize("metric", AREAS)
def test_a_weight_of_two_is_the_row_twice_and_of_zero_none(metric, options: dict) -> None:
    if metric is metrics.average_precision:
        options = {name: value for name, value in options.items() if name != "multi_class"}
    p, labels, _ = next(cases(3))
    counts = np.random.default_rng(1).integers(0, 4, labels.size)
    counts[:3] += 1
    repeated = metric(np.repeat(p, counts, axis=0), np.repeat(labels, counts), probabilities=True, **options)
    found = metric(p, labels, sample_weight=counts, probabilities=True, **options)
    assert type(found) is float
    assert found == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("metric", AREAS)
def test_logits_are_ranked_as_their_probabilities(
    metric, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(2)
    logits, labels = 2 * generator.normal(size=(200, classes)), generator.integers(0, classes, 200)
    expected = metric(softmax(logits), labels, probabilities=True)
    assert metric(logits, labels) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr("softmaxlib.metrics.predictions._BLOCK_ELEMENTS", 42)
    assert metric(logits, labels) == pytest.approx(expected, abs=1e-12)


def test_rows_that_are_all_sure_are_told_apart() -> None:
    """Every probability of class 1 is 1 when rounded; the area is that of exact arithmetic."""
    sure, labels = np.array([40.0, 45.0, 50.0, 41.0, 60.0]), np.array([0, 1, 1, 0, 1])
    assert metrics.roc_auc(np.stack([0 * sure, sure], axis=1), labels) == 1
    three = np.stack([0 * sure, sure, sure - 100], axis=1)
    three[:, 2] -= np.arange(5)
    pairs = [
        Fraction(int(sure[i] > sure[j]))
        for i, j in itertools.product(np.flatnonzero(labels == 1), np.flatnonzero(labels != 1))
    ]
    with pytest.warns(SoftmaxlibWarning, match="leaves out 1 of 3 classes"):
        found = metrics.roc_auc(three, labels)
    assert found == float(sum(pairs) / len(pairs))


def test_the_largest_logits_have_an_order() -> None:
    largest = np.finfo(np.float64).max
    logits = np.array([[largest, -largest], [-largest, largest], [-largest, largest / 2]])
    assert metrics.roc_auc(logits, [0, 1, 0]) == 1
    assert metrics.average_precision(np.hstack([logits, logits[:, :1]]), [0, 1, 2]) > 0.5


@pytest.mark.parametrize("metric", AREAS)
def test_one_class_alone_has_no_area(metric) -> None:
    with pytest.warns(
        SoftmaxlibWarning, match=f"{metric.__name__} is not defined: every row is of class 1; judge"
    ):
        assert np.isnan(metric([[0.0, 2.0], [0.0, 3.0]], [1, 1]))


@pytest.mark.parametrize("metric", AREAS)
def test_classes_without_rows_are_left_out(metric) -> None:
    p, labels, _ = next(cases(3))
    wide = np.hstack([p, np.zeros((len(p), 2))])
    message = (
        r"leaves out 2 of 5 classes, which no row is of \(the first is class 3\); judge rows of every class"
    )
    with pytest.warns(SoftmaxlibWarning, match=message):
        found = metric(wide, labels, probabilities=True)
    assert found == metric(p, labels, probabilities=True)


@pytest.mark.parametrize("metric", AREAS)
def test_an_interval_leaves_out_draws_of_one_class(metric) -> None:
    """Two rows of class 1 in 40: a draw has neither in one case of eight."""
    generator = np.random.default_rng(7)
    logits, labels = generator.normal(size=(40, 2)), (np.arange(40) < 2).astype(int)
    interval = metrics.bootstrap_interval(metric, logits, labels, resamples=100)
    assert 0 <= interval.lower < interval.upper <= 1


def test_the_interval_of_an_area_has_the_truth_as_often_as_it_says() -> None:
    """Normal scores a deviation apart: the area is the normal distribution at 1 / sqrt(2)."""
    held = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        labels = (np.arange(300) < 90).astype(int)
        logits = np.stack([np.zeros(300), generator.normal(size=300) + labels], axis=1)
        interval = metrics.bootstrap_interval(metrics.roc_auc, logits, labels, level=0.9, resamples=100)
        held += interval.lower <= 0.7602499389065233 <= interval.upper
    assert 30 <= held <= 40


def test_misuse_is_refused() -> None:
    p, labels, _ = next(cases(3))
    with pytest.raises(InvalidInputError, match="multi_class must be one of ovr, ovo; got 'raise'"):
        metrics.roc_auc(p, labels, multi_class="raise", probabilities=True)
    for metric in AREAS:
        with pytest.raises(InvalidInputError, match="average must be one of macro, weighted; got 'micro'"):
            metric(p, labels, average="micro", probabilities=True)
