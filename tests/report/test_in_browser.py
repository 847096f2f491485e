"""The report in a real browser: sliders, values on hover, narrow screens, accessibility, hostile texts."""

import json
from importlib import resources

import numpy as np
import pytest
from evaluated_rows import fitted, simulated

from softmaxlib import MultilabelPolicy, Policy, evaluate
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost
from softmaxlib.report import compare, evaluate_multilabel

NAMES = ["anteater", "bumblebee", "caterpillar", "dromedary"]
HOSTILE = [
    "</script><script>window.broken = 1</script>",
    '"><img src=x onerror="window.broken = 1">',
]
CENTRE = "(one) => [one.x.baseVal.value, one.y.baseVal.value]"
VIOLATIONS = """axe.run().then((result) =>
  result.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]))"""
# words of tables that are broken inside
BROKEN_WORDS = """(() => {
  const broken = [], walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode;
    if (!text.parentElement.closest("th, td")) continue;
    for (const word of text.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set(Array.from(range.getClientRects(), (one) => one.top)).size > 1) broken.push(word[0]);
    }
  }
  return broken;
})()"""


@pytest.fixture(scope="session")
def evaluations():
    logits, labels = simulated(1200)
    costs = evaluate(
        logits,
        labels,
        policy=fitted(class_names=NAMES),
        groups=np.array(["north ward", "south ward"])[np.arange(1200) % 2],
        row_ids=np.arange(1200),
    )
    logits, labels = simulated(1200, 2)
    rule = MinimumCost.binary(false_positive=1, false_negative=20)
    policy = Policy(TemperatureScaling(), rule).fit(logits[:600], labels[:600], class_names=HOSTILE)
    binary = evaluate(
        logits[600:],
        labels[600:],
        policy=policy,
        groups=HOSTILE * 300,
        row_ids=HOSTILE * 300,
        model=HOSTILE[0],
    )
    return {"costs": costs, "binary": binary}


