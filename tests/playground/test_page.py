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


FUNCTIONS = {
    "softmax": lambda x: sm.softmax(x, temperature=TEMPERATURE),
    "sigmoid": lambda x: sm.softmax(np.stack([x, np.zeros_like(x)], axis=-1))[:, 0],
    "ReLU": lambda x: np.maximum(x, 0),
    "standard normalization": sm.normalize,
    "sparsemax": sm.sparsemax,
    "hardmax": sm.hardmax,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(case, name):
    shown = numbers(case, f"[data-function='{name}'] .bar-row .number")
    np.testing.assert_array_equal(shown, FUNCTIONS[name](SCORES))


def test_sigmoid_and_tanh_are_the_usual_ones(case):
    shown = numbers(case, "[data-function='sigmoid'] .bar-row .number")
    np.testing.assert_allclose(shown, sm.sigmoid(SCORES), rtol=4e-16)
    shown = numbers(case, "[data-function='tanh'] .bar-row .number")
    np.testing.assert_allclose(shown, np.tanh(SCORES), rtol=4e-16)


def test_each_function_is_said_to_break_what_it_breaks(case):
    broken = {name: len(texts(case, f"[data-function='{name}'] .broken")) for name in FUNCTIONS}
    assert broken == {
        "softmax": 0,
        "sigmoid": 2,
        "ReLU": 3,
        "standard normalization": 2,
        "sparsemax": 1,
        "hardmax": 1,
    }
    (total,) = numbers(case, "[data-function='sigmoid'] .total .number")
    assert total == pytest.approx(sm.sigmoid(SCORES).sum(), rel=1e-15)
    assert f"here it is {total:.3f}" in texts(case, "[data-function='sigmoid'] .broken")[0]


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


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_accessible_and_within_the_window(browser, address, width, dark):
    page = browser.page(address + "#logits=1000,1001,1002,-5&top_k=5", width, dark)
    root = "document.documentElement"
    assert page.run(f"{root}.scrollWidth - {root}.clientWidth") == 0
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    page.run(axe + "; 0")
    told = "({ violations }) => violations.map((one) => `${one.id}: ${one.nodes[0].html}`)"
    found = page.run(f"axe.run().then({told})")
    assert found == []
    assert page.complaints() == []
    page.close()
