"""Every public function, on arrays of every library: the answer of NumPy, in the kind that was given.

Each public name of the packages that take arrays is in a table here or in ``test_array_api.py``, or among
those that take no array: a new name fails until it has a place.
"""

import inspect
from dataclasses import is_dataclass
from functools import partial
from importlib import import_module

import array_api_compat
import array_api_strict
import numpy as np
import pandas
import polars
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

import jax.numpy as jnp
import torch
from test_array_api import CASES

import softmaxlib
from softmaxlib import calibration, decisions, metrics, sampling

PACKAGES = ["activations", "calibration", "decisions", "losses", "metrics", "sampling", "transforms"]
TAKE_NO_ARRAY = {"row_seeds", "errors", "show_config", "Calibration", "Rule", "Stage"}

rng = np.random.default_rng(0)
LOGITS = (3 * rng.normal(size=(300, 4))).astype(np.float32)
LABELS = (LOGITS + 2 * rng.gumbel(size=LOGITS.shape)).argmax(axis=1)
PROBABILITIES = softmaxlib.softmax(LOGITS)
WEIGHTS = rng.random(300).astype(np.float32)
TABLE = (LOGITS + 2 * WEIGHTS[:, None] > 1).astype(np.int64)


def figure(name, **options):
    """A metric of logits and labels, from probabilities and with weights too where it takes them."""
    metric = getattr(metrics, name)
    parameters = inspect.signature(metric).parameters

    def call(m):
        results = [metric(m(LOGITS), m(LABELS), **options)]
        if "sample_weight" in parameters:
            results.append(metric(m(LOGITS), m(LABELS), sample_weight=m(WEIGHTS), **options))
        if "probabilities" in parameters:
            results.append(metric(m(PROBABILITIES), m(LABELS), probabilities=True, **options))
        return tuple(results)

    return call


def fitted(kind, **options):
    def call(m):
        one = getattr(calibration, kind)(**options).fit(m(LOGITS), m(LABELS), m(WEIGHTS))
        return one.transform(m(LOGITS)), one.predict_proba(m(LOGITS))

    return call


def decided(kind, *arguments, **options):
    def call(m):
        rule = getattr(decisions, kind)(*arguments, **options)
        return rule.fit(m(PROBABILITIES), m(LABELS), probabilities=True).decide(
            m(PROBABILITIES), probabilities=True
        )

    return call


def drawn(stage, **more):
    """One stage of sampling, with what it needs."""

    def call(m):
        chain, options = sampling.Chain(stage), {name: m(value) for name, value in more.items()}
        position = m(np.arange(300))
        return (
            chain.process(m(LOGITS), seed=1, position=position, **options),
            chain.sample(m(LOGITS), seed=1, position=position, **options),
        )

    return call


def streamed(m):
    state = softmaxlib.LogSumExp()
    for start in (0, 2):
        chosen = np.where((start <= LABELS) & (start + 2 > LABELS), LABELS - start, -1)
        state.update(m(LOGITS[:, start : start + 2]), m(chosen))
    return state.value, state.loss


def kept_policy(m):
    policy = softmaxlib.Policy(calibration.TemperatureScaling(), decisions.SelectiveRisk(0.5, 0.9))
    policy.fit(m(LOGITS), m(LABELS), rule_rows=m(np.arange(300) % 2 == 0))
    audit = policy.audit(m(LOGITS), m(LABELS))
    return policy.transform(m(LOGITS)), policy.predict_proba(m(LOGITS)), policy.decide(m(LOGITS)), audit.holds


def of_two(name):
    """A metric of two classes."""
    return lambda m: getattr(metrics, name)(m(LOGITS[:, :2]), m(LABELS % 2))


def of_tables(call):
    """A figure of a multi-label model, of logits and labels (rows, labels)."""
    return lambda m: call(m(LOGITS), m(TABLE))


def kept_labels(m):
    policy = softmaxlib.MultilabelPolicy(calibration.VectorScaling(), decisions.Threshold(0.6))
    policy.fit(m(LOGITS), m(TABLE))
    return policy.predict_proba(m(LOGITS)), policy.decide(m(LOGITS))


