"""The compiled losses: long rows, ties, extreme weights, and the same bits on every instruction set."""

import hashlib
import os
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from loss_oracle import Row, exact, ulps

import softmaxlib
from softmaxlib import cross_entropy_grad

rng = np.random.default_rng(41)

HASH = """
import hashlib, numpy as np
from softmaxlib import cross_entropy_grad
rng, digest = np.random.default_rng(0), hashlib.sha256()
for dtype in ("float16", "float32", "float64"):
    for rows, classes in ((40, 3), (33, 100), (20, 2049), (3, 9000)):
        logits = (rng.normal(size=(rows, classes)) * rng.choice([1, 20, 300], size=(rows, 1))).astype(dtype)
        label = rng.integers(0, classes, rows)
        for options in ({}, {"label_smoothing": 0.1, "weight": np.arange(classes) % 5}, {"z_loss": 0.1}):
            for axis in (1, 0):
                given = logits if axis else np.ascontiguousarray(logits.T)
                loss, grad = cross_entropy_grad(given, label, axis=axis, reduction="none", **options)
                digest.update(loss.tobytes() + np.ascontiguousarray(grad).tobytes())
print(digest.hexdigest())
"""


def _digest(instruction_set: str) -> str:
    environment = {**os.environ, "SOFTMAXLIB_ISA": instruction_set}
    return subprocess.run(
        [sys.executable, "-c", HASH], env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_same_bits_on_every_instruction_set():
    from softmaxlib import _kernels

    here = [name for name, _, supported in _kernels.configuration()["instruction_sets"] if supported]
    digests = {name: _digest(name) for name in here}
    assert len(digests["portable"].strip()) == hashlib.sha256().digest_size * 2
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [2000, 2500, 5000])
def test_long_rows(dtype, classes):
    logits = (rng.normal(size=(2, classes)) * 8).astype(dtype)
    label = np.array([logits[0].argmax(), 7])
    losses, grad = cross_entropy_grad(logits, label, reduction="none")
    for position in range(2):
        powers = [mpmath.exp(z) for z in exact(logits[position])]
        total, target = mpmath.fsum(powers), int(label[position])
        bound = 1 if dtype == "float32" else 2
        assert ulps(losses[position], mpmath.log(total / powers[target]), dtype) <= bound
        for place in range(classes if dtype == "float32" else 0):
            slope = (powers[place] - (total if place == target else 0)) / total
            assert ulps(grad[position, place], slope, dtype) <= 2


@pytest.mark.parametrize("tied", [2, 3, 40])
def test_ties_at_the_top(tied):
    logits = np.full((1, 40), -3.0, np.float32)
    logits[0, :tied] = 5
    for label in (0, tied - 1, 39):
        loss, grad = cross_entropy_grad(logits, [label])
        row, truth = Row(label), exact(logits[0])
        assert ulps(loss, row.loss(truth), np.float32) <= 1
        for place in range(0, 40, 3):
            assert ulps(grad[0, place], row.slope(truth, place), np.float32) <= 2


@pytest.mark.parametrize("weight", [1e-30, 1e-12, 1e12, 1e30])
def test_extreme_weights(weight):
    logits = (rng.normal(size=(1, 50)) * 10).astype(np.float32)
    weights = np.full(50, weight)
    loss, grad = cross_entropy_grad(logits, [4], weight=weights, reduction="sum")
    row, truth = Row(4, weight=list(weights)), exact(logits[0])
    assert ulps(loss, row.loss(truth), np.float32) <= 1
    for place in range(0, 50, 4):
        assert ulps(grad[0, place], row.slope(truth, place), np.float32) <= 2


@pytest.mark.parametrize("gap", [20, 60, 88, 95, 103, 120, 400])
def test_gradients_down_to_subnormal_numbers(gap):
    logits = np.array([[0, -gap, -gap - 0.5, -gap - 3]], np.float32)
    for label in (0, 1):
        loss, grad = cross_entropy_grad(logits, [label])
        row, truth = Row(label), exact(logits[0])
        assert ulps(loss, row.loss(truth), np.float32) <= 1
        for place in range(4):
            assert ulps(grad[0, place], row.slope(truth, place), np.float32) <= 2


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(threads):
    from threadpoolctl import threadpool_limits

    logits = np.random.default_rng(5).normal(size=(3000, 70)).astype(np.float32)
    label = np.arange(3000) % 70
    with threadpool_limits(threads):
        loss, grad = cross_entropy_grad(logits, label)
    expected = [
        softmaxlib.cross_entropy_grad(row, y, reduction="sum") for row, y in zip(logits, label, strict=True)
    ]
    np.testing.assert_array_equal(
        cross_entropy_grad(logits, label, reduction="none").loss, [one.loss for one in expected]
    )
    assert abs(loss - np.mean([float(one.loss) for one in expected])) < 1e-6
    np.testing.assert_allclose(grad * 3000, [one.grad for one in expected], rtol=3e-7)
