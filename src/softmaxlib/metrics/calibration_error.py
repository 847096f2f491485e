"""Binned calibration error: how far stated probabilities are from observed frequencies."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._checks import check_choice, check_flag
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from ._bins import BinSums, bin_edges, check_bins, sum_within, top_label_sums
from .predictions import Floats, Predictions

NORMS = ("l1", "l2", "max")
SCOPES = ("top_label", "classwise")


class Setting(NamedTuple):
    """Settings of a calibration error."""

    scope: str = "top_label"
    norm: str = "l1"
    binning: str = "equal_width"
    n_bins: int = 15
    debiased: bool = False


EQUAL_EDGES = np.linspace(0.0, 1.0, Setting().n_bins + 1)  # of the bins unless others are asked for


class Judged(NamedTuple):
    """One probability per row with its outcome, and the edges of the bins they fall into."""

    probability: Floats
    outcome: npt.NDArray[np.bool_]
    edges: Floats


@checked_keywords
@underflow_is_zero
def calibration_error(
    logits: Array,
    labels: Array,
    /,
    *,
    scope: str = "top_label",
    norm: str = "l1",
    binning: str = "equal_width",
    n_bins: int = 15,
    debiased: bool = False,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the binned calibration error, by default the expected calibration error (ECE).

    Smaller is better, in [0, 1]. It is biased: even perfect probabilities score above 0, most with few rows
    and many bins. So never judge it alone: `calibration_test` says what perfect calibration would score on
    the same rows. It is not a proper score: compare models by `log_loss`.

    Rows are put into bins by their probability p. With n_b the weight of the rows in bin b, and the bars the
    mean probability and the observed frequency there,

    .. math:: \left( \sum_b \frac{n_b}{n} |\bar p_b - \bar y_b|^q \right)^{1/q}

    with q = 1 for "l1" and q = 2 for "l2". For "max" it is the largest gap.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    scope : {"top_label", "classwise"}, default "top_label"
        "top_label": p is the highest probability of the row, and y is 1 where that class is the true one.
        "classwise": each class against the rest, then the mean over the classes (inside the root for "l2",
        the largest for "max").
    norm : {"l1", "l2", "max"}, default "l1"
        How the gaps of the bins are combined.
    binning : {"equal_width", "equal_mass"}, default "equal_width"
        Bins (0, 1/n_bins], (1/n_bins, 2/n_bins], ..., or bins of equal weight. Rows of the same probability
        are always in the same bin.
    n_bins : int, default 15
        Number of bins, at most 1,000.
    debiased : bool, default False
        Subtract what chance adds: for "l2" the variance of each bin's frequency, for "l1" what a normal error
        of that variance adds to an absolute value. The result is 0 where chance explains everything. Weights
        count rows here, so their scale matters: a warning says so where they sum to less than a quarter of
        the number of rows.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidInputError
        When an option is not one of those named, ``norm="max"`` is combined with ``debiased=True``, or an
        input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The same figure as netcal's ``ECE`` and ``MCE``, torchmetrics' ``MulticlassCalibrationError`` and
    probmetrics' ``CalibrationError`` (which calls torchmetrics), with these exceptions. Their bins are
    [a, b), so a probability exactly on an edge is in another bin. torchmetrics gives a probability of exactly
    1 a bin of its own and sums in float32, an error of up to 5e-6. netcal's bins of equal mass place equal
    probabilities differently, and differ by a row each where the rows do not divide evenly. For two classes
    netcal, probmetrics and torchmetrics' ``BinaryCalibrationError`` judge the probability of class 1: that is
    ``scope="classwise"`` here. The debiased l2 figure is that of uncertainty-calibration, and the debiased l1
    figure is the limit of its 1,000 random draws. A bin of one row has no estimate of chance: here it counts
    with its gap, there it is left out or rejected. scikit-learn has no such figure.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks" (ICML 2017), for "top_label",
    "l1"; Kull et al., "Beyond temperature scaling" (NeurIPS 2019), for "classwise"; Kumar, Liang, Ma,
    "Verified uncertainty calibration" (NeurIPS 2019), for "l2" and both ways of debiasing; Nixon et al.,
    "Measuring calibration in deep learning" (2019), for bins of equal mass.

    Examples
    --------
    Ten rows say 0.8, seven of them are right:

    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities = np.tile([0.8, 0.2], (10, 1))
    >>> labels = [0] * 7 + [1] * 3
    >>> round(metrics.calibration_error(probabilities, labels, probabilities=True), 6)
    0.1
    """
    setting = check_setting(Setting(scope, norm, binning, n_bins, debiased))
    wanted = ("correct", "confidence") if setting.scope == "top_label" else ()
    predictions = Predictions.check(
        logits, labels, sample_weight, probabilities, *wanted, class_names=class_names
    )
    if setting.debiased:
        predictions.warn_of_few_counted("calibration_error with debiased=True")
    return calibration_error_of(predictions, setting)


