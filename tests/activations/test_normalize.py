from fractions import Fraction

import numpy as np
import pytest

from softmaxlib import normalize


def test_weights_become_shares():
    x = np.random.default_rng(0).integers(1, 100, (30, 7))
    shares = [[Fraction(int(value), int(row.sum())) for value in row] for row in x]
    np.testing.assert_allclose(normalize(x), np.array(shares, float), rtol=4e-16)


@pytest.mark.parametrize("axis", [0, -1, (0, 1), None])
def test_axis(axis):
    x = np.random.default_rng(1).uniform(size=(3, 4, 5))
    np.testing.assert_allclose(normalize(x, axis=axis), x / x.sum(axis=axis, keepdims=True), rtol=1e-15)


def test_documented_failures_on_logits():
    np.testing.assert_array_equal(normalize([-1, 3]), [-0.5, 1.5])
    np.testing.assert_allclose(normalize([101, 102]), [0.498, 0.502], atol=5e-4)
    np.testing.assert_allclose(normalize([1, 2]), normalize([10, 20]))
    np.testing.assert_array_equal(normalize([-1, 1]), [-np.inf, np.inf])
    np.testing.assert_array_equal(normalize([0, 0]), [np.nan, np.nan])


def test_mask_keeps_out_what_it_hides():
    x = np.array([[1.0, 3.0, np.nan], [np.inf, np.nan, 1.0]])
    where = np.array([[True, True, False], [False, False, False]])
    np.testing.assert_array_equal(normalize(x, where=where), [[0.25, 0.75, 0], [0, 0, 0]])


def test_float32_is_rounded_once():
    x = np.random.default_rng(2).uniform(size=(50, 1000)).astype(np.float32)
    wide = x.astype(np.longdouble)
    exact = wide / wide.sum(axis=1, keepdims=True)
    error = np.abs(normalize(x) - exact) / np.spacing(exact.astype(np.float32))
    assert error.max() <= 0.51


def test_empty_axis():
    assert normalize(np.zeros((0, 3)), axis=0).shape == (0, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_sum_of_large_finite_numbers_does_not_overflow(dtype):
    largest = np.finfo(dtype).max
    np.testing.assert_array_equal(normalize(np.array([largest, largest], dtype)), [0.5, 0.5])
    small = 1 / largest / 2
    np.testing.assert_array_equal(
        normalize(np.array([largest, 1, largest, 1], dtype)), np.array([0.5, small, 0.5, small], dtype)
    )
    mixed = np.array([largest, largest / 2, largest / 2, -largest], dtype)
    np.testing.assert_array_equal(normalize(mixed), [1, 0.5, 0.5, -1])
    where = np.array([True, False, True, True])
    masked = normalize(mixed / 2, where=where)
    np.testing.assert_allclose(masked, [2, 0, 1, -2], rtol=2 * float(np.finfo(dtype).eps))
    rows = np.array([[largest, largest], [1, 3]], dtype)
    np.testing.assert_array_equal(normalize(rows), [[0.5, 0.5], [0.25, 0.75]])
    np.testing.assert_array_equal(normalize(np.array([np.inf, 1], dtype)), [np.nan, 0])


@pytest.mark.parametrize("library", ["torch", "jax.numpy", "array_api_strict"])
def test_the_sum_of_large_finite_numbers_of_another_library_does_not_overflow(library):
    namespace = pytest.importorskip(library)
    x = namespace.asarray([3e38, 3e38, 1e-10], dtype=namespace.float32)
    np.testing.assert_array_equal(np.asarray(normalize(x)), [0.5, 0.5, 0])


def test_the_gradient_of_large_finite_numbers_is_that_of_their_ratios():
    torch = pytest.importorskip("torch")
    x = torch.tensor([3e38, 1e38, 2e38], requires_grad=True)
    (found,) = torch.autograd.grad(normalize(x)[0], x)
    wide = x.detach().double()
    expected = (torch.tensor([1.0, 0.0, 0.0]).double() - wide[0] / wide.sum()) / wide.sum()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-45)
