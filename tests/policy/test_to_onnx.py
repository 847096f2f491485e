"""A policy as an ONNX model against the policy itself: every calibration, every rule."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from softmaxlib import Policy
from softmaxlib import calibration as calibrations
from softmaxlib.calibration import Auto, Calibration, HistogramBinning, Identity, TemperatureScaling
from softmaxlib.decisions import (
    BinaryThreshold,
    MinimumCost,
    MostLikely,
    PredictionSets,
    Rule,
    SelectiveRisk,
    Threshold,
    TopK,
    TunedThreshold,
)
from softmaxlib.decisions._conformal_scores import row_uniform
from softmaxlib.errors import FileFormatError, InvalidInputError, NotFittedError, UnsupportedTypeError

CLASSES = 4
KINDS = [getattr(calibrations, name) for name in calibrations.__all__ if name != "Calibration"]
CALIBRATIONS = [*(kind() for kind in KINDS if kind is not Auto), HistogramBinning(5, "top_label")]
THREE_ACTIONS = [[0, 1, 0.3], [5, 0, 0.4], [1, 1, -0.5], [2, 0.1, 1]]
RULES = [
    MostLikely(),
    TopK(2),
    Threshold([0.5, 0.6, 0.7, 0.8]),
    Threshold(0.7),
    SelectiveRisk(0.2),
    MinimumCost(1 - np.eye(CLASSES), abstain_cost=0.2),
    MinimumCost(THREE_ACTIONS, action_names=["wait", "test", "treat"]),
    PredictionSets("lac"),
    PredictionSets("lac", groups="class"),
    PredictionSets("lac", groups="rows"),
    PredictionSets("aps", groups=[0, 0, 1, 1]),
    PredictionSets("aps", include_last=False, allow_empty=False),
    PredictionSets("aps", randomized=True, groups="rows"),
    PredictionSets("raps", 0.05, penalty_rank=1),
    PredictionSets("raps", 0.05, penalty_rank=1, randomized=True, random_state=7),
    PredictionSets("saps", penalty=0.1),
]
# how far the probabilities may be apart: one unit in the last place of float32, rounding in float64
BOUNDS = {"float32": 2.0**-23, "float64": 1e-13}


def made(rows, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=rows)
    logits = 8 * np.eye(CLASSES)[labels] + 6 * rng.normal(size=(rows, CLASSES))
    return logits.astype(np.float32), labels


FIT, LABELS = made(2000, 0)
# new rows, and those of the fit, on the very edges of bins and on the corners of curves
ROWS = np.concatenate([made(8000, 1)[0], FIT])
GROUPS = np.array(["north", "south", "7"])


def groups_of(rows):
    return GROUPS[np.arange(rows) % len(GROUPS)]


@pytest.fixture(scope="module")
def record():
    return Policy(Identity(), MostLikely()).fit(FIT, LABELS).record_


@pytest.fixture(scope="module", params=CALIBRATIONS, ids=str)
def calibration(request):
    return request.param.fit(FIT, LABELS)


@pytest.fixture(scope="module")
def tempered():
    return TemperatureScaling().fit(FIT, LABELS)


def policy_of(calibration, rule, record, **more):
    """A policy of a fitted calibration, with the rule fitted behind it: what `fit` does, but faster."""
    groups = {"groups": groups_of(len(FIT))} if rule.takes_groups else {}
    rule.fit(calibration.predict_proba(FIT), LABELS, **groups, probabilities=True)
    policy = Policy(calibration, rule)
    policy.record_, policy.class_names_ = record, ("cat", "dog", "bird", "fox")
    policy._input, policy._floor = "logits", None
    vars(policy).update(more)
    return policy


def exported(policy, path, **options):
    """Write the model, and run it on what it takes."""
    policy.to_onnx(path, **options)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda **given: dict(zip(names, session.run(None, given), strict=True))


def further_inputs(rule, rows):
    """Return the model's inputs beside the logits that do not depend on the probabilities."""
    inputs = {}
    if rule.takes_groups:
        inputs["group"] = groups_of(rows).astype(object)
    if getattr(rule, "randomized", False):
        inputs["uniform"] = np.zeros(rows)
    return inputs


