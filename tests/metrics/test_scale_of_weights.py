"""A figure that depends on the scale of the weights says so where it is far too small, and no other does."""

import inspect
import warnings

import numpy as np
import pytest

from softmaxlib import metrics
from softmaxlib.errors import SoftmaxlibWarning

GENERATOR = np.random.default_rng(0)
ROWS = 300
LOGITS = 2 * GENERATOR.normal(size=(ROWS, 2))
LABELS = (0.7 * LOGITS + GENERATOR.gumbel(size=LOGITS.shape)).argmax(axis=1)
WEIGHTS = GENERATOR.lognormal(size=ROWS)
WEIGHTS *= ROWS / WEIGHTS.sum()
MULTILABEL = {"hamming_loss", "label_scores", "multilabel_score", "subset_accuracy"}
DEBIASED = [
    {"debiased": True},
    {"debiased": True, "norm": "l2"},
    {"debiased": True, "scope": "classwise", "binning": "equal_mass"},
]
OPTIONS = {
    "bootstrap_interval": [{"resamples": 20}],
    "calibration_error": [{}, {"norm": "l2"}, {"scope": "classwise"}, *DEBIASED],
    "calibration_test": [{"simulations": 20}, {"simulations": 20, **DEBIASED[0]}],
    "cost_threshold_curve": [{"false_positive": 1, "false_negative": 5}],
    "smooth_calibration_test": [{"simulations": 20}],
    "top_k_accuracy": [{"k": 1}],
}
JUDGING = [
    (name, options)
    for name in metrics.__all__
    if inspect.isfunction(getattr(metrics, name))
    and "sample_weight" in inspect.signature(getattr(metrics, name)).parameters
    and name not in MULTILABEL
    for options in OPTIONS.get(name, [{}])
]


def judged(name, options, weights):
    """Return the figures and the warnings."""
    of_what = (metrics.log_loss,) if name == "bootstrap_interval" else ()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = getattr(metrics, name)(*of_what, LOGITS, LABELS, sample_weight=weights, **options)
    fields = found._asdict() if hasattr(found, "_asdict") else {"value": found}
    fields.pop("weight", None)  # of a bin: a sum of weights
    return fields, said


@pytest.mark.parametrize(("name", "options"), JUDGING, ids=str)
def test_a_figure_that_changes_with_the_scale_of_the_weights_says_so(name, options):
    expected, said = judged(name, options, WEIGHTS)
    assert not said
    found, said = judged(name, options, WEIGHTS / 1024)
    changed = any(not np.allclose(found[key], expected[key], rtol=1e-9) for key in expected)
    assert [one.category for one in said] == [SoftmaxlibWarning] * changed
    assert changed == (name in ("aurc", "excess_aurc") or options.get("debiased", False))
    for one in said:
        assert f"says how many rows each row counts for in {name}" in str(one.message)
        assert "its sum is 0.293 for 300 rows; multiply all weights by the number of rows over" in str(
            one.message
        )
        assert one.filename == __file__


@pytest.mark.parametrize("options", DEBIASED)
def test_a_debiased_error_of_integer_weights_is_that_of_repeated_rows(options):
    counts = np.random.default_rng(1).integers(0, 4, ROWS)
    repeated = metrics.calibration_error(
        np.repeat(LOGITS, counts, axis=0), np.repeat(LABELS, counts), **options
    )
    found = metrics.calibration_error(LOGITS, LABELS, sample_weight=counts, **options)
    assert found == pytest.approx(repeated, rel=1e-10)


@pytest.mark.parametrize(("scale", "warns"), [(0.26, 0), (0.24, 1), (1e-9, 1), (1e-300, 1), (1e6, 0)])
def test_the_warning_is_of_sums_below_a_quarter_of_the_rows_that_count(scale, warns):
    weights = np.where(np.arange(ROWS) % 3, scale, 0.0)  # rows of weight 0 are none
    assert len(judged("aurc", {}, weights)[1]) == warns


@pytest.mark.parametrize("metric", [metrics.aurc, metrics.calibration_error])
def test_it_is_said_once_for_all_resamples_and_all_labels(metric):
    options = {} if metric is metrics.aurc else {"debiased": True}
    with pytest.warns(SoftmaxlibWarning, match="its sum is 0.293 for 300 rows") as said:
        metrics.bootstrap_interval(
            metric, LOGITS, LABELS, resamples=5, sample_weight=WEIGHTS / 1024, **options
        )
    assert len(said) == 1
    table = np.stack([LABELS, 1 - LABELS], axis=1)
    with pytest.warns(SoftmaxlibWarning, match="label 0 and 1 more labels warned of: sample_weight") as said:
        metrics.label_scores(metric, LOGITS, table, sample_weight=WEIGHTS / 1024, **options)
    assert len(said) == 1


def test_the_area_of_a_tally_says_so_where_it_is_used():
    result = metrics.Tally(2).update(LOGITS, LABELS, WEIGHTS / 1024, np.arange(ROWS) % 2).compute()
    for found in (result, result.groups["0"]):
        for name in ("aurc", "aurc_bounds"):
            with pytest.warns(
                SoftmaxlibWarning, match=rf"each row counts for in {name}, and its sum is 0\."
            ) as said:
                getattr(found, name)
            assert [warning.filename for warning in said] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = metrics.Tally(2).update(LOGITS, LABELS, WEIGHTS).compute()
        low, high = scaled.aurc_bounds
        assert low <= metrics.aurc(LOGITS, LABELS, sample_weight=WEIGHTS) <= high
        assert result.accuracy == pytest.approx(scaled.accuracy)
