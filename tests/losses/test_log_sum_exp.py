"""States of parts make the state of the whole, in any order and grouping."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_oracle import Row, exact, ulps

from softmaxlib import LogSumExp, cross_entropy, softmax
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

rng = np.random.default_rng(31)


def _state(chunk, chosen=None):
    return LogSumExp().update(chunk, chosen)


@settings(max_examples=60)
@given(
    st.lists(st.floats(-800, 800), min_size=3, max_size=12),
    st.integers(1, 10),
    st.integers(1, 10),
)
def test_merging_is_associative_and_right(numbers, first, second):
    row = np.array([numbers])
    parts = np.split(row, sorted({first % row.size, second % row.size} - {0}), axis=1)
    left = LogSumExp()
    for part in parts:
        left = left.merge(_state(part))
    right = LogSumExp()
    for part in reversed(parts):
        right = _state(part).merge(right)
    truth = mpmath.log(mpmath.fsum(mpmath.exp(z) for z in exact(row[0])))
    largest = max(1.0, abs(row).max())
    for state in (left, right):
        assert abs(float(state.value[0] - truth)) <= 4e-16 * largest
        assert state.count == row.size


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("scale", [1, 30])
def test_loss_over_chunks_is_the_loss_of_the_row(dtype, scale):
    logits = rng.normal(scale=scale, size=(4, 50)).astype(dtype)
    label = np.array([3, 49, 0, 20])
    label[0] = logits[0].argmax()
    state = LogSumExp()
    for start in range(0, 50, 7):
        here = label - start
        state.update(logits[:, start : start + 7], np.where((here >= 0) & (here < 7), here, -1))
    kind = "float64" if dtype == "float64" else "float32"
    for row in range(4):
        assert ulps(state.loss[row], Row(label[row]).loss(exact(logits[row])), kind) <= 8
    np.testing.assert_allclose(
        state.loss, cross_entropy(logits.astype(float), label, reduction="none"), rtol=1e-7
    )
    np.testing.assert_allclose(
        np.exp(logits.astype(float) - state.value[:, None]), softmax(logits.astype(float)), rtol=1e-6
    )


def test_a_confident_row_keeps_its_digits_over_chunks():
    state = LogSumExp().update([[0.0]], [0]).update([[-20.0]], [-1])
    assert ulps(state.loss[0], mpmath.log1p(mpmath.exp(-20)), np.float64) <= 2


def test_empty_and_infinite_parts():
    assert LogSumExp().value == -np.inf
    state = LogSumExp().update(np.empty((2, 0))).update([[-np.inf, -np.inf], [1.0, -np.inf]])
    np.testing.assert_array_equal(state.value, [-np.inf, 1.0])
    state.update([[np.inf], [np.nan]])
    np.testing.assert_array_equal(state.value, [np.inf, np.nan])
    assert np.isnan(LogSumExp().update([1.0, np.nan]).merge(LogSumExp().update([2.0])).value)


def test_errors():
    with pytest.raises(InvalidInputError, match=r"one shape, got \(2,\) and \(3,\)"):
        _state(np.zeros((2, 4))).merge(_state(np.zeros((3, 4))))
    with pytest.raises(
        InvalidInputError, match=r"integers of shape \(2,\) below the chunk's 4 columns, got int64"
    ):
        _state(np.zeros((2, 4)), np.array([0, 4]))
    with pytest.raises(InvalidInputError, match=r"classes on its last axis, got a single number"):
        _state(1.0)


def test_what_rounding_takes_from_the_difference_of_two_maxima_is_put_back():
    """The difference of logits far apart is rounded, by up to 2^-48 here, and its exponential by as much."""
    first, second = rng.uniform(10, 50, 400), rng.uniform(-50, -1, 400)
    state = _state(first[:, None], np.zeros(400, int)).merge(_state(second[:, None]))
    with mpmath.workdps(40):
        for loss, a, b in zip(state.loss, first, second, strict=True):
            truth = mpmath.log1p(mpmath.exp(mpmath.mpf(b) - mpmath.mpf(a)))
            assert ulps(loss, truth, "float64") <= 2


@pytest.mark.parametrize("other", [3, None, np.array([1.0, 2.0]), LogSumExp])
def test_only_states_merge(other):
    state = LogSumExp().update([1.0, 2.0])
    before = state.value
    with pytest.raises(UnsupportedTypeError, match=r"must be a LogSumExp, got .*; update\(chunk\) adds"):
        state.merge(other)
    assert state.value == before
    assert state.count == 2
