"""Find the laxest threshold that keeps a risk: exact binomial tests, joined by the fallback procedure.

The thresholds are in falling order. Hypothesis i says that more than `risk` of the rows at or above threshold
i are wrong. The hypotheses are tested in this order, each at the level that it holds. A few of them, the
*starts*, have a share of the level of their own; a test that rejects hands all of its level to the next one,
and a test that does not reject loses it. The shares sum to `level`, so that any true hypothesis at all is
rejected with probability `level` at most, whatever the error rates are.

Why more than one start: the surest rows are few, and one unlucky mistake among them would end a single
sequence for good, however clearly the rows below keep the risk.
"""

import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Measured by benchmarks/selective_risk.py: larger shares help where even the surest rows are often wrong, and
# cost rows where they are not.
_SHARE_OF_LATER_START = 1 / 16
_LARGEST_SHARE_OF_LATER_STARTS = 1 / 2


def last_rejected(
    rows: Counts, mistakes: Counts, risk: float, level: float, planned: Counts | None = None
) -> int | None:
    """Return the last threshold whose hypothesis is rejected, or None: see `rejected`."""
    found = np.flatnonzero(rejected(rows, mistakes, risk, level, planned))
    return int(found[-1]) if found.size else None


def rejected(
    rows: Counts, mistakes: Counts, risk: float, level: float, planned: Counts | None = None
) -> npt.NDArray[np.bool_]:
    """Tell of each threshold whether its hypothesis is rejected: whether the risk is kept there.

    Parameters
    ----------
    rows, mistakes : array of int (thresholds,)
        Rows at or above each threshold, rising, and how many of them are wrong. There must be
        ``rows_needed(risk, level)`` rows at least.
    risk, level : float
        The risk to be kept, and the probability with which the promise may be broken.
    planned : array of int (thresholds,), optional
        Rising, for weighted rows: how many of these are expected to count, where `rows` themselves depend on
        which of them are wrong.

    Notes
    -----
    The starts and their shares depend on `rows`, or on `planned`, alone, never on `mistakes`.
    """
    p_values = binomial_p_values(mistakes, rows, risk)
    held, found = 0.0, np.zeros(rows.size, np.bool_)
    for index, share in enumerate(_shares(rows if planned is None else planned, risk, level).tolist()):
        held += share
        found[index] = held > 0 and p_values[index] <= held
        if not found[index]:
            held = 0.0
    return found


def first_index(rows: Counts, risk: float, level: float) -> int:
    """Return the first threshold with enough rows to be tested: half the risk would pass, where possible."""
    half = _rows_with_half_the_risk(risk, level)
    reached = rows >= (half if rows[-1] >= half else rows_needed(risk, level))
    return int(np.argmax(reached)) if reached[-1] else rows.size - 1


def binomial_p_values(mistakes: Counts, rows: Counts, risk: float) -> Floats:
    """Return how likely so few mistakes or fewer are, where `risk` of the rows are wrong."""
    from scipy.special import bdtr

    return bdtr(mistakes.astype(np.float64), rows, risk)


def rows_needed(risk: float, level: float) -> int:
    """Return how many rows without a mistake it takes: (1 - risk)**rows <= level."""
    return math.ceil(math.log(level) / math.log1p(-risk) - 1e-9)


def _rows_with_half_the_risk(risk: float, level: float) -> int:
    """Return how many rows it takes when half the risk of them are mistakes."""
    from scipy.special import bdtr

    rows = rows_needed(risk, level)
    while bdtr(math.floor(rows * risk / 2), rows, risk) > level:
        rows = math.ceil(rows * 1.1)
    return rows


def _shares(rows: Counts, risk: float, level: float) -> Floats:
    """Return the level of each threshold's own: a start at every doubling of the rows of the first one."""
    first = first_index(rows, risk, level)
    doublings = max(0, math.ceil(math.log2(rows[-1] / rows[first])) - 1)
    starts = np.unique(np.searchsorted(rows, rows[first] * 2 ** np.arange(1, doublings + 1)))
    starts = starts[starts < rows.size - 1]
    later = min(_SHARE_OF_LATER_START * starts.size, _LARGEST_SHARE_OF_LATER_STARTS)
    shares = np.zeros(rows.size)
    if starts.size:
        shares[starts] = level * later / starts.size
    # with less than all of the level a first test may need more rows than it was given
    shares[first_index(rows, risk, level * (1 - later))] += level * (1 - later)
    return shares
