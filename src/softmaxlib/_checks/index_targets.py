"""Class indices that a loss is given: its target."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import dtype_name
from ..errors import InvalidInputError, UnsupportedTypeError
from .numbers import check_integer

BoolArray = npt.NDArray[np.bool_]


def check_ignore_index(ignore_index: int | None) -> None:
    """A whole number that 64 bits hold, or None."""
    if ignore_index is not None:
        check_integer(ignore_index, "ignore_index", lower=-(2**63), upper=2**63 - 1)


def check_label_dtype(
    dtype: Any, name: str, advice: str = "for class probabilities give an array of the shape of logits"
) -> None:
    """Refuse every dtype of any library but the integers."""
    if not dtype_name(dtype).startswith(("int", "uint")):
        raise UnsupportedTypeError(
            f"{name} must be integer class indices, got dtype {dtype_name(dtype)}; {advice}"
        )


def check_index_target(
    target: npt.NDArray[Any], classes: int, ignore_index: int | None
) -> tuple[npt.NDArray[np.int64], BoolArray | None]:
    """Labels in [0, classes) as (rows,), and which rows count (None: all)."""
    check_label_dtype(target.dtype, "target")
    counted = None if ignore_index is None else np.asarray(target != ignore_index)
    label = (target if counted is None else np.where(counted, target, 0)).astype(np.int64).reshape(-1)
    # Seen as unsigned, a negative label is a large one: one look at each.
    if label.size and label.view(np.uint64).max() >= classes:
        outside = (target < 0) | (target >= classes)
        if counted is not None:
            outside &= counted
        place = tuple(int(position) for position in np.argwhere(outside)[0])
        raise InvalidInputError(
            f"target must lie in 0 to {classes - 1} ({classes} classes), got {target[place]} "
            f"in row {place[0] if len(place) == 1 else place}; {_ignore_hint(ignore_index)}"
        )
    return label, None if counted is None else counted.reshape(-1)


def _ignore_hint(ignore_index: int | None) -> str:
    if ignore_index is None:
        return "to leave rows out, give their label as ignore_index"
    return f"only ignore_index={ignore_index} leaves a row out"
