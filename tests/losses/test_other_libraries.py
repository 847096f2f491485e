"""The definition that runs for arrays of other libraries, against the compiled one."""

import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from softmaxlib import cross_entropy, cross_entropy_grad

rng = np.random.default_rng(51)
LOGITS = rng.normal(size=(4, 5)).astype(np.float32)
LABEL = np.array([0, 1, 4, 3])
PROBABILITIES = rng.dirichlet(np.ones(5), 4).astype(np.float32)
WHERE = np.array([True, True, False, True, True])
OPTIONS = [
    {},
    {"label_smoothing": 0.1, "class_weight": np.arange(1, 6, dtype=np.float32)},
    {"z_loss": 0.1, "reduction": "sum"},
    {"focal_gamma": 2.0, "reduction": "none"},
]


@pytest.mark.parametrize("make", [torch.tensor, jnp.asarray, array_api_strict.asarray])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "plain")
@pytest.mark.parametrize("target", [LABEL, PROBABILITIES], ids=["label", "probabilities"])
@pytest.mark.parametrize("axis", [0, 1])
def test_agrees_with_numpy(make, options, target, axis):
    def turned(array):
        return array if axis or array.ndim == 1 else np.ascontiguousarray(array.T)

    given = {name: make(value) if name == "class_weight" else value for name, value in options.items()}
    result = cross_entropy_grad(make(turned(LOGITS)), make(turned(target)), axis=axis, **given)
    expected = cross_entropy_grad(turned(LOGITS), turned(target), axis=axis, **options)
    assert type(result.grad) is type(make(LOGITS))
    np.testing.assert_allclose(np.asarray(result.loss), expected.loss, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(result.grad), expected.grad, rtol=1e-4, atol=1e-6)
    loss = cross_entropy(make(turned(LOGITS)), make(turned(target)), axis=axis, **given)
    np.testing.assert_allclose(np.asarray(loss), expected.loss, rtol=1e-5)


@pytest.mark.parametrize("make", [torch.tensor, jnp.asarray, array_api_strict.asarray])
def test_masks_and_ignored_rows(make):
    logits = LOGITS.copy()
    logits[:, 2] = np.nan
    logits[1] = np.inf
    label = np.array([0, -1, 4, 3])
    options = {"where": make(WHERE), "ignore_index": -1}
    result = cross_entropy_grad(make(logits), make(label), **options)
    expected = cross_entropy_grad(logits, label, where=WHERE, ignore_index=-1)
    np.testing.assert_allclose(np.asarray(result.loss), expected.loss, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(result.grad), expected.grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(result.grad)[1], np.zeros(5))
    np.testing.assert_array_equal(np.asarray(result.grad)[:, 2], np.zeros(4))
