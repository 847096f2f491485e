"""The one place that asks: whose array is this, which axis, which dtype, which elements, written where.

Everything above this file receives what it checked and asks none of it again.
"""

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InvalidInputError, UnsupportedTypeError

Array = Any
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_NEVER_FOREIGN = (np.ndarray, np.generic, float, int, list, tuple, type(None))
_REAL = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
_REAL |= {"float16", "bfloat16", "float32", "float64", np.dtype(np.longdouble).name}


def foreign_namespace(*arrays: Array) -> ModuleType | None:
    """The array-API namespace of the first array that is not NumPy's, or None.

    What an array is, it says itself: by ``__array_namespace__`` or by its class, subclasses included.
    """
    for array in arrays:
        if isinstance(array, _NEVER_FOREIGN):
            continue
        from array_api_compat import array_namespace, is_array_api_obj, is_numpy_namespace

        if is_array_api_obj(array):
            namespace = array_namespace(array)
            if not is_numpy_namespace(namespace):
                return namespace
    return None


def dtype_name(dtype: Any) -> str:
    """The plain name of any library's dtype, such as float32."""
    if isinstance(dtype, np.dtype):
        return dtype.name.rstrip("0123456789") if dtype.kind in "US" else dtype.name
    return str(dtype).rpartition(".")[2]


def check_real_dtype(dtype: Any, name: str) -> None:
    """Refuse what is neither an integer nor a float of 16 bits or more, in any library."""
    if dtype_name(dtype) not in _REAL:
        raise UnsupportedTypeError(
            f"{name} must be real numbers, got dtype {dtype_name(dtype)}; convert it to float32 or float64"
        )


def known_values(array: Array, name: str) -> npt.NDArray[Any] | None:
    """The numbers as NumPy's; None while a framework traces and there are none yet."""
    try:
        return as_numpy(array, name)
    except UnsupportedTypeError:
        raise
    except (TypeError, RuntimeError):
        return None


def as_numpy(values: Array, name: str) -> npt.NDArray[Any]:
    """Anybody's array, or nested lists, as NumPy's; ``name`` is for the error."""
    if isinstance(values, np.ma.MaskedArray):
        raise UnsupportedTypeError(
            f"{name} must not be a masked array here; pass {name}.data, and where=~{name}.mask to a function "
            f"that has `where`, or fill the masked entries with {name}.filled()"
        )
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
    operands, where = take_masks(operands, where)
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


def take_masks(operands: Mapping[str, Array], where: Array | None) -> tuple[dict[str, Array], Array | None]:
    """The data of NumPy's masked arrays, and ``where`` without the elements that they mask."""
    plain = {}
    for name, values in operands.items():
        if isinstance(values, np.ma.MaskedArray):
            kept = ~np.ma.getmaskarray(values)
            values = values.data
            where = kept if where is None else kept & _numpy_mask(where, values.shape)
        plain[name] = values
    return plain, where


def _empty_reduction(namespace: ModuleType, array: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    lengths = enumerate(array.shape)
    shape = tuple(1 if d in axes else n for d, n in lengths if keepdims or d not in axes)
    return namespace.full(shape, -namespace.inf, dtype=array.dtype, device=device_of(array))


def refuse_out(out: Array | None) -> None:
    """Only NumPy's arrays can be written into."""
    if out is not None:
        raise UnsupportedTypeError(
            f"out is for NumPy arrays, got {type(out).__name__} for an array of another library; leave it out"
        )


def check_out(out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what can't receive a result of this shape and dtype."""
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


def check_axis(axis: int | Sequence[int] | None, dimensions: int) -> tuple[int, ...]:
    """The axes as distinct numbers in [0, dimensions), in rising order; None means all of them.

    Raises
    ------
    numpy.exceptions.AxisError
        For an axis that the array does not have.
    InvalidInputError
        For an axis given twice.
    UnsupportedTypeError
        For what is no integer.
    """
    if axis is None:
        return tuple(range(dimensions))
    given = axis if isinstance(axis, Sequence) else (axis,)
    axes = []
    for one in given:
        if not hasattr(one, "__index__"):
            raise UnsupportedTypeError(f"axis must be an int, a tuple of ints or None, got {axis!r}")
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
    shape = tuple(like.shape)
    if foreign_namespace(like) is None:
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


def broadcasts_to(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array of one shape broadcasts to another."""
    pairs = zip(reversed(given), reversed(shape), strict=False)
    return len(given) <= len(shape) and all(size in (1, wanted) for size, wanted in pairs)


def _numpy_mask(where: Array, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    mask = as_numpy(where, "where")
    check_mask(mask, shape)
    return np.broadcast_to(mask, shape)


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


def bring(namespace: ModuleType, array: Array, like: Array, name: str = "an argument") -> Array:
    """The array in the library, and on the device, of another one; ``name`` is for the error."""
    if foreign_namespace(like) is None:
        return as_numpy(array, name)
    own = foreign_namespace(array)
    if own is not None:
        if own is not namespace:
            raise UnsupportedTypeError(
                f"arrays of one call must be of one library, got {name} of {library_name(own)} beside "
                f"{library_name(namespace)}; convert one of them with numpy.asarray"
            )
        return array
    return namespace.asarray(as_numpy(array, name), device=device_of(like))


def library_name(namespace: ModuleType) -> str:
    """What people call the library of a namespace."""
    return namespace.__name__.removeprefix("array_api_compat.").removesuffix(".numpy")


def device_of(array: Array) -> Any:
    """The device for new arrays beside this one; None, JAX's choice, beside traced and spread arrays."""
    from array_api_compat import device, is_jax_array

    place = device(array)
    return place if not is_jax_array(array) or isinstance(place, sys.modules["jax"].Device) else None
