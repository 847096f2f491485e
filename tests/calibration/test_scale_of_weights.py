"""A calibration whose fit depends on the scale of the weights says so where they count too few rows."""

import warnings

import numpy as np
import pytest
from blocks_of_rows import BlocksOfRows

from softmaxlib import Policy, calibration
from softmaxlib.decisions import MostLikely
from softmaxlib.errors import SoftmaxlibWarning

GENERATOR = np.random.default_rng(0)
ROWS = 400
LOGITS = 2 * GENERATOR.normal(size=(ROWS, 2))
LABELS = (0.7 * LOGITS + GENERATOR.gumbel(size=LOGITS.shape)).argmax(axis=1)
WEIGHTS = GENERATOR.lognormal(size=ROWS)
WEIGHTS *= ROWS / WEIGHTS.sum()
KINDS = [getattr(calibration, name) for name in calibration.__all__ if name != "Calibration"]
SUMMED = [kind for kind in KINDS if kind().learns_by_sums]


def fitted(fit, *arguments):
    """Return the calibrated logits and the warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = fit(*arguments)
    return found.transform(LOGITS), said


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_changes_with_the_scale_of_the_weights_says_so(kind):
    expected, said = fitted(kind().fit, LOGITS, LABELS, WEIGHTS)
    assert not said
    found, said = fitted(kind().fit, LOGITS, LABELS, WEIGHTS / ROWS)
    changed = not np.allclose(found, expected, rtol=1e-7)
    assert changed == (kind not in (calibration.Identity, calibration.TemperatureScaling))
    assert [one.category for one in said] == [SoftmaxlibWarning] * changed
    for one in said:
        assert str(one.message) == (
            f"sample_weight says how many rows each row counts for in {kind.__name__}.fit, and its sum is 1 "
            "for 400 rows; multiply all weights by the number of rows over their sum, unless the rows are "
            "meant to count as so few"
        )
        assert one.filename == __file__


@pytest.mark.parametrize("kind", SUMMED)
def test_a_fit_by_sums_says_the_same(kind):
    _, expected = fitted(kind().fit, LOGITS, LABELS, WEIGHTS / ROWS)
    _, said = fitted(kind().fit_all, BlocksOfRows(LOGITS, LABELS, WEIGHTS / ROWS))
    assert list(map(str, (one.message for one in said))) == [str(one.message) for one in expected]


def test_a_policy_says_it_once():
    policy = Policy(calibration.VectorScaling(), MostLikely())
    with pytest.warns(SoftmaxlibWarning, match="its sum is 1 for 400 rows") as said:
        policy.fit(LOGITS, LABELS, sample_weight=WEIGHTS / ROWS)
    assert len(said) == 1
