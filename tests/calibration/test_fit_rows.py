"""A fit by passes of sums over the rows: the fit in memory, but for rounding."""

import numpy as np
import pytest
from blocks_of_rows import BlocksOfRows

from softmaxlib.calibration import (
    IsotonicScaling,
    MatrixScaling,
    StructuredMatrixScaling,
    StructuredVectorScaling,
    TemperatureScaling,
    VectorScaling,
)

CLASSES = 3
BY_SUMS = [
    TemperatureScaling,
    VectorScaling,
    MatrixScaling,
    StructuredVectorScaling,
    StructuredMatrixScaling,
]


def made(rows=9000, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=rows)
    logits = 3 * np.eye(CLASSES)[labels] * [1, 2, 0.5] + 2 * rng.normal(size=(rows, CLASSES))
    return logits, labels, rng.integers(0, 4, size=rows) * 0.75


def assert_same_fit(one, other, tolerance=1e-9):
    for name, value in vars(one).items():
        np.testing.assert_allclose(getattr(other, name), value, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("kind", BY_SUMS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_is_that_of_rows_in_memory(kind, weighted):
    logits, labels, weights = made()
    kept = weights > 0 if weighted else slice(None)
    of_rows = weights[kept] if weighted else None
    blocks = BlocksOfRows(logits[kept], labels[kept], of_rows)
    assert_same_fit(kind().fit(logits, labels, weights if weighted else None), kind().fit_all(blocks))
    assert blocks.passes < 40


@pytest.mark.parametrize("kind", BY_SUMS[:3])
def test_single_precision_and_few_rows(kind):
    logits, labels, _ = made(70, seed=1)
    blocks = BlocksOfRows(logits.astype(np.float32), labels, size=11)
    assert_same_fit(kind().fit(logits.astype(np.float32), labels), kind().fit_all(blocks))


@pytest.mark.filterwarnings("ignore:sample_weight says how many rows each row counts for")
@pytest.mark.parametrize("scale", [1e-310, 1e-30, 1e30, 1e305])
def test_weights_of_any_size(scale):
    logits, labels, weights = made(800)
    kept = weights > 0
    blocks = BlocksOfRows(logits[kept], labels[kept], weights[kept] * scale)
    expected = VectorScaling().fit(logits, labels, weights * scale)
    found = VectorScaling().fit_all(blocks)
    # of so many rows an intercept that all classes share is not known to 1e-9, and says nothing
    np.testing.assert_allclose(found.predict_proba(logits), expected.predict_proba(logits), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:(no finite temperature is best|TemperatureScaling has little to learn)")
@pytest.mark.parametrize("factor", [1.0, 1e300, 1e-300])
@pytest.mark.parametrize("case", ["separable", "backwards", "one number", "ties", "ordinary"])
def test_edges_of_the_temperature(case, factor):
    logits, labels, _ = made(400)
    if case == "separable":
        labels = logits.argmax(axis=1)
    elif case == "backwards":
        labels = logits.argmin(axis=1)
    elif case == "one number":
        logits = np.full_like(logits, 0.5)
    elif case == "ties":
        logits = np.where(np.arange(CLASSES) == labels[:, None], 2.0, [[-1.0, 2.0, 0.5]])
    blocks = BlocksOfRows(logits * factor, labels, size=17)
    assert_same_fit(TemperatureScaling().fit(logits * factor, labels), TemperatureScaling().fit_all(blocks))


def test_only_those_that_ask_for_sums():
    class Own(TemperatureScaling):
        def _fit(self, logits, labels, weights):
            self.temperature_ = 2.0

    assert all(kind().learns_by_sums for kind in BY_SUMS)
    assert not IsotonicScaling().learns_by_sums
    assert not Own().learns_by_sums
