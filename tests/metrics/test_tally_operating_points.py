"""A tally counts rows at other thresholds and in histograms as an evaluation of all rows does."""

import json

import numpy as np
import pytest

from softmaxlib import Policy, evaluate, metrics
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost
from softmaxlib.errors import FileFormatError, InvalidInputError

ROWS = 1200


@pytest.fixture(scope="module", params=[2, 4])
def rows(request):
    rng = np.random.default_rng(request.param)
    labels = rng.integers(request.param, size=ROWS)
    logits = 3 * np.eye(request.param)[labels] + 3 * rng.normal(size=(ROWS, request.param))
    logits[:5] = 0  # as confident as a stop
    return logits, labels, np.where(rng.random(ROWS) < 0.1, 0.0, rng.exponential(size=ROWS))


def tallied(rows, weighted, parts, kind=np.float64, **options):
    logits, labels, weights = rows
    whole = metrics.Tally(logits.shape[1], **options)
    for part in parts:
        given = weights[part] if weighted else None
        one = metrics.Tally(logits.shape[1], **options)
        whole = one.update(logits[part].astype(kind), labels[part], given).merge(whole)
    return whole


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_stops_and_histograms_are_those_of_the_evaluation(rows, weighted, kind):
    logits, labels, weights = rows
    result = tallied(rows, weighted, np.array_split(np.arange(ROWS), 3), kind).compute()
    judged = evaluate(logits.astype(kind), labels, sample_weight=weights if weighted else None).before
    np.testing.assert_allclose(result.confidence_of_right, judged.confidence_of_right, rtol=1e-12)
    np.testing.assert_allclose(result.confidence_of_wrong, judged.confidence_of_wrong, rtol=1e-12)
    assert (result.at_threshold is None) == (logits.shape[1] > 2)
    for found, expected in (
        (result.at_confidence, judged.at_confidence),
        (result.at_threshold, judged.at_threshold),
    ):
        for name in vars(found) if found is not None else ():
            one, other = (np.asarray(getattr(part, name)) for part in (found, expected))
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("weighted", [False, True])
def test_they_count_rows(rows, weighted):
    logits, labels, weights = rows
    of_rows = weights if weighted else np.ones(ROWS)
    result = tallied(rows, weighted, [slice(None)], least_confidence=0.637).compute()
    confidence, right = 1 - metrics.doubt(logits), logits.argmax(axis=1) == labels
    at = result.at_confidence
    assert 0.637 in at.threshold
    for threshold in (0.637, 0.9, 0.999):
        (place,) = np.flatnonzero(at.threshold == threshold)
        some = of_rows * (confidence >= threshold)
        assert at.coverage[place] == pytest.approx(some.sum() / of_rows.sum(), rel=1e-12)
        assert at.accuracy.value[place] == pytest.approx(some @ right / some.sum(), rel=1e-12)
        assert at.accuracy.lower[place] < at.accuracy.value[place] < at.accuracy.upper[place]
    expected = np.histogram(confidence[right], np.linspace(0, 1, 21), weights=of_rows[right])[0]
    np.testing.assert_allclose(result.confidence_of_right, expected, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_json_whatever_the_split_and_the_order(rows, weighted):
    order = np.random.default_rng(0).permutation(ROWS)
    options = {"least_confidence": 0.637} | ({"threshold": 0.011} if rows[0].shape[1] == 2 else {})
    whole = tallied(rows, weighted, [np.arange(ROWS)], **options)
    written = json.dumps(whole.to_dict())
    assert json.dumps(tallied(rows, weighted, np.split(order, [3, 800, 801]), **options).to_dict()) == written
    again = metrics.Tally.from_dict(json.loads(written)).compute()
    assert repr(again.at_confidence) == repr(whole.compute().at_confidence)
    if rows[0].shape[1] == 2:
        assert 0.011 in again.at_threshold.threshold


def test_groups_have_none(rows):
    logits, labels, _ = rows
    result = metrics.Tally(logits.shape[1]).update(logits, labels, groups=labels).compute()
    assert result.groups["0"].at_confidence is result.groups["0"].confidence_of_right is None
    assert result.at_confidence is not None


def test_rows_of_one_class_have_no_figures_at_thresholds():
    assert metrics.Tally(2).update([[3.0, 0.0]], [1]).compute().at_threshold is None


@pytest.mark.parametrize("weighted", [False, True])
def test_costs_without_the_rule_are_those_of_the_evaluation(rows, weighted):
    logits, labels, weights = rows
    weights = weights if weighted else None
    classes = logits.shape[1]
    costs = 5.0 * (1 - np.eye(classes)) * (1 + np.arange(classes))
    policy = Policy(Identity(), MinimumCost(costs - 1)).fit(logits, labels)
    decision, usual = policy.decide(logits), (costs - 1)[labels, logits.argmax(axis=1)]
    whole = metrics.Tally(classes)
    for part in np.array_split(np.random.default_rng(0).permutation(ROWS), 3):
        made = type(decision)(*(None if column is None else column[part] for column in decision))
        given = None if weights is None else weights[part]
        whole.update(logits[part], labels[part], given, decision=made, cost_without_rule=usual[part])
    expected = evaluate(logits, labels, policy=policy, sample_weight=weights).decided
    found = metrics.Tally.from_dict(whole.to_dict()).compute().decisions
    assert found.cost_without_rule == pytest.approx(expected.cost_without_rule, rel=1e-12)
    assert found.mean_cost is None


def test_what_is_refused():
    for options, words in (
        ({"least_confidence": 1.5}, "least_confidence must be a probability, from 0 to 1, got 1.5"),
        ({"threshold": 0.5}, "threshold is on the second of two classes, and there are 3; leave it out"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            metrics.Tally(3, **options)
    with pytest.raises(InvalidInputError, match="what a decision cost, and there is none"):
        metrics.Tally(2).update([[3.0, 0.0]], [1], cost_without_rule=[1.0])
    content = metrics.Tally(3).update([[3.0, 0.0, 0.0]], [1]).to_dict()
    with pytest.raises(FileFormatError, match=r"tally\.threshold must be null for 3 classes"):
        metrics.Tally.from_dict(content | {"threshold": 0.5})
    with pytest.raises(FileFormatError, match=r"tally\.least_confidence"):
        metrics.Tally.from_dict(content | {"least_confidence": 2})
