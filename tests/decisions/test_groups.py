"""Prediction sets whose coverage holds within groups of classes or of rows."""

import json
import math

import numpy as np
import pytest

from softmaxlib.decisions import Outcomes, PredictionSets, Rule
from softmaxlib.errors import (
    FileFormatError,
    SoftmaxlibWarning,
)

from .made import made


def test_coverage_holds_within_groups_of_rows() -> None:
    probabilities, labels = made(3, 8000)
    groups = np.arange(8000) % 2
    noise = np.random.default_rng(3).integers(0, 5, 8000)
    labels = np.where((groups == 1) & (noise == 0), noise, labels)
    rule = PredictionSets("aps", 0.1, groups="rows", randomized=True)
    rule.fit(probabilities[:4000], labels[:4000], groups[:4000], probabilities=True)
    covered = rule.decide(probabilities[4000:], groups[4000:], probabilities=True).sets[
        np.arange(4000), labels[4000:]
    ]
    for group in (0, 1):
        assert covered[groups[4000:] == group].mean() == pytest.approx(0.9, abs=5 * math.sqrt(0.18 / 2000))
    assert rule.thresholds_[1] > rule.thresholds_[0]
    assert rule.group_sizes_.tolist() == [2000, 2000]


@pytest.mark.parametrize(
    "spelled",
    [
        np.array(["west", "east", "north"]),
        np.array(["west", "east", "north"], dtype=object),
        np.array([70, 8, 9]),
        np.array([70, 8, 9], dtype=np.uint8),
    ],
)
def test_groups_of_rows_go_by_their_names(spelled: np.ndarray) -> None:
    probabilities, labels = made(13)
    number = np.random.default_rng(13).integers(0, 3, 300)
    rule = PredictionSets("lac", 0.2, groups="rows").fit(
        probabilities, labels, spelled[number], probabilities=True
    )
    order = np.argsort(spelled)
    assert rule.group_names_ == tuple(str(spelled[place]) for place in order)
    for place, name in enumerate(rule.group_names_):
        of_group = spelled[number] == spelled[order[place]]
        alone = PredictionSets("lac", 0.2).fit(probabilities[of_group], labels[of_group], probabilities=True)
        assert (rule.thresholds_[place], rule.group_sizes_[place]) == (alone.thresholds_[0], of_group.sum())
        found = rule.decide(probabilities, np.full(300, name), probabilities=True).sets
        np.testing.assert_array_equal(found, alone.decide(probabilities, probabilities=True).sets)
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict(), allow_nan=False)))
    as_texts = np.array([str(name) for name in spelled])
    np.testing.assert_array_equal(
        back.decide(probabilities, as_texts[number], probabilities=True).sets,
        rule.decide(probabilities, spelled[number], probabilities=True).sets,
    )


def test_groups_that_are_true_or_false() -> None:
    probabilities, labels = made(14)
    rule = PredictionSets("lac", 0.2, groups="rows").fit(
        probabilities, labels, labels == 0, probabilities=True
    )
    assert rule.group_names_ == ("false", "true")
    decision = rule.decide(probabilities, labels == 0, probabilities=True)
    names = [str(k) for k in range(probabilities.shape[1])]
    outcomes = Outcomes(probabilities, decision, labels, decision.action, names, labels == 0, None)
    coverage = rule.coverage(outcomes)
    assert [(one.name, one.rows) for one in coverage] == [
        ("false", sum(labels != 0)),
        ("true", sum(labels == 0)),
    ]


def test_groups_are_described_by_their_classes() -> None:
    probabilities, labels = made(15)
    names = ["cat", "dog", "bird", "fish", "newt"]
    by_class = PredictionSets("lac", 0.2, groups="class").fit(probabilities, labels, probabilities=True)
    whole = PredictionSets("lac", 0.2).fit(probabilities, labels, probabilities=True)
    joined = PredictionSets("lac", 0.2, groups=[0, 1, 0, 1, 1]).fit(probabilities, labels, probabilities=True)
    counts = np.bincount(labels, minlength=5).tolist()
    for rule, expected in (
        (whole, [("", len(labels))]),
        (by_class, list(zip(names, counts, strict=True))),
        (joined, [("cat, bird", counts[0] + counts[2]), ("dog, fish, newt", sum(counts[1::2]) + counts[4])]),
    ):
        decision = rule.decide(probabilities, probabilities=True)
        outcomes = Outcomes(probabilities, decision, labels, decision.action, names, None, None)
        assert [(one.name, one.rows) for one in rule.coverage(outcomes)] == expected


@pytest.mark.parametrize("names", [None, ["a"], ["a", "a"], ["a", 2], "ab"])
def test_damaged_names_of_groups_are_refused(names: object) -> None:
    probabilities, labels = made(16)
    state = (
        PredictionSets("lac", 0.2, groups="rows")
        .fit(probabilities, labels, labels % 2, probabilities=True)
        .to_dict()
    )
    with pytest.raises(
        FileFormatError, match=r"group_names_ must (hold 2 different texts, one a group|be a list of texts)"
    ):
        Rule.from_dict({**state, "group_names_": names})


def test_a_group_too_small_keeps_every_class_and_says_so() -> None:
    probabilities, labels = made(4, 200, 8)
    labels[labels == 7] = 0
    labels[:8] = 7
    with pytest.warns(
        SoftmaxlibWarning,
        match=r"alpha 0\.1 needs at least 9 rows a group; nothing can be ruled out in group 7 \(8 rows\):",
    ):
        rule = PredictionSets("lac", 0.1, groups="class").fit(probabilities, labels, probabilities=True)
    assert rule.decide(probabilities, probabilities=True).sets[:, 7].all()
    labels[8] = 7
    rule = PredictionSets("lac", 0.1, groups="class").fit(probabilities, labels, probabilities=True)
    assert np.isfinite(rule.thresholds_[7])


def test_too_few_rows_without_groups_are_called_rows() -> None:
    words = (
        r"alpha 0\.01 needs at least 99 rows, got 50: no class can be ruled out; fit on more rows, or raise"
    )
    with pytest.warns(SoftmaxlibWarning, match=words):
        rule = PredictionSets("lac", 0.01).fit(*made(4, 50), probabilities=True)
    assert rule.decide(made(4, 50)[0], probabilities=True).sets.all()


def test_many_small_groups_are_counted() -> None:
    with pytest.warns(SoftmaxlibWarning, match=r"group 0 \(1 rows\), 1 \(1 rows\), .* and 2 more: fit on"):
        PredictionSets("lac", 0.1, groups="class").fit(*made(5, 12, 7), probabilities=True)
