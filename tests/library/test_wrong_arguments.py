"""Wrong values for every argument of every public name: an error of the library, never a raw one.

A value may also be accepted: a scalar may be a temperature, and a list may be a row.
"""

import datetime
import decimal
import fractions
import inspect

import numpy as np
import pandas
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

import jax.numpy as jnp
import torch

import softmaxlib
import softmaxlib.jax
import softmaxlib.torch
from softmaxlib import calibration, decisions, files, metrics, sampling
from softmaxlib.calibration import TemperatureScaling, VectorScaling
from softmaxlib.decisions import MinimumCost
from softmaxlib.errors import SoftmaxlibError

rng = np.random.default_rng(0)
LOGITS = 3 * rng.normal(size=(40, 3))
LABELS = np.array([rng.choice(3, p=row) for row in softmaxlib.softmax(LOGITS)])
SCORES, BINARY = rng.normal(size=40), rng.integers(2, size=40)
TABLE = rng.integers(2, size=(40, 3))
ROWS = LOGITS, LABELS

WRONG = [
    None,
    "x",
    "",
    b"x",
    [],
    [[]],
    {},
    set(),
    object(),
    slice(1),
    len,
    float("nan"),
    float("inf"),
    -1,
    1.5,
    2**70,
    10**400,
    fractions.Fraction(1, 2),
    np.int64(1),
    (0, 1),
    True,
    1 + 1j,
    decimal.Decimal(1),
    datetime.date(2020, 1, 1),
    pandas.NA,
    np.array("x"),
    np.array([None]),
    np.zeros((0, 3)),
    np.zeros((2, 2, 2, 2)),
    np.array(["2020-01-01"], "M8[D]"),
    np.ma.masked,
    np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    [1, "a"],
    [[1], [2, 3]],
    ["a"] * 40,
    np.full(40, np.nan),
    np.full((40, 3), np.nan),
    np.full(40, 10**9),
    pandas.DataFrame({"a": [1]}),
    torch.tensor(1),
    torch.zeros(0),
    torch.zeros(2, 3, dtype=torch.complex64),
    jnp.ones((2, 2)),
    "\ud800",
]


def of_functions():
    special = {
        "adjust_prior": ((LOGITS, [0.2, 0.3, 0.5], [0.3, 0.3, 0.4]), {}),
        "adjust_prior_vjp": ((LOGITS, [0.2, 0.3, 0.5], [0.3, 0.3, 0.4]), {}),
        "cross_entropy": (ROWS, {}),
        "cross_entropy_grad": (ROWS, {}),
        "evaluate": (ROWS, {}),
        "gumbel_softmax": ((LOGITS, 1.0), {"seed": 0}),
        "gumbel_softmax_vjp": ((LOGITS, LOGITS, 1.0), {"seed": 0}),
        "linear_cross_entropy": ((LOGITS, rng.normal(size=(5, 3)), LABELS), {}),
        "linear_cross_entropy_grad": ((LOGITS, rng.normal(size=(5, 3)), LABELS), {}),
        "margin": ((LOGITS / 10, LABELS), {"scale": 8.0}),
        "margin_vjp": ((LOGITS / 10, LABELS, LOGITS), {"scale": 8.0}),
        "sigmoid_cross_entropy": ((LOGITS, TABLE), {}),
        "sigmoid_cross_entropy_grad": ((LOGITS, TABLE), {}),
        "softcap": ((LOGITS, 3.0), {}),
        "softcap_vjp": ((LOGITS, LOGITS, 3.0), {}),
        "softmax_jacobian": ((softmaxlib.softmax(LOGITS[0]),), {}),
        "LogSumExp": ((), {}),
        "Policy": ((TemperatureScaling(), MinimumCost(1 - np.eye(3))), {}),
        "MultilabelPolicy": ((VectorScaling(), MinimumCost.binary(false_positive=1, false_negative=5)), {}),
    }
    for name in softmaxlib.__all__:
        function = getattr(softmaxlib, name)
        if callable(function) and name != "show_config":
            pair = (LOGITS, LOGITS) if name.endswith(("_vjp", "_jvp")) else (LOGITS,)
            yield name, function, *special.get(name, (pair, {}))
    state = softmaxlib.LogSumExp().update(LOGITS)
    yield "LogSumExp.update", softmaxlib.LogSumExp().update, (LOGITS,), {"chosen": LABELS}
    yield "LogSumExp.merge", softmaxlib.LogSumExp().update(LOGITS).merge, (state,), {}


