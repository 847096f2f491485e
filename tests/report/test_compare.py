"""Two evaluations side by side: differences and intervals by exact formulas, pairing, page and command."""

import json

import numpy as np
import pandas as pd
import pytest
from evaluated_rows import Page, fitted, simulated

from softmaxlib import Policy, evaluate, softmax
from softmaxlib.cli._app import run
from softmaxlib.errors import InvalidInputError
from softmaxlib.report import compare

NAMES = ["ant", "bee", "cat", "dog"]


def noisy(logits, spread=1.0, seed=5):
    return logits + spread * np.random.default_rng(seed).normal(size=logits.shape)


@pytest.fixture(scope="module")
def rows():
    return simulated(1000)


@pytest.fixture(scope="module")
def pair(rows):
    logits, labels = rows
    options = {"policy": fitted(class_names=NAMES)}
    return evaluate(noisy(logits), labels, **options), evaluate(logits, labels, **options)


def right(logits, labels):
    return (logits.argmax(axis=1) == labels).astype(float)


def log_loss(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


FIGURES = {"accuracy": right, "log loss": log_loss}


@pytest.mark.parametrize("figure", FIGURES)
def test_of_paired_rows_the_interval_is_that_of_their_differences(rows, figure):
    logits, labels = rows
    found = compare(evaluate(noisy(logits, 0.3), labels), evaluate(logits, labels))
    assert found.paired == "in order"
    one = next(one for one in found.figures if one.figure == figure)
    gain = FIGURES[figure](logits, labels) - FIGURES[figure](noisy(logits, 0.3), labels)
    half = 1.96 * gain.std() / np.sqrt(gain.size)
    assert one.difference.value == pytest.approx(gain.mean(), abs=1e-12)
    assert one.second - one.first == pytest.approx(one.difference.value)
    assert one.difference.upper - gain.mean() == pytest.approx(half, rel=0.15)
    assert gain.mean() - one.difference.lower == pytest.approx(half, rel=0.15)


@pytest.mark.parametrize("figure", FIGURES)
def test_of_other_rows_the_interval_is_that_of_two_samples(rows, figure):
    logits, labels = rows
    other, others = simulated(700, seed=3)
    found = compare(evaluate(logits, labels), evaluate(other, others))
    assert found.paired == ""
    assert (found.agreement, found.lost) == (None, ())
    one = next(one for one in found.figures if one.figure == figure)
    parts = FIGURES[figure](logits, labels), FIGURES[figure](other, others)
    half = 1.96 * np.sqrt(sum(part.var() / part.size for part in parts))
    assert one.difference.value == pytest.approx(parts[1].mean() - parts[0].mean(), abs=1e-12)
    assert one.difference.upper - one.difference.value == pytest.approx(half, rel=0.15)
    assert "The two evaluations are on different rows (1,000 and 700)" in found.sentences[0]


def test_says_which_is_better_by_what(pair):
    found = compare(*pair, names=("old", "new"))
    by_name = {one.figure: one for one in found.figures}
    assert list(by_name) == [
        "accuracy",
        "log loss",
        "Brier score",
        "calibration error",
        "share decided",
        "accuracy of the decided",
        "cost of a row",
    ]
    for name, value in (
        ("accuracy", lambda one: one.final.figures.accuracy),
        ("log loss", lambda one: one.final.figures.log_loss),
        ("Brier score", lambda one: one.final.figures.brier_score),
        ("calibration error", lambda one: one.final.figures.calibration_error),
        ("share decided", lambda one: one.decided.coverage),
        ("accuracy of the decided", lambda one: one.decided.accuracy),
        ("cost of a row", lambda one: one.decided.mean_cost),
    ):
        wanted = [value(one) for one in pair]
        assert [by_name[name].first, by_name[name].second] == pytest.approx(wanted, abs=1e-12)
    assert (
        by_name["accuracy"].better
        == by_name["log loss"].better
        == by_name["cost of a row"].better
        == "second"
    )
    assert by_name["share decided"].better == ""
    assert found.headline.startswith("new is better by accuracy, log loss, Brier score")
    assert "old is better" not in found.headline
    swapped = compare(*pair[::-1], names=("new", "old"))
    assert swapped.headline == found.headline
    assert repr(found) == f"Comparison({found.headline})"


def test_equal_models_can_not_be_told_apart(rows):
    logits, labels = rows
    one = evaluate(logits, labels)
    found = compare(one, one, names=("a", "b"))
    assert found.headline == "a and b do not differ by more than chance in any figure"
    assert {one.difference for one in found.figures if one.figure != "calibration error"} == {(0.0, 0.0, 0.0)}
    assert all("no more than chance" in sentence for sentence in found.sentences[1:5])


def test_rows_are_found_by_their_ids(rows):
    logits, labels = rows
    ids = np.array([f"case {row}" for row in range(1000)])
    order = np.random.default_rng(1).permutation(1000)
    better, worse = logits, noisy(logits)
    first = evaluate(worse, labels, row_ids=ids)
    in_order = compare(first, evaluate(better, labels, row_ids=ids))
    shuffled = compare(first, evaluate(better[order], labels[order], row_ids=ids[order]))
    assert in_order.paired == shuffled.paired == "by id"
    assert in_order.figures == shuffled.figures
    assert in_order.agreement == shuffled.agreement
    assert in_order.lost == shuffled.lost
    hits = right(worse, labels), right(better, labels)
    assert in_order.agreement == tuple(
        float(((hits[0] == one) & (hits[1] == other)).sum())
        for one, other in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    confidence = softmax(better).max(axis=1)
    lost = np.flatnonzero((hits[0] == 1) & (hits[1] == 0))
    surest = lost[np.argsort(-confidence[lost])][:12]
    assert [one.row for one in in_order.lost] == surest.tolist()
    assert in_order.lost[0].row_id == f"case {surest[0]}"
    assert in_order.lost[0].confidence == pytest.approx(confidence[surest[0]])


def test_other_ids_are_other_rows(rows):
    logits, labels = rows
    first = evaluate(logits, labels, row_ids=np.arange(1000))
    assert compare(first, evaluate(logits, labels, row_ids=np.arange(1, 1001))).paired == ""
    assert compare(first, evaluate(logits, labels, row_ids=np.zeros(1000, int))).paired == ""
    assert compare(first, evaluate(logits, labels)).paired == "in order"


def test_classes_in_another_order(rows):
    logits, labels = rows
    first = evaluate(logits, labels, class_names=NAMES)
    second = evaluate(logits[:, ::-1], 3 - labels, class_names=NAMES[::-1])
    found = compare(first, second)
    assert found.paired == "in order"
    assert found.figures[1].difference.value == pytest.approx(0, abs=1e-12)


def test_weights_count_rows(rows):
    logits, labels = rows
    weights = np.random.default_rng(2).integers(0, 3, 1000)
    found = compare(*(evaluate(one, labels, sample_weight=weights) for one in (noisy(logits), logits)))
    gain = right(logits, labels) - right(noisy(logits), labels)
    assert found.figures[0].difference.value == pytest.approx(np.average(gain, weights=weights))
    assert sum(found.agreement) == weights.sum()


@pytest.mark.parametrize(
    ("second", "options", "words"),
    [
        (
            {"class_names": ["a", "b", "c", "d"]},
            {},
            "must be of the same classes to be compared, got ant, bee",
        ),
        (
            {"labels": 1},
            {},
            "the row with the id '0' has the true class .* in the first evaluation and .* in the",
        ),
        ({}, {"names": ("a", "a")}, r"names must be two different texts, got \('a', 'a'\)"),
    ],
)
def test_misuse_is_refused(rows, second, options, words):
    logits, labels = rows
    ids = np.arange(1000)
    first = evaluate(logits, labels, class_names=NAMES, row_ids=ids)
    truth = (labels + second.get("labels", 0)) % 4
    other = evaluate(logits, truth, class_names=second.get("class_names", NAMES), row_ids=ids)
    with pytest.raises(InvalidInputError, match=words):
        compare(first, other, **options)


def test_the_page_and_the_json_hold_both(pair, tmp_path):
    names = ("<script>alert(1)</script>", "new & better")
    found = compare(*pair, names=names)
    found.to_html(tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert page.tags.count("script") == 1
    for shown in (
        *names,
        found.headline,
        *found.sentences,
        "Newly wrong",
        "What the words mean",
        "a policy in",
    ):
        assert shown in page.text
    for row in found.table():
        assert all(cell in page.text for cell in row)
    found.to_json(tmp_path / "found.json")
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["figures"][0]["difference"]["value"] == found.figures[0].difference.value
    assert content["second"]["after"]["figures"]["accuracy"] == found.figures[0].second


def test_what_a_notebook_shows_is_escaped(pair):
    html = compare(*pair, names=("<b>", "new"))._repr_html_()
    assert "<b>" not in html
    assert '<th scope="col">&lt;b&gt;</th>' in html
    assert Page(html).tags.count("tr") == 8


def test_an_evaluation_and_an_audit_in_a_notebook(rows):
    logits, labels = rows
    names = ["<img src=x>", "bee", "cat", "dog"]
    policy = fitted(class_names=names)
    evaluation = evaluate(logits, labels, policy=policy)
    assert repr(evaluation) == (
        f"Evaluation(1,000 rows, 4 classes: {evaluation.verdict.headline}; accuracy "
        f"{evaluation.final.figures.accuracy:.1%}, calibration error "
        f"{evaluation.final.figures.calibration_error:.1%})"
    )
    page = Page(evaluation._repr_html_())
    assert "img" not in page.tags
    heads, _, body = evaluation._repr_html_().partition("</thead>")
    assert [heads.count("<th "), body.count("<td") / body.count("<tr")] == [4, 3]
    assert evaluation.verdict.headline in page.text
    assert "Calibration error" in page.text
    audit = policy.audit(logits, labels)
    assert repr(audit) == "Audit(1,000 rows: no promise is broken)"
    assert all(check.words in Page(audit._repr_html_()).text for check in audit.checks)
    wrong = policy.audit(logits, (labels + 1) % 4)
    assert repr(wrong).startswith("Audit(1,000 rows: no longer as promised: calibration, log loss")


def test_a_policy_and_a_decision_in_a_notebook(rows):
    logits, _ = rows
    policy = fitted(class_names=["<img src=x>", "bee", "cat", "dog"])
    page = Page(policy._repr_html_())
    assert "a row is handed over below 70% confidence" in page.text
    assert "on 1,500 rows of logits" in page.text
    assert "not fitted" in Page(Policy(policy.calibration, policy.rule)._repr_html_()).text
    decision = policy.decide(logits)
    page = Page(decision._repr_html_())
    aside = int(decision.abstained.sum())
    assert f"1,000 rows: {1000 - aside:,} decided, {aside:,} set aside" in page.text
    assert "img" not in page.tags
    assert page.tags.count("tr") == 11
    first = "set aside" if decision.abstained[0] else decision.labels[0]
    assert f"0 {first} {decision.confidence[0]:.4g}" in page.text


@pytest.fixture
def tables(rows, tmp_path):
    logits, labels = rows
    for name, values in (("old", noisy(logits)), ("new", logits)):
        frame = pd.DataFrame(values[:300], columns=[f"logit_{one}" for one in NAMES])
        frame["truth"], frame["case"] = np.array(NAMES)[labels[:300]], np.arange(300)
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    return [str(tmp_path / "old.csv"), str(tmp_path / "new.csv")]


def test_the_command_compares_two_sources(tables, tmp_path, capsys):
    report, found = tmp_path / "report.html", tmp_path / "found.json"
    given = ["evaluate", *tables, "--label", "truth", "--id", "case", "--model", "v1", "--model", "v2"]
    assert run([*given, "--report", str(report), "--json", str(found)]) == 0
    printed = capsys.readouterr().out
    assert "new.csv is better by" in printed
    assert "same 300 rows, found by their ids" in printed
    assert "Log loss" in printed
    text = Page(report.read_text("utf-8")).text
    assert "Which of the two is better?" in text
    assert all(name in text for name in ("old.csv", "new.csv", "v1", "v2"))
    content = json.loads(found.read_text())
    assert content["names"] == ["old.csv", "new.csv"]
    assert content["second"]["provenance"]["model"]["name"] == "v2"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            ["again.csv"],
            "evaluate takes one source, or two to compare, got 3; for several files of one model, name",
        ),
        (["--fail-on", "bad"], "--fail-on is about one evaluation, and two are compared; leave it out"),
        (["--model", "v1"], "--model must be given once for each source, got 1 for 2"),
    ],
)
def test_misuse_of_the_command_is_refused(tables, capsys, more, words):
    assert run(["evaluate", *tables, "--label", "truth", *more]) == 2
    assert words in capsys.readouterr().err


def test_a_source_is_not_compared_with_itself(tables, capsys):
    assert run(["evaluate", tables[0], tables[0], "--label", "truth"]) == 2
    assert "a source is compared with another, got" in capsys.readouterr().err
