"""Pairing of the rows of two evaluations, or the reason that prevents it."""

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ..errors import InvalidInputError
from .formats import counted
from .row_results import RowResults


class Pairing(NamedTuple):
    """Pairing of the rows of two evaluations.

    Attributes
    ----------
    how : "by id", "in order" or ""
        How they were paired; empty if they are not.
    order : array of int (rows,), or None
        Where each row of the first is in the second; None if at the same place.
    sentence : str
        The same in words, without a full stop.
    """

    how: Literal["by id", "in order", ""]
    order: npt.NDArray[np.int64] | None
    sentence: str


def pair_rows(
    one: RowResults, other: RowResults, class_names: tuple[str, ...], names: tuple[str, str]
) -> Pairing:
    """Pair the rows by their ids, each of which must occur once in both; or else in their order.

    Rows are in the same order if their true classes are, and their ids where both have them.
    """
    rows = len(one.labels), len(other.labels)
    is_same, fault = np.array_equal(one.labels, other.labels), ""
    if one.row_ids is not None and other.row_ids is not None:
        mine, yours = one.row_ids.tolist(), other.row_ids.tolist()
        fault = _fault(mine, names[0]) or _fault(yours, names[1])
        if not fault:
            return _by_id((mine, yours), (one.labels, other.labels), class_names, names)
        is_same = is_same and mine == yours
    if is_same:
        return Pairing(
            "in order", None, f"Both are judged on the same {counted(rows[0], 'row')}, in the same order"
        )
    return _unpaired(rows, fault)


def _fault(ids: list[Any], name: str) -> str:
    """Return what keeps ids from telling rows apart; empty if nothing does."""
    first: dict[Any, int] = {}
    for row, one in enumerate(ids):
        if one is None:
            return f"row {row} of {name} has no id"
        if one in first:
            return f"rows {first[one]} and {row} of {name} have the same id, {one!r}"
        first[one] = row
    return ""


def _by_id(
    ids: tuple[list[Any], list[Any]],
    labels: tuple[IntArray, IntArray],
    class_names: tuple[str, ...],
    names: tuple[str, str],
) -> Pairing:
    wanted = ids[0]
    found = {name: place for place, name in enumerate(ids[1])}
    rows = len(wanted), len(found)
    common = [name for name in wanted if name in found]
    if len(common) == max(rows):
        order = np.array([found[name] for name in wanted], dtype=np.int64)
        _refuse_other_classes(wanted, labels[0], labels[1][order], class_names)
        return Pairing(
            "by id", order, f"Both are judged on the same {counted(rows[0], 'row')}, found by their ids"
        )
    if not common:
        return _unpaired(rows, "")
    side = int(len(common) == rows[0])  # a row of this one is not in the other
    known = set(common)
    row = next(row for row, name in enumerate(ids[side]) if name not in known)
    return Pairing(
        "",
        None,
        f"{len(common):,} rows are in both, of {rows[0]:,} and {rows[1]:,}, but row {row} of {names[side]}, "
        f"{ids[side][row]!r}, is not in {names[1 - side]}. They are compared without pairing rows, which "
        "makes a difference harder to find; evaluate both on the same rows",
    )


def _unpaired(rows: tuple[int, int], fault: str) -> Pairing:
    if fault:
        sentence = (
            f"The rows ({rows[0]:,} and {rows[1]:,}) can't be paired: {fault}. They are compared without "
            "pairing, which makes a difference harder to find; give each row an id of its own"
        )
    else:
        sentence = (
            f"The two evaluations are on different rows ({rows[0]:,} and {rows[1]:,}), so a difference may "
            "come from the rows, not the model"
        )
    return Pairing("", None, sentence)


def _refuse_other_classes(
    ids: list[Any], labels: IntArray, others: IntArray, class_names: tuple[str, ...]
) -> None:
    differing = np.flatnonzero(others != labels)
    if differing.size:
        row = int(differing[0])
        raise InvalidInputError(
            f"the row with the id {ids[row]!r} has the true class {class_names[labels[row]]!r} in the first "
            f"evaluation and {class_names[others[row]]!r} in the second; correct one of them"
        )