HISTORY = np.tile([0, 1, 1, 0, 1], (300, 1))
CALLS = {
    "LogSumExp": streamed,
    "Policy": kept_policy,
    "MultilabelPolicy": kept_labels,
    "evaluate": lambda m: tuple(vars(softmaxlib.evaluate(m(LOGITS), m(LABELS)).before.figures).values()),
    **{name: fitted(name) for name in ("Identity", "TemperatureScaling", "VectorScaling", "MatrixScaling")},
    **{
        name: fitted(name)
        for name in (
            "BetaCalibration",
            "StructuredVectorScaling",
            "StructuredMatrixScaling",
            "IsotonicScaling",
        )
    },
    "LogarithmicPool": fitted(
        "LogarithmicPool", members=[calibration.Identity(), calibration.TemperatureScaling()], weights=[1, 3]
    ),
    "HistogramBinning": fitted("HistogramBinning", n_bins=4),
    "Auto": fitted("Auto", cv=2),
    "VennAbers": fitted("VennAbers"),
    "MostLikely": decided("MostLikely"),
    "MinimumCost": decided("MinimumCost", 1 - np.eye(4), abstain_cost=0.3),
    "PredictionSets": decided("PredictionSets", alpha=0.2),
    "SelectiveRisk": decided("SelectiveRisk", 0.5, 0.9),
    "Threshold": decided("Threshold", 0.5),
    "TopK, the rule": decided("TopK", 2),
    "BinaryThreshold": lambda m: decisions.BinaryThreshold(0.3).decide(m(LOGITS[:, :2])).action,
    "TunedThreshold": lambda m: (
        decisions.TunedThreshold("f1_score")
        .fit(m(LOGITS[:, :2]), m(LABELS % 2))
        .decide(m(LOGITS[:, :2]))
        .action
    ),
    **{name: of_two(name) for name in ("roc_curve", "precision_recall_curve")},
    "cost_threshold_curve": lambda m: metrics.cost_threshold_curve(
        m(LOGITS[:, :2]), m(LABELS % 2), false_positive=1.0, false_negative=5.0
    ),
    **{name: of_tables(getattr(metrics, name)) for name in ("hamming_loss", "subset_accuracy")},
    "label_scores": of_tables(partial(metrics.label_scores, metrics.average_precision)),
    "multilabel_score": of_tables(partial(metrics.multilabel_score, metrics.f1_score)),
    "Tally": lambda m: metrics.Tally(4).update(m(LOGITS), m(LABELS)).compute().log_loss,
    **{
        name: figure(name)
        for name in (
            "accuracy",
            "augrc",
            "aurc",
            "average_precision",
            "balanced_accuracy",
            "brier_decomposition",
            "brier_score",
            "calibration_error",
            "excess_aurc",
            "log_loss",
            "matthews_correlation",
            "reliability_curve",
            "risk_coverage_curve",
            "roc_auc",
            "smooth_calibration_error",
        )
    },
    **{name: figure(name, average="macro") for name in ("f1_score", "precision", "recall", "specificity")},
    "calibration_test": figure("calibration_test", simulations=20),
    "smooth_calibration_test": figure("smooth_calibration_test", simulations=20),
    "class_calibration_test": figure("class_calibration_test"),
    "top_k_accuracy": figure("top_k_accuracy", k=2),
    "bootstrap_interval": lambda m: metrics.bootstrap_interval(
        metrics.accuracy, m(LOGITS), m(LABELS), resamples=20
    ),
    "doubt": lambda m: metrics.doubt(m(LOGITS)),
    "sample": lambda m: sampling.sample(
        m(LOGITS),
        seed=m(np.arange(300)),
        position=0,
        temperature=0.5,
        bias=m(LOGITS[0]),
        allowed=m(LOGITS[1] < 3),
    ),
    "verify": lambda m: sampling.verify(
        m(LABELS[:2]), m(LOGITS[:2]), m(LOGITS[:3]), sampling.Chain.standard(), seed=1, position=0
    ),
    "Chain": drawn(sampling.Temperature(0.7)),
    "Temperature": drawn(sampling.Temperature(0.5)),
    "Bias": drawn(sampling.Bias(), bias=LOGITS[::-1].copy()),
    "Allowed": drawn(sampling.Allowed(), allowed=LOGITS > -1e9),
    "ExcludeTopChoices": drawn(sampling.ExcludeTopChoices(0.5, 0.2)),
    "MinP": drawn(sampling.MinP(0.2)),
    "TopK": drawn(sampling.TopK(2)),
    "TopNSigma": drawn(sampling.TopNSigma(1.0)),
    "TopP": drawn(sampling.TopP(0.7)),
    "TypicalP": drawn(sampling.TypicalP(0.7)),
    "DontRepeatYourself": drawn(sampling.DontRepeatYourself(0.8), history=HISTORY),
    "FrequencyPenalty": drawn(sampling.FrequencyPenalty(0.5), history=HISTORY),
    "PresencePenalty": drawn(
        sampling.PresencePenalty(0.5), history=HISTORY, prompt_length=np.arange(300) % 3
    ),
    "RepetitionPenalty": drawn(sampling.RepetitionPenalty(1.2), history=HISTORY),
}
ELSEWHERE = array_api_strict.Device("device1")
KINDS = {
    "torch": lambda values: torch.from_numpy(np.array(values)),
    "torch, learned": lambda values: torch.from_numpy(np.array(values)).requires_grad_(
        values.dtype.kind == "f"
    ),
    "jax": jnp.asarray,
    "array_api_strict": lambda values: array_api_strict.asarray(np.array(values)),
    "elsewhere": lambda values: array_api_strict.asarray(np.array(values), device=ELSEWHERE),
}
TABLES = {
    "pandas": lambda values: pandas.DataFrame(values) if values.ndim == 2 else pandas.Series(values),
    "polars": lambda values: polars.DataFrame(values) if values.ndim == 2 else polars.Series(values),
}


