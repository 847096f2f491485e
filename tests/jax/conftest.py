import pytest


@pytest.fixture
def float64():
    """JAX with 64 bits."""
    import jax

    with jax.enable_x64(True):
        yield
