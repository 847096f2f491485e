"""Sentences of a report about too few rows, and about a calibration that changes nothing."""

import re

import numpy as np
import pytest
from evaluated_rows import Page, simulated

from softmaxlib import Policy, evaluate
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import MostLikely

FIGURES = ("Log loss", "Brier score")


def known(evaluation):
    """Return the rows of the table that a notebook shows."""
    text = Page(evaluation._repr_html_()).text
    return {
        name: re.search(rf"{name} .*?(95% interval [\d.-]+ to [\d.-]+|too few rows)", text)[1]
        for name in FIGURES
    }


@pytest.mark.parametrize("rows", [1, 29])
@pytest.mark.parametrize("weighted", [False, True])
def test_few_rows_have_no_interval_of_a_mean(rows, weighted):
    """By weights, 60 rows may be worth fewer than 30."""
    logits, labels = simulated(60 if weighted else rows)
    weights = np.where(np.arange(60) < rows, 1.0, 1e-6) if weighted else None
    found = evaluate(logits, labels, sample_weight=weights)
    assert known(found) == dict.fromkeys(FIGURES, "too few rows")
    assert np.isnan(found.final.brier_interval).all()


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_of_a_loss_is_not_below_0(seed):
    """One row of large loss among many of none: the normal law alone would go below 0."""
    logits = np.tile([12.0, 0.0], (40, 1)) + np.random.default_rng(seed).random((40, 2))
    labels = (np.arange(40) == 7).astype(int)
    found = evaluate(logits, labels)
    assert 1.96 * found.final.figures.log_loss_error > found.final.figures.log_loss
    for words in known(found).values():
        low, high = map(float, re.findall(r"[\d.-]+(?!%)", words.removeprefix("95% interval ")))
        assert 0 <= low < high


def calibrated(scale, calibration, rows=900):
    logits, labels = simulated(rows, seed=3, sharpness=scale)
    policy = Policy(calibration, MostLikely()).fit(*simulated(2000, seed=4, sharpness=scale))
    found = evaluate(logits, labels, policy=policy)
    return found, [one for one in found.verdict.sentences if one.startswith("Calibration ")]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_nothing_was_calibrated_nothing_is_said(dtype):
    logits, labels = simulated(400)
    policy = Policy(Identity(), MostLikely()).fit(logits.astype(dtype), labels)
    sentences = evaluate(logits.astype(dtype), labels, policy=policy).verdict.sentences
    assert not any(one.startswith("Calibration ") for one in sentences)


def test_what_calibration_changes_is_said_in_the_digits_that_are_written():
    found, (sentence,) = calibrated(2.5, TemperatureScaling())
    before, after = found.before.figures, found.after.figures
    assert sentence == (
        f"Calibration lowers the log loss from {before.log_loss:.4f} to {after.log_loss:.4f} and takes the "
        f"calibration error from {before.calibration_error:.1%} to {after.calibration_error:.1%}."
    )


@pytest.mark.parametrize("temperature", [1 + 1e-9, 1.0003, 1.02])
def test_a_change_that_does_not_show_is_none(temperature):
    calibration = TemperatureScaling().fit(*simulated(500))
    policy = Policy(calibration, MostLikely()).fit(*simulated(500))
    policy.calibration.temperature_ = temperature
    found = evaluate(*simulated(900), policy=policy)
    (sentence,) = (one for one in found.verdict.sentences if one.startswith("Calibration "))
    before, after = found.before.figures, found.after.figures
    for name, value, other in (
        ("log loss", f"{before.log_loss:.4f}", f"{after.log_loss:.4f}"),
        ("calibration error", f"{before.calibration_error:.1%}", f"{after.calibration_error:.1%}"),
    ):
        said = f"the {name} at {value}" if value == other else f"the {name} from {value} to {other}"
        assert said in sentence
    if "from" not in sentence:
        assert sentence.count("leaves") == 1