@pytest.fixture(scope="session")
def addresses(evaluations, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for name, evaluation in evaluations.items():
        evaluation.to_html(folder / f"{name}.html", title=HOSTILE[0] if name == "binary" else name)
    logits, labels = simulated(300)
    old = evaluate(2 * logits, labels, class_names=NAMES, row_ids=np.arange(300))
    new = evaluate(logits, labels, class_names=NAMES, row_ids=np.arange(300))
    compare(old, new, names=(HOSTILE[0], "the new one")).to_html(folder / "compared.html")
    labels = logits > 0.3
    rule = MinimumCost.binary(false_positive=1, false_negative=20, abstain_cost=0.5)
    policy = MultilabelPolicy(TemperatureScaling(), rule).fit(
        logits, labels, class_names=[*HOSTILE, *NAMES[:2]]
    )
    evaluate_multilabel(logits, labels, policy=policy).to_html(folder / "labels.html", title=HOSTILE[0])
    return {name: (folder / f"{name}.html").as_uri() for name in (*evaluations, "compared", "labels")}


@pytest.fixture(scope="session")
def axe():
    pytest.importorskip("axe_core_python", reason="accessibility was not checked: no axe_core_python")
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


@pytest.fixture
def costs(browser, addresses):
    page = browser.page(addresses["costs"])
    yield page
    assert page.complaints() == []
    page.close()


def move(page, slider, stop):
    page.run(f"""(() => {{
      const input = document.getElementById("{slider}");
      input.value = {stop};
      input.dispatchEvent(new Event("input"));
    }})()""")


def figures(page, slider):
    selector = f"[data-slider={slider}] .control dd"
    return page.run(f"Array.from(document.querySelectorAll('{selector}'), (one) => one.textContent)")


def mark(page, plate):
    found = f"document.querySelector('[data-plate={plate}] .moving')"
    return np.array(page.run(f"['cx', 'cy'].map((one) => Number({found}.getAttribute(one)))"))


def test_the_slider_shows_the_figures_of_its_stop(costs, evaluations):
    at = evaluations["costs"].decided.at_cost
    own = int(np.flatnonzero(at.threshold == 0.3)[0])
    assert costs.run("Number(document.getElementById('by-cost').value)") == own
    for stop in (0, own, len(at.threshold) - 1):
        move(costs, "by-cost", stop)
        threshold, coverage, right, cost = figures(costs, "by-cost")
        assert threshold == f"{at.threshold[stop]:.4g}"
        assert float(coverage.rstrip("%")) / 100 == pytest.approx(at.coverage[stop], abs=0.0006)
        accuracy = at.accuracy.value[stop], at.accuracy.lower[stop], at.accuracy.upper[stop]
        assert right == "{:.1%} ({:.1%} to {:.1%})".format(*accuracy)
        assert cost == f"{at.cost.value[stop]:.4g} ({at.cost.lower[stop]:.4g} to {at.cost.upper[stop]:.4g})"


def test_the_slider_moves_the_point_on_the_curves(costs, evaluations):
    at = evaluations["costs"].decided.at_cost
    own = int(np.flatnonzero(at.threshold == 0.3)[0])
    values = {"risk": 1 - at.accuracy.value, "cost": at.cost.value}
    stops = (own, 5, len(at.threshold) - 1)
    for plate, value in values.items():
        places = []
        for stop in stops:
            move(costs, "by-cost", stop)
            places.append(mark(costs, plate))
        drawn = f"Array.from(document.querySelectorAll('[data-plate={plate}] use'), {CENTRE})"
        distance = np.abs(np.array(costs.run(drawn)) - places[0]).max(axis=1)
        assert distance.min() < 0.1  # where the plot itself marks the policy
        ratio = (places[1] - places[0]) / (places[2] - places[0])
        wanted = [(one[stops[1]] - one[own]) / (one[stops[2]] - one[own]) for one in (at.coverage, value)]
        assert ratio == pytest.approx(wanted, abs=0.02)


def test_the_slider_is_moved_by_keyboard(costs):
    costs.run("document.getElementById('by-cost').focus()")
    before = figures(costs, "by-cost")
    costs.press("ArrowRight")
    after = figures(costs, "by-cost")
    assert float(after[0]) > float(before[0])
    spoken = costs.run("document.getElementById('by-cost').getAttribute('aria-valuetext')")
    assert f"Rows decided {after[1]}" in spoken


def test_a_binary_report_has_a_slider_of_the_probability(browser, addresses, evaluations):
    page = browser.page(addresses["binary"])
    at = evaluations["binary"].final.at_threshold
    stop = int(np.flatnonzero(at.threshold == 0.2)[0])
    move(page, "by-probability", stop)
    threshold, taken, found, *_ = figures(page, "by-probability")
    assert (threshold, taken) == ("20%", f"{at.taken[stop]:.1%}")
    assert found.startswith(f"{at.recall.value[stop]:.1%} (")
    page.close()


def test_values_are_shown_where_the_pointer_rests(costs, evaluations):
    curve = evaluations["costs"].final.reliability
    titles = costs.run("Array.from(document.querySelectorAll('.spot title'), (one) => one.textContent)")
    assert f"stated {curve.confidence[-1]:.1%}, right {curve.frequency[-1]:.1%}" in " ".join(titles)
    without = (
        "Array.from(document.querySelectorAll('svg'), (one) => one.querySelectorAll('.spot title').length)"
    )
    assert min(costs.run(without)) > 0
    over = """(() => {
      const spot = document.querySelector("svg .spot").getBoundingClientRect();
      scrollTo(0, spot.top - 200);
      const seen = document.querySelector("svg .spot").getBoundingClientRect();
      return document.elementFromPoint(seen.x + seen.width / 2, seen.y + seen.height / 2).className.baseVal;
    })()"""
    assert costs.run(over) == "spot"


def test_hostile_texts_are_shown_and_not_run(browser, addresses):
    page = browser.page(addresses["binary"])
    assert page.run("window.broken") is None
    assert page.run("document.scripts.length") == 1
    assert page.run("document.querySelectorAll('img, b').length") == 0
    assert HOSTILE[0] in page.run("document.querySelector('h1').textContent")
    assert page.complaints() == []
    page.close()


@pytest.mark.parametrize("name", ["costs", "binary", "compared", "labels"])
@pytest.mark.parametrize(("width", "dark"), [pytest.param(1280, False, marks=pytest.mark.sweep), (390, True)])
def test_accessibility(browser, addresses, axe, name, width, dark):
    page = browser.page(addresses[name], width, dark)
    page.run(f"{axe}; 0")
    assert page.run(VIOLATIONS) == []
    unnamed = "Array.from(document.querySelectorAll('svg')).filter((one) => one.ariaLabel.length < 40).length"
    assert page.run(unnamed) == 0
    assert page.run("document.querySelectorAll('th:not([scope])').length") == 0
    page.close()


@pytest.mark.parametrize("name", ["costs", "compared", "labels"])
def test_a_narrow_screen(browser, addresses, name):
    page = browser.page(addresses[name], 390)
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run(BROKEN_WORDS) == []
    state = json.loads(
        page.run("""JSON.stringify(Array.from(document.querySelectorAll(".scroll"), (one) => [
          one.scrollWidth > one.clientWidth + 1,
          getComputedStyle(one.nextElementSibling).display !== "none",
          one.tabIndex, one.getAttribute("role"), Boolean(one.ariaLabel)]))""")
    )
    assert any(wider for wider, *_ in state)
    for wider, *rest in state:
        assert rest == [wider, 0, "region", True]
    page.run("document.querySelector('.scroll.overflows').focus()")
    page.press("ArrowRight", 3)
    page.wait_for("document.querySelector('.scroll.overflows').scrollLeft > 0")
    page.close()


def test_the_confusion_matrix_stays_legible(browser, addresses):
    page = browser.page(addresses["costs"], 390)
    count = """(() => {
      const texts = Array.from(document.querySelectorAll(".scroll svg text"));
      const name = texts.find((one) => /^\\d+$/.test(one.textContent.trim()));
      return Number.parseFloat(getComputedStyle(name).fontSize) * name.getScreenCTM().a;
    })()"""
    assert page.run(count) > 9  # pixels, of the counts in the confusion matrix
    page.close()
