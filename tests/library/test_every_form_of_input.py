"""Every public function on every form of its inputs: the results of the plain form, bit for bit.

Forms of logits and of probabilities (one number a row is a binary model's), of labels, of weights and of
groups. Each public name that takes rows is in `CALLS`: a new one fails until it is.
"""

import copy
import inspect
from dataclasses import fields, is_dataclass
from importlib import import_module

import numpy as np
import pandas
import polars
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

import jax.numpy as jnp
import torch

import softmaxlib
from softmaxlib import calibration, decisions, metrics, report
from softmaxlib.calibration import TemperatureScaling, VectorScaling
from softmaxlib.errors import SoftmaxlibError

ROWS = 64
rng = np.random.default_rng(0)
LABELS = (rng.random(ROWS) < 0.4).astype(np.int64)
SCORES = rng.normal(2.0 * LABELS - 1, 1.5).astype(np.float32)
PROBABILITIES = (1 / (1 + np.exp(-SCORES))).astype(np.float32)
WEIGHTS = rng.integers(0, 4, ROWS)
GROUPS = rng.integers(2, size=ROWS)


def two_logits(scores):
    return np.stack([np.zeros_like(scores), scores], axis=1)


def two_probabilities(scores):
    return np.stack([1 - scores, scores], axis=1)


# -- the table of what takes rows: calls of logits, labels and `probabilities`, `sample_weight`, `groups`


def figure(name, **options):
    metric = getattr(metrics, name)
    return lambda x, y, **given: metric(x, y, **options, **given)


def ranked(name):
    """A metric of what is doubted; without labels."""
    return lambda x, y, **given: getattr(metrics, name)(x, **given)


def calibrated(kind, **options):
    def call(x, y, sample_weight=None):
        fitted = getattr(calibration, kind)(**options).fit(x, y, sample_weight)
        return fitted.transform(x), fitted.predict_proba(x)

    return call


def decided(rule):
    def call(x, y, probabilities=False, groups=None, **given):
        fitted = rule.copy_of(rule, "rule", "").fit(x, y, groups, probabilities=probabilities, **given)
        return fitted.decide(x, groups, probabilities=probabilities)

    return call


def policy(x, y, probabilities=False, groups=None, **given):
    rule = decisions.PredictionSets(alpha=0.4, groups="rows" if groups is not None else None)
    kept = softmaxlib.Policy(VectorScaling(), rule)
    kept.fit(x, y, probabilities=probabilities, groups=groups, **given)
    every = {"probabilities": probabilities}
    audit = kept.audit(x, y, groups=groups, **every, **given)
    tally = kept.tally().update(x, y, groups=groups, **given)
    found = kept.decide(x, groups=groups, **every)._replace(labels=None)  # a name is not a bit
    checks = audit.checks, tally.compute().checks
    return kept.transform(x, **every), kept.predict_proba(x, **every), found, *checks


def evaluated(x, y, **given):
    rule = decisions.MinimumCost.binary(false_positive=1, false_negative=3, abstain_cost=0.5)
    given_too = {name: value for name, value in given.items() if name != "groups"}
    kept = softmaxlib.Policy(TemperatureScaling(), rule).fit(x, y, **given_too)
    found = softmaxlib.evaluate(x, y, policy=kept, **given)
    return found.before, found.final, found.decided, found.audit.checks, found.groups


def tallied(x, y, probabilities=False, sample_weight=None, groups=None):
    words = ["false", "true"] if "false" in repr(y) else None  # those of a batch alone are never numbered
    tally = metrics.Tally(2, probabilities=probabilities, class_names=words)
    return tally.update(x, y, sample_weight=sample_weight, groups=groups).compute()


def shown(name, **options):
    """Return the contents of a display; it is not drawn (see `not_drawn`)."""
    return lambda x, y, **given: sorted(
        (key, value)
        for key, value in vars(getattr(report, name).from_predictions(x, y, **options, **given)).items()
        if key != "names"
    )


