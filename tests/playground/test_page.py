"""The page in a real browser: what it shows is what Python computes."""

import json
import math
from importlib import resources
from urllib.parse import quote

import numpy as np
import pytest

import softmaxlib as sm
from softmaxlib.sampling import sample

LOGITS = [2.5, -1.25, 0.1, 3.0]
TEMPERATURE, SCALE, OFFSET = 0.7, 1.5, -2.0
SCORES = SCALE * np.array(LOGITS) + OFFSET
TEMPERED = SCORES / TEMPERATURE
CASE = f"#logits={','.join(map(str, LOGITS))}&temperature={TEMPERATURE}&scale={SCALE}&offset={OFFSET}&truth=1"


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.page(address)
    yield page
    assert page.complaints() == []
    page.close()


@pytest.fixture
def case(page, address):
    page.open(address + CASE)
    return page


def numbers(page, selector):
    """All digits of the numbers that a selector finds."""
    script = f"Array.from(document.querySelectorAll({json.dumps(selector)}), (one) => one.title)"
    return np.array([float(text) for text in page.run(script)])


def texts(page, selector):
    script = f"Array.from(document.querySelectorAll({json.dumps(selector)}), (one) => one.textContent)"
    return page.run(script)


def typed_logits(page):
    inputs = "document.querySelectorAll('#classes input[type=number]')"
    return page.run(f"Array.from({inputs}, (one) => Number(one.value))")


def click(page, selector):
    page.run(f"document.querySelector({json.dumps(selector)}).click()")


def told(page, selector):
    """The text of one element, on one line."""
    (text,) = texts(page, selector)
    return " ".join(text.split())


def rules(page, name, kind):
    return texts(page, f"[data-function='{name}'] .{kind}")


def excess_width(page):
    root = "document.documentElement"
    return page.run(f"{root}.scrollWidth - {root}.clientWidth")


def set_value(page, selector, value):
    """As someone who types it."""
    script = f"""(() => {{
      const input = document.querySelector({json.dumps(selector)});
      input.value = {json.dumps(str(value))};
      input.dispatchEvent(new Event("input", {{ bubbles: true }}));
    }})()"""
    page.run(script)


def test_probabilities(case):
    expected = sm.softmax(SCORES, temperature=TEMPERATURE)
    np.testing.assert_array_equal(numbers(case, "#bars .number"), expected)
    np.testing.assert_array_equal(numbers(case, "#classes .number"), expected)
    assert texts(case, "#bars .number") == [f"{100 * p:.1f}%" if p >= 0.0005 else "< 0.1%" for p in expected]
    np.testing.assert_array_equal(numbers(case, "#steps tbody td:last-child"), expected)
    entropy = -(expected * np.log(expected)).sum()
    (summary,) = texts(case, "#summary")
    assert f"{entropy:.4f} nats" in summary
    assert f"{math.log(4):.4f}" in summary


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("", "Most likely: cat, 65.9%, ahead of dog by 41.7 percentage points. Doubt"),
        ("logits=3,1,1", "Most likely: cat, 78.7%, ahead of dog and bird by 68.0 percentage points. Doubt"),
        ("logits=0,-2000,-1000", "Most likely: cat, 100.0%, ahead of bird by 100.0 percentage points. Doubt"),
        ("logits=1,1.0001", "Most likely: dog, 50.0%, ahead of cat by less than 0.1 percentage points. D"),
        ("logits=3,3,1", "cat and dog tie at 46.8% each. Doubt"),
        ("scale=0", "cat, dog and bird tie at 33.3% each. Doubt"),
        ("logits=5,5,5,5", "cat, dog, bird and class 4 tie at 25.0% each. Doubt"),
    ],
)
def test_the_summary_names_every_class_that_ties(page, address, fragment, words):
    page.open(f"{address}#{fragment}")
    assert told(page, "#summary").startswith(words)


