"""JAX told to refuse arrays with different numbers of axes, and to promote no dtype."""

from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp

import softmaxlib
import softmaxlib.jax as ours

LOGITS = 3 * jax.random.normal(jax.random.key(0), (2, 3, 5))
LABELS = jnp.arange(6).reshape(2, 3) % 5
LAYER = jax.random.normal(jax.random.key(1), (7, 5))
WHERE = jnp.array(np.random.default_rng(0).random((2, 3, 5)) > 0.3).at[..., 0].set(True)
ALL = {"label_smoothing": 0.1, "focal_gamma": 2.0}
NOT_LAST = WHERE.at[..., :4].set(True)


def weights(z):
    return jnp.arange(1.0, 6.0).astype(z.dtype)


def zeros_and_ones(z):
    return (z > 0).astype(z.dtype)


DIFFERENTIABLE = {
    "softmax": lambda z: ours.softmax(z, where=WHERE),
    "softmax at a temperature for each row": lambda z: ours.softmax(
        z, temperature=jnp.full((2, 3, 1), 2, z.dtype)
    ),
    "log_softmax": lambda z: ours.log_softmax(z, axis=(0, 2)),
    "logsumexp": lambda z: ours.logsumexp(z, where=WHERE),
    "sparsemax": lambda z: ours.sparsemax(z, where=WHERE),
    "entmax": lambda z: ours.entmax(z, 1.5),
    "entmax of a learned order": lambda z: ours.entmax(z, jnp.asarray(1.25, z.dtype)),
    "cross_entropy": lambda z: ours.cross_entropy(
        z, LABELS, class_weight=weights(z), z_loss=0.1, ignore_index=0, where=NOT_LAST, **ALL
    ),
    "cross_entropy of probabilities": lambda z: ours.cross_entropy(
        z, jax.nn.softmax(z), class_weight=weights(z), **ALL
    ),
    "sigmoid_cross_entropy": lambda z: ours.sigmoid_cross_entropy(
        z, zeros_and_ones(z), weight=weights(z), pos_weight=weights(z), where=WHERE, **ALL
    ),
    "linear_cross_entropy": lambda z: ours.linear_cross_entropy(
        z, LAYER.astype(z.dtype), LABELS, bias=jnp.ones(7, z.dtype), label_smoothing=0.1, softcap=3.0
    ),
}
PLAIN = {
    "softmax": lambda z: softmaxlib.softmax(z, sink=jnp.ones((), z.dtype)),
    "log_softmax": softmaxlib.log_softmax,
    "logsumexp": softmaxlib.logsumexp,
    "hardmax": softmaxlib.hardmax,
    "sparsemax": softmaxlib.sparsemax,
    "entmax": partial(softmaxlib.entmax, alpha=1.25),
    "normalize": lambda z: softmaxlib.normalize(jnp.abs(z)),
    "sigmoid": softmaxlib.sigmoid,
    "log_sigmoid": softmaxlib.log_sigmoid,
    "softcap": partial(softmaxlib.softcap, cap=5.0),
    "margin": lambda z: softmaxlib.margin(jnp.tanh(z), LABELS, scale=2.0),
    "adjust_prior": lambda z: softmaxlib.adjust_prior(z, weights(z) / 15, jnp.full(5, 0.2, z.dtype)),
    "gumbel_softmax": lambda z: softmaxlib.gumbel_softmax(z, 1.0, seed=3),
    "softmax_jacobian": lambda z: softmaxlib.softmax_jacobian(jax.nn.softmax(z)),
    "softmax_jvp": lambda z: softmaxlib.softmax_jvp(z, z),
    "log_softmax_vjp": lambda z: softmaxlib.log_softmax_vjp(z, z),
    "sparsemax_vjp": lambda z: softmaxlib.sparsemax_vjp(z, z),
    "cross_entropy_grad": lambda z: softmaxlib.cross_entropy_grad(
        z, LABELS, class_weight=weights(z), z_loss=0.1, **ALL
    )[1],
    "cross_entropy of probabilities": lambda z: softmaxlib.cross_entropy(z, jax.nn.softmax(z)),
    "sigmoid_cross_entropy_grad": lambda z: softmaxlib.sigmoid_cross_entropy_grad(
        z, zeros_and_ones(z), weight=weights(z), **ALL
    )[1],
    "linear_cross_entropy_grad": lambda z: softmaxlib.linear_cross_entropy_grad(
        z.reshape(6, 5), LAYER.astype(z.dtype), LABELS.reshape(6), bias=jnp.ones(7, z.dtype)
    )[1],
}


def strict():
    modes = ExitStack()
    modes.enter_context(jax.numpy_rank_promotion("raise"))
    modes.enter_context(jax.numpy_dtype_promotion("strict"))
    return modes


def test_these_modes_refuse():
    with strict():
        with pytest.raises(ValueError, match="broadcast"):
            LOGITS + weights(LOGITS)
        with pytest.raises(Exception, match="promotion"):
            LOGITS + LOGITS.astype(jnp.bfloat16)


def program(function):
    """Return the program that JAX traces for bfloat16. Both modes raise their errors in tracing."""
    return str(jax.make_jaxpr(function)(LOGITS.astype(jnp.bfloat16)))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_values_and_derivatives_are_computed_alike(name):
    function = DIFFERENTIABLE[name]

    def derivative(z):
        return jax.grad(lambda z: jnp.sum(function(z).astype(jnp.float32) ** 2))(z)

    expected = program(function), program(derivative)
    with strict():
        assert (program(function), program(derivative)) == expected


# In these modes NumPy's functions of JAX leave an array that nothing reads in the program of `margin`.
@pytest.mark.parametrize("name", sorted(PLAIN.keys() - {"margin"}))
def test_plain_functions_are_computed_alike(name):
    expected = program(PLAIN[name])
    with strict():
        assert program(PLAIN[name]) == expected


@pytest.mark.parametrize("name", ["cross_entropy", "sparsemax", "margin", "gumbel_softmax"])
def test_arrays_that_are_not_traced(name):
    function, x = DIFFERENTIABLE.get(name, PLAIN.get(name)), LOGITS.astype(jnp.bfloat16)
    with strict():
        given = function(x)
    expected = function(x)
    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("name", ["sparsemax", "entmax"])
def test_sorted_rows_with_integers_of_64_bits(name):
    with jax.enable_x64(True), strict():
        x = LOGITS.astype(jnp.float64)
        assert DIFFERENTIABLE[name](x).dtype == jnp.float64
