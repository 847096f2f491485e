"""``keras.ops`` under the names of the array-API standard, in which the definitions are written."""

from typing import Any

import keras
from keras import ops

from ..errors import UnsupportedTypeError

inf = float("inf")
bool = "bool"

all = ops.all
any = ops.any
argmax = ops.argmax
broadcast_to = ops.broadcast_to
exp = ops.exp
expm1 = ops.expm1
isfinite = ops.isfinite
log1p = ops.log1p
max = ops.max
permute_dims = ops.transpose
reshape = ops.reshape
squeeze = ops.squeeze
sum = ops.sum
where = ops.where


def arange(stop: int, *, dtype: Any = None, device: Any = None) -> Any:
    """0 to stop; a backend chooses the device by itself."""
    return ops.arange(stop, dtype=None if dtype is None else standard_dtype(dtype))


def asarray(values: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """The values as a tensor of the backend."""
    return ops.convert_to_tensor(values, dtype=None if dtype is None else standard_dtype(dtype))


def ones(shape: tuple[int, ...], *, dtype: Any, device: Any = None) -> Any:
    """Ones of a shape."""
    return ops.ones(shape, dtype=standard_dtype(dtype))


def zeros_like(x: Any, *, dtype: Any) -> Any:
    """Zeros of the shape of a tensor."""
    return ops.zeros_like(x, dtype=standard_dtype(dtype))


def astype(x: Any, dtype: Any) -> Any:
    """The tensor in another dtype."""
    return ops.cast(x, standard_dtype(dtype))


def standard_dtype(dtype: Any) -> str:
    """The name that Keras has for a dtype of the backend."""
    return keras.backend.standardize_dtype(dtype)


def as_floating(x: Any) -> tuple[Any, str]:
    """The tensor in a dtype to compute in, at least float32, and the dtype of the result."""
    x = ops.convert_to_tensor(x)
    dtype = standard_dtype(x.dtype)
    if dtype.startswith(("int", "uint")):
        dtype = keras.config.floatx()
    elif not dtype.startswith(("float", "bfloat")):
        raise UnsupportedTypeError(f"x must be real numbers, got dtype {dtype}; convert with keras.ops.cast")
    return ops.cast(x, "float64" if dtype == "float64" else "float32"), dtype