FUNCTIONS = {
    "softmax": lambda x: sm.softmax(SCORES, temperature=TEMPERATURE),
    "sigmoid": lambda x: sm.softmax(np.stack([x, np.zeros_like(x)], axis=-1))[:, 0],
    "ReLU": lambda x: np.maximum(x, 0),
    "divide by the sum": sm.normalize,
    "sparsemax": sm.sparsemax,
    "hardmax": sm.hardmax,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(case, name):
    shown = numbers(case, f"[data-function='{name}'] .bar-row .number")
    np.testing.assert_array_equal(shown, FUNCTIONS[name](TEMPERED))


def test_sigmoid_and_tanh_are_the_usual_ones(case):
    shown = numbers(case, "[data-function='sigmoid'] .bar-row .number")
    np.testing.assert_allclose(shown, sm.sigmoid(TEMPERED), rtol=4e-16)
    shown = numbers(case, "[data-function='tanh'] .bar-row .number")
    np.testing.assert_allclose(shown, np.tanh(TEMPERED), rtol=4e-16)


def test_each_function_is_said_to_break_what_it_breaks(case):
    broken = {name: len(texts(case, f"[data-function='{name}'] .broken")) for name in FUNCTIONS}
    assert broken == {
        "softmax": 0,
        "sigmoid": 2,
        "ReLU": 3,
        "divide by the sum": 2,
        "sparsemax": 1,
        "hardmax": 1,
    }
    (total,) = numbers(case, "[data-function='sigmoid'] .total .number")
    assert total == pytest.approx(sm.sigmoid(TEMPERED).sum(), rel=1e-15)
    assert f"here it is {total:.3f}" in texts(case, "[data-function='sigmoid'] .broken")[0]


def test_division_by_the_sum_has_the_name_of_the_function_beside_it(case):
    assert told(case, "[data-function='divide by the sum'] h3") == "divide by the sum (normalize)"
    assert "standard normalization" not in case.run("document.body.textContent").lower()


def test_the_temperature_divides_the_scores_of_every_function(page, address):
    page.open(f"{address}#temperature=1000")
    x = np.array([2, 1, 0.1])
    for name, function in (("sigmoid", sm.sigmoid), ("tanh", np.tanh), ("sparsemax", sm.sparsemax)):
        shown = numbers(page, f"[data-function='{name}'] .bar-row .number")
        np.testing.assert_allclose(shown, function(x / 1000), rtol=4e-16)
    (legend,) = [text for text in texts(page, "#triangle-figure li") if "sparsemax" in text]
    assert legend.split(": ")[1] == ", ".join(f"{100 * p:.1f}%" for p in sm.sparsemax(x / 1000))
    assert "Every function gets them divided by the temperature" in told(page, "#controls")
    assert "the scores divided by the temperature" in told(page, "#functions > p")


@pytest.mark.parametrize(
    ("fragment", "after"), [("scale=0", "0.333, 0.333, 0.333"), ("logits=1000,-1000", "500.500, −499.500")]
)
def test_where_a_function_has_no_result_no_rule_counts_as_kept(page, address, fragment, after):
    page.open(f"{address}#{fragment}")
    assert not np.isfinite(numbers(page, "[data-function='divide by the sum'] .number")).any()
    assert rules(page, "divide by the sum", "bad")[-1] == (
        "No result: the scores sum to 0, and nothing can be divided by 0."
    )
    assert rules(page, "divide by the sum", "kept") == []
    assert rules(page, "divide by the sum", "broken") == [
        "Can be negative: a negative score can give a negative value",
        "The sum is not 1: there is no result",
        f"An offset changes it: add 1 to every score, and there is one: {after}",
        "No class can learn here: there is no result",
    ]


def test_a_result_that_an_offset_takes_away(page, address):
    page.open(f"{address}#logits=-1,-1")
    broken = rules(page, "divide by the sum", "broken")
    assert broken[-1] == "An offset changes it: add 1 to every score, and there is no result"
    page.open(f"{address}#logits=5,5")
    assert rules(page, "divide by the sum", "broken")[-1] == "An offset changes it: equal scores hide it"


def test_a_sum_that_rounding_moves_from_1_is_not_said_to_be_1(page, address):
    page.open(f"{address}#logits=0.7,-0.8,0.1")
    (shown,) = numbers(page, "[data-function='divide by the sum'] .total .number")
    assert shown == sm.normalize(np.array([0.7, -0.8, 0.1])).sum() == 0.75
    assert "The sum is not 1: here it is 0.750, by rounding" in rules(page, "divide by the sum", "broken")


@pytest.mark.parametrize(
    ("fragment", "name", "words"),
    [
        ("", "softmax", ": every class can learn"),
        ("scale=0", "softmax", ", but at scale 0 nothing depends on the logits"),
        ("logits=1000,-1000", "softmax", ", but here the gradient of 2 of 2 classes comes out as 0"),
        ("logits=0,0,99", "sigmoid", ", but here the gradient of 1 of 3 classes comes out as 0"),
        ("logits=0,50,99", "tanh", ", but here the gradient of 2 of 3 classes comes out as 0"),
        ("logits=0,0,7", "divide by the sum", ", but here the gradient of 1 of 3 classes comes out as 0"),
    ],
)
def test_which_classes_can_learn_is_judged_by_the_numbers(page, address, fragment, name, words):
    page.open(f"{address}#{fragment}")
    assert rules(page, name, "kept")[-1] == f"No flat parts{words}"


SCALES = {
    1.0: (
        "",
        "Raising a logit raises its own probability and takes from all the others",
        "pushes the true logit up and all others down. It is never 0 while the answer is wrong.",
        "The bars are the gradient; a step moves each logit against its bar.",
    ),
    0.0: (
        "The scale is 0: all scores equal the offset, whatever the logits are, and no class can learn.",
        "The scale is 0: the scores do not depend on the logits, and every entry is 0.",
        "The gradient is 0 for every class, and a step changes nothing.",
        "The gradient is 0: a step moves no logit.",
    ),
    -1.0: (
        "The scale is negative, which turns the order around: the smallest logit has the largest score.",
        "raising a logit lowers its own probability and gives to all the others.",
        "pushes the true logit down and all others up, because the scale is negative.",
        "The bars are the gradient; a step moves each logit against its bar.",
    ),
}


@pytest.mark.parametrize("scale", SCALES)
def test_the_text_is_true_at_every_scale(page, address, scale):
    page.open(f"{address}#scale={scale}")
    note, jacobian, step, bars = SCALES[scale]
    assert told(page, "#scale-note") == note
    assert jacobian in told(page, "#jacobian-effect")
    assert step in told(page, "#loss-effect")
    assert told(page, "#loss-summary").endswith(bars)
    matrix = numbers(page, "#jacobian-table td.number").reshape(3, 3)
    np.testing.assert_array_equal(np.sign(matrix), np.sign(scale) * (2 * np.eye(3) - 1))
    gradient = numbers(page, "#loss-table .number")
    np.testing.assert_array_equal(np.sign(gradient), np.sign(scale) * np.array([-1, 1, 1]))
    before = np.array(typed_logits(page))
    click(page, "#step")
    np.testing.assert_array_equal(np.sign(np.array(typed_logits(page)) - before), -np.sign(gradient))


def test_a_jacobian_that_rounds_to_0_is_said_to_do_so(page, address):
    page.open(f"{address}#logits=1000,-1000")
    assert not numbers(page, "#jacobian-table td.number").any()
    assert told(page, "#jacobian-effect").startswith("Every entry rounds to 0 here")


def test_jacobian(case):
    p = sm.softmax(SCORES, temperature=TEMPERATURE)
    expected = sm.softmax_jvp(np.tile(p, (4, 1)), np.eye(4)) * (SCALE / TEMPERATURE)
    shown = numbers(case, "#jacobian-table td.number").reshape(4, 4)
    np.testing.assert_array_equal(shown, expected)
    np.testing.assert_allclose(shown, sm.softmax_jacobian(p) * SCALE / TEMPERATURE, rtol=1e-14)


def test_loss_gradient_and_steps(case):
    logits = np.array(LOGITS)
    for _ in range(3):
        tempered = (SCALE * logits + OFFSET) / TEMPERATURE
        loss, gradient = sm.cross_entropy_grad(tempered, 1, reduction="sum")
        (shown,) = numbers(case, "#loss-value")
        assert shown == loss
        np.testing.assert_allclose(
            numbers(case, "#loss-table .number"), gradient * (SCALE / TEMPERATURE), rtol=1e-15
        )
        click(case, "#step")
        moved = np.round(logits - gradient * (SCALE / TEMPERATURE), 6)
        typed = typed_logits(case)
        np.testing.assert_allclose(typed, moved, atol=1.1e-6)
        logits = np.array(typed)
    assert numbers(case, "#loss-value")[0] < loss
    click(case, "#undo-steps")
    assert typed_logits(case) == LOGITS


@pytest.mark.parametrize(
    "logits", [[1000, 1001, 1002], [12, 11, 10], [0, -20, -110], [-1000, -999, 1]], ids=str
)
def test_naive_and_stable_in_each_format(page, address, logits):
    page.open(f"{address}#logits={','.join(map(str, logits))}")
    for name in ("float16", "float32", "float64"):
        x = np.array(logits, name)
        rows = f"[data-format='{name}'] tbody"
        np.testing.assert_array_equal(numbers(page, f"{rows} .stable"), sm.softmax(x))
        np.testing.assert_array_equal(numbers(page, f"{rows} .stable-log"), sm.log_softmax(x))
        with np.errstate(all="ignore"):
            weights = np.exp(x)
            naive = weights / weights.sum()
        shown = numbers(page, f"{rows} td:nth-child(3)").astype(name)
        np.testing.assert_array_equal(np.isnan(shown), np.isnan(naive))
        np.testing.assert_array_equal(shown == 0, naive == 0)
        limits = np.finfo(name)
        np.testing.assert_allclose(shown, naive, rtol=2 * limits.eps, atol=limits.smallest_subnormal)
        (told,) = texts(page, f"[data-format='{name}'] .precision-note")
        assert ("Overflow" in told) == bool(np.isinf(weights).any() or np.isinf(weights.sum()))


WORDS = {
    "mat": 5.1, "sofa": 4.6, "floor": 4.2, "roof": 3.4, "bed": 3.3, "table": 3.1, "chair": 2.9,
    "windowsill": 2.6, "keyboard": 2.2, "grass": 1.9, "moon": 0.4, "idea": -0.6,
    "banana": -1.2, "Tuesday": -2.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, {"top_k": 4}, {"top_p": 0.8}, {"min_p": 0.1}, {"top_k": 9, "top_p": 0.9, "min_p": 0.05}],
    ids=str,
)
def test_next_word(page, address, options):
    settings = "&".join(f"{name}={value}" for name, value in options.items())
    page.open(f"{address}#word_temperature=1.3&seed=7&{settings}")
    logits = np.array(list(WORDS.values()))
    before = numbers(page, "#word-table .number.before")
    np.testing.assert_array_equal(before, sm.softmax(logits, temperature=1.3))
    chain = sm.sampling.Chain.standard(temperature=1.3, **options)
    left = np.isfinite(chain.process(logits))
    assert texts(page, ".word-row.gone .name") == np.array(list(WORDS))[~left].tolist()
    expected = sm.softmax(np.where(left, logits, -np.inf), temperature=1.3)
    after = numbers(page, "#word-table .word-row:not(.gone) .number.after")
    np.testing.assert_array_equal(after, expected[left])
    for position in range(5):
        click(page, "#draw")
        token = int(sample(logits, temperature=1.3, seed=7, position=position, **options).token)
        assert f"The cat sat on the {list(WORDS)[token]}." in texts(page, "#word-drawn")[0]


