"""Which thresholds keep a risk: a closed test of nested hypotheses, by the exact binomial.

The thresholds are in falling order, so that hypothesis i, "more than `risk` of the rows at or above threshold
i are wrong", implies hypothesis i + 1 wherever surer rows are not wrong more often. Of such hypotheses the
closed test needs one local test each: hypothesis i is rejected at `level` by its own rows, or by those of a
*look*, a laxer threshold, to which a small share of the level is given. All thresholds up to the first
hypothesis that is not rejected are promised. A promise is broken only if the first true hypothesis is
rejected, which happens with probability `level` at most.

Why looks: the surest rows are few, and one unlucky mistake among them would end the sequence for good,
however clearly the rows below keep the risk. A look rejects all hypotheses before it at once, and the
sequence goes on behind it at its full level.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Measured by benchmarks/selective_risk.py: larger shares help where even the surest rows are often wrong, and
# cost rows where they are not.
_SHARE_OF_EARLY_LOOK = 0.03
_SHARE_OF_LATE_LOOK = 0.01
_EARLY = 0.3  # a look is early while it takes at most this share of the rows
_MOST_OF_LEVEL = 0.5


class Looks(NamedTuple):
    """Thresholds whose rejection rejects all stricter ones, and the level of each."""

    places: Counts
    levels: Floats


def last_rejected(rows: Counts, mistakes: Counts, risk: float, level: float) -> int | None:
    """The last threshold up to which every hypothesis is rejected, or None.

    Parameters
    ----------
    rows, mistakes : array of int (thresholds,)
        Rows at or above each threshold, rising, and how many of them are wrong. There must be
        ``rows_needed(risk, level)`` rows at least.
    risk, level : float
        The risk to be kept, and the probability with which the promise may be broken.

    Notes
    -----
    Where looks stand and what level each has depends on `rows` alone, never on `mistakes`. Given the number
    of rows at the first true hypothesis, its mistakes are binomial, and those below are at least as frequent
    as `risk`: the bound holds exactly, for any number of rows.
    """
    looks = _place_looks(rows, first_index(rows, risk, level), level)
    start = first_index(rows, risk, level - float(looks.levels.sum()))
    p_values = binomial_p_values(mistakes, rows, risk)
    later = np.zeros(rows.size)
    for place, share in zip(*looks, strict=True):
        later[:place] += share
    rejected = p_values <= level - later
    for place, share in zip(*looks, strict=True):
        rejected[: place + 1] |= p_values[place] <= share
    # too few rows for a test of their own: they stand or fall with the first threshold that has enough
    rejected[:start] = rejected[start]
    count = int(np.argmin(np.append(rejected, False)))
    return count - 1 if count > start else None


def first_index(rows: Counts, risk: float, level: float) -> int:
    """The first threshold that accepts enough rows to be tested: half the risk would pass, where possible."""
    enough = _rows_with_half_the_risk(risk, level)
    return int(np.argmax(rows >= (enough if rows[-1] >= enough else rows_needed(risk, level))))


def binomial_p_values(mistakes: Counts, rows: Counts, risk: float) -> Floats:
    """How likely so few mistakes or fewer are, where `risk` of the rows are wrong."""
    from scipy.special import bdtr

    return bdtr(mistakes.astype(np.float64), rows, risk)


def rows_needed(risk: float, level: float) -> int:
    """How many rows without a mistake it takes: (1 - risk)**rows <= level."""
    return math.ceil(math.log(level) / math.log1p(-risk) - 1e-9)


def _rows_with_half_the_risk(risk: float, level: float) -> int:
    """How many rows it takes when half the risk of them are mistakes."""
    from scipy.special import bdtr

    rows = rows_needed(risk, level)
    while bdtr(math.floor(rows * risk / 2), rows, risk) > level:
        rows = math.ceil(rows * 1.1)
    return rows


def _place_looks(rows: Counts, start: int, level: float) -> Looks:
    """A look at every doubling of the rows of the first test."""
    doublings = max(0, math.ceil(math.log2(rows[-1] / rows[start])) - 1)
    wanted = rows[start] * 2 ** np.arange(1, doublings + 1)
    places = np.unique(np.searchsorted(rows, wanted))
    places = places[(places > start) & (places < rows.size - 1)]
    share = np.where(rows[places] <= _EARLY * rows[-1], _SHARE_OF_EARLY_LOOK, _SHARE_OF_LATE_LOOK)
    return Looks(places, level * share * min(1.0, _MOST_OF_LEVEL / max(float(share.sum()), _MOST_OF_LEVEL)))