def calibration_error_of(predictions: Predictions, setting: Setting = Setting()) -> float:  # noqa: B008
    """Return the calibration error of checked predictions."""
    errors = [error_of_sums(sums, setting) for _, sums in binned(predictions, setting)]
    return float(join_classes(np.array(errors), setting.norm))


def check_setting(setting: Setting) -> Setting:
    """Return the setting, its number of bins an int."""
    check_choice(setting.scope, "scope", SCOPES)
    check_choice(setting.norm, "norm", NORMS)
    if check_flag(setting.debiased, "debiased") and setting.norm == "max":
        raise InvalidInputError(
            'debiased=True is defined for norm "l1" and "l2", got "max"; choose one of them'
        )
    return setting._replace(n_bins=check_bins(setting.n_bins, setting.binning))


def judged(predictions: Predictions, setting: Setting) -> Iterator[Judged]:
    """Return the judged probabilities: of the top label, or of one class after the other against the rest."""
    if setting.scope == "top_label":
        pairs = iter([(predictions.figure("confidence"), predictions.figure("correct"))])
    else:
        pairs = ((p, predictions.labels == label) for label, p in enumerate(predictions.columns()))
    for probability, outcome in pairs:
        edges = bin_edges(probability, predictions.sample_weight, setting.n_bins, setting.binning)
        yield Judged(probability, outcome, edges)


def binned(predictions: Predictions, setting: Setting) -> Iterator[tuple[Floats, BinSums]]:
    """Yield edges and sums of the judged probabilities, one class after the other, with the requested bins.

    The bins that equal probabilities left out are empty.
    """
    for one in judged(predictions, setting):
        if setting.scope == "top_label":
            yield one.edges, top_label_sums(predictions, one.edges, setting.n_bins)
        else:
            weights = predictions.sample_weight
            yield one.edges, sum_within(one.edges, setting.n_bins, one.probability, one.outcome, weights)


def error_of_sums(sums: BinSums, setting: Setting) -> Floats:
    """Return the error of each set of bins, shape (..., bins) to (...)."""
    filled = sums.weight > 0
    rows = np.where(filled, sums.weight, 1.0)
    frequency = sums.outcome / rows
    gap = np.where(filled, np.abs(sums.probability / rows - frequency), 0.0)
    if setting.norm == "max":
        return gap.max(axis=-1)
    share = sums.weight / sums.weight.sum(axis=-1, keepdims=True)
    variance = np.clip(frequency * (1 - frequency), 0, None)
    if setting.norm == "l2":
        chance = variance / np.maximum(rows - 1, 1) if setting.debiased else 0.0
        return np.sqrt(np.clip((share * (gap**2 - chance)).sum(axis=-1), 0, None))
    chance = _mean_of_absolute_normal(gap, np.sqrt(variance / rows)) - gap if setting.debiased else 0.0
    return np.clip((share * (gap - chance)).sum(axis=-1), 0, None)


def join_classes(errors: Floats, norm: str) -> Floats:
    """Join the errors of the classes, shape (..., classes), to one error, shape (...)."""
    if norm == "max":
        return errors.max(axis=-1)
    return np.sqrt((errors**2).mean(axis=-1)) if norm == "l2" else errors.mean(axis=-1)


def _mean_of_absolute_normal(mean: Floats, deviation: Floats) -> Floats:
    """Compute E|X| of a normal X: the mean absolute gap of a bin under sampling error."""
    from scipy.special import erf

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(deviation > 0, mean / deviation, np.inf)
    return deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + mean * erf(ratio / np.sqrt(2))
