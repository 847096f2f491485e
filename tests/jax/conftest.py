from collections.abc import Iterator

import pytest


@pytest.fixture
def float64() -> Iterator[None]:
    """JAX with 64 bits."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture
def optimized() -> Iterator[None]:
    """Programs as XLA optimizes them for users: what a rounding depends on."""
    import jax

    usual = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", usual)
