"""A step that is taken many times."""

import sys
from collections.abc import Callable

from .._arrays import Array

State = tuple[Array, ...]


def repeat(count: int, step: Callable[..., State], state: State) -> State:
    """Return the state after so many steps, each of which takes and returns it.

    JAX gets a loop, so that it compiles the step once and not once for each time.
    """
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(state[0], jax.Array):
        return jax.lax.fori_loop(0, count, lambda _, state: step(*state), state)
    for _ in range(count):
        state = step(*state)
    return state
