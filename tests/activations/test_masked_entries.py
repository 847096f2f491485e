"""Entries under a mask in rows that are undefined: 0, whatever the other entries are, in every library."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import softmaxlib
from softmaxlib import _generic
from softmaxlib.torch import _activation_operators, _temperature_operators

ROWS = np.array([[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf, -np.inf, 2], [1, np.nan, 2], [1, 2, np.nan]])
WHERE = np.array([[True, True, False]])
EACH = np.array([[0.5], [1.0], [2.0], [1.0], [3.0]])
SINKS = [0.0, -np.inf, np.inf]

FUNCTIONS = {
    "softmax": softmaxlib.softmax,
    "softmax at a temperature": lambda x, **options: softmaxlib.softmax(x, temperature=0.5, **options),
    "softmax at temperatures": lambda x, **options: softmaxlib.softmax(x, temperature=EACH, **options),
    **{
        f"softmax, sink {sink}": lambda x, sink=sink, **options: softmaxlib.softmax(x, sink=sink, **options)
        for sink in SINKS
    },
    **{
        f"entmax {alpha}": lambda x, alpha=alpha, **options: softmaxlib.entmax(x, alpha, **options)
        for alpha in (0.5, 1.0, 1.3, 1.5, 2.0, 3.0)
    },
    "entmax of orders": lambda x, **options: softmaxlib.entmax(x, EACH, **options),
    "gumbel_softmax": lambda x, **options: softmaxlib.gumbel_softmax(x, 1.0, seed=0, **options),
    "hard sample": lambda x, **options: softmaxlib.gumbel_softmax(x, 1.0, seed=0, hard=True, **options),
    "hardmax": softmaxlib.hardmax,
    "normalize": softmaxlib.normalize,
}


def compiled(function):
    return torch.compile(function, fullgraph=True, backend="eager")


WAYS = {
    "numpy": lambda function: function(ROWS, where=WHERE),
    "strict": lambda function: function(
        array_api_strict.asarray(ROWS), where=array_api_strict.asarray(WHERE)
    ),
    "torch": lambda function: function(torch.tensor(ROWS), where=torch.tensor(WHERE)),
    "torch, half": lambda function: function(torch.tensor(ROWS).half(), where=torch.tensor(WHERE)),
    "compiled": lambda function: compiled(function)(torch.tensor(ROWS), where=torch.tensor(WHERE)),
    "jax": lambda function: function(jnp.asarray(ROWS), where=jnp.asarray(WHERE)),
    "jit": lambda function: jax.jit(function)(jnp.asarray(ROWS), where=jnp.asarray(WHERE)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_are_0_beside_what_is_undefined(name, way):
    torch._dynamo.reset()
    result = np.asarray(WAYS[way](FUNCTIONS[name]), np.float64)
    np.testing.assert_array_equal(result[:, 2], 0)
    expected = FUNCTIONS[name](ROWS[:, :2])  # the smaller problem
    np.testing.assert_array_equal(np.isnan(result[:, :2]), np.isnan(expected))


@pytest.mark.parametrize("way", WAYS)
def test_their_logarithm_is_that_of_0(way):
    result = np.asarray(WAYS[way](softmaxlib.log_softmax), np.float64)
    np.testing.assert_array_equal(result[:, 2], -np.inf)
    assert np.isnan(result[:4, :2]).all()


@pytest.mark.parametrize("array", [np.asarray, torch.tensor, jnp.asarray, array_api_strict.asarray])
def test_derivatives_are_0_at_them(array):
    undefined, g, where = array(np.full((2, 3), np.nan)), array(np.ones((2, 3))), array(WHERE)
    changes = [
        softmaxlib.softmax_jvp(undefined, g, where=where),
        softmaxlib.log_softmax_jvp(undefined, g, where=where),
        softmaxlib.log_softmax_vjp(undefined, g, where=where),
        softmaxlib.sparsemax_vjp(undefined, g, where=where),
        softmaxlib.entmax_vjp(undefined, g, 3.0, where=where),
        softmaxlib.gumbel_softmax_vjp(undefined, g, 0.5, seed=0, where=where),
    ]
    for change in changes:
        np.testing.assert_array_equal(np.asarray(change), [[np.nan, np.nan, 0]] * 2)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradients_of_operators_are_0_at_them(name):
    where, x = torch.tensor(WHERE), torch.tensor(ROWS)
    result = getattr(softmaxlib, name)(x, where=where)
    gradient = getattr(_activation_operators, f"{name}_gradient")
    assert (gradient(torch.ones_like(x), result, where, [1], 0.5)[:, 2] == 0).all()
    leaf, temperature = x.clone().requires_grad_(), torch.tensor(EACH, requires_grad=True)
    getattr(_temperature_operators, f"{name}_at")(leaf, temperature, [1], where).sum().backward()
    assert (leaf.grad[:, 2] == 0).all()


def test_a_row_masked_throughout_is_0_with_any_sink():
    x, nothing = np.array([[1.0, np.nan], [np.inf, -np.inf]]), np.array([[False], [False]])
    for sink in SINKS:
        for array in (np.asarray, torch.tensor, jnp.asarray, array_api_strict.asarray):
            result = softmaxlib.softmax(array(x), sink=sink, where=array(nothing))
            np.testing.assert_array_equal(np.asarray(result), 0)
        leaf = torch.tensor(x, requires_grad=True)
        learned = torch.tensor([[sink]], dtype=torch.float64, requires_grad=True)
        softmaxlib.softmax(leaf, sink=learned, where=torch.tensor(nothing)).sum().backward()
        assert (leaf.grad == 0).all()
        assert (learned.grad == 0).all()

        def total(x, sink):
            result = _generic.softmax(jnp, x, axis=(1,), sink=sink, where=jnp.asarray(nothing))
            return result.sum()

        for gradient in jax.grad(total, (0, 1))(jnp.asarray(x), jnp.full((2, 1), sink)):
            np.testing.assert_array_equal(gradient, 0)