COSTS = {"false_positive": 1.0, "false_negative": 5.0}
OPTIONS = {
    "top_k_accuracy": {"k": 1},
    "cost_threshold_curve": COSTS,
    "calibration_test": {"simulations": 2},
    "smooth_calibration_test": {"simulations": 2},
}
RULES = {
    "BinaryThreshold": decisions.BinaryThreshold(0.3),
    "MinimumCost": decisions.MinimumCost.binary(**COSTS, abstain_cost=0.5),
    "MostLikely": decisions.MostLikely(),
    "PredictionSets": decisions.PredictionSets("aps", alpha=0.3),
    "SelectiveRisk": decisions.SelectiveRisk(0.6, 0.6),
    "Threshold": decisions.Threshold(0.8),
    "TopK": decisions.TopK(1),
    "TunedThreshold": decisions.TunedThreshold("balanced_accuracy", cv=2),
}
CALIBRATIONS = {
    "Auto": {"cv": 2},
    "HistogramBinning": {"n_bins": 4},
    "LogarithmicPool": {"members": [calibration.Identity(), TemperatureScaling()], "weights": [1, 3]},
}
DISPLAYS = [name for name in report.__all__ if hasattr(getattr(report, name), "from_predictions")]
OF_TABLES = {  # of a multi-label model: of two dimensions
    *("hamming_loss", "label_scores", "multilabel_score", "subset_accuracy"),
    *("MultilabelPolicy", "evaluate_multilabel"),
}
METRICS = {
    name
    for name in metrics.__all__
    if inspect.isfunction(getattr(metrics, name)) and name not in {*OF_TABLES, "doubt", "bootstrap_interval"}
}
CALLS = {
    **{name: figure(name, **OPTIONS.get(name, {})) for name in sorted(METRICS)},
    "doubt": ranked("doubt"),
    "bootstrap_interval": lambda x, y, **given: metrics.bootstrap_interval(
        metrics.accuracy, x, y, resamples=20, **given
    ),
    "Tally": tallied,
    **{
        name: calibrated(name, **CALIBRATIONS.get(name, {}))
        for name in calibration.__all__
        if name != "Calibration"
    },
    **{name: decided(rule) for name, rule in RULES.items()},
    "Policy": policy,
    "evaluate": evaluated,
    **{name: shown(name, **(COSTS if name == "CostThresholdDisplay" else {})) for name in sorted(DISPLAYS)},
}
LOGITS_ALONE = set(calibration.__all__)
TAKE_GROUPS = {"Tally", "Policy", "evaluate"}
NO_WEIGHTS = {"doubt"}
SLOW = {"evaluate", "Policy", "smooth_calibration_test"}  # tried on every third form


@pytest.mark.parametrize("package", ["calibration", "decisions", "metrics", "report"])
def test_every_public_name_that_takes_rows_is_in_the_table(package):
    module = import_module(f"softmaxlib.{package}")
    for name in set(module.__all__) - set(CALLS) - OF_TABLES - {"Calibration", "Rule", "compare"}:
        public = getattr(module, name)  # what is left are records, and displays of records
        assert isinstance(public, type), name
        of_records = issubclass(public, report.Display) and name not in DISPLAYS
        assert issubclass(public, tuple) or is_dataclass(public) or of_records, name


