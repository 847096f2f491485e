import ml_dtypes
import numpy as np
import pytest

from softmaxlib import hardmax, softmax
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def test_lowest_index_wins_a_tie():
    np.testing.assert_array_equal(hardmax([[1, 3, 3], [2, 2, 2]]), [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 2), (2, 0), None])
def test_axis_against_moved_rows(axis):
    x = np.random.default_rng(1).normal(size=(3, 4, 5))
    result = hardmax(x, axis=axis)
    np.testing.assert_array_equal(result.sum(axis=axis), 1)
    np.testing.assert_array_equal(result, x == x.max(axis=axis, keepdims=True))


def test_tie_over_two_axes_goes_to_the_first_in_memory_order():
    for axis in [(0, 1), (1, 0), None]:
        np.testing.assert_array_equal(hardmax(np.zeros((2, 2)), axis=axis), [[1, 0], [0, 0]])


def test_is_the_limit_of_softmax():
    x = np.random.default_rng(2).normal(size=(20, 7))
    np.testing.assert_allclose(softmax(x, temperature=1e-6), hardmax(x), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_edges(dtype):
    x = np.array([[np.nan, 1, 2], [-np.inf] * 3, [-np.inf, 1, np.inf], [1, 2, 3]], dtype)
    result = hardmax(x)
    assert result.dtype == dtype
    expected = [[np.nan] * 3, [np.nan] * 3, [0, 0, 1], [0, 0, 1]]
    np.testing.assert_array_equal(result.astype(float), expected)


def test_mask():
    x = np.array([[1.0, np.nan, np.inf], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(
        hardmax(x, where=[[True, False, False], [False] * 3]), [[1, 0, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(hardmax(x, where=[True, False, False]), [[1, 0, 0], [1, 0, 0]])


def test_empty_axis():
    assert hardmax(np.zeros((2, 0))).shape == (2, 0)


def test_errors():
    with pytest.raises(np.exceptions.AxisError):
        hardmax(1.0)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds for array of dimension 2"):
        hardmax(np.zeros((2, 2)), axis=2)
    with pytest.raises(InvalidInputError, match=r"axis must name each axis once, got \(0, -2\)"):
        hardmax(np.zeros((2, 2)), axis=(0, -2))
    with pytest.raises(UnsupportedTypeError, match=r"where must be a bool mask .* got dtype int64"):
        hardmax(np.zeros(2), where=[0, 1])
    with pytest.raises(
        InvalidInputError, match=r"where must broadcast to the shape \(2,\), got shape \(3,\)"
    ):
        hardmax(np.zeros(2), where=[True] * 3)
    with pytest.raises(
        InvalidInputError, match=r"where must broadcast to the shape \(2,\), got shape \(3, 2\)"
    ):
        hardmax(np.zeros(2), where=[[True, True]] * 3)
    with pytest.raises(UnsupportedTypeError, match="x must be real numbers"):
        hardmax([True, False])


def test_one_element_without_an_axis():
    assert hardmax(3.0, axis=None) == 1.0
