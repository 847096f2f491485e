"""Frames and columns of pandas whose rows are in different orders, in every function that takes both."""

import warnings

import numpy as np
import pandas as pd
import pytest

import softmaxlib
from softmaxlib import MultilabelPolicy, Policy, calibration, decisions, metrics, report
from softmaxlib.errors import SoftmaxlibWarning

RNG = np.random.default_rng(0)
NAMES = ["cat", "dog", "bird"]
TRUTH = np.arange(300) % 3
LOGITS = pd.DataFrame(2 * np.eye(3)[TRUTH] + RNG.normal(size=(300, 3)), columns=NAMES)
LABELS = pd.Series(np.array(NAMES)[TRUTH])
GROUPS = pd.Series(np.array(["north", "south"])[np.arange(300) // 3 % 2])
WEIGHTS = pd.Series(np.linspace(1, 2, 300))
MARKS = pd.DataFrame((LOGITS + RNG.normal(size=(300, 3)) > 0.5).astype(int), columns=NAMES)
ORDER = RNG.permutation(300)
POLICY = Policy(calibration.TemperatureScaling(), decisions.MostLikely()).fit(LOGITS, LABELS)
OF_GROUPS = decisions.PredictionSets(groups="rows", alpha=0.2)


def most_likely():
    return Policy(calibration.TemperatureScaling(), decisions.MostLikely())


WITH_LABELS = {
    "accuracy": lambda labels: metrics.accuracy(LOGITS, labels),
    "calibration_test": lambda labels: metrics.calibration_test(LOGITS, labels),
    "a calibration": lambda labels: calibration.VectorScaling().fit(LOGITS, labels),
    "a rule": lambda labels: decisions.SelectiveRisk(0.5).fit(LOGITS, labels),
    "a policy": lambda labels: most_likely().fit(LOGITS, labels),
    "audit": lambda labels: POLICY.audit(LOGITS, labels),
    "evaluate": lambda labels: softmaxlib.evaluate(LOGITS, labels),
}
WITH_MARKS = {
    "hamming_loss": lambda marks: metrics.hamming_loss(LOGITS, marks),
    "a policy of labels": lambda marks: MultilabelPolicy(
        calibration.TemperatureScaling(), decisions.MostLikely()
    ).fit(LOGITS, marks),
    "evaluate_multilabel": lambda marks: report.evaluate_multilabel(LOGITS, marks),
}
OTHERS = {
    "sample_weight": lambda weights: metrics.log_loss(LOGITS, LABELS, sample_weight=weights),
    "sample_weight of a policy": lambda weights: most_likely().fit(LOGITS, LABELS, sample_weight=weights),
    "groups": lambda groups: softmaxlib.evaluate(LOGITS, LABELS, groups=groups),
    "groups of a rule": lambda groups: (
        Policy(calibration.TemperatureScaling(), OF_GROUPS)
        .fit(LOGITS, LABELS, groups=groups)
        .decide(LOGITS, groups=groups)
    ),
}


def columns():
    for calls, column in ((WITH_LABELS, LABELS), (WITH_MARKS, MARKS)):
        for name, call in calls.items():
            yield pytest.param(call, column, "labels", id=name)
    for name, call in OTHERS.items():
        yield pytest.param(call, WEIGHTS if "weight" in name else GROUPS, name.split()[0], id=name)


@pytest.mark.parametrize(("call", "column", "name"), list(columns()))
def test_another_order_is_warned_of(call, column, name):
    call(column)  # warnings are errors here
    call(column.set_axis(np.arange(300) + 1000))  # of other rows: nothing is known of their order
    message = (
        rf"^{name} must be in the order of the rows.*from position \d+ on: \d+, not \d+; pass {name}\.loc"
    )
    with pytest.warns(SoftmaxlibWarning, match=message):
        call(column.set_axis(ORDER))


def test_only_the_index_counts_and_rows_are_taken_by_position():
    moved = LABELS.set_axis(ORDER)
    with pytest.warns(SoftmaxlibWarning, match="labels must be in the order of the rows"):
        found = metrics.accuracy(LOGITS, moved)
    assert found == metrics.accuracy(LOGITS, moved.to_numpy()) == metrics.accuracy(LOGITS, LABELS)


@pytest.mark.parametrize("index", [["a"] * 300, list("ab") * 150, [None, *range(299)]])
def test_an_index_that_names_no_row_alone_says_nothing(index):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.accuracy(LOGITS.set_axis(index), LABELS.set_axis(index[::-1] if None not in index else index))


@pytest.mark.parametrize(
    "index",
    [
        [pd.NA, None, *range(298)],
        pd.interval_range(0, 300),
        pd.IntervalIndex.from_arrays(range(300), range(2, 302)),
        pd.MultiIndex.from_product([range(30), list("abcdefghij")]),
        pd.date_range("2026-01-01", periods=300, tz="UTC"),
        pd.CategoricalIndex([str(row) for row in range(300)]),
    ],
    ids=["missing", "intervals", "overlapping", "pairs", "times", "categories"],
)
def test_an_index_of_any_type_is_compared(index):
    logits, labels = LOGITS.set_axis(index), LABELS.set_axis(index)
    metrics.accuracy(logits, labels)
    metrics.accuracy(logits, labels.set_axis(labels.index.astype(object)))
    with pytest.warns(
        SoftmaxlibWarning, match="labels must be in the order of the rows.* from position 298 on"
    ):
        metrics.accuracy(logits, labels.iloc[[*range(298), 299, 298]])
