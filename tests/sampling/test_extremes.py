"""Extreme temperatures, penalties and biases: scores stay finite and in order, and the best token stays."""

import numpy as np
import pytest

from softmaxlib.sampling import (
    Bias,
    Chain,
    DontRepeatYourself,
    FrequencyPenalty,
    PresencePenalty,
    RepetitionPenalty,
    Temperature,
    sample,
)
from softmaxlib.sampling._call import prepare, sample_by_definition
from softmaxlib.sampling._keys import check_key

LARGEST = np.finfo(np.float64).max
ROWS = {
    "usual": np.array([3.0, 2.0, -np.inf, -5.0, 2.999]),
    "negative": np.array([-3.0, -2.5, -np.inf, -5.0, -2.6]),
    "large": np.array([1e300, 2e300, -np.inf, -1e300, 0.0]),
    "largest": np.array([LARGEST, 0.5 * LARGEST, -np.inf, -LARGEST, 0.0]),
    "tiny": np.array([1e-300, 3e-300, -np.inf, 0.0, 2e-300]),
}
TEMPERATURES = [1e-320, 1e-310, 1e-40, 1e-17, 1e-4, 1.0, 1e17, 1e30, 1e308]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", list(ROWS))
def test_temperatures(name, temperature):
    logits = ROWS[name]
    scores = Chain(Temperature(temperature)).process(logits)
    np.testing.assert_array_equal(np.isfinite(scores), np.isfinite(logits))
    assert scores[logits.argmax()] == scores.max()
    with np.errstate(over="ignore"):
        gap = (np.sort(logits)[-1] - np.sort(logits)[-2]) / temperature
    if gap > 800:  # the others have no probability left
        assert set(sample(logits, temperature=temperature, seed=np.arange(200), position=0).token) == {
            logits.argmax()
        }


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_compiled_draw_agrees_with_the_definition(kind, temperature):
    limit = np.finfo(kind).max
    logits = np.stack(
        [row.clip(-limit, limit, where=np.isfinite(row), out=row.copy()) for row in ROWS.values()]
    )
    logits = logits.astype(kind)
    seed, position = np.arange(len(logits)), np.arange(50)[:, None]
    for chain in (
        Chain.standard(temperature=temperature),
        Chain.standard(temperature=temperature, top_p=0.9, top_k=3),
    ):
        expected = sample_by_definition(prepare(chain.stages, logits, key=check_key(seed, position)))
        drawn = chain.sample(logits, seed=seed, position=position)
        np.testing.assert_array_equal(drawn.token, expected[0])
        assert np.isfinite(drawn.processed_logprob).all()


@pytest.mark.parametrize("strength", [1e-320, 1e-30, 1e30, 1e308, LARGEST])
@pytest.mark.parametrize("kind", [RepetitionPenalty, PresencePenalty, FrequencyPenalty, DontRepeatYourself])
@pytest.mark.parametrize("name", list(ROWS))
def test_penalties(name, kind, strength):
    history = [0, 1, 3, 4] * 3
    scores = Chain(kind(strength), Temperature(0.5)).process(ROWS[name], history=history)
    np.testing.assert_array_equal(np.isfinite(scores), np.isfinite(ROWS[name]))
    some = Chain(kind(strength)).process(ROWS[name], history=[0, 0, 0])
    np.testing.assert_array_equal(some[1:], ROWS[name][1:])
    drawn = Chain(kind(strength)).sample(ROWS[name], seed=1, position=0, history=history)
    assert drawn.token != 2
    assert np.isfinite(drawn.processed_logprob)


def test_negative_additive_penalties_do_not_overflow_upwards():
    for kind in (PresencePenalty, FrequencyPenalty):
        scores = Chain(kind(-LARGEST)).process(ROWS["largest"], history=[0, 0, 1])
        np.testing.assert_array_equal(np.isfinite(scores), np.isfinite(ROWS["largest"]))


def test_biases():
    bias = np.array([LARGEST, LARGEST, 5.0, -np.inf, -LARGEST])
    scores = Chain(Bias()).process(ROWS["largest"], bias=bias)
    np.testing.assert_array_equal(np.isfinite(scores), [True, True, False, False, True])
    assert Chain(Bias()).sample(ROWS["usual"], seed=1, position=0, bias={0: LARGEST}).token == 0
