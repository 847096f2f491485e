"""Other names raise an error that gives ours; what an earlier version saved is read."""

import subprocess
import sys

import numpy as np
import pytest

import softmaxlib
from softmaxlib import Policy, calibration, decisions, metrics, report
from softmaxlib._renamed import NEW_NAMES

LOGITS, LABELS = np.array([[2.0, 0.0], [0.0, 3.0]]), [0, 1]
P = softmaxlib.softmax(LOGITS)


def of_shells():
    import softmaxlib.jax
    import softmaxlib.torch

    yield softmaxlib.torch.cross_entropy, (), "weight"
    yield softmaxlib.torch.CrossEntropyLoss, (), "weight"
    yield softmaxlib.jax.cross_entropy, (LOGITS, LABELS), "weight"


CALLS = [
    *(
        (getattr(metrics, name), (P, LABELS), "from_probabilities")
        for name in metrics.__all__
        if name[0].islower()
    ),
    (metrics.calibration_error, (P, LABELS), "bins"),
    (metrics.reliability_curve, (P, LABELS), "bins"),
    (metrics.calibration_test, (P, LABELS), "bins"),
    (metrics.calibration_test, (P, LABELS), "seed"),
    (metrics.smooth_calibration_test, (P, LABELS), "seed"),
    (metrics.bootstrap_interval, (metrics.accuracy, P, LABELS), "seed"),
    (softmaxlib.evaluate, (P, LABELS), "from_probabilities"),
    (softmaxlib.evaluate, (P, LABELS), "seed"),
    (softmaxlib.cross_entropy, (LOGITS, LABELS), "weight"),
    (softmaxlib.cross_entropy_grad, (LOGITS, LABELS), "weight"),
    (calibration.Auto, (), "folds"),
    (calibration.Auto, (), "seed"),
    (calibration.HistogramBinning, (), "bins"),
    (decisions.PredictionSets, (), "seed"),
    (Policy(calibration.Identity(), decisions.MostLikely()).fit, (LOGITS, LABELS), "seed"),
    *of_shells(),
]


@pytest.mark.parametrize(("call", "arguments", "old"), CALLS, ids=lambda one: getattr(one, "__name__", None))
def test_an_old_keyword_names_the_new_one(call, arguments, old):
    with pytest.raises(TypeError, match=rf"\(\) takes {NEW_NAMES[old]}=\.\.\. instead of {old}=\.\.\.$"):
        call(*arguments, **{old: 1})


@pytest.mark.parametrize(
    ("call", "arguments", "other", "name"),
    [
        (softmaxlib.softmax, (LOGITS,), "dim", "axis"),
        (softmaxlib.softmax, (LOGITS,), "mask", "where"),
        (softmaxlib.log_softmax, (LOGITS,), "T", "temperature"),
        (softmaxlib.gumbel_softmax, (LOGITS,), "tau", "temperature"),
        (softmaxlib.logsumexp, (LOGITS,), "keepdim", "keepdims"),
        (softmaxlib.entmax, (LOGITS,), "dim", "axis"),
        (softmaxlib.cross_entropy, (LOGITS, LABELS), "smoothing", "label_smoothing"),
        (softmaxlib.cross_entropy_grad, (LOGITS, LABELS), "gamma", "focal_gamma"),
        (metrics.accuracy, (P, LABELS), "sample_weights", "sample_weight"),
        (decisions.MinimumCost, (), "costs", "cost"),
    ],
)
def test_a_keyword_of_another_library_names_ours(call, arguments, other, name):
    with pytest.raises(TypeError, match=rf"\(\) takes {name}=\.\.\. instead of {other}=\.\.\.$"):
        call(*arguments, **{other: 1})


def test_a_package_is_imported_when_it_is_used():
    code = """
import sys, softmaxlib
assert "softmaxlib.sampling" not in sys.modules and "torch" not in sys.modules
assert callable(softmaxlib.sampling.sample) and "softmaxlib.sampling" in sys.modules
assert not hasattr(softmaxlib, "softmx")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("method", ["fit", "decide", "audit", "transform", "predict_proba"])
def test_probabilities_are_a_flag(method):
    policy = Policy(calibration.Identity(), decisions.MostLikely())
    with pytest.raises(TypeError, match="pass the array of probabilities as the first argument, with prob"):
        getattr(policy, method)(probabilities=P)


def test_so_they_are_for_rules():
    rule = decisions.MostLikely()
    for call in (rule.fit, rule.decide):
        with pytest.raises(TypeError, match=r"Rule\.(fit|decide)\(\) takes probabilities=True or False"):
            call(probabilities=P)


def test_a_rule_takes_logits_too():
    for rule in (decisions.MinimumCost([[0, 1], [9, 0]]), decisions.TopK(1)):  # with and without a criterion
        of_logits, of_probabilities = rule.decide(LOGITS), rule.decide(P, probabilities=True)
        for one, other in zip(of_logits, of_probabilities, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_unknown_keyword_is_python_s_own_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        metrics.accuracy(LOGITS, LABELS, colour=1)


@pytest.mark.parametrize("old", ["from_logits", "from_probabilities"])
def test_displays_name_the_new_method(old):
    with pytest.raises(AttributeError, match=r"CalibrationDisplay has .* call from_predictions\("):
        getattr(report.CalibrationDisplay, old)


def test_earlier_files_have_the_earlier_names():
    logits, labels = LOGITS.repeat(9, axis=0), np.repeat(LABELS, 9)
    state = calibration.HistogramBinning(n_bins=2).fit(logits, labels).to_dict()
    earlier = {"bins" if name == "n_bins" else name: value for name, value in state.items()}
    assert calibration.Calibration.from_dict(earlier).to_dict() == state
    with pytest.raises(softmaxlib.errors.FileFormatError, match="unknown field 'bins'"):
        calibration.Calibration.from_dict({**state, "bins": 2})
