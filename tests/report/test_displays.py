import numpy as np
import pytest
from matplotlib.figure import Figure

from softmaxlib import metrics, softmax
from softmaxlib.decisions import CostCurve
from softmaxlib.report import (
    CalibrationDisplay,
    ConfidenceDisplay,
    ConfusionDisplay,
    CostDisplay,
    CostThresholdDisplay,
    PrecisionRecallDisplay,
    RiskCoverageDisplay,
    RocDisplay,
    SetSizeDisplay,
)


def simulated(rows=500):
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(rows, 3))
    return logits, rng.integers(3, size=rows)


@pytest.fixture
def ax():
    return Figure().subplots()


FROM_PREDICTIONS = [CalibrationDisplay, ConfidenceDisplay, RiskCoverageDisplay, ConfusionDisplay]


@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_logits_and_probabilities_draw_the_same(display):
    logits, labels = simulated()
    first, second = Figure().subplots(), Figure().subplots()
    display.from_predictions(logits, labels, ax=first)
    display.from_predictions(softmax(logits), labels, probabilities=True, ax=second)
    for one, other in zip(first.lines, second.lines, strict=True):
        np.testing.assert_allclose(one.get_xydata(), other.get_xydata(), atol=1e-12)
    for one, other in zip(first.patches, second.patches, strict=True):
        np.testing.assert_allclose(one.get_path().vertices, other.get_path().vertices, atol=1e-12)


@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_plot_says_where_it_drew(display, ax):
    drawn = display.from_predictions(*simulated(), ax=ax)
    assert drawn.ax_ is ax
    assert drawn.figure_ is ax.figure
    again = Figure().subplots()
    assert drawn.plot(again) is drawn
    assert drawn.ax_ is again


def test_without_axes_a_new_figure(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    drawn = CalibrationDisplay.from_predictions(*simulated())
    assert pyplot.fignum_exists(drawn.figure_.number)
    pyplot.close(drawn.figure_)


def test_calibration_points_are_the_curve(ax):
    logits, labels = simulated()
    CalibrationDisplay.from_predictions(logits, labels, ax=ax)
    curve = metrics.reliability_curve(logits, labels)
    points = ax.collections[-1].get_offsets()
    np.testing.assert_array_equal(points, np.stack([curve.confidence, curve.frequency], axis=1))


def test_options_of_the_curve_are_passed_on(ax):
    logits, labels = simulated()
    drawn = CalibrationDisplay.from_predictions(
        logits, labels, ax=ax, class_index=1, n_bins=4, binning="equal_mass"
    )
    expected = metrics.reliability_curve(logits, labels, class_index=1, n_bins=4, binning="equal_mass")
    np.testing.assert_array_equal(drawn.curve.frequency, expected.frequency)
    drawn = RiskCoverageDisplay.from_predictions(
        softmax(logits), labels, probabilities=True, ax=ax, score="margin", chosen=(1, 0.5)
    )
    np.testing.assert_allclose(
        drawn.curve.risk, metrics.risk_coverage_curve(logits, labels, score="margin").risk
    )
    assert drawn.chosen == (1, 0.5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        CalibrationDisplay.from_predictions(logits, labels, ax=ax, colour="red")


def test_two_curves_have_a_legend(ax):
    logits, labels = simulated()
    curve = metrics.reliability_curve(logits, labels)
    other = metrics.reliability_curve(3 * logits, labels)
    CalibrationDisplay(curve, other=other, names=("now", "then")).plot(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["then", "now"]


def test_confidence_bars_hold_every_row(ax):
    ConfidenceDisplay.from_predictions(*simulated(), ax=ax)
    assert sum(patch.get_height() for patch in ax.patches) == pytest.approx(100)


def test_confusion_cells_hold_their_counts(ax):
    logits, labels = simulated()
    ConfusionDisplay.from_predictions(logits, labels, ax=ax, class_names=["$a", "<b>", "c" * 40])
    texts = {text.get_text() for text in ax.texts}
    pairs = np.bincount(labels * 3 + logits.argmax(axis=1), minlength=9)
    assert texts == {str(count) for count in pairs}
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert shown == ["$a", "<b>", "c" * 17 + "…"]


def test_marks_the_chosen_point(ax):
    curve = CostCurve(np.linspace(0, 1, 5), np.linspace(1, 0, 5))
    CostDisplay(curve, chosen=(0.5, 0.5)).plot(ax)
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), [[50, 0.5]])
    assert [text.get_text() for text in ax.texts] == ["this policy"]


def test_set_sizes_are_shares(ax):
    SetSizeDisplay(np.array([0, 6, 3, 1, 0, 0])).plot(ax)
    assert [patch.get_height() for patch in ax.patches] == [0, 60, 30, 10]


def binary(rows=200):
    rng = np.random.default_rng(0)
    labels = (rng.random(rows) < 0.3).astype(int)
    return rng.normal(1.5 * labels - 1).round(1), labels, rng.random(rows)


BINARY = [
    (RocDisplay, {"chosen": (0.2, 0.7)}),
    (PrecisionRecallDisplay, {"chosen": (0.7, 0.6)}),
    (CostThresholdDisplay, {"chosen": 0.1, "false_positive": 1, "false_negative": 9}),
]


@pytest.mark.parametrize(("display", "options"), BINARY)
def test_binary_displays_draw_logits_and_probabilities_alike(display, options):
    score, labels, weights = binary()
    first, second = Figure().subplots(), Figure().subplots()
    drawn = display.from_predictions(score, labels, ax=first, sample_weight=weights, **options)
    probabilities = 1 / (1 + np.exp(-score))
    display.from_predictions(
        probabilities, labels, probabilities=True, ax=second, sample_weight=weights, **options
    )
    assert drawn.ax_ is first
    for one, other in zip(first.lines, second.lines, strict=True):
        np.testing.assert_allclose(one.get_xydata(), other.get_xydata(), rtol=1e-12, atol=1e-12)
    assert first.get_legend().texts[0].get_text().startswith(("chance", "every row", "no row"))


def test_areas_are_those_of_the_metrics():
    score, labels, weights = binary()
    weighted = {"sample_weight": weights}
    drawn = RocDisplay.from_predictions(score, labels, ax=Figure().subplots(), **weighted)
    assert drawn.area == pytest.approx(metrics.roc_auc(score, labels, **weighted), abs=1e-12)
    drawn = PrecisionRecallDisplay.from_predictions(score, labels, ax=Figure().subplots(), **weighted)
    assert drawn.area == pytest.approx(metrics.average_precision(score, labels, **weighted), abs=1e-12)


def test_the_lowest_cost_is_drawn_where_the_rule_pays_it():
    score, labels, _ = binary()
    costs = {"false_positive": 1, "false_negative": 9}
    ax = Figure().subplots()
    curve = CostThresholdDisplay.from_predictions(score, labels, ax=ax, **costs).curve
    taken = 1 / (1 + np.exp(-score)) >= curve.threshold[int(curve.cost.argmin())]
    paid = np.where(labels == 1, 9 * ~taken, 1 * taken).mean()
    assert curve.cost.min() == pytest.approx(paid)
    assert ax.lines[0].get_ydata().min() == curve.cost.min()
    assert ax.lines[1].get_ydata()[0] == pytest.approx(min(9 * labels.mean(), 1 - labels.mean()))
