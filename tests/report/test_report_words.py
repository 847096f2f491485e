"""Sentences of a report about too few rows, and about a calibration that changes nothing."""

import re

import numpy as np
import pytest
from evaluated_rows import Page, simulated

from softmaxlib import Policy, evaluate, metrics, softmax
from softmaxlib._text import spoken
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import MinimumCost, MostLikely, Threshold
from softmaxlib.metrics import class_calibration_test
from softmaxlib.report import compare
from softmaxlib.report.formats import counted
from softmaxlib.report.sliders import decision_sliders

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


@pytest.mark.parametrize("seed", range(8))
def test_the_class_test_and_the_report_have_one_level(seed):
    """A class is called misstated exactly where the p-value is at most 5%, as a group or a promise is."""
    logits, labels = simulated(600, seed=seed, sharpness=1.25)
    least = class_calibration_test(logits, labels).adjusted_p_value.min()
    text = " ".join(evaluate(logits, labels).verdict.sentences)
    assert ("For every class, the stated probability agrees" in text) == (least > 0.05)


def test_an_audit_that_holds_is_told_apart_from_a_model_that_is_off():
    """A temperature can't mend a model that is off in the same way at the fit and now."""
    rng = np.random.default_rng(1)
    truth = 2 * rng.normal(size=(3000, 4))
    labels = (softmax(truth).cumsum(axis=1) < rng.random((3000, 1))).sum(axis=1)
    logits = np.where(truth > 0, 3 * truth, truth)
    policy = Policy(TemperatureScaling(), MinimumCost(1 - np.eye(4))).fit(logits[:1500], labels[:1500])
    found = evaluate(logits[1500:], labels[1500:], policy=policy)
    (calibration,) = (check for check in found.audit.checks if check.promise == "calibration")
    assert calibration.holds
    assert any(one.misstated for one in found.class_calibration) or found.verdict.grade == "bad"
    said = (
        "The audit asks whether calibration got worse since the fit; the tests above ask whether the "
        "probabilities are exactly right."
    )
    assert said in found.verdict.sentences
    right = evaluate(*simulated(1500), policy=Policy(Identity(), MostLikely()).fit(*simulated(1500, seed=1)))
    assert said not in right.verdict.sentences


def test_differences_of_shares_are_percentage_points():
    sentence = evaluate(*simulated(900)).verdict.sentences[1]
    assert re.search(
        r"differ by \d+\.\d percentage points on average; .* makes that \d\.\d to \d\.\d\. ", sentence
    )


def test_one_row_is_not_one_rows(tmp_path):
    assert [counted(1, "row"), counted(1234, "row"), counted(1, "class"), counted(2.5, "class")] == [
        "1 row",
        "1,234 rows",
        "1 class",
        "2.5 classes",
    ]
    found = evaluate(
        np.array([[2.0, 1.0, 0.0]]), [0], policy=Policy(Identity(), MostLikely()).fit(*simulated(90, 3))
    )
    found.to_html(tmp_path / "page.html")
    compare(found, found, names=("a", "b")).to_html(tmp_path / "other.html")
    for text in (repr(found), (tmp_path / "page.html").read_text(), (tmp_path / "other.html").read_text()):
        assert not re.search(r"\b1 (labelled )?rows", text)


def test_a_perfect_model_has_no_exponent(tmp_path):
    labels = np.arange(500) % 2
    evaluate(np.where(labels == 1, 20.0, -20.0), labels).to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"\de-\d+%", page)
    assert "by chance alone below 0.001%; p-value" in page
    assert "chance alone makes that 0.0. A deviation" in page


@pytest.mark.parametrize(
    ("names", "positive", "other"), [(("0", "1"), "class 1", "Class 0"), (("ok", "fraud"), "fraud", "ok")]
)
def test_the_slider_of_two_classes_names_them(names, positive, other):
    logits, labels = simulated(300, 2)
    (_, slider) = decision_sliders(evaluate(logits, labels, class_names=names))
    assert slider.title == f"What if {positive} were predicted from another probability?"
    assert slider.columns[1:] == (
        f"Rows called {names[1]}",
        f"{positive.replace('class', 'Class')} found (recall)",
        f"Right when called {names[1]} (precision)",
        f"{other} wrongly called {names[1]}",
    )
    assert spoken(names[1]) == positive


def test_the_better_model_is_in_bold_and_ids_are_called_ids(tmp_path):
    logits, labels = simulated(1500)
    noise = 3 * np.random.default_rng(8).normal(size=logits.shape)
    ids = [f"case {row}" for row in range(1500)]
    good, bad = (evaluate(one, labels, row_ids=ids) for one in (logits, logits + noise))
    found = compare(good, bad, names=("good", "bad"))
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    cells = re.findall(r'<td class="n( strong)?">[^<]*</td><td class="n( strong)?">', page)
    assert cells[0] == (" strong", "")
    assert [first != "" for first, _ in cells[: len(found.figures)]] == [
        one.better == "first" for one in found.figures
    ]
    good.to_html(tmp_path / "one.html")
    for text in (page, (tmp_path / "one.html").read_text()):
        assert '<th scope="col">Id</th>' in text
        assert ">Called<" not in text


def test_results_that_a_notebook_shows_are_one_line():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    tally = metrics.Tally(3)
    tally.update(logits, labels)
    policy = Policy(Identity(), Threshold(0.5)).fit(logits, labels)
    evaluation = evaluate(logits, labels, policy=policy)
    test = metrics.calibration_test(logits, labels, simulations=50)
    for result in (tally.compute(), evaluation, evaluation.final, evaluation.decided, test):
        shown = repr(result)
        assert "\n" not in shown
        assert len(shown) < 700
        assert shown.startswith(f"{type(result).__name__}(")
    assert f"p_value={test.p_value:.4g}" in repr(test)
