"""Labels may be names in every metric: of class_names, or of a frame's columns, in their order."""

import inspect

import numpy as np
import pandas as pd
import pytest

from softmaxlib import metrics
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import SelectiveRisk
from softmaxlib.errors import InvalidInputError

from .made import made

NAMES = ["dog", "cat", "bird"]  # not sorted
PROBABILITIES, LABELS = made(0, classes=3)
LOGITS = np.log(PROBABILITIES)
NAMED = np.array(NAMES)[LABELS]
MULTILABEL = {"hamming_loss", "label_scores", "multilabel_score", "subset_accuracy"}
EVERY = {name: getattr(metrics, name) for name in metrics.__all__}
JUDGING = [
    name
    for name, metric in EVERY.items()
    if inspect.isfunction(metric) and "labels" in inspect.signature(metric).parameters
]
AVERAGED = ("f1_score", "precision", "recall", "specificity")
OPTIONS = {
    "cost_threshold_curve": {"false_positive": 1, "false_negative": 5},
    "top_k_accuracy": {"k": 2},
    "bootstrap_interval": {"resamples": 5},
    **{name: {"average": "macro"} for name in AVERAGED},
}


def figure(name, logits, labels, **options):
    of_what = (metrics.roc_auc,) if name == "bootstrap_interval" else ()
    found = EVERY[name](*of_what, logits, labels, **OPTIONS.get(name, {}), **options)
    return [np.asarray(part) for part in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("name", JUDGING)
def test_every_metric_takes_names_of_classes(name):
    parameter = inspect.signature(EVERY[name]).parameters["class_names"]
    assert (parameter.kind, parameter.default) == (parameter.KEYWORD_ONLY, None)


@pytest.mark.parametrize("name", [name for name in JUDGING if name not in MULTILABEL])
def test_names_mean_the_columns_that_class_names_says(name):
    expected = figure(name, LOGITS, LABELS)
    frame = pd.DataFrame(LOGITS, columns=NAMES)
    for logits, labels, options in (
        (LOGITS, NAMED, {"class_names": NAMES}),
        (frame, NAMED, {"class_names": NAMES}),
        (frame, NAMED, {}),
        (LOGITS, LABELS, {"class_names": NAMES}),
    ):
        for one, other in zip(figure(name, logits, labels, **options), expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.roc_auc])
def test_an_interval_is_that_of_numbers(metric):
    named = metrics.bootstrap_interval(metric, LOGITS, NAMED, class_names=NAMES, resamples=20)
    assert named == metrics.bootstrap_interval(metric, LOGITS, LABELS, resamples=20)


@pytest.mark.parametrize(
    ("logits", "class_names", "words"),
    [
        (LOGITS, ["dog", "cat"], "class_names must name each of the 3 classes once, got 2 names"),
        (LOGITS, ["dog", "cat", "cat"], "class_names must differ, 'cat' stands more than once"),
        (
            LOGITS,
            ["dog", "cat", "cow"],
            "labels must be among the class names dog, cat, cow; got 'bird' in row",
        ),
        (
            pd.DataFrame(LOGITS, columns=sorted(NAMES)),
            NAMES,
            "columns must be in the order of the classes of class_names, dog, cat, bird; got bird, cat, dog; "
            "select them in that order",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused(logits, class_names, words):
    with pytest.raises(InvalidInputError, match=words):
        metrics.log_loss(logits, NAMED, class_names=class_names)


def test_the_advice_can_be_followed():
    """Errors advise class_names where a call takes it, and a frame elsewhere."""
    logits, labels = LOGITS[:3], ["cat", "bird", "bird"]
    rule = (
        "labels must name each of the 3 classes at least once if nothing else does, got 2 names: bird, cat; "
    )
    with pytest.raises(InvalidInputError, match=rule + "give class_names=..., one name per class"):
        metrics.accuracy(logits, labels)
    by_columns = rule + "pass a frame whose columns name the classes, or class numbers as labels"
    for fit in (TemperatureScaling().fit, SelectiveRisk(0.5).fit):
        assert "class_names" not in inspect.signature(fit).parameters
        with pytest.raises(InvalidInputError, match=by_columns):
            fit(logits, labels)
    frame = pd.DataFrame(logits, columns=NAMES)
    expected = metrics.accuracy(logits, [1, 2, 2])
    assert metrics.accuracy(logits, labels, class_names=NAMES) == metrics.accuracy(frame, labels) == expected
    numbered, named = TemperatureScaling(), TemperatureScaling()
    numbered.fit(LOGITS, LABELS)
    named.fit(pd.DataFrame(LOGITS, columns=NAMES), NAMED)
    assert numbered.temperature_ == named.temperature_
