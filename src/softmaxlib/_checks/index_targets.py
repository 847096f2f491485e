"""Class indices that a loss is given: its target."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import dtype_name
from ..errors import InvalidInputError, UnsupportedTypeError
from .numbers import check_integer
from .places import first_place, written_place

BoolArray = npt.NDArray[np.bool_]


def check_ignore_index(ignore_index: int | None) -> int | None:
    """Check and return a 64-bit integer, or None."""
    if ignore_index is None:
        return None
    return check_integer(ignore_index, "ignore_index", lower=-(2**63), upper=2**63 - 1)


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
    """Check and return labels in [0, classes) as (rows,), and a mask of the rows that count (None: all)."""
    check_label_dtype(target.dtype, "target")
    counted = None if ignore_index is None else np.asarray(target != ignore_index)
    label = (target if counted is None else np.where(counted, target, 0)).astype(np.int64).reshape(-1)
    if not are_classes(label, classes):
        outside = (target < 0) | (target >= classes)
        if counted is not None:
            outside &= counted
        place = first_place(outside)
        raise InvalidInputError(
            f"target must lie in 0 to {classes - 1} ({classes} classes), got {target[place]} "
            f"in row {written_place(place)}; {_ignore_hint(ignore_index)}"
        )
    return label, None if counted is None else counted.reshape(-1)


def are_classes(labels: npt.NDArray[Any], classes: int) -> bool:
    """Return True if integers, or whole floats, are all in [0, classes)."""
    if labels.dtype.kind == "f":
        return bool(((labels >= 0) & (labels < classes)).all())
    # Seen as unsigned, a negative label is a large one: one look at each.
    whole = labels.astype(np.int64, copy=False)
    return not whole.size or bool(whole.view(np.uint64).max() < classes)


def _ignore_hint(ignore_index: int | None) -> str:
    if ignore_index is None:
        return "to leave rows out, give their label as ignore_index"
    return f"only ignore_index={ignore_index} leaves a row out"