def assert_same_decisions(policy, run, rows, bound):
    """The probabilities are the policy's within `bound`, and the decision is the policy's.

    It may be what the rule makes of the model's own probabilities, where their last digit decides. One row in
    a thousand may miss a threshold by rounding in both, and reach it in the model.
    """
    inputs = further_inputs(policy.rule, len(rows))
    found = run(**{policy.input: rows}, **inputs)
    probabilities = found["calibrated_probabilities"]
    own = policy.predict_proba(rows, probabilities=policy.input == "probabilities")
    assert probabilities.dtype == own.dtype
    np.testing.assert_allclose(probabilities, own, rtol=bound, atol=1e-44)
    if "uniform" in inputs:  # which the policy makes of the very bits of the probabilities
        inputs["uniform"] = row_uniform(probabilities.astype(np.float64), policy.rule.random_state)[:, 0]
        found = run(**{policy.input: rows}, **inputs)
        own = probabilities
    groups = {"groups": inputs["group"]} if "group" in inputs else {}
    decisions = [policy.rule.decide(one, **groups, probabilities=True) for one in (own, probabilities)]
    if "uniform" not in inputs:
        decisions[0] = policy.decide(rows, probabilities=policy.input == "probabilities", **groups)
    for name in ("action", "abstained", "sets", "expected_cost"):
        wanted = [getattr(decision, name) for decision in decisions]
        assert (name in found) == (wanted[0] is not None)
        if name == "expected_cost" and name in found:
            np.testing.assert_allclose(found[name], wanted[1], rtol=0, atol=1e-14)
        elif name in found:
            one_of_both = [(found[name] == one).reshape(len(rows), -1).all(axis=1) for one in wanted]
            assert (one_of_both[0] | one_of_both[1]).mean() >= 0.999
            assert name != "sets" or not (wanted[0] & wanted[1] & ~found[name]).any()
    np.testing.assert_array_equal(found["confidence"], decisions[1].confidence)
    np.testing.assert_array_equal(found["most_likely"], probabilities.argmax(axis=1))


@pytest.mark.sweep
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule}-{getattr(rule, 'groups', '')}")
def test_every_rule_behind_every_calibration_decides_the_same(calibration, rule, record, tmp_path):
    policy = policy_of(calibration, rule, record)
    assert_same_decisions(policy, exported(policy, tmp_path / "a.onnx"), ROWS, BOUNDS["float32"])


@pytest.mark.parametrize("dtype", BOUNDS)
def test_every_calibration(calibration, dtype, record, tmp_path):
    policy = policy_of(calibration, MinimumCost(THREE_ACTIONS, 0.1), record)
    run = exported(policy, tmp_path / "a.onnx", dtype=dtype)
    assert_same_decisions(policy, run, ROWS.astype(dtype), BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule}-{getattr(rule, 'groups', '')}")
def test_every_rule(tempered, rule, dtype, record, tmp_path):
    policy = policy_of(tempered, rule, record)
    run = exported(policy, tmp_path / "a.onnx", dtype=dtype)
    assert_same_decisions(policy, run, ROWS.astype(dtype), BOUNDS[dtype])


BINNED = [kind() for kind in KINDS if kind.__name__ in ("HistogramBinning", "IsotonicScaling", "VennAbers")]


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("kind", [*BINNED, TemperatureScaling()], ids=str)
def test_rows_tied_with_a_threshold_are_decided_as_by_the_policy(kind, dtype, tmp_path):
    """Many rows have the very probability that a threshold was fitted to."""
    rows = made(2000, 2)[0].round().astype(dtype)
    for rule in (PredictionSets("lac", groups="class"), PredictionSets("aps", include_last=False)):
        policy = Policy(kind, rule).fit(FIT.round().astype(dtype), LABELS)
        sets = exported(policy, tmp_path / "a.onnx", dtype=dtype)(logits=rows)["sets"]
        own = policy.decide(rows).sets
        assert not (own & ~sets).any()  # no class is lost, so that the sets keep their promise
        assert (sets & ~own).mean() < 0.001
    policy = Policy(kind, SelectiveRisk(0.5)).fit(FIT.round().astype(dtype), LABELS)
    policy.rule.threshold_ = float(np.median(policy.predict_proba(rows).max(axis=1)))
    found = exported(policy, tmp_path / "a.onnx", dtype=dtype)(logits=rows)
    np.testing.assert_array_equal(found["action"], policy.decide(rows).action)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(
    "calibration", [*BINNED, HistogramBinning(15, "top_label"), calibrations.VennAbers(cv=5)], ids=str
)
def test_equal_log_odds_have_the_probabilities_of_the_policy(calibration, classes, dtype, tmp_path):
    """Many rows have the same log-odds but for rounding, which must not put them into different bins."""
    generator = np.random.default_rng(0)
    fitted, rows = (np.round(2 * generator.normal(size=(size, classes)), 1) for size in (2000, 5000))
    labels = (fitted + 2 * generator.gumbel(size=fitted.shape)).argmax(axis=1)
    policy = Policy(calibration, PredictionSets("lac", 0.1)).fit(fitted, labels)
    run = exported(policy, tmp_path / "a.onnx", dtype=dtype)
    for given in (fitted, rows, np.round(rows), rows + 4):
        given = given.astype(dtype)
        found = run(logits=given)
        own = policy.predict_proba(given)
        np.testing.assert_allclose(found["calibrated_probabilities"], own, rtol=BOUNDS[dtype])
        np.testing.assert_array_equal(found["sets"], policy.decide(given).sets)


