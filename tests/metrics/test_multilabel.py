"""Metrics of multi-label models: scikit-learn's figures, with weights, ties and missing cells."""

import warnings

import numpy as np
import pandas
import polars
import pytest
import sklearn.metrics
import torch
from torchmetrics.functional.classification import multilabel_exact_match, multilabel_f1_score

from softmaxlib import metrics, sigmoid
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

ROWS, NAMES = 400, ["bird", "cat", "dog", "fish", "fly"]
rng = np.random.default_rng(4)
TRUTH = rng.random((ROWS, 5)) < [0.5, 0.3, 0.2, 0.1, 0.6]
# rounded, so that scores tie; no logit is 0
LOGITS = np.round(2 * TRUTH - 1 + 1.5 * rng.normal(size=TRUTH.shape), 1) + 0.05
WEIGHTS = rng.integers(0, 4, ROWS).astype(float)
SHARES = {
    metrics.precision: sklearn.metrics.precision_score,
    metrics.recall: sklearn.metrics.recall_score,
    metrics.f1_score: sklearn.metrics.f1_score,
}
CURVES = {
    metrics.roc_auc: sklearn.metrics.roc_auc_score,
    metrics.average_precision: sklearn.metrics.average_precision_score,
}
AVERAGES = ["macro", "micro", "weighted", "samples"]


def named(metric) -> str:
    return getattr(metric, "__name__", str(metric))


@pytest.fixture(params=[None, WEIGHTS], ids=["equal", "weighted"])
def weights(request):
    return request.param


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("metric", SHARES, ids=named)
@pytest.mark.filterwarnings("ignore:.*share of no labels", "ignore:.*is ill-defined")
def test_shares_of_scikit_learn(metric, average, weights) -> None:
    found = metrics.multilabel_score(metric, LOGITS, TRUTH, average=average, sample_weight=weights)
    expected = SHARES[metric](TRUTH, LOGITS > 0, average=average, sample_weight=weights)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("metric", CURVES, ids=named)
def test_areas_of_scikit_learn(metric, average, weights) -> None:
    rows = (
        slice(None) if average != "samples" else np.flatnonzero(TRUTH.any(axis=1) & ~TRUTH.all(axis=1))[:99]
    )
    some = None if weights is None else weights[rows]
    found = metrics.multilabel_score(metric, LOGITS[rows], TRUTH[rows], average=average, sample_weight=some)
    expected = CURVES[metric](TRUTH[rows], LOGITS[rows], average=average, sample_weight=some)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", {**SHARES, **CURVES}, ids=named)
def test_each_label_of_scikit_learn(metric, weights) -> None:
    values = LOGITS > 0 if metric in SHARES else LOGITS
    found = metrics.label_scores(metric, LOGITS, TRUTH, sample_weight=weights)
    expected = {**SHARES, **CURVES}[metric](TRUTH, values, average=None, sample_weight=weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_losses_of_scikit_learn(weights) -> None:
    probabilities = sigmoid(LOGITS)
    for metric, other, factor in (
        (metrics.log_loss, sklearn.metrics.log_loss, 1),
        (metrics.brier_score, sklearn.metrics.brier_score_loss, 2),
    ):
        expected = [factor * other(TRUTH[:, k], probabilities[:, k], sample_weight=weights) for k in range(5)]
        found = metrics.label_scores(metric, LOGITS, TRUTH, sample_weight=weights)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        for average in ("macro", "micro", "samples"):
            one = metrics.multilabel_score(metric, LOGITS, TRUTH, average=average, sample_weight=weights)
            assert one == pytest.approx(np.mean(expected), rel=1e-12)


def test_wrong_labels_of_scikit_learn(weights) -> None:
    rows = (TRUTH, LOGITS > 0)
    assert metrics.hamming_loss(LOGITS, TRUTH, sample_weight=weights) == pytest.approx(
        sklearn.metrics.hamming_loss(*rows, sample_weight=weights), abs=1e-12
    )
    assert metrics.subset_accuracy(LOGITS, TRUTH, sample_weight=weights) == pytest.approx(
        sklearn.metrics.accuracy_score(*rows, sample_weight=weights), abs=1e-12
    )


def test_figures_of_torchmetrics() -> None:
    tensors = torch.from_numpy(sigmoid(LOGITS)), torch.from_numpy(TRUTH.astype(np.int64))
    for average in ("macro", "micro", "weighted"):
        expected = multilabel_f1_score(*tensors, num_labels=5, average=average)
        found = metrics.multilabel_score(metrics.f1_score, LOGITS, TRUTH, average=average)
        assert found == pytest.approx(float(expected), abs=1e-6)
    assert metrics.subset_accuracy(LOGITS, TRUTH) == pytest.approx(
        float(multilabel_exact_match(*tensors, num_labels=5)), abs=1e-6
    )
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(LOGITS), torch.from_numpy(TRUTH.astype(float))
    )
    assert metrics.multilabel_score(metrics.log_loss, LOGITS, TRUTH) == pytest.approx(float(expected))


