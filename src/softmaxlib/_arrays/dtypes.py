"""Dtypes: which are accepted, which one is computed in, and which one the result has."""

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedTypeError
from .libraries import Array, as_numpy, bring, foreign_namespace

_REAL = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
_REAL |= {"float16", "bfloat16", "float32", "float64", np.dtype(np.longdouble).name}


class Operands(NamedTuple):
    """Arrays of one library in the dtype to compute in, and the dtype that the result has."""

    namespace: ModuleType
    arrays: tuple[Array, ...]
    dtype: Any


def dtype_name(dtype: Any) -> str:
    """Return the plain name of any library's dtype, such as float32."""
    if isinstance(dtype, np.dtype):
        return _numpy_name(dtype)
    return dtype.__name__ if isinstance(dtype, type) else str(dtype).rpartition(".")[2]


@lru_cache(maxsize=256)  # NumPy spells a name anew at each call
def _numpy_name(dtype: np.dtype[Any]) -> str:
    return dtype.name.rstrip("0123456789") if dtype.kind in "US" else dtype.name


def check_real_dtype(dtype: Any, name: str) -> None:
    """Reject a dtype that is neither an integer nor a float of 16 bits or more, of any library."""
    if dtype_name(dtype) not in _REAL:
        raise UnsupportedTypeError(
            f"{name} must be real numbers, got dtype {dtype_name(dtype)}; convert it to float32 or float64"
        )


def real_operands(operands: Mapping[str, Array]) -> Operands:
    """Convert named arrays to one library and one dtype of computation.

    NumPy arrays are computed in float64 (long double stays), those of other libraries in their own
    dtype, but never in less than float32. Integers count as float64.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.
    """
    foreign = foreign_namespace(*operands.values())
    if foreign is None:
        return _numpy_operands(operands)
    return _foreign_operands(foreign, operands)


def _numpy_operands(operands: Mapping[str, Array]) -> Operands:
    from array_api_compat import numpy as namespace

    arrays = [as_numpy(array, name) for name, array in operands.items()]
    dtypes = []
    for name, array in zip(operands, arrays, strict=True):
        check_real_dtype(array.dtype, name)
        whole = array.dtype.kind in "iu"
        dtypes.append(np.dtype(np.float64) if whole else array.dtype.newbyteorder("="))
    dtype = np.result_type(*dtypes)
    wide = np.result_type(dtype, np.float64)
    return Operands(namespace, tuple(array.astype(wide) for array in arrays), dtype)


def _foreign_operands(namespace: ModuleType, operands: Mapping[str, Array]) -> Operands:
    like = next(array for array in operands.values() if foreign_namespace(array) is not None)
    arrays = [bring(namespace, array, like, name) for name, array in operands.items()]
    for name, array in zip(operands, arrays, strict=True):
        check_real_dtype(array.dtype, name)
    # jax without x64 has no float64; its integers become float32, as everywhere in jax
    floats = namespace.__array_namespace_info__().dtypes(kind="real floating")
    widest = floats.get("float64", namespace.float32)
    arrays = [
        array if namespace.isdtype(array.dtype, "real floating") else namespace.astype(array, widest)
        for array in arrays
    ]
    dtype = namespace.result_type(*arrays)
    wide = namespace.float32 if namespace.finfo(dtype).bits < 32 else dtype
    return Operands(namespace, tuple(namespace.astype(array, wide, copy=False) for array in arrays), dtype)


def cast(namespace: ModuleType, array: Array, dtype: Any) -> Array:
    """Convert the array to the dtype, rounded once. 0-d NumPy results become scalars, as from a ufunc."""
    if namespace.__name__.endswith("numpy") and isinstance(array, (np.ndarray, np.generic)):
        return np.asarray(array).astype(dtype, copy=False)[()]
    return namespace.astype(array, dtype, copy=False)
