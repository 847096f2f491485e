"""Every public function while NumPy raises an error for whatever a number does: the results are the same."""

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

import test_every_kind_of_array as rows
from test_array_api import CASES

import softmaxlib
from softmaxlib.errors import InvalidInputError

# From rows without a difference to rows so sure that the other probabilities are 0, by way of subnormal ones
SIZES = np.logspace(-1, 3, len(rows.LOGITS))
SURE = (SIZES[:, None] * rows.LOGITS).astype(np.float32)


def assert_same_when_numpy_raises(call):
    expected = rows.parts(call())
    with np.errstate(all="raise"):
        found = rows.parts(call())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::softmaxlib.errors.SoftmaxlibWarning")
@pytest.mark.parametrize("name", rows.CALLS)
def test_rows_of_all_sizes(name, monkeypatch):
    monkeypatch.setattr(rows, "LOGITS", SURE)
    monkeypatch.setattr(rows, "PROBABILITIES", softmaxlib.softmax(SURE))
    assert_same_when_numpy_raises(lambda: rows.CALLS[name](np.asarray))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plain_functions_of_extreme_numbers(case, dtype):
    """Small enough that products underflow, and large enough that exponentials do."""
    for scale in (1e-30, 400.0):
        arrays = tuple((scale * values).astype(dtype) for values in case.arrays)
        try:
            case.call(*arrays)
        except InvalidInputError:
            continue  # no probabilities, no cosines
        assert_same_when_numpy_raises(lambda arrays=arrays: case.call(*arrays))


def test_the_rows_would_raise():
    with np.errstate(under="raise"), pytest.raises(FloatingPointError, match="underflow"):
        np.exp(SURE - SURE.max(axis=1, keepdims=True))
