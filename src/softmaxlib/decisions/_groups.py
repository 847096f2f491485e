"""Groups within which coverage holds: of classes by number, of rows by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _json
from .._arrays import Array, as_numpy
from .._checks import name_groups
from .._stored import Array as StoredArray
from .._stored import Choice, OrNone, Schema
from .._text import listed
from .._warn import warn_user
from ..errors import FileFormatError, InvalidInputError
from .conformal_threshold import rows_needed

_LISTED = 5
_WORDS = ("class", "rows")
_OF_CLASSES = StoredArray(("any",), kind="i")


def check_groups(groups: str | Array | None) -> str | npt.NDArray[np.int64] | None:
    """Return what `PredictionSets` takes for ``groups``."""
    if groups is None or (isinstance(groups, str) and groups in _WORDS):
        return groups
    array = as_numpy(groups, "groups")
    if array.dtype.kind not in "iu" or array.ndim != 1 or array.size < 2 or array.min() < 0:
        raise InvalidInputError(
            'groups must be None, "class", "rows" or one group number a class, numbered from 0; '
            f"got {groups!r}"
        )
    distinct = np.unique(array)
    out_of_place = np.flatnonzero(distinct != np.arange(distinct.size))
    if out_of_place.size:
        raise InvalidInputError(
            f"groups must be numbered from 0 without gaps, got {array.max()} and none that is "
            f"{out_of_place[0]}"
        )
    return array.astype(np.int64)


def find_groups(groups: Array, rows: int, known: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the index of each row's group among the known ones."""
    found = name_groups(groups, rows)
    place = {name: number for number, name in enumerate(known)}
    index = np.array([place.get(name, -1) for name in found.names], np.int64)[found.place]
    unknown = np.flatnonzero(index < 0)
    if unknown.size:
        row = int(unknown[0])
        raise InvalidInputError(
            f"groups must be among those of fit, {listed_groups(known)}; got "
            f"{found.names[found.place[row]]!r} in row {row}, of which nothing is known: fit with rows of "
            "it, or leave its rows out"
        )
    return index


def listed_groups(names: Sequence[str]) -> str:
    """Return the first few for a message, and how many more there are."""
    return listed(names, _LISTED)


def class_groups(groups: str | npt.NDArray[np.int64] | None, classes: int) -> npt.NDArray[np.int64]:
    """Return the group of each class. Without groups of classes, all are in one."""
    if isinstance(groups, np.ndarray):
        if groups.size != classes:
            raise InvalidInputError(
                f"groups must have one group a class ({groups.size} given), got probabilities of "
                f"{classes} classes"
            )
        return groups
    return np.arange(classes) if groups == "class" else np.zeros(classes, np.int64)


def warn_of_small_groups(
    alpha: float,
    thresholds: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int64],
    names: Sequence[str] | None,
) -> None:
    """Warn of groups too small for a threshold.

    Groups without names, as those of classes, go by their numbers; None where there are no groups.
    """
    small = np.flatnonzero(np.isinf(thresholds))
    if not small.size:
        return
    if names is None:
        found = f", got {sizes[0]}: no class can be ruled out; fit on more rows"
    else:
        names = names or [str(number) for number in range(thresholds.size)]
        listed_sizes = [f"{names[group]} ({sizes[group]} rows)" for group in small.tolist()]
        found = (
            f" a group; nothing can be ruled out in group {listed_groups(listed_sizes)}: fit on more rows, "
            "join groups"
        )
    warn_user(f"alpha {alpha:g} needs at least {rows_needed(alpha)} rows{found}, or raise alpha")


class GroupsField:
    """``groups`` of `PredictionSets` in JSON: null, a word, or an array."""

    def encode(self, value: str | npt.NDArray[np.int64] | None) -> Any:
        return _OF_CLASSES.encode(value) if isinstance(value, np.ndarray) else value

    def decode(self, value: Any, place: str, classes: int) -> str | npt.NDArray[np.int64] | None:
        if isinstance(value, dict):
            return _OF_CLASSES.decode(value, place, classes)
        return OrNone(Choice(_WORDS)).decode(value, place, classes)

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "null"}, {"enum": list(_WORDS)}, _OF_CLASSES.schema()]}


def check_saved_groups(
    groups: str | npt.NDArray[np.int64] | None,
    classes: int,
    thresholds: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int64],
    names: tuple[str, ...] | None,
) -> None:
    """Raise FileFormatError if the saved groups of `PredictionSets` are inconsistent."""
    of_rows = isinstance(groups, str) and groups == "rows"
    if isinstance(groups, np.ndarray):
        count = int(groups.max()) + 1
        if groups.size != classes:
            raise _damaged(f"groups must have {classes} entries, got {groups.size}")
    else:
        count = thresholds.size if of_rows else classes if groups == "class" else 1
    for name, array in (("thresholds_", thresholds), ("group_sizes_", sizes)):
        if array.size != count:
            raise _damaged(f"{name} must have {count} entries, got {array.size}")
    if np.isnan(thresholds).any() or not count or (sizes < 0).any():
        raise _damaged("thresholds_ and group_sizes_ must be numbers that mean something")
    if not of_rows and names is not None:
        raise _damaged("group_names_ must be null without groups of rows")
    if of_rows and (names is None or len(names) != count or len(set(names)) < count):
        raise _damaged(f"group_names_ must hold {count} different texts, one a group")


def _damaged(rule: str) -> FileFormatError:
    return FileFormatError(f"PredictionSets.{rule}; {_json.ADVICE}")