def test_what_auto_chose_is_what_is_exported(record, tmp_path):
    auto = Auto(cv=2).fit(FIT, LABELS)
    policy = policy_of(auto, Threshold(0.7), record)
    assert_same_decisions(policy, exported(policy, tmp_path / "a.onnx"), ROWS, BOUNDS["float32"])


def test_a_policy_on_probabilities_takes_probabilities(tmp_path):
    shares = np.random.default_rng(0).multinomial(100, [0.5, 0.3, 0.15, 0.05], 600) / 100
    labels = (np.random.default_rng(1).random((600, 1)) > shares.cumsum(axis=1)).sum(axis=1) % CLASSES
    with pytest.warns(UserWarning, match="exactly 0"):
        policy = Policy(TemperatureScaling(), Threshold(0.3)).fit(shares, labels, probabilities=True)
    for dtype in ("float32", "float64"):
        run = exported(policy, tmp_path / "a.onnx", dtype=dtype)
        assert_same_decisions(policy, run, shares.astype(dtype), BOUNDS["float64"])
    wrong = np.array([[0.5, 0.5, 0.5, 0.5], [1.5, -0.5, 0, 0], [np.nan, 1, 0, 0], [1, 0, 0, 0]])
    found = run(probabilities=wrong)
    assert found["abstained"].tolist() == [True, True, True, False]
    assert np.isnan(found["calibrated_probabilities"]).all(axis=1).tolist() == [True, True, True, False]


def test_logits_of_any_size_are_right(calibration, record, tmp_path):
    """Also where dividing by the temperature overflows."""
    sure = [[0, -20, -90, 0.5], [1e4, -1e4, 0, 0], [1, 1, 1, 1], [-1e30, 0, 3e38, -3e38], [-1e38, 0, 1e38, 0]]
    rows = np.array(sure, np.float32)
    policy = policy_of(calibration, MostLikely(), record)
    assert_same_decisions(policy, exported(policy, tmp_path / "a.onnx"), rows, BOUNDS["float32"])
    cold = TemperatureScaling().fit(FIT, LABELS)
    for cold.temperature_ in (1e-10, 1e-300, 1e300):
        policy = policy_of(cold, MostLikely(), record)
        run = exported(policy, tmp_path / "a.onnx")
        for row in rows:  # alone: what a division by the temperature overflows to is no other row's business
            assert_same_decisions(policy, run, row[None], BOUNDS["float32"])


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_what_decide_refuses_is_set_aside(tempered, rule, record, tmp_path):
    policy = policy_of(tempered, rule, record)
    run = exported(policy, tmp_path / "a.onnx")
    good, wrong = [4.0, 1, 0, -2], [[np.nan, 0, 1, 2], [np.inf, 0, 1, 2], [0, 1, -np.inf, 2], [np.nan] * 4]
    rows = np.array([good, *wrong, good], np.float32)
    inputs = further_inputs(rule, len(rows))
    found = run(logits=rows, **inputs)
    alone = run(logits=rows[[0, 5]], **{name: value[[0, 5]] for name, value in inputs.items()})
    for name, values in found.items():
        np.testing.assert_array_equal(values[[0, 5]], alone[name])
    for name in ("calibrated_probabilities", "confidence", "expected_cost"):
        assert name not in found or np.isnan(found[name][1:5]).all()
    assert found["abstained"][1:5].all()
    assert (found["action"][1:5] == -1).all()
    assert (found["most_likely"][1:5] == -1).all()
    assert "sets" not in found or found["sets"][1:5].all()


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_no_row_and_one_row(tempered, rule, record, tmp_path):
    policy = policy_of(tempered, rule, record)
    run = exported(policy, tmp_path / "a.onnx")
    whole = run(logits=ROWS[:9], **further_inputs(rule, 9))
    for some in (slice(0, 0), slice(4, 5)):
        inputs = {name: value[some] for name, value in further_inputs(rule, 9).items()}
        found = run(logits=ROWS[:9][some], **inputs)
        for name, values in whole.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values[some])


