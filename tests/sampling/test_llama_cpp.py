"""The vectors that llama.cpp publishes in tests/test-sampling.cpp hold to 1e-5.

Each: probabilities before, parameters, probabilities after (sorted, or in place where the order matters).
"""

import numpy as np
import pytest

from softmaxlib import softmax
from softmaxlib.sampling import (
    Chain,
    DontRepeatYourself,
    ExcludeTopChoices,
    FrequencyPenalty,
    MinP,
    PresencePenalty,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    TypicalP,
)

FOUR = [0.1, 0.2, 0.3, 0.4]
FIVE = [0.2] * 5


def single(value: float) -> float:
    """The number that llama.cpp, which computes in float32, is given."""
    return float(np.float32(value))


def probabilities(stages, before, **options):
    logits = np.log(np.array(before))
    return softmax(Chain(*stages).process(logits, **options))


@pytest.mark.parametrize(
    ("stage", "after"),
    [
        (Temperature(1.0), FOUR),
        (Temperature(0.0), [0, 0, 0, 1]),
        (TopK(1), [0, 0, 0, 1]),
        (TopK(3), [0, 0.22222, 0.33333, 0.44444]),
        (TopK(4), FOUR),
        (TopK(None), FOUR),
        (TopP(single(0.7)), [0, 0, 0.428571, 0.571429]),
        (TopP(single(0.8)), [0, 0.22222, 0.33333, 0.44444]),
        (TopP(1.0), FOUR),
        (MinP(0.00), FOUR),
        (MinP(0.24), FOUR),
        (MinP(0.26), [0, 0.2 / 0.9, 0.3 / 0.9, 0.4 / 0.9]),
        (MinP(0.49), [0, 0.2 / 0.9, 0.3 / 0.9, 0.4 / 0.9]),
        (MinP(0.51), [0, 0, 0.3 / 0.7, 0.4 / 0.7]),
        (MinP(0.74), [0, 0, 0.3 / 0.7, 0.4 / 0.7]),
        (MinP(0.76), [0, 0, 0, 1]),
        (MinP(1.00), [0, 0, 0, 1]),
        (TopNSigma(1.0), [0, 0, 0.428571, 0.571429]),
        (TopNSigma(None), FOUR),
        (TopNSigma(3.0), FOUR),
    ],
)
def test_filters(stage, after):
    np.testing.assert_allclose(probabilities([stage], FOUR), after, atol=1e-5)


@pytest.mark.parametrize(
    ("before", "p", "kept"),
    [
        ([0.97, 0.01, 0.01, 0.01], 0.5, [True, False, False, False]),
        ([0.4, 0.2, 0.2, 0.2], 0.5, [False, True, True, True]),
    ],
)
def test_typical(before, p, kept):
    np.testing.assert_array_equal(probabilities([TypicalP(p)], before) > 0, kept)


@pytest.mark.parametrize(("threshold", "left"), [(0.09, 1), (0.19, 2), (0.29, 3), (0.39, 4)])
def test_exclude_top_choices(threshold, left):
    """With probability 0.99 and a coin below it; 0.39 reaches one token only, and removes none."""
    got = probabilities([ExcludeTopChoices(0.99, threshold)], FOUR, seed=0, position=0)
    np.testing.assert_array_equal(got > 0, np.arange(4) < left)


@pytest.mark.parametrize(
    ("history", "repetition", "frequency", "presence", "after"),
    [
        ([0], 50.0, 0.0, 0.0, [0, 0.25, 0.25, 0.25, 0.25]),
        ([0, 1, 2], 50.0, 0.0, 0.0, [0, 0, 0, 0.5, 0.5]),
        ([0, 1, 2, 0, 0], 50.0, 0.0, 0.0, [0, 0, 0, 0.5, 0.5]),
        ([0], 1.0, 5.0, 5.0, [0.000011, 0.249997, 0.249997, 0.249997, 0.249997]),
        ([0, 1, 2], 1.0, 5.0, 5.0, [0.000023, 0.000023, 0.000023, 0.499966, 0.499966]),
        ([0, 1, 2, 0, 0], 1.0, 5.0, 5.0, [0.000000, 0.000023, 0.000023, 0.499977, 0.499977]),
    ],
)
def test_penalties(history, repetition, frequency, presence, after):
    stages = [RepetitionPenalty(repetition), FrequencyPenalty(frequency), PresencePenalty(presence)]
    np.testing.assert_allclose(probabilities(stages, FIVE, history=history), after, atol=1e-5)


