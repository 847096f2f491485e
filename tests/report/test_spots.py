"""Values that a drawing shows where the pointer rests, and what it says to those who can't see it."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from evaluated_rows import fitted, simulated

from softmaxlib import evaluate, metrics
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
from softmaxlib.report.svg import to_svg
from softmaxlib.report.template import read

FINAL = evaluate(*simulated(600)).final
BINARY = evaluate(*simulated(600, 2)).final
COSTS = {"false_positive": 1, "false_negative": 8}
DISPLAYS = [
    CalibrationDisplay(FINAL.reliability),
    ConfidenceDisplay(FINAL.confidence_of_right, FINAL.confidence_of_wrong),
    ConfusionDisplay(np.array([[5, 1], [2, 7]]), class_names=["<cat>", "dog"]),
    CostDisplay(evaluate(*simulated(600), policy=fitted()).decided.cost_curve, chosen=(0.5, 0.3)),
    CostThresholdDisplay(metrics.cost_threshold_curve(*simulated(600, 2), **COSTS), chosen=0.1),
    PrecisionRecallDisplay(BINARY.precision_recall),
    RiskCoverageDisplay(FINAL.risk_coverage, chosen=(0.5, 0.1)),
    RocDisplay(BINARY.roc),
    SetSizeDisplay(np.array([1, 5, 3])),
]


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda one: type(one).__name__)
def test_every_display_has_values_inside_its_drawing(display):
    root = ElementTree.fromstring(to_svg(display, "A <title>").svg)
    width, height = (float(part) for part in root.get("viewBox").split()[2:])
    rectangles = [one for one in root.iter() if one.get("class") == "spot"]
    assert len(rectangles) == len(display.spots()) > 0
    for one in rectangles:
        x, y, wide, high = (float(one.get(name)) for name in ("x", "y", "width", "height"))
        assert -5 <= x < x + wide <= width + 5
        assert -5 <= y < y + high <= height + 5
        assert re.search(r"\d", one[0].text)
    assert root.get("aria-label") == f"A <title>. {display.describe()}"
    assert re.search(r"\d", display.describe())


def test_places_are_where_the_plot_draws_them():
    drawing = to_svg(DISPLAYS[6], "t", points=[(50.0, 10.0)])  # the point that the display marks itself
    marked = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', drawing.svg)
    distance = np.abs(np.array(marked, float) - drawing.places[0]).max(axis=1)
    assert distance.min() < 0.02


def test_the_words_of_a_cell():
    texts = [spot.text for spot in DISPLAYS[2].spots()]
    assert texts[1] == "<cat> called dog: 1 row, 16.7% of <cat>"
    assert "The most frequent mistake: dog taken for <cat>, 2 rows." in DISPLAYS[2].describe()


def test_a_point_that_is_not_finite_has_no_place():
    drawing = to_svg(DISPLAYS[6], "t", points=[(50.0, np.nan), (50.0, 5.0)])
    assert drawing.places[0] is None
    assert drawing.places[1] is not None
    assert drawing.svg.count('class="moving"') == 1


def luminance(color):
    parts = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


@pytest.mark.parametrize("theme", [0, 1, 2])  # light, dark, print
def test_counts_on_the_darkest_cells_have_contrast(theme):
    style = read("page.css")
    colors = [
        dict(re.findall(r"--(\w+): (#\w+)", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    names = {
        name: value if len(value) == 7 else "#" + "".join(2 * part for part in value[1:])
        for name, value in colors[theme].items()
    }

    def mixed(color, back, share):
        parts = [
            round(share * int(color[k : k + 2], 16) + (1 - share) * int(back[k : k + 2], 16))
            for k in (1, 3, 5)
        ]
        return "#" + "".join(f"{part:02x}" for part in parts)

    for fill in ("accent", "alarm"):
        lights = sorted([luminance(names["ink"]), luminance(mixed(names[fill], names["card"], 0.46))])
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5