def of_metrics():
    macro = {"average": "macro"}
    averages = {"f1_score": macro, "precision": macro, "recall": macro, "specificity": macro}
    special = {
        "bootstrap_interval": ((metrics.accuracy, *ROWS), {"resamples": 5}),
        "calibration_test": (ROWS, {"simulations": 9}),
        "cost_threshold_curve": ((SCORES, BINARY), {"false_positive": 1, "false_negative": 5}),
        "doubt": ((LOGITS,), {}),
        "hamming_loss": ((LOGITS, TABLE), {}),
        "label_scores": ((metrics.accuracy, LOGITS, TABLE), {}),
        "multilabel_score": ((metrics.accuracy, LOGITS, TABLE), {}),
        "precision_recall_curve": ((SCORES, BINARY), {}),
        "roc_curve": ((SCORES, BINARY), {}),
        "smooth_calibration_test": (ROWS, {"simulations": 9}),
        "subset_accuracy": ((LOGITS, TABLE), {}),
        "top_k_accuracy": (ROWS, {"k": 2}),
    }
    for name in metrics.__all__:
        metric = getattr(metrics, name)
        if not inspect.isclass(metric):
            yield name, metric, *special.get(name, (ROWS, averages.get(name, {})))
    yield "Tally", metrics.Tally, (3,), {}
    yield "Tally.update", metrics.Tally(3).update, ROWS, {}


def of_calibrations():
    for name in calibration.__all__:
        kind = getattr(calibration, name)
        if kind is not calibration.Calibration:
            yield name, kind, (), {}
            yield f"{name}.fit", kind().fit, ROWS, {}
            yield f"{name}.predict_proba", kind().fit(*ROWS).predict_proba, (LOGITS,), {}


def of_rules():
    rules = {
        "BinaryThreshold": ((0.4,), SCORES, BINARY),
        "MinimumCost": ((1 - np.eye(3),), *ROWS),
        "MostLikely": ((), *ROWS),
        "PredictionSets": ((), *ROWS),
        "SelectiveRisk": ((0.6,), *ROWS),
        "Threshold": ((0.6,), *ROWS),
        "TopK": ((2,), *ROWS),
        "TunedThreshold": (("f1_score",), SCORES, BINARY),
    }
    for name, (arguments, x, y) in rules.items():
        kind = getattr(decisions, name)
        yield name, kind, arguments, {}
        yield f"{name}.fit", kind(*arguments).fit, (x, y), {}
        yield f"{name}.decide", kind(*arguments).fit(x, y).decide, (x,), {}
        policy = softmaxlib.Policy(TemperatureScaling(), kind(*arguments))
        yield f"Policy({name}).fit", policy.fit, (x, y), {}
        policy = softmaxlib.Policy(TemperatureScaling(), kind(*arguments)).fit(x, y)
        yield f"Policy({name}).decide", policy.decide, (x,), {}
        yield f"Policy({name}).audit", policy.audit, (x, y), {}
    yield "MinimumCost.binary", MinimumCost.binary, (), {"false_positive": 1, "false_negative": 5}
    for_labels = softmaxlib.MultilabelPolicy(
        VectorScaling(), MinimumCost.binary(false_positive=1, false_negative=5)
    )
    yield "MultilabelPolicy.fit", for_labels.fit, (LOGITS, TABLE), {}
    yield "MultilabelPolicy.decide", for_labels.fit(LOGITS, TABLE).decide, (LOGITS,), {}


