"""Preparation of the arguments of all functions here."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero

from .. import _generic
from .._arrays import as_numpy, check_mask, check_real_dtype, foreign_namespace, library_name
from .._checks import check_temperature
from ..errors import UnsupportedTypeError

Axis = int | tuple[int, ...] | None


def as_floating(x: Any, name: str = "x") -> jax.Array:
    """Return the numbers in their own floating dtype; integers in JAX's default one."""
    x = as_array(x, name)
    check_real_dtype(x.dtype, name)
    return x.astype(float) if jnp.issubdtype(x.dtype, jnp.integer) else x


def as_array(values: Any, name: str) -> jax.Array:
    """Convert NumPy arrays, JAX arrays and lists to a JAX array. Reject arrays of other libraries."""
    if isinstance(values, jax.Array):
        return values
    namespace = foreign_namespace(values)
    if namespace is not None:
        raise UnsupportedTypeError(
            f"{name} must be an array of JAX or NumPy, got one of {library_name(namespace)}; "
            "convert it with jax.numpy.from_dlpack"
        )
    if isinstance(values, np.ndarray):
        values = as_numpy(values, name)
        if values.dtype.kind in "OUSmM":
            check_real_dtype(values.dtype, name)
    try:
        return jnp.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        kind = type(values).__name__
        raise UnsupportedTypeError(f"{name} must be an array of numbers, got {kind}: {error}") from None


def widened(x: jax.Array) -> jax.Array:
    """Return the array in the dtype to compute in, at least float32. Integers stay what they are."""
    narrow = jnp.issubdtype(x.dtype, jnp.floating) and jnp.finfo(x.dtype).bits < 32
    return x.astype(jnp.float32) if narrow else x


def as_mask(where: Any, shape: tuple[int, ...]) -> jax.Array | None:
    """Return the mask in the shape of the logits; None stays None."""
    if where is None:
        return None
    where = as_array(where, "where")
    check_mask(where, shape)
    return jnp.broadcast_to(where, shape)


def check_known_classes(classes: Any, function: str) -> None:
    """Refuse a number of classes that a program which is exported learns only when it runs."""
    if not isinstance(classes, int):
        raise UnsupportedTypeError(
            f"{function} needs a known number of classes, got {classes} of a program that is exported for "
            "any; export it for each number of classes"
        )


def as_temperature(temperature: Any, x: jax.Array, axes: tuple[int, ...]) -> Any:
    """Return the temperature of the rows, or None for 1. Reject one that is known to be invalid."""
    if isinstance(temperature, int | float) and temperature == 1:
        return None
    temperature = check_temperature(temperature, x, axes)
    known = not isinstance(temperature, Tracer)
    return _generic.at_least_normal(jnp, temperature, widened(x).dtype) if known else temperature


def known_tangent(tangent: Any) -> Any:
    """Return the tangent; None where the argument is a constant."""
    return None if isinstance(tangent, SymbolicZero) else tangent


def times_tangent(gradient: jax.Array, tangent: jax.Array, kept: jax.Array | None) -> jax.Array:
    """Return the product. It is 0 for any tangent where nothing is kept, but not because the gradient is 0.

    At a minimum the gradient is 0, and its derivative is not.
    """
    product = gradient * widened(tangent)
    return product if kept is None else jnp.where(kept, product, 0.0)


def keep_arguments_only(derivative: Any) -> Any:
    """Return the derivative, which keeps only the arguments it reads for the backward pass.

    XLA may share work between the two ways: only the loss makes the same thing on both, and there the one
    follows the other at once.
    """
    return jax.checkpoint(derivative, prevent_cse=False)
