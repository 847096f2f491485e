"""The library and the device of an array, and conversion from one library to another."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError, UnsupportedTypeError
from .density import check_dense

Array = Any
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_NEVER_FOREIGN = (np.ndarray, np.generic, float, int, list, tuple, type(None))


def foreign_namespace(*arrays: Array) -> ModuleType | None:
    """Return the array-API namespace of the first array that is not NumPy's, or None.

    What an array is, it says itself: by ``__array_namespace__`` or by its class, subclasses included.
    """
    for array in arrays:
        if isinstance(array, _NEVER_FOREIGN):
            continue
        check_dense(array, "every array")
        from array_api_compat import array_namespace, is_array_api_obj, is_numpy_namespace

        if is_array_api_obj(array):
            namespace = array_namespace(array)
            if not is_numpy_namespace(namespace):
                return namespace
    return None


def library_name(namespace: ModuleType) -> str:
    """Return the usual name of the library of a namespace."""
    return namespace.__name__.removeprefix("array_api_compat.").removesuffix(".numpy")


def device_of(array: Array) -> Any:
    """Return the device of an array for new arrays, or None (JAX chooses) for traced and sharded arrays."""
    from array_api_compat import device, is_jax_array

    place = device(array)
    return place if not is_jax_array(array) or isinstance(place, sys.modules["jax"].Device) else None


class TracedArrayError(UnsupportedTypeError):
    """Numbers are asked of an array that has none yet."""


def as_numpy(values: Array, name: str) -> npt.NDArray[Any]:
    """Convert any array or nested lists to NumPy. ``name`` is for messages."""
    if isinstance(values, np.ma.MaskedArray):
        raise UnsupportedTypeError(
            f"{name} must not be a masked array here; pass {name}.data, and where=~{name}.mask to a function "
            f"that has `where`, or fill the masked entries with {name}.filled()"
        )
    check_dense(values, name)
    if hasattr(values, "detach"):  # a torch tensor that requires grad refuses __array__
        dtype = str(values.dtype).removeprefix("torch.")
        if dtype.startswith("float8"):
            raise UnsupportedTypeError(
                f"{name} must be real numbers, got dtype {dtype}; convert it to float32 or float64"
            )
        only_a_shape = f"{name} must have numbers, got a {{}}, which has only a shape"
        if values.device.type == "meta":
            raise TracedArrayError(only_a_shape.format("tensor on the device meta"))
        values = values.detach().cpu()
        if getattr(values, "fake_mode", None) is not None:
            raise TracedArrayError(only_a_shape.format("fake tensor of PyTorch"))
        if dtype == "bfloat16":  # which NumPy has not
            values = values.float()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(f"{name} must be a rectangular array, got {error}") from None
    except (TypeError, RuntimeError):  # on another device: it wants to be asked for a copy
        if foreign_namespace(values) is None or not hasattr(values, "__dlpack__"):
            raise
        try:
            return np.from_dlpack(values, device="cpu")
        except (TypeError, RuntimeError) as error:
            raise TracedArrayError(
                f"{name} must have numbers, got a {type(values).__name__} of a function that is traced, as "
                "by torch.vmap, torch.func.grad or jax.jit, which has only a shape; call this outside of it, "
                "on the whole batch"
            ) from error


def shaped_like(values: Array, name: str) -> Array:
    """Return an array with the shape of the values: the array itself, or zeros without memory (NumPy)."""
    if foreign_namespace(values) is not None:
        return values
    array = values.data if isinstance(values, np.ma.MaskedArray) else as_numpy(values, name)
    return np.broadcast_to(0.0, array.shape)


def known_values(array: Array, name: str) -> npt.NDArray[Any] | None:
    """Return the values as NumPy arrays, or None while a framework traces."""
    try:
        return as_numpy(array, name)
    except TracedArrayError:
        return None
    except UnsupportedTypeError:
        raise
    except (TypeError, RuntimeError):
        return None


def bring(namespace: ModuleType, array: Array, like: Array, name: str = "an argument") -> Array:
    """Convert an array to the library and device of another one. ``name`` is for messages."""
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
    host = as_numpy(array, name)
    if host.dtype.kind in "OSUMm" or host.dtype.names:
        raise UnsupportedTypeError(f"{name} must be numbers, got dtype {host.dtype.name}; convert it first")
    return namespace.asarray(host, device=device_of(like))


def as_like(namespace: ModuleType, values: npt.NDArray[Any], like: Array) -> Array:
    """Convert a NumPy array to the library, dtype and device of another array."""
    return namespace.astype(bring(namespace, values, like), like.dtype, copy=False)


def stop_gradient(array: Array) -> Array:
    """Return the same numbers, a constant to the automatic differentiation of torch, jax and tensorflow."""
    if hasattr(array, "detach"):
        return array.detach()
    jax, tensorflow = sys.modules.get("jax"), sys.modules.get("tensorflow")
    if jax is not None and isinstance(array, jax.Array):
        return jax.lax.stop_gradient(array)
    if tensorflow is not None and isinstance(array, tensorflow.Tensor):
        return tensorflow.stop_gradient(array)
    return array
