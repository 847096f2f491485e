"""Reliability curve: observed frequency against stated probability, with the effect of chance."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._checks import check_integer, check_share
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._bins import bin_edges, bin_index, check_bins, group_sums, sum_within, top_label_sums
from ._laws import binomial_quantile
from .predictions import Floats, Predictions, top_label
from .shares import WeightedShare, clopper_pearson, share_of_sums

_BINS = 15
_LEVEL = 0.95


class ReliabilityCurve(NamedTuple):
    """The points of a reliability diagram: one entry per bin that holds rows.

    Attributes
    ----------
    lower_edge, upper_edge : ndarray, shape (bins,)
        The bin holds probabilities in (lower_edge, upper_edge].
    weight : ndarray, shape (bins,)
        Rows in the bin, or their weight.
    confidence : ndarray, shape (bins,)
        Mean stated probability: the x of the diagram.
    frequency : ndarray, shape (bins,)
        Observed frequency: the y of the diagram.
    lower, upper : ndarray, shape (bins,)
        Interval for the true frequency (Clopper-Pearson).
    null_lower, null_upper : ndarray, shape (bins,)
        Range of the observed frequency if the probabilities are right.
    """

    lower_edge: Floats
    upper_edge: Floats
    weight: Floats
    confidence: Floats
    frequency: Floats
    lower: Floats
    upper: Floats
    null_lower: Floats
    null_upper: Floats


@checked_keywords
@underflow_is_zero
def reliability_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    class_index: int | None = None,
    binning: str = "equal_width",
    n_bins: int = _BINS,
    level: float = _LEVEL,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> ReliabilityCurve:
    """Compute a reliability diagram, with intervals and the band of perfect calibration.

    On the diagonal the frequency equals the probability. Below it, the model is too sure.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    class_index : int, optional
        The class whose probability is judged against the rest. By default, the most likely class of each
        row.
    binning : {"equal_width", "equal_mass"}, default "equal_width"
        As in `calibration_error`.
    n_bins : int, default 15
        Number of bins, at most 1,000. Bins without rows are left out.
    level : float, default 0.95
        Probability of the interval and of the band, for each bin separately.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts in `weight`, `confidence` and `frequency`. Interval and band are those of as
        many rows of equal weight as say as much (see Notes).
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    InvalidInputError
        When an option is not one of those named, or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    With `class_index` the points are those of scikit-learn's ``calibration_curve``, which has no intervals
    and no band. Its ``strategy="quantile"`` puts edges between the probabilities; here bins end at one.

    With weights, the interval of a bin is that of Korn and Graubard: Clopper and Pearson's for
    p (1 - p) / variance rows, where p is the weighted frequency, but not for more rows than there are. The
    band is that of (sum w)^2 / sum w^2 rows (Kish). So ten times the weights make no interval narrower, and a
    weight of 2 is not the row twice there.

    The band is computed as if each row of a bin had the mean probability of the bin. With the true, unequal
    probabilities the count varies less (Hoeffding 1956), so the band is never too narrow.

    References
    ----------
    Bröcker, Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007);
    Clopper, Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934); Hoeffding, "On the
    distribution of the number of successes in independent trials", Annals of Mathematical Statistics 27
    (1956); Korn, Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24 (1998); Kish, "Survey sampling" (Wiley 1965).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities = np.tile([0.8, 0.2], (10, 1))
    >>> curve = metrics.reliability_curve(probabilities, [0] * 7 + [1] * 3, probabilities=True)
    >>> curve.confidence, curve.frequency
    (array([0.8]), array([0.7]))
    """
    n_bins = check_bins(n_bins, binning)
    level = check_share(level, "level", "0.95 is usual")
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    probability, outcome = _judged(predictions, class_index)
    edges = bin_edges(probability, predictions.sample_weight, n_bins, binning)
    return in_kind_of(logits, _curve(predictions, probability, outcome, edges, level))


def reliability_curve_of(predictions: Predictions) -> ReliabilityCurve:
    """Return the curve of checked predictions, with every option as it is by default."""
    top = top_label(predictions)
    return _curve(predictions, top.confidence, top.correct, np.linspace(0.0, 1.0, _BINS + 1), _LEVEL)


def _curve(
    predictions: Predictions,
    probability: Floats,
    outcome: npt.NDArray[np.bool_],
    edges: Floats,
    level: float,
) -> ReliabilityCurve:
    if probability is predictions.known.get("confidence"):
        sums = top_label_sums(predictions, edges, edges.size - 1)
    else:
        sums = sum_within(edges, edges.size - 1, probability, outcome, predictions.sample_weight)
    filled = sums.weight > 0
    weight = sums.weight[filled]
    confidence, frequency = sums.probability[filled] / weight, sums.outcome[filled] / weight
    rows, effective = weight, weight
    if predictions.sample_weight is not None:
        index = bin_index(probability, edges)
        rows, effective = (
            one[filled] for one in _rows_of_weights(index, edges.size - 1, outcome, predictions.sample_weight)
        )
    points = _Points(edges[:-1][filled], edges[1:][filled], weight, confidence, frequency)
    return _with_intervals(points, rows, effective, level)


def reliability_curve_of_bins(
    weight: Floats,
    confidence: Floats,
    frequency: Floats,
    squares: Floats,
    hits: Floats,
    hit_squares: Floats,
    rows: Floats,
) -> ReliabilityCurve:
    """Return the curve from sums over the rows of each bin of equal width.

    Those are the weight, the means of confidence and outcome, the squares of the weights, the weight of the
    hits and its squares, and the number of rows.
    """
    edges = np.linspace(0.0, 1.0, weight.size + 1)
    filled = weight > 0
    every = _Points(edges[:-1], edges[1:], weight, confidence, frequency)
    points = _Points(*(one[filled] for one in every))
    sums = weight, hits, squares, hit_squares, rows
    known, effective = _effective(*(one[filled] for one in sums))
    return _with_intervals(points, known, effective, _LEVEL)


class _Points(NamedTuple):
    """The first fields of a curve."""

    lower: Floats
    upper: Floats
    weight: Floats
    confidence: Floats
    frequency: Floats


def _with_intervals(points: _Points, rows: Floats, effective: Floats, level: float) -> ReliabilityCurve:
    """Return the curve; the rows of a bin say as much as `rows`, and by chance as `effective`, equal ones."""
    return ReliabilityCurve(
        *points,
        *clopper_pearson(WeightedShare(points.frequency, rows), level),
        *_null_band(points.confidence, effective, level),
    )


def _judged(predictions: Predictions, class_index: int | None) -> tuple[Floats, np.ndarray]:
    """Return one probability per row, and whether its event happened."""
    if class_index is None:
        top = top_label(predictions)
        return top.confidence, top.correct
    last = predictions.values.shape[1] - 1
    class_index = check_integer(class_index, "class_index", lower=0, upper=last)
    return predictions.column(class_index), predictions.labels == class_index


def _rows_of_weights(
    index: npt.NDArray[np.int64], bins: int, outcome: npt.NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats]:
    """Return the effective number of rows for the frequency of each bin, and for its expectation."""
    total, squares = (group_sums(index, bins, one) for one in (weights, weights**2))
    hits, hit_squares = (group_sums(index, bins, one * outcome) for one in (weights, weights**2))
    return _effective(total, hits, squares, hit_squares, group_sums(index, bins, np.sign(weights)))


def _effective(
    total: Floats, hits: Floats, squares: Floats, hit_squares: Floats, rows: Floats
) -> tuple[Floats, Floats]:
    known = share_of_sums(total, hits, squares, hit_squares, rows).rows
    return known, np.divide(total**2, squares, out=np.zeros(total.size), where=squares > 0)


def _null_band(confidence: Floats, rows: Floats, level: float) -> tuple[Floats, Floats]:
    tail = (1 - level) / 2
    # the binomial wants whole ones, and fewer make a wider band
    whole = np.maximum(np.floor(rows + 1e-9), 1)
    chance = np.clip(confidence, 0, 1)
    low, high = (binomial_quantile(level, whole, chance) for level in (tail, 1 - tail))
    return low / whole, high / whole
