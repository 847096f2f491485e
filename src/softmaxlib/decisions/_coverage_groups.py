"""The groups of fitted prediction sets: which rows each threshold is for, and what the groups are called."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray
from ._groups import class_groups, find_groups, listed_groups
from .decision import Floats


class CoverageGroups(NamedTuple):
    """Groups of named rows, or of classes; without groups, one of all classes.

    Attributes
    ----------
    of_classes : array of int, shape (classes,), or None
        The group of each class; None if groups are of rows.
    row_names : tuple of str, or None
        The names of groups of rows.
    is_divided : bool
        Whether there are groups.
    """

    of_classes: npt.NDArray[np.int64] | None
    row_names: tuple[str, ...] | None
    is_divided: bool

    @classmethod
    def of(
        cls, setting: str | npt.NDArray[np.int64] | None, classes: int, row_names: tuple[str, ...] | None
    ) -> "CoverageGroups":
        """Return the groups of a setting of `PredictionSets`, and of the names of groups of rows."""
        of_classes = None if row_names is not None else class_groups(setting, classes)
        return cls(of_classes, row_names, setting is not None)

    def of_rows(self, labels: IntArray, groups: Array | None) -> npt.NDArray[np.int64]:
        """Return the number of each row's group, from its true class or the name of its group."""
        if self.of_classes is not None:
            return self.of_classes[labels]
        return find_groups(groups, len(labels), self.row_names or ())

    def thresholds(self, of_groups: Floats, rows: int, groups: Array | None) -> Floats:
        """Return the thresholds of the scores, (rows, 1) or (1, classes)."""
        if self.of_classes is not None:
            return of_groups[self.of_classes][None]
        return of_groups[find_groups(groups, rows, self.row_names or ()), None]

    def describe(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return the name of each group: its classes, or ``""`` if there is only one for all rows."""
        if not self.is_divided:
            return ("",)
        if self.of_classes is None:
            return self.row_names or ()
        return tuple(
            listed_groups([class_names[label] for label in np.flatnonzero(self.of_classes == group).tolist()])
            for group in range(int(self.of_classes.max()) + 1)
        )
