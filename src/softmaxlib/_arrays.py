"""The one place that asks: whose array is this, which axis, which dtype, which rows.

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


def check_logits(logits: Array, name: str = "logits") -> FloatArray:
    """Finite real logits (rows, classes) as a float32 or float64 array.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.
    InvalidInputError
        When not two-dimensional, without rows or with fewer than two classes, or not finite.
    """
    array = as_numpy(logits, name)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    elif (array.dtype.kind == "f" and array.dtype.itemsize < 4) or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif array.dtype.kind != "f":
        raise UnsupportedTypeError(
            f"{name} must be real numbers, got dtype {array.dtype}; convert with .astype(float)"
        )
    if array.ndim != 2:
        raise InvalidInputError(
            f"{name} must have two dimensions (rows, classes), got shape {array.shape}; "
            "reshape a single row with [None, :]"
        )
    if array.shape[0] == 0 or array.shape[1] < 2:
        raise InvalidInputError(f"{name} must have at least one row and two classes, got shape {array.shape}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InvalidInputError(
            f"{name} must be finite, got {array[row, column]} at row {row}, column {column}; "
            "drop the row or repair the model that produced it"
        )
    return array


def check_probabilities(probabilities: Array, name: str = "probabilities") -> FloatArray:
    """Rows of probabilities (rows, classes): each in [0, 1], each row with sum 1 to 1e-3."""
    array = check_logits(probabilities, name)
    fault = find_improbable(array, name)
    if fault is not None:
        row, rule = fault
        raise InvalidInputError(f"{rule} in row {row}; if these are logits, apply softmaxlib.softmax first")
    return array


def find_improbable(array: FloatArray, name: str) -> tuple[int, str] | None:
    """The first row (rows, classes) that can be no probabilities, and the rule it breaks."""
    low = array.min(axis=1)
    high = array.max(axis=1)
    outside = np.flatnonzero((low < 0) | (high > 1 + 1e-6))
    if outside.size:
        row = int(outside[0])
        return row, f"{name} must lie between 0 and 1, got {low[row]} to {high[row]}"
    total = array.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(np.abs(total - 1) > 1e-3)
    if wrong.size:
        row = int(wrong[0])
        return row, f"each row of {name} must sum to 1, got {total[row]:.6g}"
    return None


def check_labels(labels: Array, rows: int, classes: int, name: str = "labels") -> IntArray:
    """Class indices (rows,) in [0, classes), as int64."""
    array = as_numpy(labels, name)
    if array.shape != (rows,):
        raise InvalidInputError(
            f"{name} must have one class index a row, shape ({rows},), got shape {array.shape}"
        )
    if array.dtype.kind == "f" and np.equal(np.mod(array, 1), 0).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise UnsupportedTypeError(
            f"{name} must be integer class indices, got dtype {array.dtype}; "
            "map class names to their column numbers first"
        )
    outside = (array < 0) | (array >= classes)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"{name} must lie in 0 to {classes - 1} ({classes} classes), got {array[row]} in row {row}"
        )
    return array.astype(np.int64, copy=False)


def check_sample_weight(sample_weight: Array | None, rows: int) -> npt.NDArray[np.float64] | None:
    """Weights (rows,), finite, none negative, not all zero; None stays None."""
    if sample_weight is None:
        return None
    array = as_numpy(sample_weight, "sample_weight").astype(np.float64)
    if array.shape != (rows,):
        raise InvalidInputError(
            f"sample_weight must have one weight a row, shape ({rows},), got shape {array.shape}"
        )
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"sample_weight must be finite and not negative, got {array[row]} in row {row}"
        )
    if not array.any():
        raise InvalidInputError("sample_weight must not be all zero: no row would count")
    return array


def as_numpy(values: Array, name: str) -> npt.NDArray[Any]:
    """Anybody's array, or nested lists, as NumPy's; ``name`` is for the error."""
    if hasattr(values, "detach"):  # a torch tensor that requires grad refuses __array__
        values = values.detach().cpu()
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
    return namespace.full(shape, -namespace.inf, dtype=array.dtype, device=array.device)


def sink_operand(sink: Array, x: Array, axis: Axis) -> Array:
    """A sink's logits, one a row, with 1 on the axes of the classes, in float64 (NumPy) or as ``x`` is."""
    namespace = foreign_namespace(x)
    like = as_numpy(x, "x") if namespace is None else x
    axes = check_axis(axis, like.ndim)
    shape = tuple(1 if d in axes else n for d, n in enumerate(like.shape))
    if namespace is None:
        values = _numpy_operands({"sink": sink}).arrays[0].astype(np.float64)
    else:
        values = bring(namespace, sink, like)
    try:
        return np.broadcast_to(values, shape) if namespace is None else namespace.broadcast_to(values, shape)
    except (ValueError, RuntimeError):
        raise InvalidInputError(
            f"sink must broadcast to one logit a row, shape {shape}, got shape {tuple(values.shape)}"
        ) from None


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
    """The axes as a tuple of distinct numbers in [0, dimensions), None being all of them.

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
    return tuple(axes)


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


def check_positive(value: float, name: str, advice: str) -> float:
    """A finite number above zero, as a float."""
    number = check_real(value, name)
    if not 0 < number < float("inf"):
        raise InvalidInputError(f"{name} must be finite and above 0, got {value}; {advice}")
    return number


def check_real(value: float, name: str) -> float:
    """One real number, as a float."""
    if isinstance(value, (str, bytes)):
        raise UnsupportedTypeError(f"{name} must be one real number, got {value!r}; convert it with float()")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UnsupportedTypeError(f"{name} must be one real number, got {type(value).__name__}") from None


def check_integer(value: int, name: str, *, lower: int, upper: int | None = None) -> int:
    """A whole number in [lower, upper], as an int; True and 2.0 are none."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise UnsupportedTypeError(f"{name} must be a whole number, got {value!r}; write 5, not 5.0")
    number = operator.index(value)
    if number < lower or (upper is not None and number > upper):
        limits = f"at least {lower}" if upper is None else f"{lower} to {upper}"
        raise InvalidInputError(f"{name} must be a whole number, {limits}; got {number}")
    return number


def check_share(value: float, name: str, advice: str) -> float:
    """A number above 0 and below 1, as a float."""
    number = check_real(value, name)
    if not 0 < number < 1:
        raise InvalidInputError(f"{name} must lie between 0 and 1, got {value}; {advice}")
    return number


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
    from array_api_compat import device

    return namespace.asarray(np.asarray(array), device=device(like))
