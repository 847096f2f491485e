"""The kernels without Python: a million random rows, and the same bits by layout, threads and processor."""

import subprocess

import numpy as np
import pytest
from fuzz import beyond_bounds, build_driver, fuzz
from whole_hash import hashes

from softmaxlib import _kernels
from softmaxlib._accuracy import BOUNDS


@pytest.fixture(scope="module")
def driver():
    return build_driver()


def test_a_million_random_rows(driver):
    """scripts/nightly asks for a thousand times as many."""
    worst, skipped = fuzz(driver, 1_000_000, seed=20)
    assert set(worst) == {(b.function, b.dtype) for b in BOUNDS}
    assert min(normal for normal, _ in worst.values()) > 0.49, "nothing was tried"
    assert skipped < 100
    assert not beyond_bounds(worst)


def test_every_layout_thread_and_instruction_set_gives_one_hash(driver):
    """scripts/nightly hashes more temperatures and numbers of threads, by whole_hash.py."""
    found = hashes(driver, "few")
    sets = _kernels.configuration()["instruction_sets"]
    assert set(found) == {name for name, _, supported in sets if supported}
    lines = next(iter(found.values()))
    assert all(other == lines for other in found.values())
    # and of each dtype derivatives, the loss, sparsemax, entmax, the sigmoids; and the tokens drawn, of two
    assert len(lines) == len(BOUNDS) + 4 * (4 + 1 + 2 + 2) + 2
    assert len({line.split()[2] for line in lines}) == len(lines)


def test_many_callers_share_the_threads(driver):
    done = subprocess.run([driver, "crowd"], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout == "crowd right\n"


def test_the_bounds_would_be_missed_by_a_float32_sum():
    """The fuzz finds what it is for: the plain algorithm in float32 is far beyond the bound."""
    x = np.random.default_rng(0).normal(size=(1, 100_000)).astype(np.float32)
    plain = np.exp(x - x.max())
    plain /= plain.sum()
    import kernel_reference as reference

    assert reference.error_in_ulp(plain, reference.softmax(x), "float32").max() > 1.5
