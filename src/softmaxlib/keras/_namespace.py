"""``keras.ops`` under the names of the array-API standard, in which the definitions are written."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from .._arrays import as_numpy
from ..errors import UnsupportedTypeError

inf = float("inf")
nan = float("nan")
bool = "bool"

all = ops.all
any = ops.any
broadcast_to = ops.broadcast_to
exp = ops.exp
expm1 = ops.expm1
isfinite = ops.isfinite
log1p = ops.log1p
permute_dims = ops.transpose
reshape = ops.reshape
squeeze = ops.squeeze
sum = ops.sum
where = ops.where


def max(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Return the largest numbers; -inf of none, which a backend may refuse."""
    if 0 not in x.shape:
        return ops.max(x, axis=axis, keepdims=keepdims)
    return ops.full_like(ops.sum(x, axis=axis, keepdims=keepdims), -inf)


def argmax(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Return the places of the largest numbers; 0 of none, which a backend may refuse."""
    if 0 not in x.shape:
        return ops.argmax(x, axis=axis, keepdims=keepdims)
    return ops.cast(ops.zeros_like(ops.sum(x, axis=axis, keepdims=keepdims)), "int32")


def arange(stop: int, *, dtype: Any = None, device: Any = None) -> Any:
    """Compute 0 to stop; a backend chooses the device by itself."""
    return ops.arange(stop, dtype=None if dtype is None else standard_dtype(dtype))


def asarray(values: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Return the values as a tensor of the backend."""
    return ops.convert_to_tensor(values, dtype=None if dtype is None else standard_dtype(dtype))


def as_tensor(values: Any, name: str) -> Any:
    """Return an argument as a tensor of the backend."""
    if isinstance(values, np.ma.MaskedArray):
        as_numpy(values, name)  # which refuses it: as a tensor it would lose its mask
    try:
        tensor: Any = ops.convert_to_tensor(values)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        kind = type(values).__name__
        raise UnsupportedTypeError(f"{name} must be a tensor of numbers, got {kind}: {error}") from None
    if standard_dtype(tensor.dtype) == "string":  # of TensorFlow
        raise UnsupportedTypeError(f"{name} must be a tensor of numbers, got text; convert it to numbers")
    return tensor


def counting(classes: Any) -> Any:
    """Return this namespace with an ``arange`` that counts that many classes, if need be a tensor."""
    return SimpleNamespace(**globals() | {"arange": partial(_count, classes)})


def _count(classes: Any, stop: int | None, *, dtype: Any = None, device: Any = None) -> Any:
    return arange(classes if stop is None else stop, dtype=dtype)


def ones_like(x: Any, *, dtype: Any) -> Any:
    """Return ones of the shape of a tensor."""
    return ops.ones_like(x, dtype=standard_dtype(dtype))


def zeros_like(x: Any, *, dtype: Any) -> Any:
    """Return zeros of the shape of a tensor."""
    return ops.zeros_like(x, dtype=standard_dtype(dtype))


def lengths_of(x: Any) -> tuple[Any, ...]:
    """Return the shape, with tensors for the lengths that a graph learns only when it runs."""
    shape: Any = ops.shape(x)
    return tuple(shape)


def over_rows(mask: Any, shape: tuple[Any, ...]) -> Any:
    """Return a mask of the leading axes, in a shape that begins with them."""
    for _ in range(len(shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return ops.broadcast_to(mask, shape)


def as_index(labels: Any) -> Any:
    """Convert labels to signed integers; one outside their range, or no whole number, is out of range."""
    dtype = standard_dtype(labels.dtype)
    if dtype in ("int32", "int64"):
        return labels
    if dtype in ("uint32", "uint64"):
        labels = ops.minimum(labels, 2**31 - 1)
    if not is_floating(dtype):
        return ops.cast(labels, "int32")
    whole = ops.equal(labels, ops.floor(labels))  # not true of NaN
    return ops.where(whole, ops.cast(ops.clip(labels, -1e9, 1e9), "int32"), -(2**31))


def astype(x: Any, dtype: Any) -> Any:
    """Return the tensor in another dtype."""
    return ops.cast(x, standard_dtype(dtype))


def finfo(dtype: Any) -> Any:
    """Return the limits of a dtype to compute in, which NumPy has too."""
    return np.finfo(standard_dtype(dtype))


def is_floating(dtype: Any) -> Any:
    """Return True for a floating dtype, in Keras's name or the backend's."""
    return standard_dtype(dtype).startswith(("float", "bfloat"))


def standard_dtype(dtype: Any) -> str:
    """Return the name that Keras has for a dtype of the backend."""
    return keras.backend.standardize_dtype(dtype)


def as_floating(x: Any, name: str = "x") -> tuple[Any, str]:
    """Return the tensor in a dtype to compute in, at least float32, and the dtype of the result."""
    x = as_tensor(x, name)
    wide, dtype = floating_dtypes(x.dtype)
    return ops.cast(x, wide), dtype


def floating_dtypes(dtype: Any) -> tuple[str, str]:
    """Return the dtype to compute tensors of a dtype in, at least float32, and the dtype of the result."""
    dtype = standard_dtype(dtype)
    if dtype.startswith(("int", "uint")):
        dtype = keras.config.floatx()
    elif not is_floating(dtype):
        raise UnsupportedTypeError(f"x must be real numbers, got dtype {dtype}; convert with keras.ops.cast")
    return "float64" if dtype == "float64" else "float32", dtype