def test_training(page, address):
    points = [[-0.5, -0.4, 0], [-0.2, -0.6, 0], [0.6, -0.3, 1], [0.4, 0.0, 1], [0.0, 0.7, 2], [0.1, 0.3, 2]]
    page.open(f"{address}#points={';'.join(','.join(map(str, point)) for point in points)}")
    features = np.array([[x, y, 1.0] for x, y, _ in points])
    labels = np.array([label for *_, label in points])
    weights = np.zeros((3, 3))
    for _ in range(20):
        click(page, "#training-step")
        gradient = sm.cross_entropy_grad(features @ weights.T, labels).grad
        weights -= gradient.T @ features
    np.testing.assert_allclose(numbers(page, "#weights td").reshape(3, 3), weights, rtol=1e-12)
    (loss,) = numbers(page, "#training-loss")
    assert loss == pytest.approx(sm.cross_entropy(features @ weights.T, labels), rel=1e-13)
    click(page, "#train")
    page.wait_for("Number(document.querySelector('#training-loss').title) < 0.2")
    click(page, "#train")


def test_the_address_follows_what_is_typed(page, address):
    page.open(address)
    set_value(page, "#classes input[type=number]", 4.5)
    set_value(page, "#typed-temperature", 3)
    set_value(page, "#classes input[type=text]", "a & b, c")
    page.wait_for("location.hash.includes('temperature')")
    assert page.run("location.hash") == "#logits=4.5,1,0.1&name=a+%26+b,+c&name=dog&name=bird&temperature=3"
    page.open(page.run("location.href"))
    expected = sm.softmax(np.array([4.5, 1, 0.1]), temperature=3)
    np.testing.assert_array_equal(numbers(page, "#bars .number"), expected)
    assert texts(page, "#bars .name")[0] == "a & b, c"


