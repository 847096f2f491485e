"""Which rows a rule learns from, and what groups rows are in."""

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from ..decisions import Rule
from ..errors import InvalidInputError


def split_rows(
    rule: Rule, rule_rows: Array | None, rows: int, seed: int
) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which rows are the rule's, and how they were chosen: "none", "given" or "random"."""
    if not rule.learns:
        return np.zeros(rows, dtype=bool), "none"
    if rule_rows is not None:
        mask = as_numpy(rule_rows, "rule_rows")
        if mask.dtype != bool or mask.shape != (rows,):
            raise InvalidInputError(
                f"rule_rows must be True or False for each row, shape ({rows},), "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        split = "given"
    else:
        mask = np.zeros(rows, dtype=bool)
        mask[np.random.default_rng(seed).permutation(rows)[: rows // 2]] = True
        split = "random"
    if mask.all() or not mask.any():
        raise InvalidInputError(
            "the calibration and the rule must each have rows of their own, "
            f"got {int(mask.sum())} of {rows} for the rule; give more rows"
        )
    return mask, split


def groups_of_rows(rule: Rule, groups: Array | None, rows: npt.NDArray[np.bool_]) -> Array | None:
    """The groups of some rows, for a rule that takes them; the rule checks what they are called."""
    rule.check_groups(groups)
    if groups is None:
        return None
    array = as_numpy(groups, "groups")
    if array.shape != rows.shape:
        raise InvalidInputError(
            f"groups must hold one group a row, shape ({len(rows)},), got shape {array.shape}"
        )
    return array[rows]
