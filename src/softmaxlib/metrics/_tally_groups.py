"""Permutation tests of the differences between the groups of a tally, from the sums of each."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray
from .._checks import RowGroups, name_groups
from ..errors import InvalidInputError
from ._bins import group_sums
from ._decided_rows import DecidedRows
from ._exact_sums import ExactSums
from ._tally_sums import Sums
from ._weight_levels import add_leveled, half_levels, leveled_rows, size_of_leveled
from .cell_quantiles import LARGEST_CELL, cells_of_doubts, doubts_of_cells
from .group_tables import GroupDifference, GroupTable, adjusted_differences, tables_p_value
from .predictions import Floats, Predictions
from .tally_decisions import COST_CELLS, TallyDecisions, cost_cells, mean_costs

LARGEST_GROUPS = 10_000
MISSING = "(missing)"
_UNNAMED = "\0"  # no group has this name
_OF_RIGHT, _OF_DECIDED, _OF_COSTS = "group_right", "group_decided", "group_costs"
_JOINED = 4  # cells of doubt: 16 an octave
_DOUBTS = LARGEST_CELL // _JOINED
_ASIDE, _RIGHT, _WRONG, _KINDS = range(4)
_STRATA = 10
_LEVELS = 32  # of a value; if there are more, neighbours are merged


def check_group_names(groups: Array, rows: int) -> RowGroups:
    """Return the group of each row, named as in any other batch.

    Rows without a group are `MISSING`, and so are rows whose group has that name: another batch can't tell
    which of both it has.
    """
    names, place = name_groups(groups, rows, _UNNAMED)
    if names[-1].startswith(_UNNAMED):
        names = (*names[:-1], MISSING)
        first = names.index(MISSING)
        if first < len(names) - 1:
            names, place = names[:-1], np.where(place == len(names) - 1, first, place)
    return RowGroups(names, place)


def check_group_count(known: Collection[str], added: Collection[str]) -> None:
    """Refuse more groups than a tally may have."""
    new = [name for name in added if name not in known]
    if len(known) + len(new) > LARGEST_GROUPS:
        raise InvalidInputError(
            f"groups must be at most {LARGEST_GROUPS:,}, got {len(known) + len(new):,}, {new[-1]!r} among "
            "them; name a column that has fewer"
        )


def sizes_of_group_sums() -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        _OF_RIGHT: size_of_leveled(2 * _DOUBTS),
        _OF_DECIDED: size_of_leveled(_KINDS),
        _OF_COSTS: size_of_leveled(COST_CELLS),
    }


def add_to_groups(sums: Sums, rows: Predictions, made: DecidedRows | None) -> None:
    """Add rows of positive weights, all of one group."""
    weights = rows.sample_weight
    levels = None if weights is None else half_levels(weights)
    wrong = ~rows.figure("correct")
    cell = cells_of_doubts(rows.figure("doubt")) // _JOINED + np.where(wrong, _DOUBTS, 0)
    add_leveled(sums[_OF_RIGHT], cell, 2 * _DOUBTS, weights, levels)
    if made is None:
        return
    kind = np.where(made.abstained, _ASIDE, np.where(made.action == rows.labels, _RIGHT, _WRONG))
    add_leveled(sums[_OF_DECIDED], kind, _KINDS, weights, levels)
    if made.cost is not None:
        add_leveled(sums[_OF_COSTS], cost_cells(made.cost), COST_CELLS, weights, levels)


def differences_of_groups(
    sums: Sequence[Sums], decisions: Sequence[TallyDecisions | None]
) -> tuple[GroupDifference, ...]:
    """Test whether groups differ, by the sums and the decisions of each."""
    if len(sums) < 2:
        return ()
    return adjusted_differences({name: tables_p_value(tables) for name, tables in _compared(sums, decisions)})


class _Rows(NamedTuple):
    """The rows of each group: their number in each pair of cell and level, and what one of them weighs."""

    cell: IntArray
    level: IntArray
    rows: npt.NDArray[np.int64]
    weight: Floats

    @classmethod
    def of(cls, sums: Sequence[ExactSums], cells: int) -> "_Rows":
        groups = [leveled_rows(one, cells) for one in sums]
        pairs = np.concatenate([np.stack([one.level, one.cell]) for one in groups], axis=1)
        found, place = np.unique(pairs, axis=1, return_inverse=True)
        place = place.ravel()
        group = np.repeat(np.arange(len(groups)), [one.cell.size for one in groups])
        rows = np.zeros((len(groups), found.shape[1]), np.int64)
        rows[group, place] = np.concatenate([one.rows for one in groups])
        weight = group_sums(place, found.shape[1], np.concatenate([one.weight for one in groups]))
        return cls(found[1], found[0], rows, weight / rows.sum(axis=0))

    def part(self, some: npt.NDArray[np.bool_]) -> "_Rows":
        """Return some of the pairs."""
        return _Rows(self.cell[some], self.level[some], self.rows[:, some], self.weight[some])


def _compared(
    sums: Sequence[Sums], decisions: Sequence[TallyDecisions | None]
) -> Iterator[tuple[str, list[GroupTable]]]:
    right = _Rows.of([one[_OF_RIGHT] for one in sums], 2 * _DOUBTS)
    yield "accuracy", [_table(right, right.cell < _DOUBTS)]
    yield "calibration", _by_confidence(right)
    made = [one for one in decisions if one is not None]
    if len(made) < len(sums):
        return
    kinds = _Rows.of([one[_OF_DECIDED] for one in sums], _KINDS)
    every, decided, hits = (
        np.array([getattr(one, name) for one in made]) for name in ("weight", "decided", "right")
    )
    if 0 < decided.sum() < every.sum():
        yield "share decided", [_table(kinds, kinds.cell != _ASIDE)]
    is_news = (decided < every).any() or (hits != right).any()  # the risk is not 1 minus the accuracy
    if is_news and (decided > 0).sum() > 1:
        taken = kinds.part(kinds.cell != _ASIDE)
        yield "risk", [_table(taken, taken.cell == _WRONG)]
    if all(one.mean_cost is not None for one in made):
        paid = _Rows.of([one[_OF_COSTS] for one in sums], COST_CELLS)
        yield "cost", [_table(paid, mean_costs(sums, paid.cell))]


def _by_confidence(rows: _Rows) -> list[GroupTable]:
    """Return the tables of whether rows are right minus their confidence, each of about equal confidence."""
    wrong, cell = np.divmod(rows.cell, _DOUBTS)
    low, _ = doubts_of_cells(cell * _JOINED)
    _, high = doubts_of_cells(cell * _JOINED + _JOINED - 1)
    value = (1 - wrong) - (1 - (low + high) / 2)
    of_cell = group_sums(cell, _DOUBTS, rows.rows.sum(axis=0).astype(np.float64))
    middle = (np.cumsum(of_cell) - of_cell / 2) / of_cell.sum()
    stratum = (_STRATA * middle[cell]).astype(np.int64)
    return [_table(rows.part(stratum == one), value[stratum == one]) for one in np.unique(stratum)]


def _table(rows: _Rows, value: npt.NDArray[Any]) -> GroupTable:
    """Return a table with neighbouring values merged, of differences to the mean of all its rows."""
    names, place = np.unique(value, return_inverse=True)
    of_pair = rows.rows.sum(axis=0).astype(np.float64)
    count = group_sums(place, names.size, of_pair)
    of_name = np.arange(names.size)
    if names.size > _LEVELS:
        of_name = ((np.cumsum(count) - count / 2) / count.sum() * _LEVELS).astype(np.int64)
    pairs = np.stack([rows.level, of_name[place]])
    found, cell = np.unique(pairs, axis=1, return_inverse=True)
    cell, cells = cell.ravel(), found.shape[1]
    weights = of_pair * rows.weight
    total = group_sums(cell, cells, weights)
    mean = group_sums(cell, cells, weights * value) / total
    merged = np.stack([np.bincount(cell, one, cells) for one in rows.rows]).astype(np.int64)
    return GroupTable(merged, mean - total @ mean / total.sum(), total / group_sums(cell, cells, of_pair))