@pytest.mark.parametrize(
    "fragment",
    ["logits=1,x", "logits=1", f"logits={'1,' * 99}1", "temperature=0", "temperature=nan", "%%%", "truth=77"],
)
def test_a_broken_address_gives_the_usual_case(page, address, fragment):
    page.open(f"{address}#{fragment}")
    np.testing.assert_array_equal(numbers(page, "#bars .number"), sm.softmax(np.array([2, 1, 0.1])))


def test_a_number_out_of_range_is_marked_and_not_used(page, address):
    page.open(address)
    set_value(page, "#typed-temperature", 0)
    assert page.run("document.querySelector('#typed-temperature').matches(':invalid')")
    np.testing.assert_array_equal(numbers(page, "#bars .number"), sm.softmax(np.array([2, 1, 0.1])))


def test_a_name_is_never_markup(page, address):
    name = "<img src=x>"
    page.open(f"{address}#logits=1,2&name={quote(name)}&name=b")
    assert texts(page, "#bars .name")[0] == name
    assert page.run("document.querySelectorAll('img').length") == 0


GRIN = "\N{GRINNING FACE}"  # one character, which UTF-16 writes in two halves


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a" * 23 + GRIN + "b", "a" * 23 + GRIN), (GRIN * 25, GRIN * 24), ("b" * 25, "b" * 24), (GRIN, GRIN)],
)
def test_a_name_is_cut_between_two_characters(page, address, name, kept):
    page.open(f"{address}#logits=1,2,3&name={quote(name)}&name=b&name=c")
    assert page.run("document.querySelector('#bars .name').textContent.isWellFormed()")
    assert texts(page, "#bars .name")[0] == kept
    field = "#classes input[type=text]"
    assert page.run(f"document.querySelector('{field}').value") == kept
    set_value(page, field, "b")
    assert texts(page, "#bars .name")[0] == "b"
    set_value(page, field, name)
    assert page.run(f"document.querySelector('{field}').value") == kept
    assert texts(page, "#bars .name")[0] == kept


