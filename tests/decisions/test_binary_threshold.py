"""A threshold on the positive class: what it takes, to the last bit, and what it is not."""

import json

import numpy as np
import pytest

from softmaxlib import Policy, evaluate
from softmaxlib.calibration import Identity
from softmaxlib.decisions import BinaryThreshold, Rule, Threshold
from softmaxlib.errors import InvalidInputError


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.0, 1e-6, 0.1, 0.3, 0.5, 0.7, 0.9999999, 1.0])
def test_the_second_class_is_taken_from_the_threshold_on_and_no_row_is_set_aside(threshold, dtype):
    near = np.full(2001, threshold, dtype)
    for place in range(1, 1001):  # the thousand numbers above and below
        near[1000 + place] = np.nextafter(near[999 + place], dtype(2))
        near[1000 - place] = np.nextafter(near[1001 - place], dtype(-1))
    positive = near[(near >= 0) & (near <= 1)]
    for given in (positive, np.stack([1 - positive, positive], axis=1)):
        decision = BinaryThreshold(threshold).decide(given, probabilities=True)
        reached = positive >= min(dtype(threshold), threshold)  # rounded to float32 it counts as reached
        np.testing.assert_array_equal(decision.action, reached)
        assert not decision.abstained.any()


def test_it_is_not_the_threshold_of_every_class():
    rows = np.array([0.1, 0.29, 0.3, 0.45, 0.9])
    assert BinaryThreshold(0.3).decide(rows, probabilities=True).action.tolist() == [0, 0, 1, 1, 1]
    assert Threshold(0.3).decide(rows, probabilities=True).action.tolist() == [0, 0, 0, 0, 1]
    assert Threshold(0.8).decide(rows, probabilities=True).action.tolist() == [0, -1, -1, -1, 1]


def test_it_is_saved_audited_and_described(tmp_path):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=500)
    labels = (generator.random(500) < 1 / (1 + np.exp(-logits))).astype(int)
    policy = Policy(Identity(), BinaryThreshold(0.3)).fit(logits, labels, class_names=["ok", "fraud"])
    assert policy.record_.abstained == 0
    policy.save(tmp_path / "p.json")
    loaded = Policy.load(tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())["rule"]["threshold"] == 0.3
    np.testing.assert_array_equal(loaded.decide(logits).action, logits >= np.log(0.3 / 0.7))
    assert loaded.audit(logits, labels).holds
    expected = "fraud is taken from a probability of 30% on, ok below that."
    assert loaded.rule.explain(loaded.class_names_) == expected
    evaluate(logits, labels, policy=loaded).to_html(tmp_path / "report.html")
    assert expected in (tmp_path / "report.html").read_text()
    assert repr(Rule.from_dict(loaded.rule.to_dict())) == "BinaryThreshold(0.3)"


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.nan, np.inf])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="threshold must be"):
        BinaryThreshold(wrong)


def test_another_number_of_classes_is_refused():
    with pytest.raises(InvalidInputError, match="BinaryThreshold is for 2 classes, got probabilities of 3"):
        BinaryThreshold(0.3).decide([[0.2, 0.3, 0.5]], probabilities=True)
