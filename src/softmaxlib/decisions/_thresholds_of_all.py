"""Conformal thresholds of rows that are looked at in passes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._all_rows import AllRows, RowBlock
from .._arrays import FloatArray, IntArray
from ..metrics.cell_quantiles import needed_weight
from ._groups import find_groups
from ._selection import GroupWeights, Scores, select
from .conformal_threshold import rows_of_weight, threshold_rank
from .decision import Floats

TrueScores = Callable[[FloatArray, IntArray], Floats]


class Thresholds(NamedTuple):
    """The threshold of each group, and the rows that it rests on."""

    thresholds: Floats
    sizes: npt.NDArray[np.int64]


def thresholds_of_all(
    rows: AllRows,
    alpha: float,
    true_scores: TrueScores,
    of_classes: npt.NDArray[np.int64],
    names: tuple[str, ...] | None,
) -> Thresholds:
    """Find what `conformal_threshold` gives of the rows of each group, exactly, by radix selection.

    Parameters
    ----------
    rows : AllRows
        Probabilities.
    alpha : float
    true_scores : callable
        Gives the scores of the true classes of some rows, from probabilities and labels.
    of_classes : array of int, shape (classes,)
        The group of each class; groups of rows have names instead.
    names : tuple of str or None
        The groups of rows.
    """
    groups = int(of_classes.max()) + 1 if names is None else len(names)
    target_of = partial(_target_weight if rows.is_weighted else _target_rank, alpha)
    found = select(rows, groups, target_of, _scores_of, true_scores, of_classes, names)
    total, heaviest = found.groups.total, found.groups.heaviest
    sizes = rows_of_weight(total, heaviest) if rows.is_weighted else total.astype(np.int64)
    return Thresholds(found.values, sizes)


def _scores_of(
    block: RowBlock, true_scores: TrueScores, of_classes: npt.NDArray[np.int64], names: tuple[str, ...] | None
) -> Scores:
    """Return the scores of the true classes, in the groups of classes or of rows."""
    scores = true_scores(block.values, block.labels)
    if names is None:
        return Scores(scores, of_classes[block.labels])
    return Scores(scores, find_groups(block.groups, len(block.labels), names))


def _target_rank(alpha: float, groups: GroupWeights) -> Floats:
    """Return the rank of the threshold in each group."""
    return np.array([threshold_rank(int(rows), alpha) for rows in groups.rows], np.float64)


def _target_weight(alpha: float, groups: GroupWeights) -> Floats:
    """Return the weight of the scores up to the threshold in each group."""
    return needed_weight(groups.total, groups.heaviest, alpha)