def test_a_name_that_grows_too_long_keeps_the_cursor(page, address):
    page.open(f"{address}#logits=1,2&name={'a' * 24}&name=b")
    field = "document.querySelector('#classes input[type=text]')"
    page.run(f"{field}.focus(), {field}.setSelectionRange(3, 3)")
    page.run(f"document.execCommand('insertText', false, '{GRIN}')")
    assert page.run(f"{field}.value") == "aaa" + GRIN + "a" * 20
    assert page.run(f"[{field}.selectionStart, {field}.selectionEnd]") == [5, 5]


def test_the_triangle_shortens_a_name_between_two_characters(page, address):
    name = GRIN * 24
    page.open(f"{address}#logits=1,2,3&name={quote(name)}&name={quote('a' + name)}&name=c")
    corners = texts(page, "#triangle-figure .corner")
    shown = [corner.partition("…")[0] for corner in corners[:2]]
    assert 0 < len(shown[0]) < 24
    assert set(shown[0]) == {GRIN}
    assert set(shown[1][1:]) == {GRIN}


def test_classes_count_from_1_however_they_are_added(page, address):
    page.open(f"{address}#logits=1,2,3,4,5")
    assert texts(page, "#bars .name") == ["cat", "dog", "bird", "class 4", "class 5"]
    page.open(address)
    click(page, "#add-class")
    assert texts(page, "#bars .name") == ["cat", "dog", "bird", "class 4"]
    click(page, "#classes button")
    click(page, "#add-class")
    assert texts(page, "#bars .name") == ["dog", "bird", "class 4", "class 5"]
    page.open(f"{address}#logits=1,2")
    click(page, "#triangle-figure button")
    assert texts(page, "#bars .name") == ["cat", "dog", "class 3"]


