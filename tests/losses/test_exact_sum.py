"""The sum of the losses of very many rows, against the exact sum."""

import math

import numpy as np
import pytest

from softmaxlib import _kernels, cross_entropy
from softmaxlib.losses._exact_sum import exact_sum

rng = np.random.default_rng(71)

NUMBERS = {
    "losses": rng.exponential(size=100_001) ** 3,
    "of all sizes": 2.0 ** rng.uniform(-300, 300, size=70_000),
    "one large": np.append(np.full(60_000, 1e-17), 1.0),
    "of both signs": rng.normal(size=50_000),
    "smallest": np.full(5_000, 5e-324),
    "zeros": np.zeros(2_000),
    "few": rng.exponential(size=300),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_is_the_exact_sum_rounded_once_in_any_order(name):
    values = NUMBERS[name]
    assert exact_sum(values) == math.fsum(values.tolist())
    for _ in range(3):
        rng.shuffle(values)
        assert exact_sum(values) == math.fsum(values.tolist())


@pytest.mark.parametrize("count", [0, 1, 2, 511, 512, 513, 4096, 4097, 12_289])
def test_of_any_number_of_values_that_lie_anywhere(count):
    values = rng.normal(size=(count, 3)) * 2.0 ** rng.integers(-60, 60, size=(count, 1))
    assert exact_sum(values[:, 1]) == math.fsum(values[:, 1].tolist())
    assert exact_sum(values[:, 1].astype(np.float32)) == math.fsum(values[:, 1].astype(np.float32).tolist())


def test_is_asked_of_float64_alone():
    with pytest.raises(TypeError, match="expected numbers of float64 in one piece"):
        _kernels.exact_sum(np.ones(3, np.float32))
    with pytest.raises((BufferError, ValueError), match="contiguous"):
        _kernels.exact_sum(np.ones((3, 2))[:, 0])


def test_numbers_beyond_the_range():
    values = np.full(1000, 1e306)
    assert exact_sum(values) == np.inf
    values[3] = np.nan
    assert np.isnan(exact_sum(values))
    assert exact_sum(np.append(np.ones(999), np.inf)) == np.inf


def test_the_mean_has_the_same_bits_in_any_order_of_the_rows():
    logits, label = rng.normal(size=(5000, 7)) * 5, rng.integers(0, 7, 5000)
    order = rng.permutation(5000)
    assert cross_entropy(logits, label) == cross_entropy(logits[order], label[order])
