"""The loss of a linear layer on JAX arrays: in blocks, in bounded memory, with its derivatives."""

import functools

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

OPTIONS = {"softcap": 3.0, "label_smoothing": 0.1, "ignore_index": 2}
ROW_OF_LAYER = 6 * 7 * 8  # bytes of the budget: the arrays at once, the classes, the bytes of a number


def layer(rows, features=5, classes=7, seed=0):
    weight = logits(classes, features, seed=seed + 1)
    target = np.random.default_rng(seed).integers(0, classes, rows)
    return logits(*rows, features, seed=seed), weight, jnp.asarray(target), logits(classes, seed=seed + 2)


@pytest.mark.parametrize(("reduction", "rows"), [("none", ()), ("sum", (1,)), ("mean", (3, 7))])
@pytest.mark.parametrize(
    "options",
    [{}, {"softcap": 3.0}, {"label_smoothing": 0.1, "z_loss": 0.01}, {"ignore_index": 2}],
)
def test_the_loss_of_a_linear_layer_is_the_numpy_function_in_blocks(reduction, rows, options):
    features, weight, target, bias = layer(rows)
    if options.get("ignore_index") is not None and target.size == 1:
        target = jnp.zeros_like(target)
    options = {**options, "reduction": reduction}
    expected = softmaxlib.linear_cross_entropy(
        *map(np.asarray, (features, weight, target)), bias=np.asarray(bias), **options
    )
    for budget in (ROW_OF_LAYER, 4 * ROW_OF_LAYER + 1, 1 << 20):
        loss = functools.partial(ours.linear_cross_entropy, bias=bias, memory_budget=budget, **options)
        np.testing.assert_allclose(jax.jit(loss)(features, weight, target), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("options", "order"),  # the plain loss, and all options with their second derivatives
    [({}, 1), pytest.param(OPTIONS, 2, marks=pytest.mark.sweep), (OPTIONS, 1)],
)
def test_the_loss_of_a_linear_layer_passes_jaxs_gradient_checks(options, order):
    features, weight, target, bias = layer((9,))

    def loss(features, weight, bias):
        return ours.linear_cross_entropy(
            features, weight, target, bias=bias, memory_budget=4 * ROW_OF_LAYER, **options
        )

    check_grads(jax.jit(loss), (features, weight, bias), order=order, modes=["fwd", "rev"])
    found = jax.grad(loss, argnums=(0, 1, 2))(features, weight, bias)
    expected = softmaxlib.linear_cross_entropy_grad(
        *map(np.asarray, (features, weight, target)), bias=np.asarray(bias), **options
    )
    for one, other in zip(found, expected[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


def test_nothing_of_an_ignored_row_reaches_the_gradients_of_a_linear_layer():
    features, weight, target, _ = layer((6,))
    features = features.at[2].set(jnp.nan)
    target = target.at[2].set(-1)
    found = jax.grad(lambda *of: ours.linear_cross_entropy(*of, target, ignore_index=-1), argnums=(0, 1))(
        features, weight
    )
    assert all(np.isfinite(each).all() for each in found)
    assert (found[0][2] == 0).all()


def test_the_loss_of_a_linear_layer_and_its_gradients_keep_to_the_budget():
    """The logits of 2048 rows of 8000 classes alone are 62 MiB; the budget is 8."""
    features, weight = (jnp.zeros((many, 64), jnp.float32) for many in (2048, 8000))
    target, budget = jnp.zeros(2048, int), 8 << 20

    def taken(loss):
        compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(features, weight).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    own = (features.size + 2 * weight.size) * 4  # in another order, and a sum of blocks
    bounded = taken(lambda x, w: ours.linear_cross_entropy(x, w, target, memory_budget=budget))
    whole = taken(lambda x, w: ours.cross_entropy(x @ w.T, target))
    assert bounded - own < budget < whole / 7


def test_a_linear_layer_that_fits_nothing_is_refused():
    features, weight, target, _ = layer((4,))
    with pytest.raises(InvalidInputError, match=r"must hold one row of logits, 56 bytes, got 50; raise it"):
        ours.linear_cross_entropy(features, weight, target, memory_budget=50)
    with pytest.raises(InvalidInputError, match=r"shapes \(4, 5\) and \(7, 4\)"):
        ours.linear_cross_entropy(features, weight[:, :4], target)
    with pytest.raises(InvalidInputError, match="got 7 in row 0"):
        ours.linear_cross_entropy(features, weight, target.at[0].set(7))
    with pytest.raises(InvalidInputError, match="softcap must be finite and above 0"):
        ours.linear_cross_entropy(features, weight, target, softcap=0.0)


def test_the_plain_function_hands_layers_of_jax_arrays_over():
    features, weight, target, bias = layer((2, 3))
    loss = jax.jit(lambda *of: softmaxlib.linear_cross_entropy(*of, target, bias=bias))(features, weight)
    expected = ours.linear_cross_entropy(features, weight, target, bias=bias)
    assert isinstance(loss, jax.Array)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


@pytest.mark.parametrize(("dtype", "classes"), [("int8", 300), ("uint8", 1000), ("uint16", 70_000)])
def test_labels_of_a_narrow_dtype_are_compared_with_every_class(dtype, classes):
    features, weight = logits(3, 2), logits(classes, 2, seed=1)
    target = np.array([0, 44, 100])
    expected = softmaxlib.cross_entropy(np.asarray(features @ weight.T), target)
    call = functools.partial(ours.linear_cross_entropy, features, weight)
    for function in (call, jax.jit(call)):
        np.testing.assert_allclose(function(jnp.asarray(target, dtype)), expected, rtol=1e-12)
    slopes = [
        jax.grad(ours.linear_cross_entropy)(features, weight, jnp.asarray(target, one))
        for one in (dtype, "int64")
    ]
    np.testing.assert_array_equal(*slopes)
