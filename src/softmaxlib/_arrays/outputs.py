"""Memory of results: new arrays, and the argument `out`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _kernels
from ..errors import InvalidInputError, UnsupportedTypeError
from .libraries import Array

_LARGE = 1 << 17  # rows from which on results lie in memory that is used again


def allocator(rows: int) -> Callable[[int | tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]:
    """Return what makes new arrays of so many rows, like ``numpy.empty``."""
    return _kernels.empty if rows >= _LARGE else np.empty


def refuse_out(out: Array | None) -> None:
    """Reject an ``out`` of another library than NumPy."""
    if out is not None:
        raise UnsupportedTypeError(
            f"out is for NumPy arrays, got {type(out).__name__} for an array of another library; leave it out"
        )


def check_out(out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Reject an output that can't receive a result of this shape and dtype."""
    if out is None:
        return
    advice = f"allocate it with numpy.empty({shape}, {dtype.name!r}) or leave it out"
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise UnsupportedTypeError(f"out must be a NumPy array, got {type(out).__name__}; {advice}")
    if out.dtype.newbyteorder("=") != dtype.newbyteorder("="):
        raise UnsupportedTypeError(
            f"out must have the dtype of the result, {dtype.name}, got {out.dtype.name}; {advice}"
        )
    if out.shape != shape:
        raise InvalidInputError(f"out must have the shape of the result, {shape}, got {out.shape}; {advice}")
    if not out.flags.writeable:
        raise InvalidInputError(f"out must be writable, got a read-only array; {advice}")
