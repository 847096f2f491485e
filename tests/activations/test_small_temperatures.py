"""Temperatures that the dtype of the logits can't hold: the limit, and gradients that are numbers."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import softmaxlib
import softmaxlib.jax
import softmaxlib.torch
from softmaxlib import _generic
from softmaxlib.errors import InvalidInputError

X = np.array([[1.0, 2.0, 3.0], [30.0, -np.inf, -1.0], [0.0, 1e30, -1e38]], np.float32)
LIMIT = softmaxlib.hardmax(X)
TEMPERATURES = [1e-38, 1e-40, 1e-46, 1e-60, 5e-324]
FUNCTIONS = ["softmax", "log_softmax"]
LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.tensor,
    "jax": jnp.asarray,
    "strict": array_api_strict.asarray,
}


def probabilities(name, result):
    values = np.asarray(result, np.float64)
    return np.exp(values) if name == "log_softmax" else values


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_values_are_the_limit(library, name, temperature):
    function, x = getattr(softmaxlib, name), LIBRARIES[library](X)
    for given in (temperature, [temperature] * 3, [[temperature]] * 3):
        np.testing.assert_array_equal(probabilities(name, function(x, temperature=given)), LIMIT)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_the_limit_in_shells_and_graphs(name, temperature):
    plain, of_torch = getattr(softmaxlib, name), getattr(softmaxlib.torch, name)
    of_jax, definition = getattr(softmaxlib.jax, name), getattr(_generic, name)
    tensor, array = torch.tensor(X), jnp.asarray(X)
    for result in (
        of_torch(tensor, temperature=temperature),
        of_torch(tensor.bfloat16(), temperature=temperature).float(),
        of_torch(tensor, temperature=torch.tensor(temperature, dtype=torch.float64)),
        torch.compile(of_torch, fullgraph=True, backend="eager")(tensor, temperature=temperature),
        of_jax(array, temperature=temperature),
        of_jax(array, temperature=[temperature] * 3),
        jax.jit(lambda x: of_jax(x, temperature=temperature))(array),
        jax.jit(lambda x: plain(x, temperature=temperature))(array),
        definition(jnp, array, axis=(1,), temperature=temperature),  # as Keras evaluates it
    ):
        np.testing.assert_array_equal(probabilities(name, result), LIMIT)
    torch._dynamo.reset()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_gradients_are_those_of_the_limit(dtype, temperature):
    of_torch = softmaxlib.torch.softmax
    for function in (
        lambda x: softmaxlib.softmax(x, temperature=temperature),
        lambda x: of_torch(x, temperature=temperature),
        lambda x: of_torch(x, temperature=temperature, where=torch.tensor([True, True, True])),
        lambda x: softmaxlib.softmax(x, temperature=temperature, sink=0.0),
        lambda x: softmaxlib.gumbel_softmax(x, temperature, seed=0),
    ):
        leaf = torch.tensor(X[:2]).to(dtype).requires_grad_()
        function(leaf)[:, 0].sum().backward()
        np.testing.assert_array_equal(leaf.grad.float(), 0)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradients_of_jax_and_of_the_definition_are_those_of_the_limit(temperature):
    x = jnp.asarray(X)
    for function in (
        lambda x: softmaxlib.jax.softmax(x, temperature=temperature),
        lambda x: softmaxlib.softmax(x, temperature=temperature),
        lambda x: softmaxlib.gumbel_softmax(x, temperature, seed=0),
        lambda x: _generic.softmax(jnp, x, axis=(1,), temperature=temperature),
    ):
        for jacobian in (jax.jacrev(function)(x), jax.jacfwd(function)(x)):
            np.testing.assert_array_equal(jacobian, 0)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradients_of_logarithms_are_finite(temperature):
    """Their limit is infinite at the classes that lose."""
    leaf = torch.tensor(X[0], requires_grad=True)
    softmaxlib.torch.log_softmax(leaf, temperature=temperature)[0].backward()
    of_jax = jax.grad(lambda x: softmaxlib.jax.log_softmax(x, temperature=temperature)[0])(jnp.asarray(X[0]))
    for gradient in (leaf.grad.numpy(), np.asarray(of_jax)):
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(np.sign(gradient), [1, 0, -1])
        assert gradient[0] > 1e37


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_samples_and_their_derivatives_are_the_limit(library, temperature):
    x, g = LIBRARIES[library](X), LIBRARIES[library](np.ones_like(X) * [1, 2, 3])
    hard = np.asarray(softmaxlib.gumbel_softmax(x, 1.0, hard=True, seed=3))
    for given in (temperature, [temperature] * 3):
        np.testing.assert_array_equal(np.asarray(softmaxlib.gumbel_softmax(x, given, seed=3)), hard)
        change = softmaxlib.gumbel_softmax_vjp(x, g, given, seed=3)
        np.testing.assert_array_equal(np.asarray(change), 0)


@pytest.mark.parametrize("temperature", [1e-20, 1e-30, 2e-38])
def test_one_that_is_learned_has_the_gradient_of_the_limit(temperature):
    for function in (softmaxlib.softmax, softmaxlib.jax.softmax):
        for gradient in (jax.grad, jax.jacfwd):
            found = gradient(lambda t, f=function: f(jnp.asarray(X[0]), temperature=t)[0])(temperature)
            assert found == 0
    of_definition = jax.grad(lambda t: _generic.softmax(jnp, jnp.asarray(X[0]), axis=(0,), temperature=t)[0])
    assert of_definition(jnp.asarray(temperature)) == 0
    for shape in ((), (3, 1)):
        leaf = torch.full(shape, temperature, requires_grad=True)
        softmaxlib.softmax(torch.tensor(X), temperature=leaf)[:, 0].sum().backward()
        np.testing.assert_array_equal(leaf.grad, 0)


def test_one_that_is_not_above_0_is_still_refused_or_nan():
    for temperature in (0.0, -1e-46, -1.0):
        for function in (softmaxlib.torch.softmax, softmaxlib.jax.softmax, softmaxlib.softmax):
            array = torch.tensor if function is softmaxlib.torch.softmax else jnp.asarray
            with pytest.raises(InvalidInputError, match="temperature must be finite and above 0"):
                function(array(X), temperature=temperature)
    traced = jax.jit(lambda t: softmaxlib.jax.softmax(jnp.asarray(X), temperature=t))
    assert np.isnan(traced(0.0)).all()
    assert np.isnan(traced(-1.0)).all()
