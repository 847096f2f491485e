"""A test whether calibration changed since the fit, bin by bin."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..metrics.simulation import Floats, least_p_value, simulated_p_value
from .figures import Reliability

# Neighbouring bins are judged together until this many mistakes, or right rows, could be told apart.
_LEAST_VARIANCE = 1.0
_LEAST_ODDS = 1e-9
# A law of more numbers is cut off where it is below 1e-300: it is no wider than a binomial law of 1e9 rows,
# whose deviation is 16,000, and 37 deviations are 1e-300.
_WIDEST = 1 << 21


class _Bin(NamedTuple):
    """The law of the mistakes among the new rows of a bin, given those of old and new rows together."""

    observed: int
    support: npt.NDArray[np.int64]
    probability: Floats

    @property
    def mean(self) -> float:
        return float(self.support @ self.probability)

    @property
    def variance(self) -> float:
        return float((self.support - self.mean) ** 2 @ self.probability)


def calibration_change(then: Reliability, now: Reliability, draws: int) -> tuple[float, float]:
    """Return the p-value of the change of (accuracy - confidence), and the least that such rows can reach.

    Given how many rows of a bin are wrong, old and new together, the number among the new ones is
    hypergeometric if nothing changed, and with Fisher's noncentral law where the new rows of the bin state
    another confidence: how well the bin was calibrated drops out. So no bin needs many rows or mistakes. The
    statistic is the sum of the squared standardised changes, thin bins taken together. All rows together are
    tested in the same way, as one bin; the p-value is twice the smaller of both (Bonferroni).
    """
    tests = [_change(then, now, draws)]
    if then.counts.size > 1:
        tests.append(_change(_joined(then), _joined(now), draws))
    p_value, least = (len(tests) * min(column) for column in zip(*tests, strict=True))
    return min(1.0, p_value), min(1.0, least)


def _joined(bins: Reliability) -> Reliability:
    """Return all bins as one."""
    every = [column.sum(keepdims=True) for column in (bins.counts, bins.confidences, bins.hits)]
    return Reliability(bins.edges[:0], *every)


def _change(then: Reliability, now: Reliability, draws: int) -> tuple[float, float]:
    """Return the same of these bins alone."""
    every = [_bin(*row) for row in zip(*_mistakes(then), *_mistakes(now), strict=True) if row[0] and row[3]]
    bins = [one for one in every if one.support.size > 1]
    least = np.prod([_least_of_bin(*row) for row in zip(*_mistakes(then), *_mistakes(now), strict=True)])
    if not bins:
        return 1.0, float(least)
    variance = np.array([one.variance for one in bins])
    member = np.eye(len(bins))[_grouped(variance)]
    member = member[:, member.any(axis=0)]
    spread = variance @ member

    def statistic(mistakes: Floats) -> Floats:
        change = mistakes - np.array([one.mean for one in bins])
        return ((change @ member) ** 2 / spread).sum(axis=-1)

    cumulated = [np.cumsum(one.probability) for one in bins]

    def draw(generator: np.random.Generator, count: int) -> Floats:
        uniform = generator.random((len(bins), count))
        mistakes = [
            one.support[np.minimum(np.searchsorted(steps, row, side="right"), steps.size - 1)]
            for one, steps, row in zip(bins, cumulated, uniform, strict=True)
        ]
        return statistic(np.stack(mistakes, axis=1).astype(np.float64))

    observed = float(statistic(np.array([float(one.observed) for one in bins])))
    return simulated_p_value(draw, observed, draws), max(float(least), least_p_value(draws))


def _mistakes(bins: Reliability) -> tuple[list[int], list[int], list[float]]:
    """Return, per bin, the number of rows, of wrong ones, and the stated odds of being wrong."""
    share = np.clip(1 - bins.confidences / np.maximum(bins.counts, 1), _LEAST_ODDS, 1 - _LEAST_ODDS)
    rows, right = (count.round().astype(np.int64) for count in (bins.counts, bins.hits))
    return rows.tolist(), (rows - right).tolist(), (share / (1 - share)).tolist()


def _bin(
    rows_then: int, wrong_then: int, odds_then: float, rows_now: int, wrong_now: int, odds_now: float
) -> _Bin:
    from scipy.special import gammaln

    wrong, odds = wrong_then + wrong_now, odds_now / odds_then
    first, last = max(0, wrong - rows_then), min(wrong, rows_now)
    if last - first > _WIDEST:
        mode = _mode(first, last, rows_then, wrong, rows_now, odds)
        first, last = max(first, mode - _WIDEST // 2), min(last, mode + _WIDEST // 2)
    support = np.arange(first, last + 1)
    logarithm = (
        support * np.log(odds)
        - gammaln(support + 1)
        - gammaln(rows_now - support + 1)
        - gammaln(wrong - support + 1)
        - gammaln(rows_then - wrong + support + 1)
    )
    probability = np.exp(logarithm - logarithm.max())
    return _Bin(wrong_now, support, probability / probability.sum())


def _mode(first: int, last: int, rows_then: int, wrong: int, rows_now: int, odds: float) -> int:
    """Return the most likely number of wrong rows among the new ones: the mode of the law."""
    while first < last:
        middle = (first + last) // 2
        ratio = (
            odds
            * ((rows_now - middle) / (middle + 1))
            * ((wrong - middle) / (rows_then - wrong + middle + 1))
        )
        first, last = (middle + 1, last) if ratio > 1 else (first, middle)
    return first


def _least_of_bin(
    rows_then: int, wrong_then: int, odds_then: float, rows_now: int, wrong_now: int, odds_now: float
) -> float:
    """Return the probability, if nothing changed, that every new row is wrong: the smallest p-value."""
    if not rows_then or not rows_now:
        return 1.0
    law = _bin(rows_then, wrong_then, odds_then, rows_now, rows_now, odds_now)
    return float(law.probability[-1]) if law.support[-1] == rows_now else 0.0


def _grouped(variance: Floats) -> npt.NDArray[np.int64]:
    """Group neighbouring bins until their variance is large enough. The rest joins the last group."""
    groups = np.zeros(variance.size, dtype=np.int64)
    group, filled = 0, 0.0
    for index, one in enumerate(variance):
        if filled >= _LEAST_VARIANCE and variance[index:].sum() >= _LEAST_VARIANCE:
            group, filled = group + 1, 0.0
        groups[index] = group
        filled += one
    return groups
