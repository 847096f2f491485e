"""An evaluation of a multi-label model: the figures of its metrics, decisions and promises, on a page."""

import json

import numpy as np
import pytest
import sklearn.metrics
from evaluated_rows import Page
from scipy.special import expit

from softmaxlib import MultilabelPolicy, metrics
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MostLikely, Threshold
from softmaxlib.errors import InvalidInputError
from softmaxlib.metrics.holm import holm_adjusted
from softmaxlib.report import evaluate_multilabel

NAMES = ["cat", "<dog>"]
rng = np.random.default_rng(3)
LOGITS = rng.normal([0, -1], 2, size=(500, 2))
LABELS = rng.random((500, 2)) < expit(LOGITS / 1.5)
WEIGHTS = rng.integers(1, 3, 500).astype(float)


def test_figures_without_a_policy() -> None:
    holes = np.where(rng.random(LABELS.shape) < 0.1, np.nan, LABELS)
    evaluation = evaluate_multilabel(LOGITS, holes, class_names=NAMES, sample_weight=WEIGHTS)
    for k, one in enumerate(evaluation.labels):
        known = ~np.isnan(holes[:, k])
        rows, weights = (holes[known, k], LOGITS[known, k] > 0), WEIGHTS[known]
        assert one.rows == weights.sum()
        assert one.positive == weights @ rows[0]
        assert one.predicted == weights @ rows[1]
        assert one.f1_score == pytest.approx(sklearn.metrics.f1_score(*rows, sample_weight=weights))
        assert one.log_loss == pytest.approx(
            sklearn.metrics.log_loss(rows[0], expit(LOGITS[known, k]), sample_weight=weights)
        )
        assert one.set_aside == 0
    macro = evaluation.averages["macro"]
    assert repr(evaluation) == (
        f"MultilabelEvaluation(500 rows, 2 labels: mean F1 {macro['f1_score']:.4f}, "
        f"mean average precision {macro['average_precision']:.4f})"
    )
    heads, _, body = evaluation._repr_html_().partition("</thead>")
    assert heads.count("<th ") == 9
    assert (body.count("<tr"), body.count("<td")) == (2, 16)
    assert "&lt;dog&gt;" in body
    assert f"{evaluation.labels[1].brier_score:.4f}" in body
    assert macro["roc_auc"] == pytest.approx(np.mean([one.roc_auc for one in evaluation.labels]))
    assert evaluation.hamming_loss == metrics.hamming_loss(LOGITS, holes, sample_weight=WEIGHTS)
    assert evaluation.audit is None


