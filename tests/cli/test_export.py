"""`softmaxlib export`: a policy file to an ONNX model."""

import sys

import numpy as np
import onnxruntime
import pytest

from softmaxlib import MultilabelPolicy, Policy
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import BinaryThreshold, MinimumCost, MostLikely, PredictionSets


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    return 3 * np.eye(3)[labels] + 2 * rng.normal(size=(300, 3)), labels


def test_the_model_decides_as_the_policy(softmaxlib, rows, tmp_path):
    policy = Policy(TemperatureScaling(), MinimumCost(1 - np.eye(3), 0.3)).fit(*rows)
    policy.save(tmp_path / "policy.json")
    outcome = softmaxlib("export", "policy.json", "-o", "policy.onnx", "--dtype", "float64")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "a model that takes logits of 3 classes in float64, written to policy.onnx\n"
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(
        session.run(["action"], {"logits": rows[0]})[0], policy.decide(rows[0]).action
    )
    outcome = softmaxlib("export", "policy.json", "-o", "policy.onnx", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_groups_by_number(softmaxlib, rows, tmp_path):
    rule = PredictionSets(alpha=0.2, groups="rows")
    policy = Policy(Identity(), rule).fit(*rows, groups=np.arange(300) % 2)
    policy.save(tmp_path / "policy.json")
    assert softmaxlib("export", "policy.json", "-o", "policy.onnx", "--groups", "numbers").code == 0
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    assert [(one.name, one.type) for one in session.get_inputs()] == [
        ("logits", "tensor(float)"),
        ("group", "tensor(int64)"),
    ]


def test_what_goes_wrong_is_one_line_and_leaves_no_file(softmaxlib, rows, tmp_path, monkeypatch):
    Policy(Identity(), MostLikely()).fit(*rows).save(tmp_path / "policy.json")
    export = ("export", "policy.json", "-o")
    softmaxlib(*export, "policy.pb").assert_failed(
        "--output must end in .onnx, got policy.pb; name it policy.onnx"
    )
    softmaxlib(*export, "policy.json").assert_failed("--output would overwrite the policy")
    softmaxlib(*export, "none/policy.onnx").assert_failed("does not exist; create it first")
    softmaxlib(*export, "a.onnx", "--dtype", "half").assert_failed(
        "dtype must be one of float32, float64; got 'half'"
    )
    softmaxlib("export", "none.json", "-o", "a.onnx").assert_failed("none.json")
    softmaxlib(*export, "a.onnx", "--groups", "numbers").assert_failed(
        "--groups is for a policy that was fitted with it, and policy.json decides by MostLikely(); leave"
    )
    monkeypatch.setitem(sys.modules, "onnx", None)
    softmaxlib(*export, "a.onnx").assert_failed("this command needs onnx", "pip install 'softmaxlib[onnx]'")
    assert [path.name for path in tmp_path.iterdir()] == ["policy.json"]


def test_the_policy_of_a_multi_label_model_is_refused(softmaxlib, rows, tmp_path):
    truth = np.eye(3)[rows[1]]
    MultilabelPolicy(Identity(), BinaryThreshold(0.5)).fit(rows[0], truth).save(tmp_path / "many.json")
    outcome = softmaxlib("export", "many.json", "-o", "a.onnx")
    outcome.assert_failed("many.json must be the policy of one class per row", "softmaxlib decide")
    assert "load" not in outcome.err


def test_help_is_plain(softmaxlib):
    outcome = softmaxlib("export", "--help")
    assert outcome.code == 0
    assert "Write a fitted policy as an ONNX model" in outcome.out
