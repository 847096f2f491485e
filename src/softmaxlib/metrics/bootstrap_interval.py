"""Bootstrap intervals for any metric: how much it would vary with other rows."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .._arrays import Array
from .._checks import (
    LARGEST_REPETITIONS,
    RandomState,
    check_integer,
    check_random_state,
    check_sample_weight,
    check_share,
    known_logits,
)
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError, UnsupportedTypeError
from ._sums import SUMS, Sums
from ._undefined import resampling
from .aurc import augrc, aurc, excess_aurc
from .average_precision import average_precision
from .normal_mean import stretch_of
from .predictions import Floats, Predictions
from .roc_auc import roc_auc
from .shares import effective_rows
from .smooth_calibration_error import smooth_calibration_error

# more rows than this are drawn in this many groups, which is precise enough
_GROUPS = 10_000
_GROUP_SUMS = 2**24
_FEWEST_GROUPS = 200
_RESAMPLES_AT_ONCE = 64
_FEW_SUMS = 4
_RESAMPLES = 1000
_FEWEST_ROWS = 2 * (1 - 1e-9)  # of equal weight: one row has no spread


class Interval(NamedTuple):
    """A figure with an interval for its value on unlimited rows.

    Attributes
    ----------
    value : float
        The figure on the rows given.
    lower, upper : float
        The ends of the interval; NaN where the rows are worth fewer than two rows of equal weight.
    level : float
        How often such an interval contains the true figure.
    """

    value: float
    lower: float
    upper: float
    level: float


_LARGEST: dict[Any, float] = {
    aurc: 1.0,
    excess_aurc: 1.0,
    augrc: 0.5,
    average_precision: 1.0,
    roc_auc: 1.0,
    smooth_calibration_error: 1.0,
}

# Called as every metric of this package: with logits, labels and its options.
Metric = Callable[..., float]


@checked_keywords
@underflow_is_zero
def bootstrap_interval(
    metric: Metric,
    logits: Array,
    labels: Array,
    /,
    *,
    level: float = 0.95,
    resamples: int = _RESAMPLES,
    random_state: RandomState = 0,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
    **options: Any,
) -> Interval:
    r"""Compute a metric with its bootstrap interval.

    The rows are drawn again with replacement. The spread of the metric over the draws estimates its spread
    over samples. The result is the basic interval,

    .. math:: [2 v - q_{1 - (1 - \text{level})/2}, \; 2 v - q_{(1 - \text{level})/2}]

    where v is the value and q are quantiles of the draws. It corrects bias: a metric that is biased upwards,
    such as the calibration error, is biased twice in the draws. The ends are clipped to the range of the
    metric. With weights, it is stretched (see Notes).

    Parameters
    ----------
    metric : callable
        A metric of this package, or your own function with the same arguments.
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    level : float, default 0.95
        How often the interval should contain the true figure.
    resamples : int, default 1000
        Number of draws.
    random_state : int or numpy.random.Generator, default 0
        Seed of the draws. A generator gives the seed.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted. The metric gets them too.
    sample_weight : array, shape (rows,), optional
        How often each row counts. A row is drawn together with its weight.
    probabilities : bool, default False
        Whether `logits` holds probabilities.
    **options
        Further arguments of the metric.

    Returns
    -------
    Interval

    Raises
    ------
    InvalidInputError
        When `level` or `resamples` is out of range, the metric rejects its input, or its value is not finite.
    UnsupportedTypeError
        When the metric is not a function, or returns more than one number.

    Notes
    -----
    Metrics that depend on the rows through sums only are computed from sums, once: `log_loss`, `brier_score`,
    `accuracy`, `top_k_accuracy`, `calibration_error`, `precision`, `recall`, `specificity`, `f1_score`,
    `balanced_accuracy` and `matthews_correlation`. More than 10,000 rows are drawn in 10,000 random groups,
    so a million rows take seconds. Bins are those of all rows. Any other metric is called once per draw.
    Draws for which it is NaN, such as `roc_auc` of rows of one class, are left out. Rows of weight 0 are not
    drawn. Where all rows give the same, as where all are right, no draw differs, and the interval has no
    width.

    Where a figure rests on few rows, the interval is too narrow. In simulations of a rare class, 95%
    intervals of `f1_score`, `matthews_correlation`, `precision` and `recall` held the true figure in 33 to 70
    of 100 samples of 200 rows, of which one was rightly found; in 86 to 90 with six found in 1000 rows; and
    in 91 to 95 with thirty in 5000.

    A few heavy rows say little about the spread of the draws. So weights stretch the interval, by the
    quantile of Student's t law with :math:`(\sum w^2)^2 / \sum w^4 - 1` degrees of freedom, divided by that
    of as many rows of equal weight. The larger the weights of a few, the wider it becomes; with equal weights
    it stays the same.

    References
    ----------
    Davison, Hinkley, "Bootstrap methods and their application" (Cambridge 1997), chapter 5; Satterthwaite,
    "An approximate distribution of estimates of variance components", Biometrics Bulletin 2 (1946).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> logits = np.tile([2.0, 0.0], (100, 1))
    >>> interval = metrics.bootstrap_interval(metrics.accuracy, logits, [0] * 80 + [1] * 20)
    >>> interval.value, round(interval.lower, 2), round(interval.upper, 2)
    (0.8, 0.73, 0.88)
    """
    if not callable(metric):
        raise UnsupportedTypeError(f"metric must be a function, such as metrics.log_loss, got {metric!r}")
    level = check_share(level, "level", "0.95 is usual")
    seed = check_random_state(random_state)
    resamples = check_integer(resamples, "resamples", lower=2, upper=LARGEST_REPETITIONS)
    keywords: dict[str, Any] = {"probabilities": probabilities, **options}
    if class_names is not None:
        keywords["class_names"] = class_names
    value = metric(logits, labels, sample_weight=sample_weight, **keywords)
    if not isinstance(value, (int, float, np.number)):
        raise UnsupportedTypeError(
            f"metric must give one number, got {type(value).__name__}; pass a function that takes a part of "
            "it, such as lambda *rows, **options: metrics.brier_decomposition(*rows, **options).calibration"
        )
    if not np.isfinite(value):
        raise InvalidInputError(
            f"the metric must be finite to have an interval, got {value}; pass logits, or probabilities that "
            "were not rounded to 0"
        )
    least, largest = (0.0, _LARGEST[metric]) if metric in _LARGEST else (-np.inf, np.inf)
    if metric in SUMS:
        with known_logits():
            predictions = Predictions.check(
                logits, labels, sample_weight, probabilities, class_names=class_names
            )
        weights = predictions.sample_weight
        if weights is not None and not weights.all():
            predictions = predictions.part(weights > 0)
            weights = predictions.sample_weight
        if _counted(len(predictions.labels), weights) < _FEWEST_ROWS:
            return Interval(value, np.nan, np.nan, level)
        sums = SUMS[metric](predictions, **options)
        return intervals_of_sums([(sums, value)], len(predictions.labels), level, resamples, seed, weights)[0]
    generator = np.random.default_rng(seed)
    weights = check_sample_weight(sample_weight, len(labels))
    rows = np.arange(len(labels)) if weights is None else np.flatnonzero(weights)
    if _counted(rows.size, weights) < _FEWEST_ROWS:
        return Interval(value, np.nan, np.nan, level)
    draws, drawn = np.empty(resamples), np.zeros(len(labels))
    with known_logits(), resampling():
        for draw in range(resamples):
            counts = _counts(rows.size, generator)
            drawn[rows] = counts if weights is None else counts * weights[rows]
            draws[draw] = metric(logits, labels, sample_weight=drawn.copy(), **keywords)
    stretch = 1.0 if weights is None else stretch_of(weights, level)
    return basic_interval(value, draws, level, least, largest, stretch)


def intervals_of_sums(
    figures: Sequence[tuple[Sums, float]],
    rows: int,
    level: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 0,
    weights: Floats | None = None,
) -> list[Interval]:
    """Return the intervals of figures that depend on the same rows through sums, with their values.

    They are stretched as the weights of the rows say.
    """
    stretch = 1.0 if weights is None else stretch_of(weights, level)
    every = draws_of_sums([sums for sums, _ in figures], rows, resamples, seed)
    return [
        basic_interval(value, draws, level, sums.least, sums.largest, stretch)
        for (sums, value), draws in zip(figures, every, strict=True)
    ]


def basic_interval(
    value: float, draws: Floats, level: float, least: float, largest: float, stretch: float = 1.0
) -> Interval:
    """Return the basic interval of a figure by its draws, stretched about its middle, within its range."""
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    if stretch != 1:
        middle = np.nanmedian(draws)
        low, high = (middle + stretch * (end - middle) for end in (low, high))
    return Interval(value, max(float(2 * value - high), least), min(float(2 * value - low), largest), level)


def _counted(rows: int, weights: Floats | None) -> float:
    """Return the number of rows, or of rows of equal weight that say as much."""
    return rows if weights is None else effective_rows(weights)


def _counts(size: int, generator: np.random.Generator) -> Floats:
    """Return how often each of `size` things is drawn in as many draws with replacement."""
    return np.bincount(generator.integers(0, size, size), minlength=size).astype(np.float64)


def draws_of_sums(figures: Sequence[Sums], rows: int, resamples: int, seed: int) -> list[Floats]:
    """Return each figure of each draw of as many groups as there are: single rows, or random parts of them.

    Figures of the same rows that are drawn with the same seed are of the same draws.
    """
    fitting = max(_FEWEST_GROUPS, _GROUP_SUMS // max(sums.width for sums in figures))
    count = min(rows, _GROUPS, fitting)
    group = np.random.default_rng(seed).integers(0, count, rows) if count < rows else np.arange(rows)
    of_groups = np.concatenate([sums.of_groups(group, count) for sums in figures], axis=1)
    parts = np.cumsum([sums.width for sums in figures])[:-1]

    def figures_of(drawn: Floats) -> list[Floats]:
        every = zip(figures, np.split(drawn, parts, axis=1), strict=True)
        with np.errstate(divide="ignore", invalid="ignore"):  # a draw of rows of weight 0 alone is NaN
            return [sums.figure(part) for sums, part in every]

    if of_groups.shape[1] <= _FEW_SUMS:
        drawn = np.empty((resamples, of_groups.shape[1]))
        _kernels.draw_sums(seed, np.ascontiguousarray(of_groups.T), drawn)
        return figures_of(drawn)
    draws, counts = np.empty((len(figures), resamples)), np.empty((_RESAMPLES_AT_ONCE, count))
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        some = draws[:, start : start + _RESAMPLES_AT_ONCE]
        _kernels.draw_counts(seed, start, counts[: some.shape[1]])
        some[...] = figures_of(counts[: some.shape[1]] @ of_groups)
    return list(draws)