def test_a_click_shows_all_digits_of_a_number(page, address):
    page.open(address)
    assert "Hover over a number, or tap it, to see all its digits." in told(page, "header p")
    visible = "!document.querySelector('#digits').hidden"
    for selector in ("#bars .number", "#classes .number"):
        page.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        box = page.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
        at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.click_at(*at)
        assert page.run(visible)
        assert told(page, "#digits") == str(sm.softmax(np.array([2, 1, 0.1]))[0])
        bubble = page.run("document.querySelector('#digits').getBoundingClientRect().toJSON()")
        assert bubble["bottom"] <= box["top"]
        assert bubble["left"] <= at[0] <= bubble["right"]
        page.click_at(*at)
        assert not page.run(visible)
    page.click_at(*at)
    set_value(page, "#classes input[type=number]", 4.5)
    page.wait_for("document.querySelector('#digits').hidden")


def test_keyboard(page, address):
    page.open(address)
    focused = "document.activeElement"
    for _ in range(40):
        page.press("Tab")
        if page.run(f"{focused}.getAttribute('aria-label')") == "Logit of class 1, slider":
            break
    page.press("ArrowRight", times=3)
    assert typed_logits(page)[0] == 2.3
    page.run("document.querySelector('#plane svg').focus()")
    page.press("ArrowRight", times=2)
    page.press("ArrowUp")
    page.press("Enter")
    page.wait_for("location.hash.includes('points')")
    assert page.run("location.hash").endswith("0.1,0.05,0")


def test_a_click_puts_a_point(page, address):
    page.open(f"{address}#points=0,0,0")
    page.run("document.querySelector('#plane').scrollIntoView({block: 'center'})")
    box = page.run("document.querySelector('#plane svg').getBoundingClientRect().toJSON()")
    page.click_at(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    page.wait_for("location.hash.includes(';')")
    x, y, label = map(float, page.run("location.hash").rpartition(";")[2].split(","))
    assert (x, y, label) == pytest.approx((0.5, 0.5, 0), abs=0.01)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_long_name_stays_within_the_window(browser, address, width):
    name = "W" * 24
    page = browser.page(f"{address}#logits=2,1,0.1&name={name}&name={name}&name={name}", width)
    assert excess_width(page) == 0
    boxes = page.run(
        "Array.from(document.querySelectorAll('#triangle-figure .corner'), (one) => one.getBBox())"
        ".map(({ x, width }) => [x, x + width])"
    )
    assert all(left >= -1 and right <= 501 for left, right in boxes)
    assert boxes[0][1] < boxes[1][0]
    assert texts(page, "#triangle-figure .corner title")[0] == name
    page.close()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_accessible_and_within_the_window(browser, address, width, dark):
    page = browser.page(address + "#logits=1000,1001,1002,-5&top_k=5", width, dark)
    assert excess_width(page) == 0
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    page.run(axe + "; 0")
    summary = "({ violations }) => violations.map((one) => `${one.id}: ${one.nodes[0].html}`)"
    found = page.run(f"axe.run().then({summary})")
    assert found == []
    assert page.complaints() == []
    page.close()
