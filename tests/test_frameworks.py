"""The plain functions on tensors and JAX arrays in memory: the kernels' bits, and derivatives."""

import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
import torch

import softmaxlib
from softmaxlib._frameworks import Adapter

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
LOGITS = (4 * np.random.default_rng(0).normal(size=(5, 6, 7))).astype(np.float32)
MASK = np.random.default_rng(1).random((6, 7)) > 0.3
AXES = (-1, 1, (0, 2), None)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("where", [None, MASK])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_bits_are_those_of_the_numpy_array(name, axis, where, dtype):
    function, x = getattr(softmaxlib, name), LOGITS.astype(dtype)
    expected = function(x, axis, where=where)
    tensor = function(torch.from_numpy(x), axis, where=where)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    array = function(jnp.asarray(x), axis, where=where)
    assert isinstance(array, jax.Array)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_can_still_be_traced_batched_and_differentiated(name):
    function, x = getattr(softmaxlib, name), LOGITS[0]
    expected = function(x)
    np.testing.assert_array_equal(torch.vmap(function)(torch.from_numpy(x)), expected)
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(jnp.asarray(x)), expected, rtol=2e-6, atol=1e-6)
    slopes = np.arange(float(expected.size)).reshape(expected.shape).astype(np.float32)
    tensor = torch.from_numpy(x.copy()).requires_grad_()
    function(tensor).backward(torch.from_numpy(slopes))
    gradient = jax.grad(lambda x: (function(x) * slopes).sum())(jnp.asarray(x))
    np.testing.assert_allclose(gradient, tensor.grad, rtol=2e-4, atol=2e-4)


def test_a_temperature_that_is_learned_keeps_its_derivative():
    x = torch.from_numpy(LOGITS[0])
    temperature = torch.tensor(1.5, requires_grad=True)
    softmaxlib.softmax(x, temperature=temperature)[0, 0].backward()
    step = 1e-4
    ahead, behind = (softmaxlib.softmax(x.double(), temperature=1.5 + d)[0, 0].item() for d in (step, -step))
    assert temperature.grad.item() == pytest.approx((ahead - behind) / (2 * step), rel=1e-3)
    slope = jax.grad(lambda t: softmaxlib.softmax(jnp.asarray(LOGITS[0]), temperature=t)[0, 0])(1.5)
    assert float(slope) == pytest.approx(temperature.grad.item(), rel=1e-4)


def test_errors_are_those_of_the_library():
    x = torch.zeros(3)
    with pytest.raises(np.exceptions.AxisError):
        softmaxlib.softmax(x, 1)
    with pytest.raises(ValueError, match=r"where must broadcast to the shape \(3,\), got shape \(2,\)"):
        softmaxlib.softmax(x, where=torch.ones(2, dtype=torch.bool))
    with pytest.raises(TypeError, match="where must be a bool mask"):
        softmaxlib.softmax(x, where=torch.ones(3))
    with pytest.raises(ValueError, match=r"temperature must be .*above 0.*argmax"):
        softmaxlib.softmax(x, temperature=-1.0)


def test_no_framework_is_imported_before_the_user_has():
    program = (
        "import sys, numpy, softmaxlib; softmaxlib.softmax([1.0, 2.0]); softmaxlib.logsumexp(numpy.ones(3)); "
        "print([name for name in ('torch', 'jax', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# draw stands behind a method, that of Chain
OFFERED = [name for name in vars(Adapter) if not name.startswith("_") and name != "draw"]


@pytest.mark.parametrize("shell", ["torch", "jax"])
@pytest.mark.parametrize("name", OFFERED)
def test_a_shell_offers_each_function_under_the_names_of_the_plain_one(shell, name):
    """The adapter takes all arguments that the plain function passes on, in the same places."""
    offered = inspect.signature(getattr(importlib.import_module(f"softmaxlib.{shell}._adapter"), name))
    asked = list(inspect.signature(getattr(Adapter, name)).parameters.values())[1:]
    plain = inspect.signature(getattr(softmaxlib, name)).parameters
    assert {one.name for one in asked if one.kind is not one.VAR_KEYWORD} <= set(plain)
    positional = [
        object() for one in asked if one.kind is one.POSITIONAL_ONLY or one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    offered.bind(*positional, **{one.name: object() for one in asked if one.kind is one.KEYWORD_ONLY})


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("library", [torch.from_numpy, jnp.asarray])
def test_a_loss_has_its_classes_on_any_axis(library, axis):
    classes = LOGITS.shape[axis]
    rows = np.moveaxis(LOGITS, axis, -1).shape[:-1]
    target = np.random.default_rng(2).integers(0, classes, rows)
    expected = softmaxlib.cross_entropy(LOGITS, target, axis=axis, where=MASK, reduction="none")
    loss = softmaxlib.cross_entropy(
        library(LOGITS), library(target), axis=axis, where=library(MASK), reduction="none"
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
