"""A policy owns what it fits, and refuses what would give wrong results without a word."""

import copy
import json

import numpy as np
import pytest

from softmaxlib import Policy, evaluate, metrics, softmax
from softmaxlib._json import encode_array
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets
from softmaxlib.errors import FileFormatError, InvalidInputError, SoftmaxlibWarning


def rows(count=400, classes=3, seed=0, factor=1.0):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(count, classes))
    return factor * logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def test_two_policies_made_of_the_same_parts_do_not_know_each_other():
    calibration, rule = TemperatureScaling(), PredictionSets()
    given = copy.deepcopy((vars(calibration), vars(rule)))
    first = Policy(calibration, rule).fit(*rows())
    temperature = first.calibration.temperature_
    second = Policy(calibration, rule).fit(*rows(factor=3))
    assert second.calibration.temperature_ > 2 * temperature
    assert first.calibration.temperature_ == temperature
    assert (vars(calibration), vars(rule)) == given


def test_a_refit_that_fails_leaves_the_policy(tmp_path):
    policy = Policy(TemperatureScaling(), PredictionSets()).fit(*rows())
    policy.save(tmp_path / "before.json")
    logits, labels = rows(factor=3)
    for options in ({"class_names": ["a", "b"]}, {"groups": labels}, {"rule_rows": np.ones(400, bool)}):
        with pytest.raises(InvalidInputError):
            policy.fit(logits, labels, **options)
    with pytest.raises(InvalidInputError):
        policy.fit(logits, labels, probabilities=True)
    policy.save(tmp_path / "after.json")
    assert (tmp_path / "after.json").read_text() == (tmp_path / "before.json").read_text()


def test_probabilities_given_as_logits_are_warned_of_once():
    logits, labels = rows()
    p = softmax(logits)
    policy = Policy(TemperatureScaling(), MostLikely()).fit(logits, labels)
    for call in (
        lambda: metrics.calibration_error(p, labels),
        lambda: evaluate(p, labels),
        lambda: MostLikely().decide(p),
        lambda: MostLikely().fit(p, labels),
        lambda: Policy(TemperatureScaling(), MostLikely()).fit(p, labels),
        lambda: policy.decide(p),
        lambda: policy.audit(p, labels),
        lambda: TemperatureScaling().fit(p, labels),
    ):
        with pytest.warns(SoftmaxlibWarning, match=r"look like probabilities.*probabilities=True") as caught:
            call()
        assert sum("look like" in str(one.message) for one in caught) == 1


@pytest.mark.parametrize("digits", [2, 3])
def test_rounded_probabilities_given_as_logits_are_warned_of(digits):
    logits, labels = rows()
    with pytest.warns(SoftmaxlibWarning, match="sums to 1 or nearly; pass probabilities=True"):
        metrics.log_loss(softmax(logits).round(digits), labels)


def test_no_logits_are_taken_for_probabilities():
    rng = np.random.default_rng(0)
    for _ in range(2000):  # warnings are errors
        metrics.doubt(rng.random((1, 2)))
        metrics.doubt(0.3 * rng.normal(size=(3, 2)))
        metrics.doubt(rng.random((8, 2)))


def test_a_policy_of_the_other_kind_is_refused():
    logits, labels = rows()
    of_logits = Policy(TemperatureScaling(), MostLikely()).fit(logits, labels)
    of_probabilities = Policy(TemperatureScaling(), MostLikely()).fit(
        softmax(logits), labels, probabilities=True
    )
    with pytest.raises(InvalidInputError, match="fitted on probabilities, and logits were given; pass the"):
        evaluate(softmax(logits), labels, policy=of_probabilities)
    with pytest.raises(InvalidInputError, match="fitted on logits, and probabilities were given; pass the"):
        evaluate(softmax(logits), labels, policy=of_logits, probabilities=True)


def test_frames_of_other_classes_are_refused():
    frame = pytest.importorskip("pandas").DataFrame
    logits, labels = rows()
    named, moved, other = (
        frame(logits, columns=names.split()) for names in ("cat dog bird", "dog cat bird", "car bus van")
    )
    policy = Policy(TemperatureScaling(), MostLikely()).fit(named, labels)
    for wrong in (moved, other):
        for use in (
            lambda wrong=wrong: policy.decide(wrong),
            lambda wrong=wrong: policy.audit(wrong, labels),
            lambda wrong=wrong: evaluate(wrong, labels, policy=policy),
            lambda wrong=wrong: evaluate(wrong, labels, class_names=["cat", "dog", "bird"]),
            lambda wrong=wrong: policy.fit(wrong, labels, class_names=["cat", "dog", "bird"]),
        ):
            with pytest.raises(InvalidInputError, match=r"columns must be .* the classes .*, cat, dog, bird"):
                use()
    assert evaluate(named, labels).class_names == ("cat", "dog", "bird")


def test_actions_go_by_their_names(tmp_path):
    logits, labels = rows(classes=2)
    rule = MinimumCost([[0, 0.2, 1], [5, 0.5, 0]], 0.3, ["wait", "test", "treat"])
    policy = Policy(TemperatureScaling(), rule).fit(logits, labels)
    policy.save(tmp_path / "p.json")
    decision = Policy.load(tmp_path / "p.json").decide(logits)
    assert decision.abstained.any()
    names = ["wait", "test", "treat", None]
    assert decision.labels.tolist() == [names[action] for action in decision.action]
    decided = evaluate(logits, labels, policy=policy).decided
    assert np.isnan(decided.accuracy)
    assert sum(action.rows for action in decided.actions) == decided.decided


@pytest.mark.parametrize("cost", [-1e308, 1.7e308, 1e-300])
def test_costs_beyond_sums_are_refused(cost):
    with pytest.raises(InvalidInputError, match="cost must be 0 or between 1e-100 and 1e\\+100 in size"):
        MinimumCost([[0, cost], [0, 0]])


def test_hostile_files_are_refused_before_memory_is_taken(tmp_path):
    policy = Policy(TemperatureScaling(), PredictionSets(groups=[0, 0, 1])).fit(*rows())
    path = tmp_path / "policy.json"
    policy.save(path)
    sound = path.read_text()
    for number in (2**33, 2**62):
        content = json.loads(sound)
        content["rule"]["groups"] = encode_array(np.array([0, 0, number]))
        path.write_text(json.dumps(content))
        with pytest.raises(FileFormatError, match="numbered from 0 without gaps"):
            Policy.load(path)
        content["rule"]["groups"] = {"dtype": "<i8", "shape": [number], "base64": ""}
        path.write_text(json.dumps(content))
        with pytest.raises(FileFormatError):
            Policy.load(path)
    path.write_text(sound.replace('"version": 2', '"version": 2, "version": 2', 1))
    with pytest.raises(FileFormatError, match="the key 'version' stands twice in one object"):
        Policy.load(path)
