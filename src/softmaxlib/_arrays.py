"""The one place that asks: whose array is this, which axis, which dtype, which elements, written where.

Everything above this file receives what it checked and asks none of it again.
"""

import operator
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InvalidInputError, UnsupportedTypeError

Array = Any
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_FOREIGN = ("torch", "jax", "cupy", "dask.array", "array_api_strict", "ndonnx", "sparse")


def foreign_namespace(*arrays: Array) -> ModuleType | None:
    """The array-API namespace of the first array that is not NumPy's, or None.

    Nothing is imported before the user has: an array of another library can only exist once its
    library is in ``sys.modules``.
    """
    for array in arrays:
        if array is None or isinstance(array, (np.ndarray, np.generic, float, int, list, tuple)):
            continue
        if hasattr(array, "__array_namespace__") or type(array).__module__.split(".")[0] in _FOREIGN:
            if not any(name in sys.modules for name in _FOREIGN):
                continue
            from array_api_compat import array_namespace, is_numpy_namespace

            namespace = array_namespace(array)
            if not is_numpy_namespace(namespace):
                return namespace
    return None


def as_numpy(values: Array, name: str) -> npt.NDArray[Any]:
    """Anybody's array, or nested lists, as NumPy's; ``name`` is for the error."""
    if hasattr(values, "detach"):  # a torch tensor that requires grad refuses __array__
        values = values.detach().cpu()
        if getattr(values, "fake_mode", None) is not None:
            raise TypeError(f"{name} must have numbers, got a fake tensor of PyTorch, which has only a shape")
        if str(values.dtype) == "torch.bfloat16":  # which NumPy has not
            values = values.float()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(f"{name} must be a rectangular array, got {error}") from None
    except (TypeError, RuntimeError):  # on another device: it wants to be asked for a copy
        if foreign_namespace(values) is None or not hasattr(values, "__dlpack__"):
            raise
        return np.from_dlpack(values, device="cpu")


Axis = int | tuple[int, ...] | None


class Operands(NamedTuple):
    """Arrays of one library in the dtype to compute in, and the dtype that the result has."""

    namespace: ModuleType
    arrays: tuple[Array, ...]
    dtype: Any


def evaluate(
    definition: Callable[..., Array],
    operands: Mapping[str, Array],
    *,
    axis: Axis = -1,
    where: Array | None = None,
    dtype: Any = None,
    **options: Any,
) -> Array:
    """A definition of ``_generic`` along an axis, on arrays of equal shape of any library."""
    namespace, arrays, own_dtype = real_operands(operands)
    check_same_shape(dict(zip(operands, arrays, strict=True)))
    axes = check_axis(axis, arrays[0].ndim)
    where = check_where(where, namespace, arrays[0])
    dtype = own_dtype if dtype is None else dtype
    if 0 in arrays[0].shape:
        keepdims = options.get("keepdims")
        if keepdims is None:
            return cast(namespace, arrays[0], dtype)
        return cast(namespace, _empty_reduction(namespace, arrays[0], axes, keepdims), dtype)
    with np.errstate(all="ignore"):
        result = definition(namespace, *arrays, axis=axes, where=where, **options)
        return cast(namespace, result, dtype)


