"""Risk against coverage: the error rate of the rows that are accepted when doubtful ones are rejected."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from .._checks import check_logits
from .._frameworks import in_kind_of
from ..errors import InvalidInputError
from ._predictions import Floats, Predictions
from .doubt import check_score, row_doubts


class RiskCoverageCurve(NamedTuple):
    """One point for each distinct doubt, from the surest rows to all of them.

    Attributes
    ----------
    coverage : ndarray, shape (points,)
        Share of the rows accepted: those whose doubt is at most `doubt`.
    risk : ndarray, shape (points,)
        Share of mistakes among the accepted rows.
    doubt : ndarray, shape (points,)
        The threshold on the doubt.
    """

    coverage: Floats
    risk: Floats
    doubt: Floats


class DoubtGroups(NamedTuple):
    """Rows of equal doubt, the surest first: their weight, and the weight of the mistakes among them."""

    doubt: Floats
    weight: Floats
    mistakes: Floats


def risk_coverage_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    sample_weight: Array | None = None,
    from_probabilities: bool = False,
) -> RiskCoverageCurve:
    """Compute the error rate of the accepted rows when the most doubtful ones are rejected.

    Lower is better at every coverage; the last point is the error rate of all rows.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        The name of a score of `doubt`, or your own: one number per row, larger for more doubt.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    from_probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    RiskCoverageCurve
        Rows of equal doubt are accepted together, because no threshold separates them.

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    References
    ----------
    El-Yaniv, Wiener, "On the foundations of noise-free selective classification", JMLR 11 (2010); Geifman,
    El-Yaniv, "Selective classification for deep neural networks" (NeurIPS 2017).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> curve = metrics.risk_coverage_curve([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]], [0, 0, 1])
    >>> curve.coverage.round(3), curve.risk.round(3)
    (array([0.333, 0.667, 1.   ]), array([0.   , 0.   , 0.333]))
    """
    groups = doubt_groups(logits, labels, score, sample_weight, from_probabilities)
    accepted = np.cumsum(groups.weight)
    curve = RiskCoverageCurve(accepted / accepted[-1], np.cumsum(groups.mistakes) / accepted, groups.doubt)
    return in_kind_of(logits, curve)


def doubt_groups(
    logits: Array, labels: Array, score: str | Array, sample_weight: Array | None, from_probabilities: bool
) -> DoubtGroups:
    """The rows of each doubt together, from the arguments of a metric."""
    predictions = Predictions.check(logits, labels, sample_weight, from_probabilities)
    if isinstance(score, str):
        check_score(score, from_probabilities)
        doubts = row_doubts(predictions.values, score, from_probabilities)
    else:
        doubts = _check_doubts(score, predictions.labels.size)
    wrong = np.argmax(predictions.values, axis=1) != predictions.labels
    return _group_by_doubt(doubts, wrong, predictions.weights)


def _check_doubts(score: Array, rows: int) -> Floats:
    doubts = as_numpy(score, "score")
    if doubts.shape != (rows,):
        raise InvalidInputError(
            f"score must be a name or one doubt per row, shape ({rows},), got shape {doubts.shape}"
        )
    return check_logits(np.stack([doubts, doubts], axis=1), "score")[:, 0].astype(np.float64)


def _group_by_doubt(doubts: Floats, wrong: npt.NDArray[np.bool_], weights: Floats) -> DoubtGroups:
    """The rows of each doubt together; rows of weight 0 left out."""
    counts = weights > 0
    doubts, wrong, weights = doubts[counts], wrong[counts], weights[counts]
    order = np.argsort(doubts)
    ordered = doubts[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    weight = weights[order]
    return DoubtGroups(
        ordered[starts], np.add.reduceat(weight, starts), np.add.reduceat(weight * wrong[order], starts)
    )
