"""Any metric of two classes for a multi-label model: of each label, and averaged."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .._checks import check_choice, known_logits
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import UnsupportedTypeError
from ._class_counts import count_groups
from ._label_cells import Cells, LabelCells
from ._sums import SHARES, SUMS
from ._undefined import collected, warn_of_figure
from .calibration_error import calibration_error
from .predictions import Floats, Predictions

AVERAGES = ("macro", "micro", "weighted", "samples")

# Called as every metric of this package: with logits, labels and its options.
Metric = Callable[..., float]


@checked_keywords
@underflow_is_zero
def multilabel_score(
    metric: Metric,
    logits: Array,
    labels: Array,
    /,
    *,
    average: str = "macro",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
    **options: Any,
) -> float:
    """Compute a metric of two classes for a multi-label model, averaged over its labels.

    A multi-label model says of each label whether a row has it, independently of the others. Each label is a
    binary problem: its logit x stands for the row ``[0, x]``, and the label is predicted where x is above 0.

    Parameters
    ----------
    metric : callable
        A metric of this package, such as `f1_score`, `average_precision` or `log_loss`, or your own function
        with the same arguments.
    logits : array, shape (rows, labels)
        One logit per label, or one probability per label when `probabilities` is true; rows need not sum to
        1. Decided labels, 0 or 1, may be given as probabilities.
    labels : array, shape (rows, labels), or sequence of lists of names
        0 or 1 (False or True) in each cell; NaN or None where it is not known. Such a cell does not count.
        Or the names of the labels that each row has.
    average : {"macro", "micro", "weighted", "samples"}, default "macro"
        "macro" is the mean of the figures of the labels, "weighted" their mean weighted by the rows that have
        the label, "micro" the figure of all cells taken as rows of one problem, and "samples" the mean of the
        figures of the rows, each taken as a problem whose rows are its labels.
    class_names : sequence of str, optional
        One name per label, in the order of the columns. By default those of a frame's columns, or of lists of
        names, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.
    **options
        Further arguments of the metric.

    Returns
    -------
    float
        NaN where no label, or for "samples" no row, defines the figure.

    Raises
    ------
    InvalidInputError
        When `average` is not one of those named, or an input breaks a rule of `softmaxlib.metrics`.
    UnsupportedTypeError
        When the metric is not a function.

    Notes
    -----
    A label (for "samples" a row) for which the metric is NaN is left out, with a warning: `roc_auc` and
    `average_precision` of a label that all rows have, or none. A share of nothing counts as 0, with a
    warning: `precision` of a label that is never predicted.

    The same figures as scikit-learn's functions with the same ``average``. They give NaN for an area under a
    ROC curve, and 0 for an average precision, where labels and rows are left out here. torchmetrics'
    ``MultilabelF1Score`` and others are the same within float32. `log_loss` with "macro" is PyTorch's
    ``binary_cross_entropy_with_logits``.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits = [[2.0, -1.0], [1.0, 3.0], [-2.0, -1.5]]
    >>> labels = [[1, 0], [0, 1], [0, 1]]
    >>> round(metrics.multilabel_score(metrics.f1_score, logits, labels), 6)
    0.666667
    >>> names = [["cat"], ["dog"], ["dog"]]
    >>> round(metrics.multilabel_score(metrics.f1_score, logits, names, average="micro"), 6)
    0.666667
    """
    check_choice(average, "average", AVERAGES)
    check_metric(metric)
    cells = LabelCells.check(logits, labels, class_names, sample_weight, probabilities)
    if average == "micro":
        return _figure(metric, cells.every(), probabilities, options)
    if average == "samples":
        return _mean_of_rows(metric, cells, options)
    figures = figures_of_labels(metric, cells, options)
    positive = (cells.cell_weights * cells.table.truth).sum(axis=0)
    weights = positive if average == "weighted" else np.ones(len(figures))
    return _mean(figures, weights)


@checked_keywords
@underflow_is_zero
def label_scores(
    metric: Metric,
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
    **options: Any,
) -> Array:
    """Compute a metric of two classes for each label of a multi-label model.

    Parameters
    ----------
    metric : callable
        As in `multilabel_score`.
    logits : array, shape (rows, labels)
        One logit per label, or one probability per label when `probabilities` is true.
    labels : array, shape (rows, labels), or sequence of lists of names
        As in `multilabel_score`.
    class_names : sequence of str, optional
        One name per label, in the order of the columns.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.
    **options
        Further arguments of the metric.

    Returns
    -------
    array, shape (labels,)
        NaN for a label whose rows don't define the figure; a warning then says so.

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.
    UnsupportedTypeError
        When the metric is not a function.

    Notes
    -----
    The same figures as scikit-learn's functions with ``average=None``.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits = [[2.0, -1.0], [1.0, 3.0], [-2.0, -1.5]]
    >>> labels = [[1, 0], [0, 1], [0, 1]]
    >>> metrics.label_scores(metrics.recall, logits, labels).tolist()
    [1.0, 0.5]
    """
    check_metric(metric)
    cells = LabelCells.check(logits, labels, class_names, sample_weight, probabilities)
    return in_kind_of(logits, figures_of_labels(metric, cells, options))


def check_metric(metric: Metric) -> None:
    """Reject anything but a function."""
    if not callable(metric):
        raise UnsupportedTypeError(f"metric must be a function, such as metrics.f1_score, got {metric!r}")


def figures_of_labels(metric: Metric, cells: LabelCells, options: dict[str, Any]) -> Floats:
    """Return the figure of each label, or NaN if it is undefined, with one warning for all labels."""
    count = cells.values.shape[1]
    figures, said = np.full(count, np.nan), [""] * count
    for column in range(count):
        some = cells.label(column)
        if not some.truth.size or (some.weights is not None and not some.weights.any()):
            said[column] = "no row tells whether it has the label; judge more rows"
            continue
        with collected() as messages:
            figures[column] = _figure(metric, some, cells.are_probabilities, options)
        said[column] = " ".join(messages[:1])
    told = np.array([bool(text) for text in said])
    for undefined, what in ((told & np.isnan(figures), "left out"), (told & ~np.isnan(figures), "warned of")):
        columns = np.flatnonzero(undefined)
        if columns.size:
            warn_of_figure(f"{cells.called(columns)} {what}: {said[columns[0]]}")
    return figures


def _figure(metric: Metric, cells: Cells, probabilities: bool, options: dict[str, Any]) -> float:
    with known_logits():
        return float(
            metric(
                cells.values,
                cells.truth,
                sample_weight=cells.weights,
                probabilities=probabilities,
                **options,
            )
        )


def _mean(figures: Floats, weights: Floats) -> float:
    defined = ~np.isnan(figures) & (weights > 0)
    return float(np.average(figures[defined], weights=weights[defined])) if defined.any() else float("nan")


def _mean_of_rows(metric: Metric, cells: LabelCells, options: dict[str, Any]) -> float:
    """Return the mean of the figures of the rows; of a metric that follows from sums, many rows at once."""
    if metric in SUMS and metric is not calibration_error:
        figures = _figures_by_sums(metric, cells, options)
    else:
        figures = np.full(len(cells.values), np.nan)
        with collected():
            for row in np.flatnonzero(cells.table.known.any(axis=1) & (cells.weights > 0)).tolist():
                figures[row] = _figure(metric, cells.row(row), cells.are_probabilities, options)
    undefined = np.flatnonzero(np.isnan(figures) & (cells.weights > 0))
    if undefined.size:
        warn_of_figure(
            f"{undefined.size} of {len(figures)} rows don't define the figure, and are left out (the first is"
            f" row {undefined[0]}): their labels are all alike, or not known"
        )
    return _mean(figures, cells.weights)


def _figures_by_sums(metric: Metric, cells: LabelCells, options: dict[str, Any]) -> Floats:
    figures, nothing = np.full(len(cells.values), np.nan), np.zeros(len(cells.values), bool)
    for rows in cells.row_blocks():
        known = cells.table.known[rows]
        values = cells.values[rows][known]
        group, count = np.nonzero(known)[0], len(known)
        if not group.size:
            continue
        with known_logits():
            predictions = Predictions.check(
                values, cells.table.truth[rows][known], None, cells.are_probabilities
            )
        sums, some = SUMS[metric](predictions, **options), known.any(axis=1)
        figures[rows][some] = sums.figure(sums.of_groups(group, count)[some])
        if metric in SHARES:
            whole = SHARES[metric].parts(count_groups(predictions, group, count))[1]
            nothing[rows] = some & (whole[:, 1] == 0)
    empty = np.flatnonzero(nothing & (cells.weights > 0))
    if empty.size:
        warn_of_figure(
            f"{SHARES[metric].name} is a share of no labels for {empty.size} of {len(figures)} rows, and "
            f"counts as 0 there (the first is row {empty[0]})"
        )
    return figures
