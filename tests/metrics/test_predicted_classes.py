"""Precision, recall and the other figures of counted rows: as scikit-learn has them, and what counts as 0."""

import warnings

import numpy as np
import pytest
import sklearn.metrics
from sklearn.exceptions import UndefinedMetricWarning

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning

AVERAGED = {
    metrics.precision: sklearn.metrics.precision_score,
    metrics.recall: sklearn.metrics.recall_score,
    metrics.f1_score: sklearn.metrics.f1_score,
}
PLAIN = {
    metrics.balanced_accuracy: sklearn.metrics.balanced_accuracy_score,
    metrics.matthews_correlation: sklearn.metrics.matthews_corrcoef,
}
ALL = [*AVERAGED, metrics.specificity, *PLAIN]


def cases(classes: int, count: int = 15):
    """Few rows, so that some classes are missing among labels or predictions; ties, and weights of 0."""
    for seed in range(count):
        generator = np.random.default_rng(seed)
        rows = int(generator.integers(1, 40))
        logits = generator.integers(-2, 3, (rows, classes)).astype(np.float64)
        labels = generator.integers(0, classes, rows)
        weights = generator.exponential(size=rows) * (generator.random(rows) > 0.2)
        weights[0] += 0.5
        yield logits, labels, weights


def specificity_by_count(truth, predicted, sample_weight, classes: int, average: str) -> float:
    """From scikit-learn's confusion matrix of each class."""
    each = sklearn.metrics.multilabel_confusion_matrix(
        truth, predicted, sample_weight=sample_weight, labels=range(classes)
    )
    right, wrong, rows = each[:, 0, 0], each[:, 0, 1], each[:, 1].sum(axis=1)
    if average == "micro":
        return right.sum() / (right.sum() + wrong.sum())
    figures = np.divide(right, right + wrong, out=np.zeros(classes), where=right + wrong > 0)
    if average == "binary":
        return figures[1]
    occurs = np.isin(np.arange(classes), [*truth, *predicted])
    return float(np.average(figures, weights=rows if average == "weighted" else occurs))


