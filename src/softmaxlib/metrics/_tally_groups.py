"""Permutation tests of the differences between the groups of a tally, from the sums of each."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ._tally_sums import CORRECT, OF_ALL, OF_DOUBTS, WEIGHT, Sums
from .cell_quantiles import LARGEST_CELL, doubts_of_cells
from .group_tables import GroupDifference, GroupTable, adjusted_differences, tables_p_value
from .predictions import Floats
from .tally_decisions import TallyDecisions, cells_of_costs

_STRATA = 10
_LEVELS = 32  # of a value; if there are more, neighbours are merged


def differences_of_groups(
    sums: Sequence[Sums], decisions: Sequence[TallyDecisions | None]
) -> tuple[GroupDifference, ...]:
    """Test whether groups of rows without weights differ, by the sums and the decisions of each."""
    if len(sums) < 2:
        return ()
    return adjusted_differences({name: tables_p_value(tables) for name, tables in _compared(sums, decisions)})


def _compared(
    sums: Sequence[Sums], decisions: Sequence[TallyDecisions | None]
) -> Iterator[tuple[str, list[GroupTable]]]:
    rows, right = (np.array([float(one[OF_ALL].exact(key)) for one in sums]) for key in (WEIGHT, CORRECT))
    yield "accuracy", [_shares(rows - right, right)]
    yield "calibration", _by_confidence(sums)
    made = [one for one in decisions if one is not None]
    if len(made) < len(sums):
        return
    every, decided, hits = (
        np.array([getattr(one, name) for one in made]) for name in ("weight", "decided", "right")
    )
    if 0 < decided.sum() < every.sum():
        yield "share decided", [_shares(every - decided, decided)]
    is_news = (decided < every).any() or (hits != right).any()  # the risk is not 1 minus the accuracy
    if is_news and (decided > 0).sum() > 1:
        yield "risk", [_shares(hits, decided - hits)]
    if all(one.mean_cost is not None for one in made):
        yield "cost", [_of_costs(sums)]


def _shares(without: Floats, having: Floats) -> GroupTable:
    """Return the table of a value that is 0 or 1."""
    rows = np.stack([without, having], axis=1).astype(np.int64)
    return GroupTable(rows, np.array([0.0, 1.0]), np.ones(2))


def _by_confidence(sums: Sequence[Sums]) -> list[GroupTable]:
    """Return the tables of whether rows are right minus their confidence, each of about equal confidence."""
    doubts = [one[OF_DOUBTS] for one in sums]
    cells = sorted({key for one in doubts for key in one.known_keys() if key < LARGEST_CELL})
    rows, wrong = (
        np.stack([one.array([offset + cell for cell in cells]) for one in doubts]).astype(np.int64)
        for offset in (0, LARGEST_CELL)
    )
    low, high = doubts_of_cells(np.array(cells, dtype=np.int64))
    confidence, count = 1 - (low + high) / 2, rows.sum(axis=0)
    middle = (np.cumsum(count) - count / 2) / count.sum()
    stratum = (_STRATA * middle).astype(np.int64)
    tables = []
    for one in np.unique(stratum):
        inside = stratum == one
        table = np.concatenate([wrong[:, inside], (rows - wrong)[:, inside]], axis=1)
        value = np.concatenate([-confidence[inside], 1 - confidence[inside]])
        tables.append(_merged(table, value))
    return tables


def _of_costs(sums: Sequence[Sums]) -> GroupTable:
    of_groups = [cells_of_costs(one) for one in sums]
    cells = sorted({cell for rows, _, _ in of_groups for cell in rows})
    rows = np.array([[found.get(cell, 0.0) for cell in cells] for found, _, _ in of_groups])
    costs = np.array([[mean.get(cell, 0.0) for cell in cells] for _, mean, _ in of_groups])
    return _merged(rows.astype(np.int64), (rows * costs).sum(axis=0) / rows.sum(axis=0))


def _merged(rows: npt.NDArray[np.int64], value: Floats) -> GroupTable:
    """Return a table with neighbouring values merged, of differences to the mean of all its rows."""
    order = np.argsort(value, kind="stable")
    order = order[rows[:, order].sum(axis=0) > 0]
    rows, value = rows[:, order], value[order]
    count = rows.sum(axis=0)
    level = np.arange(count.size)
    if count.size > _LEVELS:
        level = ((np.cumsum(count) - count / 2) / count.sum() * _LEVELS).astype(np.int64)
    first = np.flatnonzero(np.diff(level, prepend=-1))
    merged, of_level = np.add.reduceat(rows, first, axis=1), np.add.reduceat(count, first)
    mean = np.add.reduceat(count * value, first) / of_level
    return GroupTable(merged, mean - of_level @ mean / of_level.sum(), np.ones(mean.size))