@pytest.mark.parametrize("rule", [TunedThreshold("f1_score"), BinaryThreshold(0.3)])
def test_a_threshold_of_two_classes(tmp_path, rule):
    labels = (LABELS > 1).astype(int)
    policy = Policy(TemperatureScaling(), rule).fit(FIT[:, 1:3], labels)
    for dtype in BOUNDS:
        run = exported(policy, tmp_path / "a.onnx", dtype=dtype)
        assert_same_decisions(policy, run, ROWS[:, 1:3].astype(dtype), BOUNDS[dtype])
    name = "threshold_" if rule.learns else "threshold"
    setattr(
        policy.rule, name, float(policy.predict_proba(ROWS[:1, 1:3])[0, 1])
    )  # a row at the very threshold
    assert policy.decide(ROWS[:1, 1:3]).action.tolist() == [1]
    assert_same_decisions(policy, exported(policy, tmp_path / "a.onnx"), ROWS[:9, 1:3], BOUNDS["float32"])


@pytest.mark.parametrize("rule", [Threshold(0.5), SelectiveRisk(0.2)])
def test_a_row_at_exactly_the_threshold_is_decided(tmp_path, rule):
    policy = Policy(Identity(), rule).fit(FIT, LABELS)
    if isinstance(rule, SelectiveRisk):
        policy.rule.threshold_ = 0.5  # on the grid of thresholds too
    rows = np.array([[3, 3, -1000, -1000], [3, np.nextafter(np.float32(3), 4), -1000, -1000]], np.float32)
    rows = np.append(rows, [[1, 1, 1, 1]], axis=0).astype(np.float32)
    expected = policy.decide(rows).action
    assert expected.tolist() == [0, 1, -1]
    np.testing.assert_array_equal(exported(policy, tmp_path / "m.onnx")(logits=rows)["action"], expected)


def test_groups_by_name_and_by_number(tempered, record, tmp_path):
    policy = policy_of(tempered, PredictionSets("aps", groups="rows"), record)
    by_name = exported(policy, tmp_path / "a.onnx")
    by_number = exported(policy, tmp_path / "b.onnx", groups="numbers")
    names = policy.rule.group_names_
    group = groups_of(len(ROWS)).astype(object)
    numbers = np.array([names.index(name) for name in group])
    one, other = by_name(logits=ROWS, group=group), by_number(logits=ROWS, group=numbers)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    for run, unknown in ((by_name, ["west", "", "07"]), (by_number, [3, -1, 2**40])):
        found = run(logits=ROWS[:3], group=np.array(unknown))
        assert found["sets"].all()
        assert found["abstained"].all()
        np.testing.assert_array_equal(found["calibrated_probabilities"], one["calibrated_probabilities"][:3])


def test_a_number_that_is_not_drawn_from_0_to_1_rules_nothing_out(tempered, record, tmp_path):
    policy = policy_of(tempered, PredictionSets("aps", randomized=True), record)
    run = exported(policy, tmp_path / "a.onnx")
    found = run(logits=ROWS[:4], uniform=np.array([np.nan, -0.1, 1.1, 0.5]))
    assert found["sets"].all(axis=1).tolist() == [True, True, True, False]


def test_the_model_says_what_it_is(tempered, record, tmp_path):
    rule = MinimumCost(THREE_ACTIONS, action_names=["wait", 'te"st', "tréat"])
    policy = policy_of(tempered, rule, record)
    policy.to_onnx(tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["class_names"]) == ["cat", "dog", "bird", "fox"]
    assert json.loads(said["action_names"]) == ["wait", 'te"st', "tréat"]
    assert json.loads(said["record"]) == json.loads(json.dumps(record.to_dict()))
    assert said["calibration"] == "TemperatureScaling()"
    assert model.producer_name == "softmaxlib"
    assert (model.ir_version, [(one.domain, one.version) for one in model.opset_import]) == (
        8,
        [("", 17), ("ai.onnx.ml", 2)],
    )
    used = {name for node in model.graph.node for name in node.input}
    assert {constant.name for constant in model.graph.initializer} <= used
    policy = policy_of(tempered, PredictionSets(groups="rows"), record)
    policy.to_onnx(tmp_path / "b.onnx")
    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "b.onnx").metadata_props}
    assert json.loads(said["group_names"]) == ["7", "north", "south"]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_rule_means_the_same_by_the_standard(tempered, rule, record, tmp_path):
    assert_reference_agrees(policy_of(tempered, rule, record), tmp_path)