def _empty_reduction(namespace: ModuleType, array: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    lengths = enumerate(array.shape)
    shape = tuple(1 if d in axes else n for d, n in lengths if keepdims or d not in axes)
    return namespace.full(shape, -namespace.inf, dtype=array.dtype, device=device_of(array))


def refuse_out(out: Array | None) -> None:
    """Only NumPy's arrays can be written into."""
    if out is not None:
        raise InvalidInputError(
            f"out is for NumPy arrays, got {type(out).__name__} for an array of another library; leave it out"
        )


def evaluate_elementwise(
    definition: Callable[..., Array], operands: Mapping[str, Array], **options: Any
) -> Array:
    """A definition of ``_generic`` without an axis, on arrays of equal shape of any library."""
    namespace, arrays, dtype = real_operands(operands)
    check_same_shape(dict(zip(operands, arrays, strict=True)))
    with np.errstate(all="ignore"):
        return cast(namespace, definition(namespace, *arrays, **options), dtype)


def real_operands(operands: Mapping[str, Array]) -> Operands:
    """Named arrays brought to one library and one dtype to compute in.

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


def check_axis(axis: Axis, dimensions: int) -> tuple[int, ...]:
    """The axes as distinct numbers in [0, dimensions), in rising order; None means all of them.

    Raises
    ------
    numpy.exceptions.AxisError
        For an axis that the array does not have.
    InvalidInputError
        For an axis given twice.
    """
    if axis is None:
        return tuple(range(dimensions))
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = []
    for one in given:
        number = operator.index(one)
        if not -dimensions <= number < dimensions:
            raise np.exceptions.AxisError(number, dimensions)
        axes.append(number % dimensions)
    if len(set(axes)) < len(axes):
        raise InvalidInputError(f"axis must name each axis once, got {axis}; drop the repeated one")
    return tuple(sorted(axes))


def check_where(where: Array | None, namespace: ModuleType, like: Array) -> Array | None:
    """The mask as a bool array of the shape of ``like``, in the same library; None stays None."""
    if where is None:
        return None
    mask = bring(namespace, where, like)
    if mask.dtype != (np.bool_ if foreign_namespace(like) is None else namespace.bool):
        raise UnsupportedTypeError(
            f"where must be a bool mask (True takes part), got dtype {mask.dtype}; compare with != 0"
        )
    shape = tuple(like.shape)
    try:
        fits = np.broadcast_shapes(tuple(mask.shape), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise InvalidInputError(f"where must broadcast to the shape {shape}, got shape {tuple(mask.shape)}")
    return namespace.broadcast_to(mask, shape)


def check_same_shape(operands: Mapping[str, Array]) -> None:
    """Refuse arrays whose shapes differ, by name."""
    (first, model), *others = operands.items()
    for name, array in others:
        if tuple(array.shape) != tuple(model.shape):
            raise InvalidInputError(
                f"{name} must have the shape of {first}, {tuple(model.shape)}, got {tuple(array.shape)}"
            )


def cast(namespace: ModuleType, array: Array, dtype: Any) -> Array:
    """The array in the dtype, rounded once; NumPy's 0-d results become scalars, as from a ufunc."""
    if namespace.__name__.endswith("numpy") and isinstance(array, (np.ndarray, np.generic)):
        return np.asarray(array).astype(dtype, copy=False)[()]
    return namespace.astype(array, dtype, copy=False)


def as_like(namespace: ModuleType, values: npt.NDArray[Any], like: Array) -> Array:
    """NumPy's numbers in the library, dtype and device of another array."""
    return namespace.astype(bring(namespace, values, like), like.dtype, copy=False)


def stop_gradient(array: Array) -> Array:
    """The same numbers, a constant to the automatic differentiation of torch and jax."""
    if hasattr(array, "detach"):
        return array.detach()
    jax = sys.modules.get("jax")
    return jax.lax.stop_gradient(array) if jax is not None and isinstance(array, jax.Array) else array


def _numpy_operands(operands: Mapping[str, Array]) -> Operands:
    from array_api_compat import numpy as namespace

    arrays = [as_numpy(array, name) for name, array in operands.items()]
    dtypes = []
    for name, array in zip(operands, arrays, strict=True):
        if array.dtype.kind in "iu":
            dtypes.append(np.dtype(np.float64))
        elif array.dtype.kind == "f" or array.dtype.name == "bfloat16":
            dtypes.append(array.dtype.newbyteorder("="))
        else:
            raise UnsupportedTypeError(
                f"{name} must be real numbers, got dtype {array.dtype}; convert with .astype(float)"
            )
    dtype = np.result_type(*dtypes)
    wide = np.result_type(dtype, np.float64)
    return Operands(namespace, tuple(array.astype(wide) for array in arrays), dtype)


def _foreign_operands(namespace: ModuleType, operands: Mapping[str, Array]) -> Operands:
    like = next(array for array in operands.values() if foreign_namespace(array) is not None)
    arrays = [bring(namespace, array, like) for array in operands.values()]
    for name, array in zip(operands, arrays, strict=True):
        if not namespace.isdtype(array.dtype, ("real floating", "integral")):
            raise UnsupportedTypeError(
                f"{name} must be real numbers, got dtype {array.dtype}; convert it to a floating dtype"
            )
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


def bring(namespace: ModuleType, array: Array, like: Array) -> Array:
    """The array in the library, and on the device, of another one."""
    if foreign_namespace(like) is None:
        return np.asarray(array)
    if foreign_namespace(array) is not None:
        return array
    return namespace.asarray(np.asarray(array), device=device_of(like))


def device_of(array: Array) -> Any:
    """The device for new arrays beside this one; None, JAX's choice, beside traced and spread arrays."""
    from array_api_compat import device, is_jax_array

    place = device(array)
    return place if not is_jax_array(array) or isinstance(place, sys.modules["jax"].Device) else None