def test_calibration_error_of_each_label(weights) -> None:
    options = {"scope": "classwise", "n_bins": 10}
    found = metrics.label_scores(metrics.calibration_error, LOGITS, TRUTH, sample_weight=weights, **options)
    for k in range(5):
        one = metrics.calibration_error(LOGITS[:, k], TRUTH[:, k], sample_weight=weights, **options)
        assert found[k] == one
    assert (
        metrics.multilabel_score(metrics.calibration_error, LOGITS, TRUTH, sample_weight=weights, **options)
        == found.mean()
    )


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("metric", [metrics.f1_score, metrics.log_loss, metrics.average_precision], ids=named)
@pytest.mark.filterwarnings("ignore:.*rows don't define", "ignore:.*share of no labels")
def test_missing_cells_do_not_count(metric, average) -> None:
    """The figure is that of the cells that are known, whatever the others hold."""
    labels = np.where(rng.random(TRUTH.shape) < 0.3, np.nan, TRUTH)
    known = ~np.isnan(labels)
    found = metrics.multilabel_score(metric, LOGITS, labels, average=average, sample_weight=WEIGHTS)

    def figure(cells, weight):
        return metric(LOGITS[cells], TRUTH[cells], sample_weight=weight)

    if average == "micro":
        expected = figure(known, np.broadcast_to(WEIGHTS[:, None], known.shape)[known])
    elif average == "samples":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each = [figure((row, known[row]), None) if known[row].any() else np.nan for row in range(ROWS)]
        defined = ~np.isnan(each)
        expected = np.average(np.array(each)[defined], weights=WEIGHTS[defined])
    else:
        each = [figure((known[:, k], k), WEIGHTS[known[:, k]]) for k in range(5)]
        positive = WEIGHTS @ (known & TRUTH)
        expected = np.average(each, weights=positive if average == "weighted" else None)
    assert found == pytest.approx(expected, abs=1e-12)


def test_missing_cells_of_wrong_labels() -> None:
    labels = [[1, np.nan], [np.nan, np.nan], [0, 0]]
    logits = [[2.0, 3.0], [1.5, 1.5], [-1.0, 1.5]]
    assert metrics.hamming_loss(logits, labels) == 1 / 3
    assert metrics.subset_accuracy(logits, labels) == 0.5


def test_forms_of_labels() -> None:
    expected = metrics.label_scores(metrics.f1_score, LOGITS, TRUTH)
    lists = [[name for name, there in zip(NAMES, row, strict=True) if there] for row in TRUTH]
    holes = TRUTH.astype(float)
    holes[0, 0] = np.nan
    of_holes = metrics.label_scores(metrics.f1_score, LOGITS, holes)
    frame = pandas.DataFrame(TRUTH, columns=NAMES)
    for labels in (
        TRUTH.astype(int),
        TRUTH.astype(np.float32),
        TRUTH.tolist(),
        torch.from_numpy(TRUTH),
        lists,
        [set(row) for row in lists],
        pandas.Series(lists),
        frame,
        frame.add_prefix("truth_"),
        frame.astype("boolean"),
        polars.DataFrame(frame),
    ):
        found = metrics.label_scores(metrics.f1_score, LOGITS, labels, class_names=NAMES)
        assert found.tolist() == expected.tolist()
    nullable = frame.astype("boolean")
    nullable.iloc[0, 0] = pandas.NA
    for labels in (
        nullable,
        polars.DataFrame(frame)
        .with_row_index()
        .with_columns(bird=polars.when(polars.col("index") == 0).then(None).otherwise(polars.col("bird")))
        .drop("index"),
    ):
        found = metrics.label_scores(metrics.f1_score, pandas.DataFrame(LOGITS, columns=NAMES), labels)
        assert found.tolist() == of_holes.tolist()
    unknown = [None, *lists[1:]]
    assert metrics.hamming_loss(LOGITS, unknown) == metrics.hamming_loss(LOGITS[1:], TRUTH[1:])
    assert metrics.hamming_loss(LOGITS[:, :1], TRUTH[:, 0]) == metrics.hamming_loss(
        LOGITS[:, :1], TRUTH[:, :1]
    )


def test_decided_labels_are_judged_as_probabilities() -> None:
    decided = (LOGITS > 0.7).astype(int)
    found = metrics.multilabel_score(metrics.f1_score, decided, TRUTH, probabilities=True)
    assert found == pytest.approx(sklearn.metrics.f1_score(TRUTH, decided, average="macro"), abs=1e-12)


