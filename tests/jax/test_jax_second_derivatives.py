"""Second derivatives of the losses of JAX arrays: in confident rows, and at a minimum."""

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
from exact_hessian import CASES, MARGINS, assert_exact

import softmaxlib.jax as ours

pytestmark = pytest.mark.usefixtures("float64")

TARGETS = [[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]]


@pytest.mark.parametrize(("options", "dtype", "largest"), CASES)
def test_a_confident_row_keeps_the_digits_of_its_second_derivatives(options, dtype, largest):
    cases = [(margin, target) for margin in MARGINS for target in TARGETS if margin <= largest]

    def loss(x, target):
        return ours.cross_entropy(x, target, **options)

    rows = jnp.array([[0.0, -margin] for margin, _ in cases], dtype)
    targets = jnp.array([target for _, target in cases], dtype)
    for found, (margin, target) in zip(jax.vmap(jax.hessian(loss))(rows, targets), cases, strict=True):
        assert_exact(found, margin, target, dtype, **options)


@pytest.mark.parametrize("focal_gamma", [0.1, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_focal_gamma_has_second_derivatives_of_zero_in_a_certain_row(focal_gamma, dtype):
    def loss(x):
        return ours.cross_entropy(x, jnp.zeros((), int), focal_gamma=focal_gamma)

    rows = jnp.array([[0.0, -margin] for margin in (60.0, 85.0, 90.0, 110.0, 400.0, 745.0)], dtype)
    found = jax.vmap(jax.hessian(loss))(rows)
    assert jnp.isfinite(found).all()
    assert abs(found).max() < 1e-20


@pytest.mark.parametrize("loss", [ours.cross_entropy, ours.sigmoid_cross_entropy])
@pytest.mark.parametrize("where", [None, np.array([True, True])])
def test_the_second_derivative_at_a_minimum_is_not_zero_as_the_first_is(loss, where):
    target = jnp.full((1, 2), 0.5)
    found, near = (
        jax.hessian(lambda x: loss(x, target, where=where))(jnp.array([[place, 0.0]]))
        for place in (0.0, 1e-7)
    )
    assert found[0, 0, 0, 0] > 0.1
    np.testing.assert_allclose(found, near, rtol=1e-6, atol=1e-7)


def test_an_ignored_row_has_second_derivatives_of_zero():
    x = jnp.array([[0.0, 0.0], [jnp.nan, jnp.inf]])
    found = jax.hessian(
        lambda x: ours.cross_entropy(x, jnp.array([0, -1]), ignore_index=-1, where=np.array([True, True]))
    )(x)
    np.testing.assert_allclose(found[0, :, 0], [[0.25, -0.25], [-0.25, 0.25]])
    np.testing.assert_array_equal(found[1], np.zeros((2, 2, 2)))
    np.testing.assert_array_equal(found[:, :, 1], np.zeros((2, 2, 2)))
