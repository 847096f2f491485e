"""How often prediction sets hold the true class, group by group: within each of them coverage is promised."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array, IntArray
from ..decisions import PredictionSets


class GroupCoverage(NamedTuple):
    """The prediction sets of one group of rows.

    Attributes
    ----------
    name : str
        What the group is called; empty where one threshold serves all rows.
    rows, covered : int
        Rows looked at, and those whose set holds the true class.
    classes : int
        How many classes these sets hold in all.
    fitted_rows : int
        Rows of the group that its threshold was fitted on.
    """

    name: str
    rows: int
    covered: int
    classes: int
    fitted_rows: int


def group_coverage(
    rule: Any, decision: Any, labels: IntArray, class_names: Sequence[str], groups: Array | None = None
) -> tuple[GroupCoverage, ...]:
    """The groups that occur among the rows; none for a rule that promises no coverage."""
    if not isinstance(rule, PredictionSets):
        return ()
    group = rule.covered_groups(labels, groups)
    names = rule.describe_groups(class_names)
    count = len(names)
    covered = decision.sets[np.arange(len(labels)), labels]
    columns = (
        np.bincount(group, minlength=count),
        np.bincount(group, covered, count).astype(np.int64),
        np.bincount(group, decision.sets.sum(axis=1), count).astype(np.int64),
        rule.group_sizes_,
    )
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return tuple(GroupCoverage(*one) for one in rows if one[1])