@pytest.mark.parametrize(
    ("vocabulary", "history", "multiplier", "allowed_length", "breakers", "after"),
    [
        (4, [0, 1], 1.0, 2, (), [0.25] * 4),
        (4, [0, 1, 2, 0, 1], 1.0, 2, (), [0.296923, 0.296923, 0.109232, 0.296923]),
        (5, [0, 1, 3, 4, 0, 1], 1.0, 2, (3,), [0.2] * 5),
        (5, [0, 1, 2, 0, 1], 2.0, 2, (), [0.241818, 0.241818, 0.032727, 0.241818, 0.241818]),
        (5, [0, 1, 2, 3, 4, 0, 1], 1.0, 4, (), [0.2] * 5),
    ],
)
def test_dont_repeat_yourself(vocabulary, history, multiplier, allowed_length, breakers, after):
    stage = DontRepeatYourself(multiplier, 1.1, allowed_length, breakers=breakers)
    got = probabilities([stage], [1 / vocabulary] * vocabulary, history=history)
    np.testing.assert_allclose(got, after, atol=1e-5)


@pytest.mark.parametrize(
    ("order", "k", "p", "m"),
    [
        ("k", 10000, 1.0, 1.0), ("k", 1, 1.0, 1.0), ("p", 10000, 1.0, 1.0), ("m", 10000, 1.0, 1.0),
        ("m", 10000, 1.0, 1e-12), ("k", 100, 1.0, 1.0), ("p", 10000, 0.0003, 1.0), ("p", 10000, 0.8, 1.0),
        ("m", 10000, 1.0, 9997.9 / 9999.0), ("m", 10000, 1.0, 0.1), ("kp", 100, 0.8, 0.1),
        ("km", 100, 0.8, 0.1), ("pk", 100, 0.8, 0.1), ("pm", 100, 0.8, 0.1), ("mk", 100, 0.8, 0.1),
        ("mp", 100, 0.8, 9997.9 / 9999.0), ("mp", 100, 0.8, 0.1), ("kpm", 100, 0.8, 0.1),
        ("kmp", 100, 0.8, 0.1), ("pkm", 100, 0.8, 0.1), ("pmk", 100, 0.8, 0.1), ("mkp", 100, 0.8, 0.1),
        ("mpk", 100, 0.8, 0.1),
    ],
)  # fmt: skip
def test_queues_on_ten_thousand_tokens(order, k, p, m):
    """Probability proportional to the id: what is left is counted in whole numbers, exactly."""
    vocabulary = 10000
    with np.errstate(divide="ignore"):
        logits = np.log(np.arange(vocabulary, dtype=np.float64))
    stages = {"k": TopK(k), "p": TopP(single(p)), "m": MinP(m)}
    kept = np.isfinite(Chain(*(stages[letter] for letter in order)).process(logits))
    ids = np.arange(vocabulary)
    expected = ids > 0  # a token of probability 0 is never drawn
    for letter in order:
        if letter == "k":
            expected &= ids >= np.sort(ids[expected])[-min(k, expected.sum())]
        elif letter == "p" and p < 1:
            above = np.where(expected, ids, 0)[::-1].cumsum()[::-1] - ids
            expected &= above < single(p) * ids[expected].sum()
        elif letter == "m":
            expected &= ids >= m * ids[expected].max()
    np.testing.assert_array_equal(kept, expected)
