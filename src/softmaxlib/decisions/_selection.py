"""The score of a rank among all rows, found in passes: radix selection on the bits of the scores."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._all_rows import AllRows, Floats, Merged, RowBlock
from .._arrays import IntArray

_BITS = 64
_MOST_CELLS = 1 << 18  # of all groups together
_MOST_BITS, _FEWEST_BITS = 16, 4  # settled by a pass

_SIGN = np.uint64(1 << 63)

Keys = npt.NDArray[np.uint64]


class Scores(NamedTuple):
    """A number of each row that is ranked, and the group it is ranked in."""

    values: Floats
    groups: IntArray


class GroupWeights(NamedTuple):
    """Of each group: the rows, their weight, and the largest weight of a row."""

    rows: Floats
    total: Floats
    heaviest: Floats


ScoresOf = Callable[..., Scores]
TargetOf = Callable[[GroupWeights], Floats]


class Selected(NamedTuple):
    """The threshold of each group, or infinity if its rows weigh less than the target."""

    values: Floats
    groups: GroupWeights


def select(
    rows: AllRows, groups: int, target_of: TargetOf, scores_of: ScoresOf, *arguments: object
) -> Selected:
    """Return the least score of each group such that the rows up to it weigh the target.

    Nothing is rounded: each pass settles some bits of the score, from the first to the last, by counting the
    rows with each value of these bits among those whose bits before are settled.

    Parameters
    ----------
    rows : AllRows
    groups : int
        How many groups there are.
    target_of : callable
        The weight that is to be reached in each group, from what the first pass tells of the groups.
    scores_of, arguments
        ``scores_of(block, *arguments)``, a function of a module, gives the `Scores` of a block of rows.
    """
    bits = int(np.clip((_MOST_CELLS // groups).bit_length() - 1, _FEWEST_BITS, _MOST_BITS))
    found = _Search(np.zeros(groups, np.uint64), _BITS)
    known: GroupWeights | None = None
    target = reached = np.zeros(groups)
    while found.left:
        width = min(bits, found.left)
        merged = rows.merged(_weigh_cells, found, width, scores_of, *arguments)
        cells = merged.added.reshape(-1, groups, 1 << width)
        counts, weights = cells[0], cells[-1]
        if known is None:
            known = GroupWeights(counts.sum(axis=1), weights.sum(axis=1), merged.largest)
            target = target_of(known)
            reached = known.total >= target
        cell, before = _cell_of(counts, weights, target)
        target = target - before
        found = _Search((found.settled << np.uint64(width)) | cell, found.left - width)
    assert known is not None
    return Selected(np.where(reached, _scores_of_keys(found.settled), np.inf), known)


class _Search(NamedTuple):
    """The first bits of the score of each group, and how many are left."""

    settled: Keys
    left: int


def _weigh_cells(
    block: RowBlock, search: _Search, width: int, scores_of: ScoresOf, *arguments: object
) -> Merged:
    """Count the rows by the bits that come next, and weigh them; the largest weight of each group."""
    scores = scores_of(block, *arguments)
    keys, groups, weights = _keys_of_scores(scores.values), scores.groups, block.weights
    heaviest = np.zeros(search.settled.size)
    np.maximum.at(heaviest, groups, 1.0 if weights is None else weights)
    if search.left < _BITS:
        inside = keys >> np.uint64(search.left) == search.settled[groups]
        keys, groups = keys[inside], groups[inside]
        weights = None if weights is None else weights[inside]
    cell = (keys >> np.uint64(search.left - width)) & np.uint64((1 << width) - 1)
    place, size = (groups << width) + cell.astype(np.int64), search.settled.size << width
    added = [np.bincount(place, minlength=size).astype(np.float64)]
    if weights is not None:
        added.append(np.bincount(place, weights, size).astype(np.float64))
    return Merged(np.concatenate(added), heaviest)


def _cell_of(counts: Floats, weights: Floats, target: Floats) -> tuple[Keys, Floats]:
    """Return the cell of each group in which the target is reached, and the weight of the cells before."""
    cumulated = np.cumsum(weights, axis=1)
    cell = (cumulated < target[:, None]).sum(axis=1)
    filled = counts > 0  # sums of weights are rounded: the cell is one with rows all the same
    first, last = filled.argmax(axis=1), filled.shape[1] - 1 - filled[:, ::-1].argmax(axis=1)
    cell = np.clip(cell, first, np.maximum(first, last))
    at_end = np.take_along_axis(cumulated, np.maximum(cell - 1, 0)[:, None], axis=1)[:, 0]
    return cell.astype(np.uint64), np.where(cell > 0, at_end, 0.0)


def _keys_of_scores(values: Floats) -> Keys:
    """Return whole numbers in the order of the scores, which are not NaN."""
    bits = (np.ascontiguousarray(values, np.float64) + 0.0).view(np.uint64)  # -0 is 0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _scores_of_keys(keys: Keys) -> Floats:
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
