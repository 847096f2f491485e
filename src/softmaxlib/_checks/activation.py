"""The arguments of an activation of NumPy arrays that its kernel did not accept directly."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import (
    Array,
    Axis,
    as_numpy,
    check_axis,
    check_out,
    check_real_dtype,
    check_where,
    dtype_name,
    foreign_namespace,
    take_masks,
)
from ..errors import UnsupportedTypeError
from .row_numbers import check_temperature

_RESULTS = ("float16", "bfloat16", "float32", "float64")


class Activation(NamedTuple):
    """Checked arguments, as the kernels take them; a temperature of an array has one number per row."""

    x: npt.NDArray[Any]
    axes: tuple[int, ...]
    where: npt.NDArray[np.bool_] | None
    temperature: float | npt.NDArray[np.float64]
    dtype: np.dtype[Any] | None
    out: npt.NDArray[Any] | None


def check_activation(
    x: Array,
    axis: Axis,
    where: Array | None,
    *,
    temperature: Array = 1.0,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    reduces: bool = False,
    keepdims: bool = False,
) -> Activation:
    """Reject invalid arguments of an activation, and convert the others to NumPy arrays."""
    unmasked, where = take_masks({"x": x}, where)
    array = as_numpy(unmasked["x"], "x")
    check_real_dtype(array.dtype, "x")
    if array.dtype.itemsize > 8:
        raise UnsupportedTypeError(
            f"x must be real numbers of at most 64 bits, got dtype {array.dtype.name}; convert it to float64"
        )
    axes = check_axis(axis, array.ndim)
    wanted = check_result_dtype(dtype)
    kept = ((d, n) for d, n in enumerate(array.shape) if not reduces or keepdims or d not in axes)
    shape = tuple(1 if reduces and d in axes else n for d, n in kept)
    own = np.dtype(np.float64) if array.dtype.kind in "iu" else array.dtype
    check_out(out, shape, own if wanted is None else wanted)
    return Activation(
        array,
        axes,
        check_where(where, array),
        check_temperature(temperature, array, axes),
        wanted,
        None if out is None else out.view(np.ndarray),
    )


def check_result_dtype(dtype: npt.DTypeLike | None) -> np.dtype[Any] | None:
    """Check and return the dtype of a result. None stays None."""
    if dtype is None:
        return None
    try:
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):
        wanted = None
    _check_name(dtype_name(dtype if wanted is None else wanted))
    return wanted


def check_foreign_dtype(dtype: Any, x: Array) -> Any:
    """Check the dtype of a result, and return it as the library of `x` has it. None stays None."""
    if dtype is None:
        return None
    name, namespace = dtype_name(dtype), foreign_namespace(x)
    _check_name(name)
    if not hasattr(namespace, name):
        raise UnsupportedTypeError(f"dtype must be one of the library of x, got {name}; choose float32")
    return getattr(namespace, name)


def _check_name(name: str) -> None:
    if name not in _RESULTS:
        raise UnsupportedTypeError(f"dtype must be float16, bfloat16, float32 or float64, got {name}")
