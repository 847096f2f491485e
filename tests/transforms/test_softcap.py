import mpmath
import numpy as np
import pytest

from softmaxlib import softcap, softcap_vjp
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

X = np.concatenate([np.random.default_rng(0).normal(scale=scale, size=200) for scale in (1e-3, 1, 30, 300)])


@pytest.mark.parametrize("cap", [0.5, 30.0, 50.0])
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 0.51), (np.float64, 4.0)])
def test_accuracy_against_mpmath(dtype, bound, cap):
    x = X.astype(dtype)
    result = softcap(x, cap)
    assert result.dtype == dtype
    with mpmath.workdps(40):
        truth = [cap * mpmath.tanh(mpmath.mpf(float(value)) / cap) for value in x]
        error = [abs(float(ours) - exact) for ours, exact in zip(result, truth, strict=True)]
    ulp = np.spacing(np.abs(np.array([float(value) for value in truth])).astype(dtype))
    assert max(float(e) / float(u) for e, u in zip(error, ulp, strict=True)) <= bound


@pytest.mark.parametrize("cap", [0.5, 30.0])
def test_vjp_against_mpmath(cap):
    cotangent = np.random.default_rng(1).normal(size=X.size)
    result = softcap_vjp(X, cotangent, cap)
    with mpmath.workdps(40):
        truth = [g / mpmath.cosh(mpmath.mpf(float(x)) / cap) ** 2 for x, g in zip(X, cotangent, strict=True)]
    np.testing.assert_allclose(result, [float(value) for value in truth], rtol=1e-12, atol=1e-300)


def test_vjp_against_complex_step():
    step = 1e-30
    expected = (30 * np.tanh((X + 1j * step) / 30)).imag / step
    np.testing.assert_allclose(softcap_vjp(X, np.ones_like(X), 30.0), expected, rtol=1e-12)


def test_shape_of_the_curve():
    ordered = np.sort(X)
    capped = softcap(ordered, 30.0)
    assert (np.diff(capped) >= 0).all()
    assert np.abs(capped).max() <= 30
    np.testing.assert_array_equal(softcap(np.array([-np.inf, np.inf, np.nan, 0]), 30.0), [-30, 30, np.nan, 0])
    np.testing.assert_array_equal(softcap_vjp([np.inf, -np.inf], [2.0, 3.0], 30.0), [0, 0])
    np.testing.assert_allclose(softcap(X[:200], 1e9), X[:200], rtol=1e-15)


@pytest.mark.parametrize("cap", [0, -1.0, np.nan, np.inf])
def test_refuses_a_cap_that_bounds_nothing(cap):
    with pytest.raises(InvalidInputError, match=r"cap must be finite and above 0, got .*leave softcap out"):
        softcap([1.0], cap)


def test_refuses_wrong_types_and_shapes():
    with pytest.raises(UnsupportedTypeError, match="cap must be one real number, got ndarray"):
        softcap([1.0], np.ones(3))
    with pytest.raises(UnsupportedTypeError, match="x must be real numbers, got dtype bool"):
        softcap([True], 1.0)
    with pytest.raises(InvalidInputError, match=r"cotangent must have the shape of x, \(1,\), got \(2,\)"):
        softcap_vjp([1.0], [1.0, 2.0], 1.0)
