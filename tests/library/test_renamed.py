"""Other names raise an error that gives ours; what an earlier version saved is read."""

import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest

import softmaxlib
from softmaxlib import Policy, calibration, decisions, metrics, report
from softmaxlib._renamed import NAMES_ELSEWHERE, NEW_NAMES

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


PACKAGES = [
    "softmaxlib",
    "softmaxlib.calibration",
    "softmaxlib.decisions",
    "softmaxlib.files",
    "softmaxlib.jax",
    "softmaxlib.keras",
    "softmaxlib.metrics",
    "softmaxlib.report",
    "softmaxlib.sampling",
    "softmaxlib.sklearn",
    "softmaxlib.torch",
    "softmaxlib.torch.parallel",
]
LEFT = {("Temperature", "T"), ("Temperature", "tau"), ("Rule.to_graph", "from_probabilities")}
# Of tensors: the check would take a fifth of a small call.
PLAIN = {"softmax", "log_softmax", "logsumexp"}
RESULTS = {"AtCost", "CostCurve", "CostTable", "CostThresholdCurve", "GroupFigures", "Outcomes", "RowResults"}


def public_callables(package):
    """The public functions, classes and methods of a package, with arguments to call them with."""
    module = importlib.import_module(package)
    for name in module.__all__:
        one = getattr(module, name)
        if not callable(one) or name in RESULTS or (package == "softmaxlib.torch" and name in PLAIN):
            continue
        yield name, one, ()
        for key, method in vars(one).items() if inspect.isclass(one) else ():
            if inspect.isfunction(method) and not key.startswith("_"):
                yield f"{name}.{key}", method, (None,)


def parameters_of(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:  # an exception has none
        return {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_keyword_of_another_library_names_ours(package):
    asked = 0
    for name, function, arguments in public_callables(package):
        known = parameters_of(function)
        for other, ours in {**NEW_NAMES, **NAMES_ELSEWHERE}.items():
            if ours not in known or other in known or (name, other) in LEFT or name.endswith(".forward"):
                continue
            asked += 1
            with pytest.raises(TypeError, match=rf"\(\) takes {ours}=\.\.\. instead of {other}=\.\.\.$"):
                function(*arguments, **{other: 1})
    assert asked > 0


def test_a_class_is_called_by_its_own_name():
    torch = pytest.importorskip("softmaxlib.torch")
    with pytest.raises(TypeError, match=r"^LogSoftmax\(\) takes temperature=\.\.\. instead of T=\.\.\.$"):
        torch.LogSoftmax(T=2.0)
    with pytest.raises(TypeError, match=r"^sparsemax\(\) takes dim=\.\.\. instead of axis=\.\.\.$"):
        torch.sparsemax(None, axis=1)


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
