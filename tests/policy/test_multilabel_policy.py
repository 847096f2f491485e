"""Policies of multi-label models: each label as a policy of two classes would have it, and all together."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from jsonschema import Draft202012Validator
from scipy.special import expit

from softmaxlib import MultilabelPolicy, Policy
from softmaxlib.calibration import (
    BetaCalibration,
    Identity,
    IsotonicScaling,
    TemperatureScaling,
    VectorScaling,
    VennAbers,
)
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets, Threshold, TunedThreshold
from softmaxlib.errors import FileFormatError, InvalidInputError, NotFittedError, UnsupportedTypeError
from softmaxlib.metrics.holm import holm_adjusted
from softmaxlib.policy.schema import policy_schema

NAMES = ["cat", "dog", "ill"]
COSTS = MinimumCost.binary(false_positive=1, false_negative=9)
PARTS = (
    {"cat": TemperatureScaling(), "dog": VectorScaling(), "ill": BetaCalibration()},
    {"cat": Threshold(0.8), "dog": TunedThreshold("f1_score"), "ill": COSTS},
)


def made(rows: int, seed: int = 0, sharpness: float = 1.7) -> tuple[np.ndarray, np.ndarray]:
    """Logits of three labels that depend on each other, too sure of themselves."""
    generator = np.random.default_rng(seed)
    truth = generator.normal([0, -1, -2], 1.5, size=(rows, 3)) + generator.normal(size=(rows, 1))
    return sharpness * truth, generator.random(truth.shape) < expit(truth)


LOGITS, LABELS = made(1500)
NEW, NEW_LABELS = made(400, seed=1)
HOLES = np.where(np.random.default_rng(2).random(LABELS.shape) < 0.2, np.nan, LABELS)


@pytest.fixture(scope="module")
def policy() -> MultilabelPolicy:
    return MultilabelPolicy(*PARTS).fit(LOGITS, HOLES, class_names=NAMES)


def test_known_rows_of_weight_0_show_no_label() -> None:
    labels = LABELS.astype(float)
    weights = np.where(LABELS[:, 1], 1.0, 0.0)
    with pytest.raises(InvalidInputError, match="and every known row has 'dog'"):
        MultilabelPolicy(*PARTS).fit(LOGITS, labels, class_names=NAMES, sample_weight=weights)


def test_each_label_is_a_policy_of_two_classes_on_the_rows_where_it_is_known(policy) -> None:
    probability, decision = policy.predict_proba(NEW), policy.decide(NEW)
    for k, name in enumerate(NAMES):
        known = ~np.isnan(HOLES[:, k])
        alone = Policy(PARTS[0][name], PARTS[1][name]).fit(
            LOGITS[known, k], HOLES[known, k].astype(int), class_names=[f"not {name}", name]
        )
        expected = alone.decide(NEW[:, k])
        np.testing.assert_array_equal(probability[:, k], alone.predict_proba(NEW[:, k])[:, 1])
        np.testing.assert_array_equal(decision.action[:, k], expected.action)
        np.testing.assert_array_equal(decision.abstained[:, k], expected.abstained)
        assert policy.policies_[name].record_.after == alone.record_.after
    np.testing.assert_array_equal(decision.probability, probability)
    assert decision.expected_cost is None
    assert (decision.action == -1).any()


def test_labels_are_named_and_what_is_set_aside_is_not_among_them(policy) -> None:
    decision = policy.decide(NEW)
    for row, names in enumerate(decision.labels):
        assert names == tuple(np.array(NAMES)[decision.action[row] == 1])
    np.testing.assert_array_equal(decision.abstained, decision.action == -1)


def test_costs_of_every_label() -> None:
    one = MultilabelPolicy(Identity(), COSTS).fit(LOGITS, LABELS, class_names=NAMES)
    decision = one.decide(NEW)
    positive = decision.probability
    assert decision.expected_cost is not None
    np.testing.assert_allclose(decision.expected_cost, np.minimum(9 * positive, 1 - positive), rtol=1e-12)
    np.testing.assert_array_equal(decision.action, positive > 0.1)


def test_weights_are_repeated_rows() -> None:
    weights = np.random.default_rng(0).integers(0, 3, len(LOGITS))
    weighted = MultilabelPolicy(VectorScaling(), COSTS).fit(LOGITS, HOLES, sample_weight=weights)
    repeated = MultilabelPolicy(VectorScaling(), COSTS).fit(
        np.repeat(LOGITS, weights, axis=0), np.repeat(HOLES, weights, axis=0)
    )
    np.testing.assert_allclose(weighted.predict_proba(NEW), repeated.predict_proba(NEW), rtol=1e-3, atol=1e-3)


def test_probabilities_and_frames_and_tensors(policy) -> None:
    frame = pandas.DataFrame(NEW, columns=[f"logit_{name}" for name in NAMES])
    decision = policy.decide(NEW)
    assert policy.decide(frame).labels.tolist() == decision.labels.tolist()
    of_tensor = policy.decide(torch.from_numpy(NEW))
    assert isinstance(of_tensor.action, torch.Tensor)
    np.testing.assert_array_equal(of_tensor.action.numpy(), decision.action)
    of_frame = pandas.DataFrame(LOGITS, columns=NAMES)
    by_names = MultilabelPolicy(Identity(), MostLikely()).fit(
        of_frame, [[name for name, there in zip(NAMES, row, strict=True) if there] for row in LABELS]
    )
    assert by_names.class_names_ == tuple(NAMES)
    given = MultilabelPolicy(TemperatureScaling(), MostLikely())
    given.fit(expit(LOGITS), LABELS, probabilities=True, class_names=NAMES)
    assert given.input == "probabilities"
    np.testing.assert_array_equal(given.decide(expit(NEW), probabilities=True).action, (NEW > 0).astype(int))
    with pytest.raises(InvalidInputError, match="the policy was fitted on probabilities, and logits"):
        given.decide(NEW)
    with pytest.raises(InvalidInputError, match="columns must be in the order of the classes"):
        policy.decide(pandas.DataFrame(NEW, columns=NAMES[::-1]))


def test_certainty_is_counted_once(recwarn) -> None:
    certain = expit(LOGITS)
    certain[0], certain[1] = 0, 1
    with pytest.warns(UserWarning, match="3 probabilities are exactly 0 and 3 exactly 1") as said:
        MultilabelPolicy(Identity(), MostLikely()).fit(certain, LABELS, probabilities=True)
    assert len(said) == 1


def test_a_file_is_read_back_to_the_bit_and_is_of_the_published_schema(policy, tmp_path) -> None:
    path = tmp_path / "policy.json"
    policy.save(path)
    loaded = MultilabelPolicy.load(path)
    for one, other in zip(policy.decide(NEW), loaded.decide(NEW), strict=True):
        if one is not None:
            np.testing.assert_array_equal(one, other)
    assert loaded.fingerprint == policy.fingerprint
    loaded.save(tmp_path / "again.json")
    assert path.read_bytes() == (tmp_path / "again.json").read_bytes()
    Draft202012Validator(policy_schema()).validate(json.loads(path.read_text()))
    assert loaded.class_names_ == tuple(NAMES)
    assert loaded.audit(NEW, NEW_LABELS) == policy.audit(NEW, NEW_LABELS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda content: content.update(class_names=["cat", "dog"]),
            "policies must be a list with one for each",
        ),
        (lambda content: content.update(class_names=[1, 2, 3]), "class_names must be a list of texts"),
        (lambda content: content.update(class_names=["dog", "cat", "ill"]), "the policy of 'dog' must be of"),
        (lambda content: content.update(extra=1), "extra"),
        (lambda content: content["policies"].pop(), "policies must be a list with one for each"),
        (lambda content: content["policies"][1].pop("rule"), "rule"),
        (lambda content: content.update({"class": "Else"}), "class must be one of MultilabelPolicy"),
    ],
)
def test_a_damaged_file_is_refused(policy, tmp_path: Path, damage, message) -> None:
    path = tmp_path / "policy.json"
    policy.save(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=message):
        MultilabelPolicy.load(path)


def test_the_file_of_the_other_kind_is_named(policy, tmp_path) -> None:
    policy.save(tmp_path / "many.json")
    policy.policies_["cat"].save(tmp_path / "one.json")
    with pytest.raises(
        FileFormatError,
        match=r"many.json holds the policy of a multi-label .* MultilabelPolicy.load reads it",
    ):
        Policy.load(tmp_path / "many.json")
    with pytest.raises(
        FileFormatError, match=r"one.json holds the policy of one class per row, .* Policy.load reads it"
    ):
        MultilabelPolicy.load(tmp_path / "one.json")


class TestAudit:
    def test_all_promises_are_adjusted_together(self, policy) -> None:
        audit = policy.audit(*made(600, seed=3, sharpness=4.0))
        p_values = np.array([check.p_value for one in audit.audits.values() for check in one.checks])
        holds = [check.holds for one in audit.audits.values() for check in one.checks]
        assert holds == (holm_adjusted(p_values) > 0.05).tolist()
        assert not audit.holds
        assert set(audit.broken) == {name for name, one in audit.audits.items() if not one.holds}
        assert list(audit.audits) == NAMES
        assert json.loads(json.dumps(audit.to_dict()))["audits"]["cat"]["rows"] == 600

    def test_what_is_not_known_is_left_out(self, policy) -> None:
        labels = NEW_LABELS.astype(float)
        labels[:, 1] = np.nan
        labels[:100, 0] = np.nan
        audit = policy.audit(NEW, labels)
        assert {name: one.rows for name, one in audit.audits.items()} == {"cat": 300, "ill": 400}

    def test_rows_of_weight_0_are_left_out_of_each_label(self, policy) -> None:
        labels, weights = NEW_LABELS.astype(float), np.arange(400) % 3.0
        labels[:50, 0] = np.nan
        labels[weights > 0, 2] = np.nan
        weighted = policy.audit(NEW, labels, sample_weight=weights)
        counts = weights > 0
        assert (
            weighted.audits == policy.audit(NEW[counts], labels[counts], sample_weight=weights[counts]).audits
        )
        assert {name: one.rows for name, one in weighted.audits.items()} == {"cat": 233, "dog": 266}

    def test_what_too_few_rows_can_tell_depends_on_the_number_of_labels(self, policy) -> None:
        found = []
        for rows in range(1, 6):
            audit = policy.audit(NEW[:rows], NEW_LABELS[:rows])
            for k, name in enumerate(NAMES):
                given = NEW[:rows, k], NEW_LABELS[:rows, k].astype(int)
                alone, all_of_it = (
                    policy.policies_[name].audit(*given, significance=level).untested
                    for level in (0.05 / 3, 0.05)
                )
                assert audit.audits[name].untested == alone
                assert audit.audits[name].significance == 0.05
                found.append(alone != all_of_it)
        assert any(found)

    def test_false_alarms_are_no_more_than_they_may_be(self) -> None:
        """Of 60 audits of a policy that holds, 5 % may raise an alarm: 9 or more would be one in 10,000."""
        one = MultilabelPolicy(Identity(), COSTS).fit(*made(800, seed=9, sharpness=1.0))
        alarms = sum(not one.audit(*made(200, seed=100 + seed, sharpness=1.0)).holds for seed in range(60))
        assert alarms < 9


@pytest.mark.parametrize(
    ("calibration", "rule", "labels", "message"),
    [
        (
            Identity(),
            PredictionSets(alpha=0.1),
            LABELS,
            "the rule of a label must take it, leave it, or abstain",
        ),
        (
            Identity(),
            MinimumCost([[0, 1, 2], [2, 1, 0]], action_names=["wait", "test", "treat"]),
            LABELS,
            "the rule of a label must take it",
        ),
        (
            Identity(),
            {"cat": MostLikely()},
            LABELS,
            "rule must have one for each label, cat, dog, ill; got those of cat",
        ),
        ({"a": Identity()}, MostLikely(), LABELS, "calibration must have one for each label"),
        (Identity(), MostLikely(), np.zeros((1500, 3)), "and no row has 'cat'; give more rows, or leave"),
        (Identity(), MostLikely(), np.ones((1500, 3)), "and every known row has 'cat'"),
        (
            Identity(),
            TunedThreshold("f1_score", at_least=("precision", 0.999)),
            LABELS,
            "label 'cat': ",
        ),
    ],
)
def test_what_is_refused(calibration, rule, labels, message) -> None:
    one = MultilabelPolicy(calibration, rule)
    with pytest.raises(InvalidInputError, match=message):
        one.fit(LOGITS, labels, class_names=NAMES)
    with pytest.raises(NotFittedError, match="this MultilabelPolicy is not fitted"):
        one.decide(NEW)


def test_what_is_no_rule() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"rule\['cat'\] must be a Rule, such as BinaryThreshold"):
        MultilabelPolicy(Identity(), {"cat": 0.5})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("calibration", [VennAbers(), IsotonicScaling()], ids=repr)
def test_every_calibration_of_two_classes_may_calibrate_a_label(calibration) -> None:
    one = MultilabelPolicy(calibration, MostLikely()).fit(LOGITS[:300], LABELS[:300])
    assert one.class_names_ == ("0", "1", "2")
    assert ((one.predict_proba(NEW) > 0) & (one.predict_proba(NEW) < 1)).all()
