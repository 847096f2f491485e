"""Masks: the argument `where`, and NumPy's masked arrays."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError, UnsupportedTypeError
from .axes import broadcasts_to
from .dtypes import dtype_name
from .libraries import Array, as_numpy, bring, foreign_namespace


def take_masks(operands: Mapping[str, Array], where: Array | None) -> tuple[dict[str, Array], Array | None]:
    """Return the data of NumPy masked arrays, and ``where`` without the masked elements."""
    unmasked = {}
    for name, values in operands.items():
        if isinstance(values, np.ma.MaskedArray):
            kept = ~np.ma.getmaskarray(values)
            values = values.data
            where = kept if where is None else kept & _numpy_mask(where, values.shape)
        unmasked[name] = values
    return unmasked, where


def check_where(where: Array | None, like: Array) -> Array | None:
    """Check and return the mask as a bool array in the shape and library of ``like``. None stays None."""
    if where is None:
        return None
    shape = tuple(like.shape)
    namespace = foreign_namespace(like)
    if namespace is None:
        return _numpy_mask(where, shape)
    mask = bring(namespace, where, like, "where")
    check_mask(mask, shape)
    return namespace.broadcast_to(mask, shape)


def check_mask(mask: Array, shape: tuple[int, ...]) -> None:
    """Refuse an array of any library that is no bool mask of the elements of an array of this shape."""
    if dtype_name(mask.dtype) != "bool":
        raise UnsupportedTypeError(
            f"where must be a bool mask (True takes part), got dtype {dtype_name(mask.dtype)}; "
            "compare with != 0"
        )
    if not broadcasts_to(tuple(mask.shape), shape):
        raise InvalidInputError(
            f"where must broadcast to the shape {shape}, got shape {tuple(mask.shape)}; "
            "give it 1 where it is the same along an axis"
        )


def _numpy_mask(where: Array, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    mask = as_numpy(where, "where")
    check_mask(mask, shape)
    return np.broadcast_to(mask, shape)