def test_labels_and_rows_that_define_no_figure_are_named() -> None:
    truth = TRUTH.copy()
    truth[:, 1] = False
    truth[:, 3] = False
    with pytest.warns(UserWarning, match="^label 'cat' and 1 more labels left out: roc_auc is not defined"):
        found = metrics.label_scores(metrics.roc_auc, LOGITS, truth, class_names=NAMES)
    assert np.flatnonzero(np.isnan(found)).tolist() == [1, 3]
    with pytest.warns(UserWarning, match="label 1"):
        assert metrics.multilabel_score(metrics.roc_auc, LOGITS, truth) == np.nanmean(found)
    never = LOGITS.copy()
    never[:, 2] = -1.0
    with pytest.warns(UserWarning, match="^label 2 warned of: precision is a share of no rows for class 1"):
        assert metrics.label_scores(metrics.precision, never, TRUTH)[2] == 0
    with pytest.warns(UserWarning, match="^1 of 2 rows don't define the figure, and are left out .* row 1"):
        found = metrics.multilabel_score(
            metrics.roc_auc, [[2.0, -1.0], [2.0, -1.0]], [[1, 0], [0, 0]], average="samples"
        )
    assert found == 1
    with pytest.warns(UserWarning, match="^f1_score is a share of no labels for 1 of 2 rows, .* row 1"):
        found = metrics.multilabel_score(
            metrics.f1_score, [[2.0, -1.0], [-2.0, -1.0]], [[1, 0], [0, 0]], average="samples"
        )
    assert found == 0.5
    with pytest.warns(UserWarning, match="^label 1 left out: no row tells"):
        found = metrics.label_scores(metrics.accuracy, [[2.0, -1.0]], [[1, np.nan]])
    assert found[0] == 1
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        (
            [2.0, 3.0],
            [0, 1],
            {},
            r"logits of a multi-label model must have one column per label, .* shape \(2,\)",
        ),
        ([[2.0, np.nan]], [[0, 1]], {}, "logits must be finite, got nan at row 0, column 1"),
        (
            [[0.5, 1.5]],
            [[0, 1]],
            {"probabilities": True},
            "probabilities must lie between 0 and 1, got 1.5 at row 0, column 1; .* softmaxlib.sigmoid",
        ),
        ([[2.0, 3.0]], [1], {}, r"labels of a multi-label model must have a column per label, .* \(1, 2\)"),
        (
            [[2.0, 3.0]],
            [[0, 2]],
            {},
            r"labels must be 0 or 1 in each cell, or missing .* got 2 at row 0, column 1",
        ),
        ([[2.0, 3.0]], [[np.nan, np.nan]], {}, "labels must be known in some cell"),
        (
            [[2.0, 3.0]],
            [["cat"]],
            {"class_names": ["dog", "cow"]},
            "labels must be among dog, cow; got 'cat' in row 0",
        ),
        (
            [[2.0, 3.0]],
            [["cat"]],
            {},
            "labels must have each of the 2 labels .* class_names=",
        ),
        ([[2.0, 3.0]], [["a"], ["b"]], {}, "labels must have one list of names per row, 1, got 2"),
        (
            [[2.0, 3.0]],
            pandas.DataFrame([[0, 1]], columns=["b", "a"]),
            {"class_names": ["a", "b"]},
            "the columns of labels must be called after the classes, in their order, a, b; got b, a",
        ),
        ([[2.0, 3.0]], [[0, 1]], {"sample_weight": [0]}, "sample_weight must not be all zero"),
        (
            [[2.0], [3.0]],
            [[0], [np.nan]],
            {"sample_weight": [0, 1]},
            "sample_weight must not be 0 in each row whose labels are known",
        ),
    ],
)
def test_what_is_refused(logits, labels, options, message) -> None:
    with pytest.raises(InvalidInputError, match=message):
        metrics.hamming_loss(logits, labels, **options)


def test_what_is_no_metric_and_no_average() -> None:
    with pytest.raises(UnsupportedTypeError, match="metric must be a function"):
        metrics.label_scores("f1", LOGITS, TRUTH)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="average must be one of macro, micro, weighted, samples"):
        metrics.multilabel_score(metrics.f1_score, LOGITS, TRUTH, average="binary")
    with pytest.raises(UnsupportedTypeError, match=r"labels must be 0 or 1 in each cell, .* 'yes' at row 0"):
        metrics.hamming_loss([[2.0, 3.0]], np.array([["yes", "no"]], object))
    with pytest.raises(UnsupportedTypeError, match="or a list of names per row; got dtype"):
        metrics.hamming_loss([[2.0, 3.0]], np.array([["yes", "no"]]))


def test_probabilities_passed_as_logits_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="logits look like probabilities: all 2000 of them lie in 0 to 1"):
        metrics.hamming_loss(sigmoid(LOGITS), TRUTH)
