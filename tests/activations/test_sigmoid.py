import ml_dtypes
import mpmath
import numpy as np
import pytest

from softmaxlib import log_sigmoid, sigmoid, softmax
from softmaxlib.errors import UnsupportedTypeError

EXACT = {
    sigmoid: lambda x: 1 / (1 + mpmath.exp(-x)),
    log_sigmoid: lambda x: -mpmath.log1p(mpmath.exp(-x)),
}
DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
ULP = {"float16": 0.51, "bfloat16": 0.51, "float32": 1.0, "float64": 1.0}


def spacing(value: float, dtype: np.dtype) -> mpmath.mpf:
    info = ml_dtypes.finfo(dtype)
    exponent = max(mpmath.frexp(value)[1] - 1, int(info.minexp)) if value else int(info.minexp)
    return mpmath.ldexp(1, int(exponent) - int(info.nmant))


def worst_ulp(function, x: np.ndarray) -> float:
    result = function(x)
    assert result.dtype == x.dtype
    worst = mpmath.mpf(0)
    with mpmath.workdps(60):
        for argument, value in zip(x.astype(np.float64), result.astype(np.float64), strict=True):
            truth = EXACT[function](mpmath.mpf(float(argument)))
            worst = max(worst, abs(float(value) - truth) / spacing(abs(truth), x.dtype))
    return float(worst)


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_accuracy_against_mpmath(function, dtype):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, scale, 400) for scale in (1e-3, 1, 8, 40)]).astype(dtype)
    assert worst_ulp(function, x) <= ULP[np.dtype(dtype).name]


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid])
def test_limits(function):
    low, high = (0.0, 1.0) if function is sigmoid else (-np.inf, 0.0)
    np.testing.assert_array_equal(function(np.array([-np.inf, np.inf, np.nan])), [low, high, np.nan])


def test_no_overflow_and_no_lost_digits():
    x = np.array([-745.0, -700.0, 700.0, 1e308, -1e308])
    np.testing.assert_array_equal(sigmoid(x)[:2], np.exp(x[:2]))
    np.testing.assert_array_equal(sigmoid(x)[2:], [1, 1, 0])
    assert log_sigmoid(np.float64(20.0)) == pytest.approx(-2.0611536181902037e-09, rel=1e-15)
    assert log_sigmoid(-1e308) == -1e308


def test_is_the_two_class_softmax():
    x = np.linspace(-30, 30, 241)
    np.testing.assert_allclose(sigmoid(x), softmax(np.stack([x, np.zeros_like(x)], 1))[:, 0], rtol=1e-15)


def test_complement_is_the_other_class():
    x = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(sigmoid(x) + sigmoid(-x), 1, rtol=3e-16)


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid])
def test_shapes_and_kinds(function):
    assert function(np.zeros((2, 0, 3), np.float32)).shape == (2, 0, 3)
    assert function(1).dtype == np.float64
    assert function([[1, 2]]).shape == (1, 2)
    assert function(np.zeros(3, ">f4")).dtype == np.float32
    long = function(np.longdouble(-1))
    assert long.dtype == np.longdouble


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid])
@pytest.mark.parametrize("value", [True, 1j, "1", None, [object()]])
def test_refuses_what_is_not_real(function, value):
    with pytest.raises(UnsupportedTypeError, match=r"x must be real numbers, got dtype .*convert it to"):
        function(value)