def test_every_calibration_means_the_same_by_the_standard(calibration, record, tmp_path):
    assert_reference_agrees(policy_of(calibration, MostLikely(), record), tmp_path)


def assert_reference_agrees(policy, tmp_path):
    """Check that the reference implementation of ONNX gives the same as ONNX Runtime."""
    from onnx.reference import ReferenceEvaluator

    run = exported(policy, tmp_path / "a.onnx", dtype="float64", groups="numbers")
    reference = ReferenceEvaluator(str(tmp_path / "a.onnx"))
    inputs = {"logits": ROWS[:20].astype(np.float64), **further_inputs(policy.rule, 20)}
    if "group" in inputs:
        inputs["group"] = np.arange(20) % 3
    found = run(**inputs)
    for name, values in zip(reference.output_names, reference.run(None, inputs), strict=True):
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, found[name], rtol=1e-12, atol=1e-300)
        else:
            np.testing.assert_array_equal(values, found[name])


class Backwards(TemperatureScaling):
    """A calibration of one's own, on one that exports."""

    def _transform(self, logits):
        return super()._transform(logits)[:, ::-1]


class Doubling(Calibration):
    """One that exports itself."""

    def _fit(self, logits, labels, weights):
        pass

    def _transform(self, logits):
        return 2 * logits

    def _export(self, logits):
        return logits * 2.0


class Last(Rule):
    """A rule of one's own, without `_export`."""

    def _decide(self, probabilities, groups):
        raise AssertionError


class StubbornSets(PredictionSets):
    """A rule whose decision is no longer what its base exports."""

    def decide(self, probabilities, groups=None):
        return super().decide(probabilities, groups, probabilities=True)


def test_what_is_ones_own_is_exported_by_its_own_method_or_not_at_all(record, tmp_path, tempered):
    run = exported(policy_of(Doubling().fit(FIT, LABELS), MostLikely(), record), tmp_path / "a.onnx")
    found = run(logits=np.array([[1.0, 0, 0, 0]], np.float32))["calibrated_probabilities"]
    np.testing.assert_allclose(found[0, 0] / found[0, 1], np.exp(2), rtol=1e-6)
    for calibration, rule, message in (
        (
            Backwards().fit(FIT, LABELS),
            MostLikely(),
            "Backwards can't be exported: it defines _transform and",
        ),
        (tempered, Last(), "Last can't be exported: it defines _decide and no _export"),
        (tempered, StubbornSets(), "StubbornSets can't be exported: it defines decide and no _export, which"),
    ):
        with pytest.raises(UnsupportedTypeError, match=f"{message}.*; define _export beside it"):
            policy_of(calibration, rule, record).to_onnx(tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


def test_errors_say_what_to_do(tempered, record, tmp_path, monkeypatch):
    policy = policy_of(tempered, MostLikely(), record)
    with pytest.raises(NotFittedError, match="not fitted; call fit"):
        Policy(TemperatureScaling(), MostLikely()).to_onnx(tmp_path / "a.onnx")
    with pytest.raises(InvalidInputError, match="dtype must be one of float32, float64; got 'float16'"):
        policy.to_onnx(tmp_path / "a.onnx", dtype="float16")
    with pytest.raises(InvalidInputError, match="groups must be one of names, numbers; got 'text'"):
        policy.to_onnx(tmp_path / "a.onnx", groups="text")
    with pytest.raises(FileFormatError, match=r"the folder .* does not exist; create it first"):
        policy.to_onnx(tmp_path / "none" / "a.onnx")
    monkeypatch.setattr("softmaxlib._graph.onnx_model._LARGEST", 4)
    with pytest.raises(InvalidInputError, match=r"an ONNX file holds at most 2 GiB, and what was fitted"):
        policy.to_onnx(tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"install it with: pip install 'softmaxlib\[onnx\]'"):
        policy.to_onnx(tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
