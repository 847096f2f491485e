"""What every function here does to its arguments first."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero

from ..errors import InvalidInputError, UnsupportedTypeError

Axis = int | tuple[int, ...] | None


def as_floating(x: Any, name: str = "x") -> jax.Array:
    """The numbers in their own floating dtype; integers in JAX's default one."""
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.integer):
        return x.astype(float)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise UnsupportedTypeError(
            f"{name} must be real numbers, got dtype {x.dtype}; convert with .astype(float)"
        )
    return x


def widened(x: jax.Array) -> jax.Array:
    """The array in the dtype to compute in, at least float32."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def as_mask(where: Any, shape: tuple[int, ...]) -> jax.Array | None:
    """The mask in the shape of the logits; None stays None."""
    if where is None:
        return None
    where = jnp.asarray(where)
    if where.dtype != jnp.bool_:
        raise UnsupportedTypeError(f"where must be boolean (True takes part), got dtype {where.dtype}")
    try:
        return jnp.broadcast_to(where, shape)
    except ValueError:
        raise InvalidInputError(
            f"where must broadcast to the shape of the logits {shape}, got shape {where.shape}"
        ) from None


def as_temperature(temperature: Any) -> Any:
    """The temperature, None for 1; refused when it is known already and not above 0."""
    if isinstance(temperature, Tracer):
        return temperature
    if not (np.asarray(temperature) > 0).all():
        raise InvalidInputError(
            f"temperature must be above 0, got {temperature}; for the limit of 0 take the argmax"
        )
    return None if isinstance(temperature, int | float) and temperature == 1 else temperature


def known_tangent(tangent: Any) -> Any:
    """The tangent; None where the argument is a constant."""
    return None if isinstance(tangent, SymbolicZero) else tangent


def keep_arguments_only(derivative: Any) -> Any:
    """The derivative, of which only the arguments it reads are kept for the way back.

    XLA may share work between the two ways: only the loss makes the same thing on both, and there the one
    follows the other at once.
    """
    return jax.checkpoint(derivative, prevent_cse=False)
