"""Is the probability of each class right? An exact test of each class against the rest."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._poisson_binomial import Cells, two_sided_p_value
from .holm import holm_adjusted
from .predictions import Floats, Predictions

_BANDS = 10
# A band of probabilities is judged apart where its number of rows of the class is this uncertain by chance.
_LEAST_VARIANCE = 4.0
# A class without a row is not judged further where that is at least this likely.
_LIKELY = 0.25
# Rounding decides between smaller p-values: of such bands, that of the largest deviation is the clearest.
_LEAST_TOLD_APART = 1e-9


class ClassCalibrationTest(NamedTuple):
    """The stated probability and the observed frequency of each class, with tests; one entry per class.

    Attributes
    ----------
    stated : ndarray, shape (classes,)
        The mean probability of the class.
    observed : ndarray, shape (classes,)
        How often it is the true class: about `stated` if the class is calibrated. Both are weighted.
    p_value : ndarray, shape (classes,)
        Probability of a deviation at least as large if the probabilities are right; exact, also for few rows.
    adjusted_p_value : ndarray, shape (classes,)
        The same for all classes together (Holm): below 0.05 in at most one of 20 calibrated models.
    band : ndarray, shape (classes, 2)
        The range of probabilities with the clearest deviation; 0 to 1 if that is over all rows.
    band_rows : ndarray of int, shape (classes,)
        Number of rows in that band.
    band_stated, band_observed : ndarray, shape (classes,)
        `stated` and `observed` within the band.
    """

    stated: Floats
    observed: Floats
    p_value: Floats
    adjusted_p_value: Floats
    band: Floats
    band_rows: npt.NDArray[np.int64]
    band_stated: Floats
    band_observed: Floats


class _Finding(NamedTuple):
    """The clearest deviation of one class."""

    p_value: float
    low: float
    high: float
    rows: int
    stated: float
    observed: float


@checked_keywords
@underflow_is_zero
def class_calibration_test(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> ClassCalibrationTest:
    """Test for each class whether its probability is right, however rare the class.

    `calibration_test` judges the most likely class, and its average over classes hides a rare one. This
    tests each class by itself: the number of rows of the class, among all rows and in up to ten bands of its
    probability, is compared with the exact distribution of that number for right probabilities.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts in the figures; it is one row of evidence at any weight (see Notes).
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    ClassCalibrationTest

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The number of rows of a class, in all rows or in a band, is a sum of independent draws, each with its own
    probability: Poisson-binomial. Probabilities whose log-odds differ by at most 1/32 are pooled, which
    changes the variance by 2e-5 of itself; above a variance of 1,000 the normal distribution is used,
    corrected for skewness and kurtosis. Half of the significance of a class is for all rows, half for the
    bands together (Bonferroni). The p-values of the classes are adjusted by Holm's method. Bands depend on
    the stated probabilities only. They are chosen so that the number of hits has the same variance in each;
    if the total variance is small, there are fewer bands or none.

    Two classes have the same test, because what one overstates the other understates: it counts once.

    With weights, the weight of the rows of a class is compared with the exact distribution of a sum of
    weighted independent draws, one for each row, for weights rounded to 1/8 of a typical one. So ten times
    the weights prove no more, and equal weights are no weights. A row that stands in the data twice is two
    draws instead.

    References
    ----------
    Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958), for the question;
    Hong, "On computing the distribution function for the Poisson binomial distribution", Computational
    Statistics and Data Analysis 59 (2013); Holm, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6 (1979).

    Examples
    --------
    A thousand rows state that one in a thousand is positive; ten are:

    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities, labels = np.tile([0.999, 0.001], (1000, 1)), np.repeat([1, 0], [10, 990])
    >>> test = metrics.class_calibration_test(probabilities, labels, probabilities=True)
    >>> test.stated.round(6).tolist(), test.observed.tolist(), bool(test.adjusted_p_value[1] < 1e-5)
    ([0.999, 0.001], [0.99, 0.01], True)
    """
    return in_kind_of(
        logits,
        class_calibration_test_of(
            Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
        ),
    )


def class_calibration_test_of(predictions: Predictions) -> ClassCalibrationTest:
    """Return the test of checked predictions."""
    of_classes = np.bincount(
        predictions.labels, predictions.sample_weight, predictions.values.shape[1]
    ).astype(np.float64)
    return class_calibration_test_of_cells(_cells_of_classes(predictions), of_classes / of_classes.sum())


def class_calibration_test_of_sums(sums: Floats) -> ClassCalibrationTest:
    """Return the test of rows without weights, from the result of `class_sums` over all of them."""
    of_classes = sums[:, 1].sum(axis=1)
    cells = ((one, one.stated) for one in Cells.of_class_sums(sums))
    return class_calibration_test_of_cells(cells, of_classes / of_classes.sum())


def class_calibration_test_of_cells(
    cells_of_classes: Iterable[tuple[Cells, float]], observed: Floats
) -> ClassCalibrationTest:
    """Return the test by the cells and the mean probability of each class, and how often it is true."""
    classes = observed.size
    stated, findings = np.empty(classes), []
    for label, (cells, mean) in enumerate(cells_of_classes):
        stated[label] = mean
        findings.append(_judged(cells, mean, float(observed[label])))
    if classes == 2:
        findings[0] = _of_the_other_class(findings[1])
    p_value, low, high, rows, band_stated, band_observed = (
        np.array(column) for column in zip(*findings, strict=True)
    )
    return ClassCalibrationTest(
        stated,
        observed,
        p_value,
        p_value if classes == 2 else holm_adjusted(p_value),
        np.stack([low, high], axis=1),
        rows.astype(np.int64),
        band_stated,
        band_observed,
    )


def _cells_of_classes(predictions: Predictions) -> Iterator[tuple[Cells, float]]:
    """Yield the cells of one class after the other, and its mean probability."""
    weights = predictions.sample_weight
    if weights is None:
        for cells in Cells.of_classes(predictions):
            yield cells, cells.stated
        return
    counts = np.flatnonzero(weights > 0)
    some = slice(None) if counts.size == weights.size else counts
    labels, of_some = predictions.labels[some], weights[some]
    for label, probability in enumerate(predictions.columns()):
        cells = Cells.of_weighted(probability[some], labels == label, of_some)
        yield cells, predictions.mean(probability)


def _judged(cells: Cells, stated: float, observed: float) -> _Finding:
    """Return the test of one class."""
    over_all = _Finding(1.0, 0.0, 1.0, int(cells.rows.sum()), stated, observed)
    with np.errstate(divide="ignore"):
        of_none = cells.rows @ np.log1p(-np.minimum(cells.probability, 1))
    if not cells.hits.any() and of_none > np.log(_LIKELY):
        return over_all
    over_all = over_all._replace(p_value=two_sided_p_value(cells))
    bands = _bands(cells)
    if len(bands) < 2:
        return over_all
    found = [
        _Finding(two_sided_p_value(band), *band.bounds(), int(band.rows.sum()), band.stated, band.observed)
        for band in bands
    ]
    found[0], found[-1] = found[0]._replace(low=0.0), found[-1]._replace(high=1.0)
    clearness = [
        (max(finding.p_value, _LEAST_TOLD_APART), -abs(band.surplus))
        for finding, band in zip(found, bands, strict=True)
    ]
    clearest = found[clearness.index(min(clearness))]
    clearest = clearest._replace(p_value=min(1.0, 2 * len(bands) * clearest.p_value))
    over_all = over_all._replace(p_value=min(1.0, 2 * over_all.p_value))
    return min(over_all, clearest, key=lambda finding: finding.p_value)


def _bands(cells: Cells) -> list[Cells]:
    """Group neighbouring cells into bands with about equal uncertainty in the number of hits."""
    variance = cells.variance
    total = float(variance.sum())
    count = min(_BANDS, int(cells.hits_variance / _LEAST_VARIANCE))
    if count < 2:
        return [cells]
    middle = np.cumsum(variance) - variance / 2
    band = np.minimum((count * middle / total).astype(np.int64), count - 1)
    band = band[np.searchsorted(cells.edge, cells.edge)]  # rows of one probability stay together
    first = np.flatnonzero(np.diff(band, prepend=-1)).tolist()
    return [cells.part(begin, end) for begin, end in pairwise([*first, band.size])]


def _of_the_other_class(finding: _Finding) -> _Finding:
    p_value, low, high, rows, stated, observed = finding
    return _Finding(p_value, 1 - high, 1 - low, rows, 1 - stated, 1 - observed)
