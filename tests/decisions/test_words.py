"""The explanations of rules in words, checked against their decisions."""

import re

import numpy as np
import pytest

from softmaxlib.decisions import (
    MinimumCost,
    MostLikely,
    PredictionSets,
    SelectiveRisk,
    Threshold,
    TopK,
    TunedThreshold,
)
from softmaxlib.decisions.words import percent

BINARY = ("no", "yes")
THREE = ("ant", "bee", "cat")
MISTAKES = 1 - np.eye(3)

SAID = [
    (MostLikely(), THREE, "Every row gets its most likely class; none is handed over."),
    (TopK(2), THREE, "Each row gets a list of its 2 most likely classes."),
    (
        Threshold(0.95),
        THREE,
        "A row is handed over below 95% confidence; others get their most likely class.",
    ),
    (Threshold([0.7, 0.3]), BINARY, "yes is taken from a probability of 30% on, no below that."),
    (
        Threshold([0.7, 0.5, 0.9]),
        THREE,
        "A class is taken if its probability reaches its threshold (ant 70%, bee 50%, cat 90%); a row "
        "without such a class is handed over.",
    ),
    (
        Threshold([0.5, 0.6, 0.7, 0.8, 0.9]),
        tuple("abcde"),
        "A class is taken if its probability reaches its threshold (a 50%, b 60%, c 70%, d 80%, e 90%); a "
        "row without such a class is handed over.",
    ),
    (
        Threshold([0.5, 0.6, 0.7, 0.8, 0.9, 0.9]),
        tuple("abcdef"),
        "A class is taken if its probability reaches its threshold (a 50%, b 60%, c 70%, d 80%, e 90% and 1 "
        "more); a row without such a class is handed over.",
    ),
    (
        MinimumCost(2 * MISTAKES, abstain_cost=0.1),
        THREE,
        "A mistake costs 2 and handing a row over 0.1: a row is handed over below 95% confidence; others get "
        "their most likely class.",
    ),
    (MinimumCost(MISTAKES), THREE, "Every mistake costs the same: every row gets its most likely class."),
    (
        MinimumCost.binary(false_positive=1, false_negative=49),
        BINARY,
        "Taking no for yes costs 1, taking yes for no costs 49: yes is taken from a probability of 2% on, no "
        "below that.",
    ),
    (
        MinimumCost.binary(false_positive=1, false_negative=50, abstain_cost=0.4),
        BINARY,
        "Taking no for yes costs 1, taking yes for no costs 50: a row is handed over if the probability of "
        "yes is between 0.8% and 60%; below that no is taken, above it yes.",
    ),
    (
        MinimumCost.binary(false_positive=1, false_negative=3, abstain_cost=0.75),
        BINARY,
        "Taking no for yes costs 1, taking yes for no costs 3: yes is taken from a probability of 25% on, no "
        "below that. No row is handed over.",
    ),
    (
        MinimumCost([[0, 0], [5, 0]], abstain_cost=0.1),
        BINARY,
        "The action of least expected cost is taken. A row is handed over if even that has an expected "
        "cost above 0.1.",
    ),
    (
        MinimumCost([[0, 1, 4], [2, 0, 1], [3, 1, 0]], abstain_cost=0.4),
        THREE,
        "The action of least expected cost is taken. A row is handed over if even that has an expected "
        "cost above 0.4.",
    ),
]


@pytest.mark.parametrize(("rule", "names", "words"), SAID, ids=lambda value: type(value).__name__)
def test_words(rule, names, words):
    assert rule.explain(names) == words


@pytest.mark.parametrize("rule", [rule for rule, names, _ in SAID if names == BINARY], ids=repr)
def test_probabilities_that_are_named_part_what_is_decided(rule):
    named = [float(text) / 100 for text in re.findall(r"([\d.]+)%", rule.explain(BINARY))]
    for threshold in named:
        near = np.array([[1 - p, p] for p in (threshold - 1e-6, threshold + 1e-6)])
        below, above = rule.decide(near, probabilities=True).action
        assert below != above


@pytest.mark.parametrize("rule", [Threshold(0.95), MinimumCost(2 * MISTAKES, abstain_cost=0.1)], ids=repr)
def test_the_confidence_that_is_named_parts_what_is_decided(rule):
    threshold = rule.least_confidence(3)
    near = np.array([[p, 1 - p, 0.0] for p in (threshold - 1e-6, threshold + 1e-6)])
    assert rule.decide(near, probabilities=True).abstained.tolist() == [True, False]


def test_the_least_confidence_of_costs():
    assert MinimumCost(2 * MISTAKES, abstain_cost=0.1).least_confidence(3) == 0.95
    assert MinimumCost(2 * MISTAKES, abstain_cost=3).least_confidence(3) == 0
    assert MinimumCost(MISTAKES).least_confidence(3) == 0
    assert MinimumCost([[0, 1], [2, 0]], abstain_cost=0.1).least_confidence(2) is None
    assert MinimumCost([[0, 0], [0, 0]], abstain_cost=0.1).least_confidence(2) is None


def test_fitted_rules():
    generator = np.random.default_rng(0)
    probability = generator.random(2000)
    rows = np.stack([1 - probability, probability], axis=1)
    labels = (generator.random(2000) < probability).astype(int)
    tuned = TunedThreshold("f1_score").fit(rows, labels, probabilities=True)
    assert tuned.explain(BINARY) == (
        f"yes is taken from a probability of {percent(tuned.threshold_)} on, no below that."
    )
    risk = SelectiveRisk(0.1).fit(rows, labels, probabilities=True)
    assert risk.explain(BINARY) == (
        f"A row is handed over below {percent(risk.threshold_)} confidence; others get their most likely "
        "class. So at most 10% of the decisions are wrong: that holds for 95% of all fits."
    )
    assert risk.least_confidence(2) == risk.threshold_
    sets = PredictionSets(alpha=0.1, groups="class").fit(rows, labels, probabilities=True)
    assert sets.explain(BINARY) == (
        "Each row gets a set of classes that holds the true one in 90% of the rows, within each class; a row "
        "whose set is not one class is handed over."
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.95, "95%"),
        (0.0196, "1.96%"),
        (1 / 3, "33.3%"),
        (1.0, "100%"),
        (0.0, "0%"),
        (0.99999, "99.999%"),
        (1e-9, "1e-07%"),
    ],
)
def test_percents(share, text):
    assert percent(share) == text


def test_hardly_any_doubt_is_still_a_doubt():
    for share in (1 - 1e-12, np.nextafter(1, 0)):
        assert percent(share).startswith("99.9999999")
