"""Products and factors in small pieces: right, and the same bits however many threads the BLAS has."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from softmaxlib.calibration.blocks import run_together, sum_over_blocks
from softmaxlib.calibration.descent import minimise
from softmaxlib.calibration.layout import Layout
from softmaxlib.calibration.products import applied, backward, dot, factor, forward, product, squared


@pytest.mark.parametrize("rows", [1, 7, 256, 257, 1000])
def test_a_layout_can_be_undone(rows):
    matrix = np.random.default_rng(0).standard_normal((rows, 3))
    layout = Layout.of(rows)
    columns = layout.columns(matrix)
    np.testing.assert_array_equal(layout.undone(columns), matrix)
    assert columns.sum() == pytest.approx(matrix.sum())  # what fills up is 0
    np.testing.assert_array_equal(layout.vector(matrix[:, 0]).ravel()[:rows], matrix[:, 0])


@pytest.mark.parametrize("classes", [2, 9, 33, 100, 300])
def test_products_are_those_of_whole_matrices(classes):
    generator = np.random.default_rng(classes)
    matrix = generator.standard_normal((600, classes + 1))
    weight = generator.standard_normal((classes, classes + 1))
    layout = Layout.of(600)
    inputs = layout.columns(matrix)
    output = forward(weight, inputs)
    close = {"rtol": 1e-9, "atol": 1e-9 * classes}
    np.testing.assert_allclose(layout.undone(output), matrix @ weight.T, **close)
    np.testing.assert_allclose(backward(output, inputs), (matrix @ weight.T).T @ matrix, **close)
    np.testing.assert_allclose(squared(inputs, inputs), matrix.T @ matrix, **close)
    for rows in (1, 600):
        np.testing.assert_allclose(product(matrix[:rows], weight.T), matrix[:rows] @ weight.T, **close)
    np.testing.assert_allclose(applied(weight[None], matrix[:1])[0], weight @ matrix[0], **close)
    assert dot(matrix[0], matrix[1]) == pytest.approx(matrix[0] @ matrix[1], abs=1e-9)


@pytest.mark.parametrize("size", [1, 5, 32, 33, 64, 65, 150])
def test_a_factor_and_its_inverse(size):
    generator = np.random.default_rng(size)
    root = generator.standard_normal((2, size, size))
    matrices = root @ root.transpose(0, 2, 1) + np.eye(size)
    lower, inverse = factor(matrices)
    np.testing.assert_allclose(lower, np.linalg.cholesky(matrices), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(inverse @ lower, [np.eye(size)] * 2, atol=1e-9)
    np.testing.assert_array_equal(np.triu(inverse, 1), 0)
    with pytest.raises(np.linalg.LinAlgError):
        factor(-matrices)


def test_the_minimum_of_a_function_that_is_far_from_round():
    """Rosenbrock's valley; the minimum is at (1, 1)."""

    def valley(place):
        one, two = place
        slope = [-400 * one * (two - one**2) - 2 * (1 - one), 200 * (two - one**2)]
        return 100 * (two - one**2) ** 2 + (1 - one) ** 2, np.array(slope)

    found = minimise(valley, np.array([-1.2, 1.0]), 1e-8)
    np.testing.assert_allclose(found.place, 1, rtol=1e-6)
    assert found.value < 1e-12


def test_a_function_without_a_number_ends_the_search():
    found = minimise(lambda place: (np.nan, np.full(2, np.nan)), np.zeros(2), 1e-8)
    np.testing.assert_array_equal(found.place, 0)


def test_tasks_keep_their_order_and_share_out_sums():
    def task(number):
        return sum_over_blocks(640, 1, lambda: lambda some: np.array([some.start * number]))[0]

    expected = [number * 640 * 639 / 2 for number in range(5)]
    assert run_together([lambda number=number: task(number) for number in range(5)]) == expected


def test_a_task_that_fails_stops_the_others():
    def long_task():
        while True:
            sum_over_blocks(1, 1, lambda: lambda some: np.zeros(1))

    def failing():
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        run_together([failing, long_task])


FIT = """
import json, sys, warnings
import numpy as np
from softmaxlib.calibration import Auto
found = []
for rows, classes in ((11_000, 4), (700, 60)):
    generator = np.random.default_rng(classes)
    logits = 3 * generator.standard_normal((rows, classes))
    labels = (logits / 2 + generator.gumbel(size=logits.shape)).argmax(axis=1)
    fitted = Auto(cv=2).fit(logits, labels)
    found.append(fitted.to_dict())
    found.append(fitted.transform(logits[:50]).tolist())
json.dump(found, sys.stdout)
"""


def test_the_number_of_threads_changes_no_bit_of_a_fit():
    digests = set()
    for threads in ("1", "3"):
        names = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        run = subprocess.run(
            [sys.executable, "-c", FIT], env=os.environ | names, capture_output=True, check=True
        )
        assert len(json.loads(run.stdout)) == 4
        digests.add(hashlib.sha256(run.stdout).hexdigest())
    assert len(digests) == 1
