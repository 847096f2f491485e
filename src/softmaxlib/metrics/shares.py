"""Shares of weighted rows, and their intervals by the effective number of rows."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .predictions import Floats

_LEAST_SQUARES = 2.0**-1000  # smaller sums of squares of weights have lost digits


class WeightedShare(NamedTuple):
    """A weighted share, and how many rows of equal weight know it as well; numbers, or arrays of one shape.

    Attributes
    ----------
    value : float
        The weight of the rows that count, divided by that of all.
    rows : float
        The effective number of rows: that number itself where all weights are equal.
    """

    value: npt.NDArray[Any]
    rows: npt.NDArray[Any]


def effective_rows(weights: Floats) -> float:
    """Return the number of rows of equal weight whose mean varies as much: (sum w)^2 / sum w^2.

    References
    ----------
    Kish, "Survey sampling" (Wiley 1965).
    """
    return float(weights.sum() ** 2 / (weights @ weights))


class ShareSums(NamedTuple):
    """The sums over rows that a share is made of; of parts of the rows they can be added.

    Attributes
    ----------
    total, hits : float
        The sum of the weights, and of those of the hits.
    squares, hit_squares : float
        The same of their squares.
    rows, hit_rows : float
        Rows whose weight is not 0, and the hits among them.
    """

    total: Any
    hits: Any
    squares: Any
    hit_squares: Any
    rows: Any
    hit_rows: Any

    @classmethod
    def of(cls, hit: npt.NDArray[np.bool_], weights: Floats | None) -> "ShareSums":
        """Return the sums over rows and over the hits among them."""
        if weights is None:
            rows, hits = float(hit.size), float(np.count_nonzero(hit))
            return cls(rows, hits, rows, hits, rows, hits)
        of_hits = weights[hit]
        sums = weights.sum(), of_hits.sum(), weights @ weights, of_hits @ of_hits
        return cls(*sums, np.count_nonzero(weights), np.count_nonzero(of_hits))

    def share(self, is_weighted: bool) -> WeightedShare:
        """Return the share of the hits; 0 of no rows."""
        sums = [np.asarray(one, np.float64) for one in self[:5]]
        if is_weighted:
            return share_of_sums(*sums)
        total, hits = sums[:2]
        return WeightedShare(np.divide(hits, total, out=np.zeros(total.shape), where=total > 0), total)


def weighted_share(hit: npt.NDArray[np.bool_], weights: Floats | None) -> WeightedShare:
    """Return the share of the rows that are hits. Rows of weight 0 do not count."""
    return ShareSums.of(hit, weights).share(weights is not None)


def share_of_sums(
    total: npt.NDArray[Any],
    hits: npt.NDArray[Any],
    squares: npt.NDArray[Any],
    hit_squares: npt.NDArray[Any],
    rows: npt.NDArray[Any],
) -> WeightedShare:
    """Return the share of some rows, and the effective number of rows.

    That number is p (1 - p) / variance, with the variance of the weighted share p as the rows show it, and
    never more than Kish's, (sum w)^2 / sum w^2. The variance counts where the weights depend on what is
    shared: there Kish's number can be too large. But a few heavy rows that agree by chance show a variance
    that is far too small, and Kish's number, which no outcome changes, is then the limit. Where p is 0 or 1,
    the rows show no variance, and it is Kish's number too. `benchmarks/weighted_shares.py` shows how often
    intervals with it miss the true share.

    Parameters
    ----------
    total, hits : array
        The sum of the weights, and of those of the hits.
    squares, hit_squares : array
        The same of their squares.
    rows : array
        Rows whose weight is not 0.

    References
    ----------
    Korn, Graubard, "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", Survey Methodology 24 (1998); Kish, "Survey sampling" (Wiley 1965).
    """
    some = total > 0
    value = np.divide(hits, total, out=np.zeros(np.shape(total)), where=some)
    spread = hit_squares * (1 - value) ** 2 + (squares - hit_squares) * value**2
    # of rows that weigh less than 1e-150 of the heaviest, squares say nothing: they count as one row
    kish = np.divide(total**2, squares, out=np.array(some, np.float64), where=squares > _LEAST_SQUARES)
    inside = (hits > 0) & (hits < total) & (spread > _LEAST_SQUARES)
    of_share = np.divide(value * (1 - value) * total**2, spread, out=np.array(kish), where=inside)
    effective = np.minimum(np.minimum(of_share, kish), rows)
    return WeightedShare(np.clip(value, 0.0, 1.0), effective)


def clopper_pearson(share: WeightedShare, level: float) -> tuple[Floats, Floats]:
    """Return the interval of a share, by the exact binomial law (rows may be fractional).

    References
    ----------
    Clopper, Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    hits = share.value * share.rows
    misses = np.maximum(share.rows - hits, 0)
    lower = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-300), misses + 1, tail), 0.0)
    upper = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail), 1.0)
    return lower, upper


def at_least(share: WeightedShare, chance: float) -> float:
    """Return the probability of at least this many hits, by the binomial law (rows may be fractional)."""
    from scipy.special import betainc

    hits = float(share.value * share.rows)
    return float(betainc(hits, share.rows - hits + 1, chance)) if hits > 0 else 1.0
