"""The rows that a rule learns from, and their groups."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, IntArray, as_numpy
from .._checks import group_array
from ..decisions import Rule
from ..errors import InvalidInputError
from .figures import Weights


class FitRows(NamedTuple):
    """Logits (rows, classes), their labels (rows,), and weights (rows,) or None."""

    values: FloatArray
    labels: IntArray
    weights: Weights | None

    def some(self, which: npt.NDArray[np.bool_ | np.int64]) -> "FitRows":
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[which]
        return FitRows(self.values[which], self.labels[which], weights)


class SplitRows(NamedTuple):
    """Rows that count, those of the calibration, and those that the rule learns from or is judged by.

    `split` says how they were chosen: "none" (all are the calibration's), "given" or "random". `groups` are
    those of the rows of the rule.
    """

    every: FitRows
    for_calibration: FitRows
    judged: FitRows
    split: str
    groups: Array | None


def split_rows(
    rule: Rule, rows: FitRows, rule_rows: Array | None, groups: Array | None, seed: int
) -> SplitRows:
    """Split the rows with a weight into those of the calibration and those of the rule."""
    counts = np.ones(len(rows.labels), bool) if rows.weights is None else rows.weights > 0
    for_rule, split = _choose(rule, rule_rows, counts, seed)
    judged = for_rule if split != "none" else counts
    every = rows if counts.all() else rows.some(counts)
    return SplitRows(
        every,
        rows.some(counts & ~for_rule),
        rows.some(judged),
        split,
        groups_of_rows(rule, groups, judged),
    )


def _choose(
    rule: Rule, rule_rows: Array | None, counts: npt.NDArray[np.bool_], seed: int
) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which of the rows that count are the rule's, and how they were chosen."""
    rows = counts.size
    given = None if rule_rows is None else _check_rule_rows(rule_rows, rows)
    if not rule.learns:
        return np.zeros(rows, dtype=bool), "none"
    if given is not None:
        mask, split = given & counts, "given"
    else:
        counted = np.flatnonzero(counts)
        mask = np.zeros(rows, dtype=bool)
        mask[counted[np.random.default_rng(seed).permutation(counted.size)[: counted.size // 2]]] = True
        split = "random"
    if mask.sum() in (0, counts.sum()):
        raise InvalidInputError(
            "the calibration and the rule must each have rows of their own, "
            f"got {int(mask.sum())} of {int(counts.sum())} for the rule; give more rows"
        )
    return mask, split


def _check_rule_rows(rule_rows: Array, rows: int) -> npt.NDArray[np.bool_]:
    mask = as_numpy(rule_rows, "rule_rows")
    if mask.dtype != bool or mask.shape != (rows,):
        raise InvalidInputError(
            f"rule_rows must be True or False for each row, shape ({rows},), got {mask.dtype} of shape "
            f"{mask.shape}"
        )
    return mask


def groups_of_rows(rule: Rule, groups: Array | None, rows: npt.NDArray[np.bool_]) -> Array | None:
    """Return the groups of some rows, for a rule that takes them; the rule checks their names."""
    rule.check_groups(groups)
    if groups is None:
        return None
    return group_array(groups, len(rows))[rows]