def parts(result):
    """The arrays and numbers of a result, the fields of records one by one."""
    if isinstance(result, tuple):
        return [part for one in result for part in parts(one)]
    return [result]


def compare(parts_given, parts_of_numpy, read):
    for given, expected in zip(parts_given, parts_of_numpy, strict=True):
        if isinstance(expected, np.ndarray) and expected.dtype == object:
            np.testing.assert_array_equal(given, expected)
        elif isinstance(expected, np.ndarray | np.generic):
            np.testing.assert_allclose(read(given), expected, rtol=2e-6, atol=1e-30)
        else:
            assert given == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


def as_numpy(array):
    if isinstance(array, torch.Tensor):
        return array.detach().numpy()
    return np.from_dlpack(array) if isinstance(array, type(KINDS["elsewhere"](LOGITS))) else np.asarray(array)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_the_answer_of_numpy_in_the_kind_and_on_the_device_that_was_given(name, kind):
    given, expected = parts(CALLS[name](KINDS[kind])), parts(CALLS[name](np.asarray))
    like = KINDS[kind](LOGITS)
    for part, of_numpy in zip(given, expected, strict=True):
        if isinstance(of_numpy, np.ndarray | np.generic) and of_numpy.dtype != object:  # names stay NumPy's
            assert isinstance(part, type(like)), type(part)
            assert array_api_compat.device(part) == array_api_compat.device(like)
            if kind != "jax":  # which knows 32 bits alone, unless told otherwise
                assert str(part.dtype).endswith(str(of_numpy.dtype))
    compare(given, expected, as_numpy)


TABULAR = [name for name in CALLS if name in {*metrics.__all__, *calibration.__all__, *decisions.__all__}]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", [*TABULAR, "Policy", "evaluate"])
def test_frames_are_taken_for_tables_of_logits(name, kind):
    compare(parts(CALLS[name](TABLES[kind])), parts(CALLS[name](np.asarray)), np.asarray)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_tried_on_every_kind(package):
    module = import_module(f"softmaxlib.{package}")
    tried = {case.name.partition(",")[0] for case in CASES} | set(CALLS) | TAKE_NO_ARRAY
    for name in set(module.__all__) - tried:  # what is left are the records that functions give
        public = getattr(module, name)
        assert isinstance(public, type), name
        assert issubclass(public, tuple) or is_dataclass(public), name
    assert set(softmaxlib.__all__) <= tried


def test_half_precision_counts_as_float32_where_a_calibration_is_fitted():
    tensor = torch.from_numpy(LOGITS).bfloat16()
    fit = calibration.TemperatureScaling().fit(tensor, LABELS)
    assert fit.transform(tensor).dtype == fit.predict_proba(tensor).dtype == torch.float32
    assert metrics.doubt(tensor).dtype == torch.float32
    assert fit.transform(LOGITS.astype(np.float16)).dtype == np.float32