@pytest.fixture(autouse=True, scope="module")
def not_drawn():
    """Displays are made and not drawn: drawing takes most of the time, and sees no input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report.Display, "plot", lambda display, ax: display)
        yield


@pytest.fixture(autouse=True, scope="module")
def fitted_once():
    """A calibration that is fitted again on the same bits is what it was: a fit sees checked rows alone."""
    kept = {}

    def remembered(fit):
        def fit_once(self, logits, labels, weights):
            given = (logits, labels, np.zeros(0) if weights is None else weights)
            key = repr(self), *(part for one in given for part in (one.dtype.str, one.shape, one.tobytes()))
            if key not in kept:
                fit(self, logits, labels, weights)
                kept[key] = copy.deepcopy(vars(self))
            vars(self).update(copy.deepcopy(kept[key]))

        return fit_once

    with pytest.MonkeyPatch.context() as patch:
        every = {kind for name in calibration.__all__ for kind in getattr(calibration, name).__mro__}
        for kind in every:
            if "_fit" in vars(kind):
                patch.setattr(kind, "_fit", remembered(vars(kind)["_fit"]))
        yield


# -- what is compared


def parts(result):
    """The arrays and numbers of a result, in order; texts name classes."""
    if isinstance(result, str):
        return []
    if is_dataclass(result) and not isinstance(result, type):
        values = (getattr(result, one.name) for one in fields(result) if one.name != "class_names")
        return [part for value in values for part in parts(value)]
    if isinstance(result, dict):
        return [part for key in sorted(result) for part in (key, *parts(result[key]))]
    if isinstance(result, tuple | list):
        return [part for one in result for part in parts(one)]
    return [result]


def forms_for(name, forms):
    return dict(list(forms.items())[:: 3 if name in SLOW else 1])


def plain(part):
    if isinstance(part, torch.Tensor):
        return part.detach().numpy()
    return np.asarray(part)


def assert_same_bits(found, expected, what):
    found, expected = parts(found), parts(expected)
    assert len(found) == len(expected), what
    for one, other in zip(found, expected, strict=True):
        one, other = plain(one), plain(other)
        assert one.dtype == other.dtype, what
        np.testing.assert_array_equal(one, other, err_msg=what)


def tried(name, x, y, what, **given):
    try:
        return CALLS[name](x, y, **given)
    except (SoftmaxlibError, TypeError, ValueError) as error:
        pytest.fail(f"{name}, {what}: {type(error).__name__}: {error}")


# -- the forms


LIBRARIES = {"numpy": np.asarray, "torch": torch.from_numpy, "jax": jnp.asarray}
FRAMES = {
    "a list": lambda values: values.astype(float).tolist(),
    "pandas, a column": pandas.Series,
    "pandas, one column": lambda values: pandas.DataFrame({"score": values}),
    "polars, a column": polars.Series,
    "polars, one column": lambda values: polars.DataFrame({"score": values}),
}


@pytest.mark.parametrize("probabilities", [False, True], ids=["logits", "probabilities"])
@pytest.mark.parametrize("name", CALLS)
def test_one_number_a_row_is_the_row_of_two(name, probabilities):
    if probabilities and name in LOGITS_ALONE:
        return
    scores, rows = (PROBABILITIES, two_probabilities) if probabilities else (SCORES, two_logits)
    given = {"probabilities": True} if probabilities else {}
    for library, make in LIBRARIES.items():
        expected = tried(name, make(rows(scores)), LABELS, f"{library}, two columns", **given)
        for form, one in (("(rows,)", scores), ("(rows, 1)", scores[:, None])):
            what = f"{library}, {form}"
            assert_same_bits(tried(name, make(one), LABELS, what, **given), expected, f"{name}, {what}")
    expected = tried(name, rows(scores), LABELS, "numpy, two columns", **given)
    for form, make in forms_for(name, FRAMES).items():
        if form == "a list":  # of float64
            expected_here = tried(name, rows(scores.astype(float)), LABELS, form, **given)
        else:
            expected_here = expected
        assert_same_bits(tried(name, make(scores), LABELS, form, **given), expected_here, f"{name}, {form}")


WORDS = np.array(["false", "true"])[LABELS]
LABEL_FORMS = {
    **{str(np.dtype(kind)): LABELS.astype(kind) for kind in ("i1", "u2", "i4", "f4", "f8")},
    "big-endian": LABELS.astype(">i4"),
    "booleans": LABELS.astype(bool),
    "(rows, 1)": LABELS[:, None],
    "one-hot": np.eye(2)[LABELS],
    "one-hot integers": np.eye(2, dtype=int)[LABELS],
    "a list": LABELS.tolist(),
    "words": WORDS,
    "a list of words": WORDS.tolist(),
    "words as objects": WORDS.astype(object),
    "words as bytes": WORDS.astype("S"),
    "words, (rows, 1)": WORDS[:, None],
    "texts of numbers": LABELS.astype(str),
    "pandas": pandas.Series(LABELS, index=np.arange(ROWS)[::-1]),
    "pandas, categories": pandas.Series(pandas.Categorical(WORDS, categories=["true", "false"])),
    "pandas, texts": pandas.Series(WORDS, dtype="string"),
    "pandas, nullable integers": pandas.Series(LABELS, dtype="Int64"),
    "pandas, nullable booleans": pandas.Series(LABELS.astype(bool), dtype="boolean"),
    "pandas, one column": pandas.DataFrame({"truth": LABELS}),
    "polars": polars.Series(LABELS),
    "polars, categories": polars.Series(WORDS, dtype=polars.Categorical),
    "polars, booleans": polars.Series(LABELS.astype(bool)),
    "torch": torch.from_numpy(LABELS),
    "torch, booleans": torch.from_numpy(LABELS.astype(bool)),
    "jax": jnp.asarray(LABELS),
}
WEIGHT_FORMS = {
    **{str(np.dtype(kind)): WEIGHTS.astype(kind) for kind in ("i1", "u2", "f4", "f8")},
    "a list": WEIGHTS.tolist(),
    "pandas": pandas.Series(WEIGHTS, index=np.arange(ROWS)[::-1]),
    "pandas, nullable": pandas.Series(WEIGHTS, dtype="Int64"),
    "polars": polars.Series(WEIGHTS),
    "torch": torch.from_numpy(WEIGHTS),
    "jax": jnp.asarray(WEIGHTS),
}
GROUP_FORMS = {
    "integers": GROUPS,
    "texts": GROUPS.astype(str),
    "a list": GROUPS.tolist(),
    "objects": GROUPS.astype(str).astype(object),
    "pandas": pandas.Series(GROUPS, index=np.arange(ROWS)[::-1]),
    "pandas, categories": pandas.Series(pandas.Categorical(GROUPS.astype(str))),
    "pandas, nullable": pandas.Series(GROUPS, dtype="Int64"),
    "polars": polars.Series(GROUPS),
    "torch": torch.from_numpy(GROUPS),
    "jax": jnp.asarray(GROUPS),
}


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"doubt"}))
def test_labels_of_every_form_are_the_numbers_of_the_classes(name):
    expected = tried(name, SCORES, LABELS, "int64")
    for form, labels in forms_for(name, LABEL_FORMS).items():
        assert_same_bits(tried(name, SCORES, labels, form), expected, f"{name}, {form}")


@pytest.mark.parametrize("name", sorted(set(CALLS) - NO_WEIGHTS))
def test_weights_of_every_form(name):
    expected = tried(name, SCORES, LABELS, "int64", sample_weight=WEIGHTS)
    for form, weights in forms_for(name, WEIGHT_FORMS).items():
        found = tried(name, SCORES, LABELS, form, sample_weight=weights)
        assert_same_bits(found, expected, f"{name}, {form}")


@pytest.mark.parametrize("name", sorted(TAKE_GROUPS))
def test_groups_of_every_form(name):
    expected = tried(name, SCORES, LABELS, "texts", groups=GROUPS.astype(str))
    for form, groups in forms_for(name, GROUP_FORMS).items():
        found = tried(name, SCORES, LABELS, form, groups=groups)
        assert_same_bits(found, expected, f"{name}, {form}")


def test_a_classifier_of_scikit_learn_takes_labels_of_every_form_that_scikit_learn_does():
    from sklearn.naive_bayes import GaussianNB

    from softmaxlib.sklearn import CalibratedClassifier

    def probabilities(labels, weights=None):
        classifier = CalibratedClassifier(GaussianNB(), "temperature", cv=2)
        return classifier.fit(SCORES[:, None], labels, sample_weight=weights).predict_proba(SCORES[:, None])

    expected = probabilities(LABELS)
    for form, labels in LABEL_FORMS.items():
        if len(np.shape(labels)) == 1 and form != "words as bytes":
            np.testing.assert_array_equal(probabilities(labels), expected, err_msg=form)
    expected = probabilities(LABELS, WEIGHTS)
    for form, weights in WEIGHT_FORMS.items():
        np.testing.assert_array_equal(probabilities(LABELS, weights), expected, err_msg=form)