def test_figures_of_a_policy_that_sets_labels_aside(tmp_path) -> None:
    policy = MultilabelPolicy(TemperatureScaling(), Threshold(0.7)).fit(LOGITS, LABELS, class_names=NAMES)
    evaluation = evaluate_multilabel(LOGITS, LABELS, policy=policy)
    decision, probability = policy.decide(LOGITS), policy.predict_proba(LOGITS)
    for k, one in enumerate(evaluation.labels):
        kept = ~decision.abstained[:, k]
        assert one.set_aside == 1 - kept.mean() > 0
        assert one.precision == pytest.approx(
            sklearn.metrics.precision_score(LABELS[kept, k], decision.action[kept, k])
        )
        assert one.brier_score == metrics.brier_score(probability[:, k], LABELS[:, k], probabilities=True)
    assert evaluation.audit == policy.audit(LOGITS, LABELS)
    evaluation.to_html(tmp_path / "page.html", title="Tags & more")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>Tags &amp; more</h1>" in page
    assert "&lt;dog&gt;" in page
    assert "<dog>" not in page
    assert "% set aside" in page
    evaluation.to_json(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["labels"][1]["name"] == "<dog>"


def test_what_the_rows_do_not_define_is_a_dash_and_null(tmp_path) -> None:
    evaluation = evaluate_multilabel(LOGITS[:60], np.zeros((60, 2)), class_names=NAMES)
    assert np.isnan(evaluation.labels[0].roc_auc)
    assert evaluation.to_dict()["labels"][0]["roc_auc"] is None
    evaluation.to_html(tmp_path / "page.html")
    assert "\u2013" in (tmp_path / "page.html").read_text()


def test_a_policy_for_other_labels() -> None:
    policy = MultilabelPolicy(TemperatureScaling(), Threshold(0.7)).fit(LOGITS, LABELS, class_names=NAMES)
    with pytest.raises(InvalidInputError, match="class_names must be those of the policy, in its order"):
        evaluate_multilabel(LOGITS, LABELS, policy=policy, class_names=["a", "b"])


def told(labels=LABELS, logits=LOGITS, **options):
    return evaluate_multilabel(logits, labels, **options)


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_the_verdict_says_whether_the_probabilities_can_be_believed(spread, tmp_path) -> None:
    draws = np.random.default_rng(5)
    truth = draws.normal([0, -1], 1.5, size=(3000, 2))
    labels = draws.random((3000, 2)) < expit(truth)
    evaluation = told(labels, spread * truth, class_names=NAMES, model="tags, third run")
    verdict = evaluation.verdict
    right = metrics.subset_accuracy(spread * truth, labels)
    assert verdict.sentences[0].startswith(f"{right:.1%} of the 3,000 rows have every label right; ")
    tests = [metrics.class_calibration_test(spread * truth[:, k], labels[:, k]) for k in range(2)]
    p_values = [one.p_value for one in evaluation.calibration]
    np.testing.assert_array_equal(p_values, holm_adjusted([one.p_value[1] for one in tests]))
    assert [one.stated for one in evaluation.calibration] == [one.stated[1] for one in tests]
    if spread == 1:
        assert (verdict.grade, verdict.headline) == ("good", "The probabilities can be believed")
        assert "For every label, the stated probability agrees" in verdict.sentences[1]
    else:
        assert (verdict.grade, verdict.headline) == ("bad", "The probabilities of 2 labels can't be believed")
        assert [one.misstated != "" for one in evaluation.calibration] == [True, True]
    evaluation.to_html(tmp_path / "page.html")
    text = Page((tmp_path / "page.html").read_text()).text
    for words in (verdict.headline, "What the words mean", "Where this comes from", "tags, third run"):
        assert words in text
    content = evaluation.to_dict()
    assert content["verdict"]["headline"] == verdict.headline
    assert content["provenance"]["model"]["name"] == "tags, third run"
    json.dumps(content, allow_nan=False)


def test_both_kinds_of_calibration_error_are_named(tmp_path) -> None:
    policy = MultilabelPolicy(TemperatureScaling(), Threshold(0.7)).fit(LOGITS, LABELS, class_names=NAMES)
    evaluation = told(policy=policy)
    evaluation.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert ">Calibration error<" not in page
    assert '<th scope="col" class="n">Classwise calibration error</th>' in page
    assert page.count("<td>calibration <small>of the more probable answer</small></td>") == 2
    text = Page(page).text
    assert policy.fingerprint in text
    assert "Calibration error of the more probable answer" in text[text.index("What the words mean") :]
    assert any("promises of the policy hold" in one for one in evaluation.verdict.sentences)
    assert any("of the labels aside for a human" in one for one in evaluation.verdict.sentences)


def test_the_verdict_names_broken_promises_with_their_labels() -> None:
    policy = MultilabelPolicy(TemperatureScaling(), MostLikely()).fit(LOGITS, LABELS, class_names=NAMES)
    verdict = told(logits=LOGITS + np.array([0, 3]), policy=policy).verdict
    assert verdict.grade == "bad"
    assert any(one.startswith("No longer as promised: calibration of <dog>") for one in verdict.sentences)


def test_too_few_rows_have_no_verdict() -> None:
    for rows in (1, 20):
        verdict = told(LABELS[:rows], LOGITS[:rows], class_names=NAMES).verdict
        assert verdict.grade == "caution"
        assert verdict.headline == "These rows are too few to tell whether the probabilities can be believed"
    unknown = told(np.where([True, False], np.nan, LABELS), class_names=NAMES)
    assert [one.name for one in unknown.calibration] == ["<dog>"]
    assert "MultilabelEvaluation(1 row, 2 labels:" in repr(told(LABELS[:1], LOGITS[:1], class_names=NAMES))
