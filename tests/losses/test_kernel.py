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
    for rows, classes in ((40, 3), (33, 60), (33, 100), (20, 2049), (3, 9000)):
        logits = (rng.normal(size=(rows, classes)) * rng.choice([1, 20, 300], size=(rows, 1))).astype(dtype)
        label, mask = rng.integers(0, classes, rows), rng.random((rows, classes)) < 0.8
        shares = rng.dirichlet(np.ones(classes), rows)
        weight = np.arange(classes) % 5
        for target, options in (
            (label, {}), (label, {"label_smoothing": 0.1, "class_weight": weight}), (label, {"z_loss": 0.1}),
            (label, {"where": mask}),
            (label, {"where": mask, "label_smoothing": 0.1, "class_weight": weight}),
            (label, {"focal_gamma": 1.5}), (shares, {}), (shares, {"class_weight": weight, "z_loss": 0.1}),
        ):
            for axis in (1, 0):
                turned = [np.ascontiguousarray(a.T) if not axis and a is not None and a.ndim == 2 else a
                          for a in (logits, target, options.get("where"))]
                given = {**options, "where": turned[2]}
                loss, grad = cross_entropy_grad(turned[0], turned[1], axis=axis, reduction="none", **given)
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


@pytest.mark.parametrize("classes", [70, 5000])
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.2}, {"focal_gamma": 1.5}, {"z_loss": 0.1}], ids=str
)
def test_masked_classes_are_as_if_they_were_not_there(classes, options):
    logits, mask = rng.normal(size=(5, classes)) * 4, rng.random(classes) < 0.7
    label = rng.choice(np.flatnonzero(mask), 5)
    given = np.where(mask, logits, np.nan)
    loss, grad = cross_entropy_grad(given, label, where=mask, reduction="none", **options)
    place = np.cumsum(mask)[label] - 1
    expected = cross_entropy_grad(logits[:, mask], place, reduction="none", **options)
    np.testing.assert_allclose(loss, expected.loss, rtol=1e-15)
    np.testing.assert_allclose(grad[:, mask], expected.grad, rtol=1e-13, atol=1e-300)
    np.testing.assert_array_equal(grad[:, ~mask], 0)


@pytest.mark.parametrize("classes", [40, 5000])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"z_loss": 0.1}], ids=str)
def test_probabilities_all_on_one_class_are_its_label(classes, options):
    logits, label = rng.normal(size=(6, classes)) * 4, rng.integers(0, classes, 6)
    label[0] = logits[0].argmax()
    one_hot = (np.arange(classes) == label[:, None]).astype(float)
    weight = rng.uniform(0.1, 3, classes)
    given = cross_entropy_grad(logits, one_hot, class_weight=weight, reduction="none", **options)
    expected = cross_entropy_grad(logits, label, class_weight=weight, reduction="none", **options)
    np.testing.assert_allclose(given.loss, expected.loss, rtol=1e-15)
    np.testing.assert_allclose(given.grad, expected.grad, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_long_work_can_be_interrupted(threads):
    code = """
import os, signal, threading, time, numpy as np, softmaxlib
THREADS = int(os.environ["OMP_NUM_THREADS"])
logits = np.zeros((400_000, 500), np.float32)
label = np.zeros(400_000, np.int64)
sent = []
def stop():
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
try:
    threading.Timer(0.2, stop).start()
    for _ in range(1000):
        softmaxlib.cross_entropy_grad(logits, label, label_smoothing=0.1, out=logits)
except KeyboardInterrupt:
    print("interrupted", time.process_time() - sent[0] < 0.5 * THREADS)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.split() == ["interrupted", "True"]


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
    loss, grad = cross_entropy_grad(logits, [4], class_weight=weights, reduction="sum")
    row, truth = Row(4, class_weight=list(weights)), exact(logits[0])
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
