"""The binary cross-entropy of JAX arrays: the plain function, its derivatives, transforms."""

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

import softmaxlib
import softmaxlib.jax as ours
from softmaxlib.errors import InvalidInputError

rng = np.random.default_rng(0)
X, SOFT = (2 * rng.normal(size=(6, 4))).astype(np.float32), rng.random((6, 4)).astype(np.float32)
WEIGHT, POSITIVE = rng.random((6, 1)).astype(np.float32), np.array([0.5, 1.0, 3.0, 20.0], np.float32)
WHERE = rng.random((6, 4)) > 0.3


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": WEIGHT, "pos_weight": POSITIVE, "where": WHERE},
        {"focal_gamma": 2.0, "label_smoothing": 0.1, "pos_weight": 3.0},
    ],
)
def test_it_is_the_plain_function_and_passes_jaxs_checks(options, reduction):
    expected = softmaxlib.sigmoid_cross_entropy(X.astype(float), SOFT, reduction=reduction, **options)
    for function in (ours.sigmoid_cross_entropy, softmaxlib.sigmoid_cross_entropy):
        found = jax.jit(lambda x, y, f=function: f(x, y, reduction=reduction, **options))(
            X, jnp.asarray(SOFT)
        )
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-7)
    if reduction == "mean":
        plain = softmaxlib.sigmoid_cross_entropy_grad(X.astype(float), SOFT, **options).grad
        slope = jax.jit(jax.grad(lambda x: ours.sigmoid_cross_entropy(x, SOFT, **options)))(X)
        np.testing.assert_allclose(slope, plain, rtol=1e-5, atol=1e-7)
        check_grads(lambda x, y: ours.sigmoid_cross_entropy(x, y, **options), (X, SOFT), order=1, rtol=0.02)


def test_weights_and_targets_have_derivatives_also_where_they_are_0():
    x = jnp.asarray([2.0, -1.0])
    slopes = jax.grad(
        lambda y, w: ours.sigmoid_cross_entropy(x, y, pos_weight=w, reduction="sum"), argnums=(0, 1)
    )(jnp.asarray([0.0, 1.0]), jnp.asarray([1.0, 1.0]))
    np.testing.assert_allclose(slopes[0], [-2.0, 1.0], rtol=1e-6)  # log(1 - p) - log p is minus the logit
    np.testing.assert_allclose(slopes[1], [0.0, np.log1p(np.exp(1.0))], rtol=1e-6)


@pytest.mark.usefixtures("optimized")
def test_confident_logits_and_what_a_mask_hides():
    x = jnp.asarray([20.0, -20.0, jnp.inf, jnp.nan])
    target, where = jnp.asarray([1, 0, 1, 1]), jnp.asarray([True, True, True, False])
    loss = ours.sigmoid_cross_entropy(x, target, where=where, reduction="none")
    np.testing.assert_allclose(loss, [2.0611537e-09, 2.0611537e-09, 0, 0], rtol=1e-6)
    slope = jax.grad(lambda x: ours.sigmoid_cross_entropy(x, target, where=where, reduction="sum"))(x)
    np.testing.assert_allclose(slope, [-2.0611537e-09, 2.0611537e-09, 0, 0], rtol=1e-6)


def test_it_is_batched_and_keeps_the_dtype():
    rows = jax.vmap(lambda x, y: ours.sigmoid_cross_entropy(x, y, pos_weight=POSITIVE))(X, SOFT)
    expected = [
        softmaxlib.sigmoid_cross_entropy(*row, pos_weight=POSITIVE) for row in zip(X, SOFT, strict=True)
    ]
    np.testing.assert_allclose(rows, expected, rtol=3e-6)
    assert ours.sigmoid_cross_entropy(X.astype(jnp.bfloat16), SOFT).dtype == jnp.bfloat16


def test_what_is_known_is_checked():
    with pytest.raises(InvalidInputError, match="target must lie in 0 to 1, got 2 at 1"):
        ours.sigmoid_cross_entropy([0.5, 1.0], [1, 2])
    with pytest.raises(InvalidInputError, match=r"target must have the shape of logits, \(2,\), got \(1,\)"):
        ours.sigmoid_cross_entropy([0.5, 1.0], [1])
    with pytest.raises(InvalidInputError, match=r"weight must be finite and not negative, got -1\.0"):
        ours.sigmoid_cross_entropy([0.5], [1], weight=-1.0)
    with pytest.raises(InvalidInputError, match="pos_weight must broadcast to the shape of logits"):
        jax.jit(lambda w: ours.sigmoid_cross_entropy([0.5], [1], pos_weight=w))(POSITIVE)
