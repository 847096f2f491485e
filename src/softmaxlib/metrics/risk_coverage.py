"""Risk against coverage: the error rate of the rows that are accepted when doubtful ones are rejected."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._arrays import Array, as_numpy
from .._checks import check_logits
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from .doubt import check_score, row_doubts
from .order import RankSums, rising_order, sum_to_ranks
from .predictions import Floats, Predictions


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

    @classmethod
    def of(cls, predictions: Predictions, doubts: Floats, most: int | None = None) -> "DoubtGroups":
        """Return the rows of each doubt together; rows of weight 0 left out.

        Of more than `most` groups neighbours are joined, so that they end evenly spread over coverage.
        """
        wrong, weights = ~predictions.figure("correct"), predictions.sample_weight
        if weights is None and most is not None:
            ends = np.ceil(np.linspace(0, doubts.size, most)).astype(np.int64)
            sums = sum_to_ranks(doubts, wrong, np.maximum(ends - 1, 0), whole_ties=True)
            if sums.different > most:
                return cls._of_sums(sums)
        if weights is not None:
            counts = weights > 0
            doubts, wrong, weights = doubts[counts], wrong[counts], weights[counts]
        order = rising_order(doubts)
        ordered = doubts[order]
        last = np.flatnonzero(np.concatenate([ordered[1:] != ordered[:-1], [True]]))
        weights = None if weights is None else weights[order]
        if most is not None and last.size > most:
            accepted = last + 1 if weights is None else np.cumsum(weights)[last]
            reached = np.searchsorted(accepted, np.linspace(0, accepted[-1], most))
            last = last[np.unique(np.minimum(reached, last.size - 1))]
        first = np.concatenate([[0], last[:-1] + 1])
        if weights is None:
            weight, mistakes = last - first + 1, np.add.reduceat(wrong[order], first, dtype=np.int64)
        else:
            weight, mistakes = (np.add.reduceat(part, first) for part in (weights, weights * wrong[order]))
        return cls(ordered[last], weight.astype(np.float64), mistakes.astype(np.float64))

    @classmethod
    def _of_sums(cls, sums: RankSums) -> "DoubtGroups":
        """Return the groups that end at the ranks of sums over whole ties."""
        rows, first = np.unique(sums.rows, return_index=True)
        return cls(
            sums.value[first],
            np.diff(rows, prepend=0).astype(np.float64),
            np.diff(sums.sum[first], prepend=0.0),
        )

    def curve(self) -> RiskCoverageCurve:
        """Return the error rate of the rows up to each doubt."""
        accepted = np.cumsum(self.weight)
        return RiskCoverageCurve(accepted / accepted[-1], np.cumsum(self.mistakes) / accepted, self.doubt)


@checked_keywords
@underflow_is_zero
def risk_coverage_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> RiskCoverageCurve:
    """Compute the error rate of the accepted rows when the most doubtful ones are rejected.

    Lower is better at every coverage; the last point is the error rate of all rows.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        The name of a score of `doubt`, or your own: one number per row, larger for more doubt.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
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
    predictions = doubted(logits, labels, sample_weight, probabilities, class_names)
    return in_kind_of(logits, doubt_groups(predictions, score).curve())


def doubted(
    logits: Array,
    labels: Array,
    sample_weight: Array | None,
    probabilities: bool,
    class_names: Sequence[str] | None,
) -> Predictions:
    """Return predictions with what `doubt_groups` needs, from the arguments of a metric."""
    figures = "correct", "doubt"
    return Predictions.check(logits, labels, sample_weight, probabilities, *figures, class_names=class_names)


def doubt_groups(predictions: Predictions, score: str | Array) -> DoubtGroups:
    """Return the rows of each doubt together, by a score or by their doubts."""
    if isinstance(score, str):
        check_score(score, predictions.are_probabilities)
        doubts = row_doubts(predictions, score)
    else:
        doubts = _check_doubts(score, predictions.labels.size)
    return DoubtGroups.of(predictions, doubts)


def _check_doubts(score: Array, rows: int) -> Floats:
    doubts = as_numpy(score, "score")
    if doubts.shape != (rows,):
        raise InvalidInputError(
            f"score must be a name or one doubt per row, shape ({rows},), got shape {doubts.shape}"
        )
    return check_logits(np.stack([doubts, doubts], axis=1), "score")[:, 0].astype(np.float64)
