import re

import numpy as np
import pytest

from softmaxlib import adjust_prior, adjust_prior_vjp, log_softmax, softmax
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

SOURCE = np.array([0.7, 0.2, 0.1])
TARGET = np.array([0.2, 0.3, 0.5])


def test_is_exact_for_a_population_whose_posterior_is_known():
    """Three Gaussians: the posterior under each prior is known, and one turns into the other."""
    points = np.linspace(-4, 6, 50)[:, None]
    likelihood = -0.5 * (points - np.array([-1.0, 1.0, 2.5])) ** 2
    trained = log_softmax(likelihood + np.log(SOURCE))
    expected = softmax(likelihood + np.log(TARGET))
    np.testing.assert_allclose(softmax(adjust_prior(trained, SOURCE, TARGET)), expected, rtol=1e-13)


def test_there_and_back():
    x = np.random.default_rng(0).normal(size=(5, 3))
    there = adjust_prior(x, SOURCE, TARGET)
    np.testing.assert_allclose(adjust_prior(there, TARGET, SOURCE), x, atol=1e-15)


def test_strength():
    x = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_array_equal(adjust_prior(x, SOURCE, TARGET, 0.0), x)
    half = adjust_prior(x, SOURCE, TARGET, 0.5)
    np.testing.assert_allclose(half, (x + adjust_prior(x, SOURCE, TARGET)) / 2, atol=1e-15)
    np.testing.assert_array_equal(adjust_prior(x, SOURCE, [0.5, 0.5, 0], 0.0), x)


def test_axis_and_dtype():
    x = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    result = adjust_prior(x, SOURCE, TARGET, axis=0)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, adjust_prior(x.T, SOURCE, TARGET).T)


def test_class_that_cannot_occur_is_ruled_out():
    x = np.array([[1.0, 2.0, 3.0]])
    result = adjust_prior(x, SOURCE, [0.5, 0.5, 0])
    assert result[0, 2] == -np.inf
    np.testing.assert_allclose(softmax(result).sum(), 1)
    gradient = adjust_prior_vjp(np.array([[0.5, -0.25, 9.0]]), SOURCE, [0.5, 0.5, 0])
    np.testing.assert_array_equal(gradient, [[0.5, -0.25, 0]])
    both = adjust_prior(x, [0.5, 0.5, 0], [0.25, 0.75, 0])
    assert both[0, 2] == -np.inf


def test_vjp_is_the_adjoint_of_the_difference():
    rng = np.random.default_rng(3)
    x, direction, cotangent = rng.normal(size=(3, 4, 3))
    moved = adjust_prior(x + direction, SOURCE, TARGET, 0.7) - adjust_prior(x, SOURCE, TARGET, 0.7)
    expected = (cotangent * moved).sum()
    result = (adjust_prior_vjp(cotangent, SOURCE, TARGET, 0.7) * direction).sum()
    assert result == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([70, 20, 10], TARGET, "source must sum to 1, got 100; divide counts by their total"),
        (SOURCE, [1.2, -0.2, 0], "target must not be negative or NaN, got -0.2 for class 1"),
        (SOURCE, [np.nan, 0.5, 0.5], "target must not be negative or NaN, got nan for class 0"),
        ([1, 0, 0], TARGET, "target must be 0 where source is 0, got 0.3 for class 1"),
        (SOURCE, [0.5, 0.5], "must name the same classes, got 3 and 2 of them"),
        ([0.5, 0.5], [0.4, 0.6], "one frequency per class, 3 along axis -1, got 2"),
        ([[0.7, 0.2, 0.1]], TARGET, "source must have one frequency per class, shape (K,), got shape (1, 3)"),
    ],
)
def test_refuses_impossible_frequencies(source, target, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        adjust_prior(np.zeros((2, 3)), source, target)


def test_other_errors():
    with pytest.raises(InvalidInputError, match=r"strength must be .* got -1; to go back, exchange source"):
        adjust_prior(np.zeros(3), SOURCE, TARGET, -1)
    with pytest.raises(UnsupportedTypeError, match="source must be real numbers, got dtype"):
        adjust_prior(np.zeros(3), ["a", "b", "c"], TARGET)
    with pytest.raises(np.exceptions.AxisError):
        adjust_prior(np.zeros(3), SOURCE, TARGET, axis=1)
    with pytest.raises(np.exceptions.AxisError):
        adjust_prior(0.0, SOURCE, TARGET)


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
def test_rounded_frequencies_are_judged_by_their_own_dtype(library):
    xp = pytest.importorskip(library)
    fifteenths = xp.asarray([1, 2, 3, 4, 5], dtype=xp.float32) / 15
    rounded, logits = xp.asarray(fifteenths, dtype=xp.bfloat16), xp.zeros((1, 5))
    assert abs(float(rounded.sum(dtype=xp.float32)) - 1) > 1e-3
    found = adjust_prior(logits, rounded, rounded)
    np.testing.assert_allclose(np.asarray(found), 0, atol=1e-6)
    with pytest.raises(InvalidInputError, match=r"source must sum to 1, got 1\.00"):
        adjust_prior(logits, xp.asarray(rounded, dtype=xp.float32), fifteenths)