def of_sampling():
    special = {
        "Allowed": ((), {}),
        "Bias": ((), {}),
        "Chain": ((sampling.Temperature(0.5),), {}),
        "DontRepeatYourself": ((), {}),
        "ExcludeTopChoices": ((0.5, 0.1), {}),
        "TopK": ((1,), {}),
        "row_seeds": ((0, 5), {}),
        "sample": ((LOGITS,), {"seed": 0}),
    }
    for name in sampling.__all__:
        if name not in ("Explanation", "Sample", "Stage", "Step", "Verification", "verify"):
            yield name, getattr(sampling, name), *special.get(name, ((0.5,), {}))
    chain = sampling.Chain(sampling.Temperature(0.5), sampling.TopP(0.9))
    yield "Chain.sample", chain.sample, (LOGITS,), {"seed": 0}
    yield "Chain.process", chain.process, (LOGITS,), {}
    yield "Chain.explain", chain.explain, (LOGITS[0],), {}
    yield "Chain.like", sampling.Chain.like, ("transformers",), {"temperature": 0.7}
    yield "verify", sampling.verify, (LABELS[:2], LOGITS[:2], LOGITS[:3], chain, 0, 0), {}
    for kind in (softmaxlib.torch.ChainLogitsProcessor, softmaxlib.torch.DrawLogitsProcessor):
        processor = kind(chain, seed=0, prompt_length=1)
        yield kind.__name__, kind, (chain,), {"seed": 0, "prompt_length": 1}
        yield f"{kind.__name__}()", processor, (torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 3)), {}


def of_framework(module, array):
    logits, table, layer = array(LOGITS), array(TABLE), array(rng.normal(size=(5, 3)))
    special = {
        "cross_entropy": (logits, array(LABELS)),
        "linear_cross_entropy": (logits, layer, array(LABELS)),
        "sigmoid_cross_entropy": (logits, table),
    }
    for name in module.__all__:
        function = getattr(module, name)
        if not inspect.isclass(function) and name != "show_config":
            yield f"{module.__name__}.{name}", function, special.get(name, (logits,)), {}


CALLS = [
    *of_functions(),
    *of_metrics(),
    *of_calibrations(),
    *of_rules(),
    *of_sampling(),
    *of_framework(softmaxlib.torch, torch.from_numpy),
    *of_framework(softmaxlib.jax, jnp.asarray),
]


# What a function of one's own raises, and an array's own rule for what is true.
THEIRS = {
    ("metric", TypeError),
    ("progress", TypeError),
    ("keepdims", TypeError),
    ("keepdims", ValueError),
    ("keepdims", RuntimeError),
}


@pytest.mark.filterwarnings("ignore::softmaxlib.errors.SoftmaxlibWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("function", "arguments", "options"), [call[1:] for call in CALLS], ids=[call[0] for call in CALLS]
)
def test_no_raw_error(function, arguments, options):
    no_raw_error(function, arguments, options)


def no_raw_error(function, arguments, options):
    function(*arguments, **options)
    parameters = inspect.signature(function).parameters
    raw = []
    for place, (name, parameter) in enumerate(parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        for value in WRONG:
            given, named = list(arguments), dict(options)
            if place < len(given):
                given[place] = value
            elif parameter.kind == parameter.POSITIONAL_ONLY:
                continue
            else:
                named[name] = value
            try:
                function(*given, **named)
            except (SoftmaxlibError, np.exceptions.AxisError):
                pass
            except Exception as error:
                is_ours = "takes probabilities=True or False" in str(error)
                if (name, type(error)) not in THEIRS and not is_ours:
                    raw.append(f"{name}={value!r}: {error!r}")
    assert not raw


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.calibration_error(*ROWS, debiased="no"),
        lambda: metrics.Tally(3, tests="no"),
        lambda: decisions.PredictionSets(allow_empty="no"),
        lambda: sampling.RepetitionPenalty(1.1, include_prompt="no"),
        lambda: softmaxlib.gumbel_softmax(LOGITS, 1.0, seed=0, hard="no"),
        lambda: softmaxlib.evaluate(*ROWS, class_names={"a", "b", "c"}),
        lambda: softmaxlib.evaluate(*ROWS, class_names="abc"),
        lambda: softmaxlib.evaluate(*ROWS, policy="policy.json"),
        lambda: softmaxlib.Policy(TemperatureScaling(), MinimumCost(1 - np.eye(3))).fit(*ROWS, rule_rows="x"),
        lambda: softmaxlib.softmax(jnp.zeros(3), dtype="int32"),
    ],
)
def test_what_would_be_taken_for_something_else(call):
    with pytest.raises(SoftmaxlibError):
        call()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("dtype", [np.float16, "float16", np.dtype("float16")])
