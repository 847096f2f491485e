"""Cross-entropy of JAX arrays: JAX's own gradient checks, and the NumPy function."""

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
from jax.test_util import check_grads
from jax_rows import logits

import softmaxlib
import softmaxlib.jax as ours
from softmaxlib.errors import InvalidInputError

pytestmark = pytest.mark.usefixtures("float64")

MASK_OF_CLASSES = np.arange(15).reshape(3, 1, 5) % 4 != 3


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_smoothing": 0.1, "class_weight": np.array([0.5, 2.0, 1.0])},
        {"focal_gamma": 2.0, "z_loss": 0.1},
        {"where": np.array([True, True, False])},
        {"ignore_index": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_the_numpy_function_and_passes_jaxs_gradient_checks(options, reduction):
    x, target = logits(4, 3), jnp.asarray([0, 1, 1, 0])
    result = ours.cross_entropy(x, target, reduction=reduction, **options)
    expected = softmaxlib.cross_entropy(np.asarray(x), np.asarray(target), reduction=reduction, **options)
    np.testing.assert_allclose(result, expected, rtol=1e-13)
    if reduction == "mean":
        check_grads(jax.jit(lambda x: ours.cross_entropy(x, target, **options)), (x,), order=1)


@pytest.mark.parametrize("axis", [(0, 2), (2, -3), None, 1])
@pytest.mark.parametrize(
    "options", [{}, {"ignore_index": 1}, {"where": MASK_OF_CLASSES}], ids=["", "ignored", "masked"]
)
def test_cross_entropy_over_axes_together_is_the_numpy_function(axis, options):
    x = logits(3, 4, 5)
    rows = tuple(np.delete(x.shape, axis)) if axis is not None else ()
    target = np.random.default_rng(2).integers(0, 3, rows)
    options = {**options, "axis": axis}
    if "where" in options and isinstance(axis, int):
        options["where"] = options["where"].any(axis=(0, 2), keepdims=True)
    loss, gradient = jax.jit(jax.value_and_grad(lambda x: ours.cross_entropy(x, target, **options)))(x)
    expected = softmaxlib.cross_entropy_grad(np.asarray(x), target, **options)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-15)
    if "ignore_index" not in options:
        soft = softmaxlib.softmax(np.random.default_rng(3).standard_normal(x.shape), axis=axis)
        if "where" in options:
            soft = softmaxlib.softmax(
                np.log(soft), axis=axis, where=np.broadcast_to(options["where"], x.shape)
            )
        found = ours.cross_entropy(x, soft, reduction="none", **options)
        wanted = softmaxlib.cross_entropy(np.asarray(x), soft, reduction="none", **options)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(
        InvalidInputError, match=r"target must be class indices of shape \(4,\) or .* got shape \(3,\)"
    ):
        ours.cross_entropy(logits(3, 4, 5), jnp.zeros(3, int), axis=(0, 2))


def test_cross_entropy_of_probabilities_is_differentiable_in_them_and_in_the_weights():
    x, target = logits(4, 3), softmaxlib.softmax(np.random.default_rng(5).standard_normal((4, 3)))
    weight = jnp.asarray([0.5, 2.0, 1.0])

    def loss(x, target, weight):
        return ours.cross_entropy(x, target, class_weight=weight, label_smoothing=0.1)

    check_grads(jax.jit(loss), (x, jnp.asarray(target), weight), order=1)
    jitted = jax.jit(jax.vmap(lambda x, t: ours.cross_entropy(x, t, reduction="none")))(x, target)
    expected = softmaxlib.cross_entropy(np.asarray(x), target, reduction="none")
    np.testing.assert_allclose(jitted, expected, rtol=1e-13)


def test_an_ignored_row_has_gradient_zero_whatever_it_holds():
    x = jnp.asarray([[jnp.nan, jnp.inf], [1.0, 2.0]])
    gradient = jax.grad(lambda x: ours.cross_entropy(x, jnp.asarray([-1, 0]), ignore_index=-1))(x)
    assert (gradient[0] == 0).all()
    assert (gradient[1] != 0).all()


def test_a_label_out_of_range_is_named_with_its_row():
    with pytest.raises(InvalidInputError, match=r"target must lie in 0 to 1 \(2 classes\), got 2 in row 1"):
        ours.cross_entropy(logits(2, 2), jnp.asarray([0, 2]))


@pytest.mark.parametrize("focal_gamma", [0.0, 2.0])
def test_the_hessian_where_a_probability_is_0_is_its_limit(focal_gamma):
    def hessian(lowest):
        rows = jnp.array([[1.0, lowest, 0.5], [0.2, 1.0, -1.0]])

        def loss(x):
            return ours.cross_entropy(x, jnp.array([1, 2]), focal_gamma=focal_gamma)

        return jax.jacrev(jax.grad(loss))(rows)

    np.testing.assert_allclose(hessian(-jnp.inf), hessian(-600.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", [ours.cross_entropy, ours.sigmoid_cross_entropy])
def test_the_mean_of_large_finite_losses_is_finite(loss):
    x = jnp.array([[3e38, 0.0], [3e38, 0.0]], jnp.float32)
    target = jnp.array([[0.0, 1.0]] * 2, jnp.float32)
    value, gradient = jax.value_and_grad(lambda x: loss(x, target))(x)
    wide = getattr(softmaxlib, loss.__name__)(np.asarray(x, float), np.asarray(target))
    np.testing.assert_allclose(value, wide, rtol=1e-6)
    assert jnp.isfinite(gradient).all()