@pytest.fixture
def quietly():
    """Without the warnings of either library: of these rows some figures are shares of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.mark.parametrize("classes", [2, 5])
def test_figures_are_those_of_scikit_learn(classes: int, quietly) -> None:
    averages = ["macro", "micro", "weighted"] + ["binary"] * (classes == 2)
    for logits, labels, weights in cases(classes):
        counted = weights > 0  # scikit-learn counts a class of weight 0 among those that occur
        truth, predicted, weight = labels[counted], logits.argmax(axis=1)[counted], weights[counted]
        for metric, theirs in PLAIN.items():
            expected = theirs(truth, predicted, sample_weight=weight)
            assert metric(logits, labels, sample_weight=weights) == pytest.approx(expected, abs=1e-12)
        for average in averages:
            for metric, theirs in AVERAGED.items():
                expected = theirs(truth, predicted, average=average, sample_weight=weight, zero_division=0)
                found = metric(logits, labels, average=average, sample_weight=weights)
                assert found == pytest.approx(expected, abs=1e-12), (metric.__name__, average)
            found = metrics.specificity(logits, labels, average=average, sample_weight=weights)
            assert found == pytest.approx(
                specificity_by_count(truth, predicted, weight, classes, average), abs=1e-12
            ), average


def test_specificity_is_the_recall_of_class_0() -> None:
    generator = np.random.default_rng(3)
    logits, labels = generator.normal(size=(200, 2)), generator.integers(0, 2, 200)
    expected = sklearn.metrics.recall_score(labels, logits.argmax(axis=1), pos_label=0)
    assert metrics.specificity(logits, labels) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", ALL)
def test_a_weight_of_two_is_the_row_twice_and_of_zero_none(metric) -> None:
    generator = np.random.default_rng(4)
    logits, labels = generator.normal(size=(200, 2)), generator.integers(0, 2, 200)
    counts = generator.integers(0, 4, 200)
    repeated = metric(np.repeat(logits, counts, axis=0), np.repeat(labels, counts))
    found = metric(logits, labels, sample_weight=counts)
    assert type(found) is float
    assert found == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "labels", "message"),
    [
        (
            metrics.precision,
            [0, 1, 1],
            "precision is a share of no rows for class 1, .*: no row is predicted as",
        ),
        (metrics.recall, [0, 0, 0], "recall is a share of no rows for class 1, and counts as 0: no row is"),
        (metrics.f1_score, [0, 0, 0], "f1_score is a share of no rows for class 1, .*: no row is of it or"),
        (metrics.specificity, [1, 1, 1], "specificity is a share of no rows for class 1, .*: every row is"),
        (metrics.matthews_correlation, [0, 1, 0], "counts as 0: every row is predicted as class 0, so"),
    ],
)
def test_a_share_of_nothing_is_0_with_a_warning(metric, labels: list[int], message: str) -> None:
    with pytest.warns(SoftmaxlibWarning, match=message):
        assert metric([[2.0, 0.0], [3.0, 0.0], [4.0, 0.0]], labels) == 0


def test_a_warning_counts_the_classes() -> None:
    logits = np.array([[2.0, 0, 0, 0], [3.0, 0, 0, 0], [2.5, 0, 0, 0]])
    with pytest.warns(SoftmaxlibWarning, match="for class 1 and 1 more classes, and counts as 0"):
        assert metrics.precision(logits, [0, 1, 2], average="macro") == pytest.approx(1 / 9)


def test_labels_of_one_class_have_no_correlation() -> None:
    weights = np.random.default_rng(0).random(50)  # whose sums round
    logits = np.random.default_rng(1).normal(size=(50, 3))
    with pytest.warns(SoftmaxlibWarning, match="every row is of class 2, so there is nothing to correlate"):
        assert metrics.matthews_correlation(logits, np.full(50, 2), sample_weight=weights) == 0


def test_balanced_accuracy_leaves_out_classes_without_rows() -> None:
    logits = [[2.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 3.0, 0.0]]
    with pytest.warns(
        SoftmaxlibWarning, match="leaves out class 2: rows are predicted as it, but none is of it"
    ):
        assert metrics.balanced_accuracy(logits, [0, 0, 1]) == 0.75


@pytest.mark.parametrize("metric", [*AVERAGED, metrics.specificity])
def test_an_average_is_named(metric) -> None:
    logits, labels = np.eye(3) * 2, [0, 1, 2]
    with pytest.raises(
        InvalidInputError, match="average must be one of macro, micro, weighted for 3 classes, got"
    ):
        metric(logits, labels)
    with pytest.raises(
        InvalidInputError, match="average must be one of binary, macro, micro, weighted; got 'samp"
    ):
        metric(logits, labels, average="samples")
    with pytest.raises(InvalidInputError, match="average must be one of"):
        metrics.bootstrap_interval(metric, logits, labels)


@pytest.mark.parametrize("metric", ALL)
def test_an_interval_has_what_calling_the_metric_gives(metric) -> None:
    generator = np.random.default_rng(5)
    logits = generator.normal(size=(300, 2))
    labels = (logits[:, 1] - logits[:, 0] + generator.normal(size=300) > 1).astype(int)
    keywords = {"sample_weight": generator.integers(0, 3, 300), "resamples": 600}

    def called(*arguments, **options) -> float:
        return metric(*arguments, **options)

    fast = metrics.bootstrap_interval(metric, logits, labels, **keywords)
    slow = metrics.bootstrap_interval(called, logits, labels, random_state=1, **keywords)
    width = slow.upper - slow.lower
    assert fast.value == slow.value
    assert fast.lower == pytest.approx(slow.lower, abs=0.12 * width)
    assert fast.upper == pytest.approx(min(slow.upper, 1), abs=0.12 * width)


def test_the_interval_of_a_correlation_may_go_below_0() -> None:
    generator = np.random.default_rng(6)
    logits, labels = generator.normal(size=(60, 2)), generator.integers(0, 2, 60)
    interval = metrics.bootstrap_interval(metrics.matthews_correlation, logits, labels)
    assert -1 <= interval.lower < -0.1 < 0.1 < interval.upper
