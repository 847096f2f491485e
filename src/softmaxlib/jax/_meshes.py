"""Arrays that are sharded over a mesh with explicit axes."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec


def over_any_mesh(function: Callable[..., Any], features: Any, weight: Any) -> Callable[..., Any]:
    """Return the function of rows, with its two results sharded like the rows of the features.

    JAX refuses to cut an array into blocks along an axis that an explicit mesh splits. There it is asked to
    place what stands inside the function by itself.
    """
    for array in (features, weight):
        mesh = jax.typeof(array).sharding.mesh
        if mesh.explicit_axes:
            spec = jax.typeof(features).sharding.spec[:-1] if array is features else ()
            placed = NamedSharding(mesh, PartitionSpec(*spec))
            return jax.sharding.auto_axes(function, out_sharding=(placed, placed))
    return function


def sorting_over_any_mesh(function: Callable[..., jax.Array], x: jax.Array, mask: Any) -> jax.Array:
    """Return the result of a function that sorts ``x``, laid over the devices as ``x`` is.

    JAX refuses to sort along an axis that an explicit mesh splits. There it is asked to place what stands
    inside the function by itself.
    """
    sharding = jax.typeof(x).sharding
    if not sharding.mesh.explicit_axes:
        return function(x, mask)
    placed = NamedSharding(sharding.mesh, sharding.spec)
    spread: Any = jax.sharding.auto_axes(function, out_sharding=placed)
    return spread(x, mask)
