import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch

from softmaxlib import gumbel_softmax, gumbel_softmax_vjp, hardmax, softmax
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

LOGITS = np.array([2.0, 1.0, 0.1, -1.0])


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_largest_entry_follows_softmax(temperature):
    """The Gumbel-max law, at any temperature: a chi-square test of 40,000 draws."""
    draws = gumbel_softmax(np.tile(LOGITS, (40_000, 1)), temperature, seed=3)
    np.testing.assert_allclose(draws.sum(axis=1), 1, rtol=1e-14)
    observed = np.bincount(draws.argmax(axis=1), minlength=4)
    assert scipy.stats.chisquare(observed, 40_000 * softmax(LOGITS)).pvalue > 1e-3


def test_two_classes_follow_the_binary_concrete_law():
    """With two classes, logit(y) T is logistic with mean x1 - x2 (Maddison et al. 2017, equation 12)."""
    draws = gumbel_softmax(np.tile([0.7, 0.0], (20_000, 1)), 0.5, seed=4)
    logistic = 0.5 * np.log(draws[:, 0] / draws[:, 1])
    assert scipy.stats.kstest(logistic, scipy.stats.logistic(loc=0.7).cdf).pvalue > 1e-3


def test_hard_is_the_one_hot_of_soft():
    x = np.tile(LOGITS, (1000, 1))
    np.testing.assert_array_equal(
        gumbel_softmax(x, 0.7, hard=True, seed=5), hardmax(gumbel_softmax(x, 0.7, seed=5))
    )


def test_seed_decides_everything():
    x = np.tile(LOGITS, (50, 1))
    first = gumbel_softmax(x, 0.7, seed=5)
    np.testing.assert_array_equal(first, gumbel_softmax(x, 0.7, seed=5))
    assert (first != gumbel_softmax(x, 0.7, seed=6)).any()
    assert (gumbel_softmax(x, 0.7, seed=(5, 1)) != gumbel_softmax(x, 0.7, seed=(5, 2))).any()


def test_noise_is_that_of_numpy_on_every_library():
    noise = np.random.default_rng(9).gumbel(size=(3, 4))
    x = np.tile(LOGITS, (3, 1))
    expected = softmax(x + noise, temperature=0.5)
    np.testing.assert_allclose(gumbel_softmax(x, 0.5, seed=9), expected, rtol=1e-14)
    np.testing.assert_allclose(gumbel_softmax(torch.tensor(x), 0.5, seed=9).numpy(), expected, rtol=1e-13)
    np.testing.assert_allclose(gumbel_softmax(jnp.asarray(x, jnp.float32), 0.5, seed=9), expected, rtol=1e-5)
    narrow = gumbel_softmax(x.astype(np.float32), 0.5, seed=9)
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow, expected.astype(np.float32))


@pytest.mark.parametrize("hard", [False, True])
def test_gradients_of_torch_jax_and_ours_agree(hard):
    x = np.random.default_rng(1).normal(size=(6, 4))
    cotangent = np.random.default_rng(2).normal(size=(6, 4))
    ours = gumbel_softmax_vjp(x, cotangent, 0.8, seed=11)
    tensor = torch.tensor(x, requires_grad=True)
    gumbel_softmax(tensor, 0.8, hard=hard, seed=11).backward(torch.tensor(cotangent))
    np.testing.assert_allclose(tensor.grad.numpy(), ours, atol=1e-14)

    def loss(z):
        return (gumbel_softmax(z, 0.8, hard=hard, seed=11) * cotangent.astype(np.float32)).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(loss))(jnp.asarray(x, jnp.float32)), ours, atol=1e-5)


def test_vjp_against_differences():
    rng = np.random.default_rng(12)
    x, direction, cotangent = rng.normal(size=(3, 5, 4))
    step = np.longdouble(1e-6)
    x = x.astype(np.longdouble)
    difference = gumbel_softmax(x + step * direction, 0.6, seed=1) - gumbel_softmax(
        x - step * direction, 0.6, seed=1
    )
    expected = (cotangent * difference / (2 * step)).sum(axis=1)
    result = (gumbel_softmax_vjp(x, cotangent, 0.6, seed=1) * direction).sum(axis=1)
    np.testing.assert_allclose(result, expected, rtol=1e-9)


@pytest.mark.parametrize("hard", [False, True])
def test_mask_and_edges(hard):
    x = np.array([[1.0, np.nan, 2.0], [np.inf, np.nan, 1.0], [np.nan, 1.0, 2.0], [-np.inf] * 3])
    where = np.array([[True, False, True], [False] * 3, [True] * 3, [True] * 3])
    result = gumbel_softmax(x, 0.5, hard=hard, seed=0, where=where)
    assert result[0, 1] == 0
    assert result[0].sum() == pytest.approx(1)
    np.testing.assert_array_equal(result[1], 0)
    assert np.isnan(result[2:]).all()
    gradient = gumbel_softmax_vjp(x, np.full((4, 3), 2.0), 0.5, seed=0, where=where)
    assert gradient[0, 1] == 0
    np.testing.assert_array_equal(gradient[1], 0)
    assert gumbel_softmax(np.zeros((3, 0)), 1.0, seed=0).shape == (3, 0)


def test_axis():
    x = np.zeros((3, 4, 5))
    np.testing.assert_allclose(gumbel_softmax(x, 1.0, axis=(0, 2), seed=0).sum(axis=(0, 2)), 1)
    np.testing.assert_allclose(gumbel_softmax(x, 1.0, axis=1, seed=0).sum(axis=1), 1)


def test_errors():
    for temperature in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(
            InvalidInputError, match=r"temperature must be finite and above 0, got .*hard=True"
        ):
            gumbel_softmax(LOGITS, temperature, seed=0)
    for seed in (None, "abc", 1.5, np.random.default_rng(0)):
        with pytest.raises(
            UnsupportedTypeError, match="seed must be an integer or a sequence of integers, got"
        ):
            gumbel_softmax(LOGITS, 1.0, seed=seed)
    with pytest.raises(InvalidInputError, match="seed must not be negative, got -3"):
        gumbel_softmax(LOGITS, 1.0, seed=-3)


@pytest.mark.parametrize("axis", [-1, 0])
def test_large_arrays_have_the_noise_of_numpy(axis):
    x = np.random.default_rng(1).normal(size=(1000, 300))
    noise = np.random.default_rng(9).gumbel(size=x.shape)
    expected = softmax(x + noise, axis, temperature=0.5)
    np.testing.assert_allclose(gumbel_softmax(x, 0.5, axis, seed=9), expected, rtol=1e-13)