def test_a_dtype_goes_by_any_of_its_names(name, dtype):
    function = getattr(softmaxlib, name)
    for array in (LOGITS, jnp.asarray(LOGITS), torch.from_numpy(LOGITS)):
        assert str(function(array, dtype=dtype).dtype).endswith("float16")


@pytest.mark.filterwarnings("ignore::softmaxlib.errors.SoftmaxlibWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["fit", "decide", "evaluate", "audit"])
def test_no_raw_error_of_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pandas.DataFrame(LOGITS, columns=["logit_a", "logit_b", "logit_c"])
    table.assign(label=np.array(["a", "b", "c"])[LABELS]).to_csv("rows.csv", index=False)
    policy = softmaxlib.Policy(TemperatureScaling(), decisions.MostLikely())
    policy.fit(*ROWS, class_names=["a", "b", "c"]).save("policy.json")
    arguments = {
        "fit": ("rows.csv", "label", TemperatureScaling(), decisions.MostLikely()),
        "decide": ("rows.csv", "policy.json", "decisions.csv"),
        "evaluate": ("rows.csv", "label"),
        "audit": ("rows.csv", "label", "policy.json"),
    }[name]
    no_raw_error(getattr(files, name), arguments, {})


@pytest.mark.parametrize("like", [jnp.zeros((2, 3)), torch.zeros(2, 3)], ids=["jax", "torch"])
@pytest.mark.parametrize("wrong", [["a", "b", "c"], [None, 1, 2], np.array(["2020-01-01"], "M8[D]")])
def test_what_is_no_number_is_not_brought_to_another_library(like, wrong):
    with pytest.raises(SoftmaxlibError):
        softmaxlib.softmax(like, where=wrong)
    with pytest.raises(SoftmaxlibError):
        softmaxlib.cross_entropy(like, wrong)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sparsemax", "entmax"])
@pytest.mark.parametrize("dim", [np.int64(0), torch.tensor(0), [np.int8(0)]])
def test_a_dimension_is_any_integer(name, dim):
    function, x = getattr(softmaxlib.torch, name), torch.from_numpy(LOGITS)
    assert torch.equal(function(x, dim=dim), function(x, dim=0))


@pytest.mark.parametrize("name", ["cross_entropy", "sigmoid_cross_entropy"])
@pytest.mark.parametrize(
    ("module", "array"), [(softmaxlib.torch, torch.from_numpy), (softmaxlib.jax, jnp.asarray)]
)
def test_an_option_is_any_real_number(name, module, array):
    loss, x = getattr(module, name), array(LOGITS)
    target = array(LABELS) if name == "cross_entropy" else array(TABLE)
    half = fractions.Fraction(1, 2)
    given = loss(x, target, label_smoothing=half, focal_gamma=np.int64(2))
    assert float(given) == float(loss(x, target, label_smoothing=0.5, focal_gamma=2.0))


def test_a_bias_may_be_a_list():
    x, weight, labels = (
        torch.from_numpy(LOGITS),
        torch.ones(3, 3, dtype=torch.float64),
        torch.from_numpy(LABELS),
    )
    one, other = (
        softmaxlib.linear_cross_entropy(x, weight, labels, bias=b) for b in ([0, 1, 2], np.arange(3.0))
    )
    assert one == other
