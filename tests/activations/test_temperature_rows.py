"""A temperature for each row: the bits of every row are those of the row alone."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import softmaxlib

X = np.random.default_rng(0).normal(scale=3, size=(4, 5, 6))
T = np.array([0.5, 1.0, 2.0, 0.5, 3.0])


@pytest.mark.parametrize("function", [softmaxlib.softmax, softmaxlib.log_softmax])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
@pytest.mark.parametrize("axis", [2, (0, 2)])
def test_bits_are_those_of_the_row_alone(function, dtype, axis):
    x = X.astype(dtype)
    where = np.random.default_rng(1).uniform(size=x.shape) < 0.7
    temperature = T[None, :, None]
    result = function(x, axis, temperature=temperature, where=where)
    out = np.empty(result.shape, result.dtype)
    assert function(x, axis, temperature=temperature, where=where, out=out) is out
    for place, one in enumerate(T):
        part = (slice(None), slice(place, place + 1))
        alone = function(x[part], axis, temperature=one, where=where[part])
        np.testing.assert_array_equal(result[part], alone)
        np.testing.assert_array_equal(out[part], alone)


def test_the_shape_of_the_rows_will_do_and_a_sink_goes_with_its_row():
    temperature = np.broadcast_to(T, (4, 5))
    sink = np.arange(20.0).reshape(4, 5, 1)
    result = softmaxlib.softmax(X, temperature=temperature, sink=sink)
    np.testing.assert_array_equal(
        result, softmaxlib.softmax(X, temperature=temperature[..., None], sink=sink)
    )
    alone = softmaxlib.softmax(X[2, 3], temperature=T[3], sink=sink[2, 3])
    np.testing.assert_array_equal(result[2, 3], alone)


@pytest.mark.parametrize("array", [array_api_strict.asarray, torch.from_numpy, jnp.asarray])
def test_other_libraries_agree(array):
    with jax.enable_x64(True):
        for function in (softmaxlib.softmax, softmaxlib.log_softmax):
            given = np.asarray(function(array(X), temperature=array(T[:, None])))
            np.testing.assert_allclose(given, function(X, temperature=T[:, None]), rtol=1e-13)
        noisy = np.asarray(softmaxlib.gumbel_softmax(array(X), array(T[:, None]), seed=1))
        np.testing.assert_allclose(noisy, softmaxlib.gumbel_softmax(X, T[:, None], seed=1), rtol=1e-12)


def test_a_learned_temperature_keeps_its_gradient():
    leaf = torch.from_numpy(T[:, None].copy()).requires_grad_()
    x = torch.from_numpy(X)
    for function in (
        lambda t: softmaxlib.softmax(x, temperature=t),
        lambda t: softmaxlib.log_softmax(x, temperature=t),
        lambda t: softmaxlib.gumbel_softmax(x, t, seed=1),
    ):
        assert torch.autograd.gradcheck(function, (leaf,))
