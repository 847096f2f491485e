"""Reliability curve: observed frequency against stated probability, with the effect of chance."""

from typing import NamedTuple

import numpy as np

from .._arrays import Array
from .._checks import check_integer, check_share
from .._frameworks import in_kind_of
from ._bins import bin_edges, check_bins, sum_within
from ._predictions import Floats, Predictions, top_label


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


def reliability_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    class_index: int | None = None,
    binning: str = "equal_width",
    bins: int = 15,
    level: float = 0.95,
    sample_weight: Array | None = None,
    from_probabilities: bool = False,
) -> ReliabilityCurve:
    """Compute a reliability diagram, with intervals and the band of perfect calibration.

    On the diagonal the frequency equals the probability. Below it, the model is too sure.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    class_index : int, optional
        The class whose probability is judged against the rest. By default, the most likely class of each
        row.
    binning : {"equal_width", "equal_mass"}, default "equal_width"
        As in `calibration_error`.
    bins : int, default 15
        Number of bins, at most 1,000. Bins without rows are left out.
    level : float, default 0.95
        Probability of the interval and of the band, for each bin separately.
    sample_weight : array, shape (rows,), optional
        How often each row counts: a bin of weight 7.3 has the interval of 7.3 rows.
    from_probabilities : bool, default False
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

    The band is computed as if each row of a bin had the mean probability of the bin. With the true, unequal
    probabilities the count varies less (Hoeffding 1956), so the band is never too narrow.

    References
    ----------
    Bröcker, Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007);
    Clopper, Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934); Hoeffding, "On the
    distribution of the number of successes in independent trials", Annals of Mathematical Statistics 27
    (1956).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities = np.tile([0.8, 0.2], (10, 1))
    >>> curve = metrics.reliability_curve(probabilities, [0] * 7 + [1] * 3, from_probabilities=True)
    >>> curve.confidence, curve.frequency
    (array([0.8]), array([0.7]))
    """
    bins = check_bins(bins, binning)
    level = check_share(level, "level", "0.95 is usual")
    predictions = Predictions.check(logits, labels, sample_weight, from_probabilities)
    probability, outcome = _judged(predictions, class_index)
    edges = bin_edges(probability, predictions.sample_weight, bins, binning)
    sums = sum_within(edges, edges.size - 1, probability, outcome, predictions.sample_weight)
    filled = sums.weight > 0
    weight = sums.weight[filled]
    confidence, frequency = sums.probability[filled] / weight, sums.outcome[filled] / weight
    curve = ReliabilityCurve(
        edges[:-1][filled],
        edges[1:][filled],
        weight,
        confidence,
        frequency,
        *_clopper_pearson(frequency, weight, level),
        *_null_band(confidence, weight, level),
    )
    return in_kind_of(logits, curve)


def _judged(predictions: Predictions, class_index: int | None) -> tuple[Floats, np.ndarray]:
    """One probability per row, and whether what it speaks of happened."""
    if class_index is None:
        top = top_label(predictions)
        return top.confidence, top.correct
    last = predictions.values.shape[1] - 1
    class_index = check_integer(class_index, "class_index", lower=0, upper=last)
    return predictions.column(class_index), predictions.labels == class_index


def _clopper_pearson(frequency: Floats, rows: Floats, level: float) -> tuple[Floats, Floats]:
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    hits = frequency * rows
    misses = np.maximum(rows - hits, 0)
    lower = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-300), misses + 1, tail), 0.0)
    upper = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail), 1.0)
    return lower, upper


def _null_band(confidence: Floats, rows: Floats, level: float) -> tuple[Floats, Floats]:
    from scipy.stats import binom

    tail = (1 - level) / 2
    # the binomial wants whole ones, and fewer make a wider band
    whole = np.maximum(np.floor(rows + 1e-9), 1)
    chance = np.clip(confidence, 0, 1)
    return binom.ppf(tail, whole, chance) / whole, binom.ppf(1 - tail, whole, chance) / whole
