"""A million draws follow the distribution computed here, independently, in plain words."""

import numpy as np
import pytest
from scipy import stats

from softmaxlib.sampling import Chain, sample

DRAWS = 1_000_000
LOGITS = np.array([2.0, 1.5, 1.5, 0.7, 0.0, -0.3, -0.3, -1.0, -2.5, -4.0])


def softmax(x):
    weight = np.exp(x - x.max())
    return weight / weight.sum()


def keep(x, tokens):
    result = np.full_like(x, -np.inf)
    result[tokens] = x[tokens]
    return result


# Which tokens stay is worked out by hand from the probabilities of LOGITS:
# 0.347 0.210 0.210 0.094 0.047 0.035 0.035 0.017 0.004 0.001
EXPECTED = {
    "plain": ({}, LOGITS),
    "temperature": ({"temperature": 0.5}, LOGITS / 0.5),
    "hot": ({"temperature": 3.0}, LOGITS / 3.0),
    "top_k": ({"top_k": 4}, keep(LOGITS, [0, 1, 2, 3])),
    "top_k tied": ({"top_k": 2}, keep(LOGITS, [0, 1, 2])),
    "top_p": ({"top_p": 0.85}, keep(LOGITS, [0, 1, 2, 3])),
    "top_p tied": ({"top_p": 0.5}, keep(LOGITS, [0, 2])),
    "min_p": ({"min_p": 0.12}, keep(LOGITS, [0, 1, 2, 3, 4])),
    "typical_p": ({"typical_p": 0.4}, keep(LOGITS, [1, 2])),
    "top_n_sigma": ({"top_n_sigma": 1.0}, keep(LOGITS, [0, 1, 2, 3])),
    "bias": ({"bias": {9: 5.0, 0: -np.inf}}, keep(LOGITS + 5.0 * (np.arange(10) == 9), range(1, 10))),
    "allowed": ({"allowed": np.arange(10) % 2 == 1}, keep(LOGITS, [1, 3, 5, 7, 9])),
    "combined": (
        {"temperature": 2.0, "top_k": 7, "top_p": 0.8, "allowed": np.arange(10) > 0},
        keep(LOGITS, [1, 2, 3, 4, 6]) / 2.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_million_draws(name):
    options, expected = EXPECTED[name]
    probability = softmax(expected)
    drawn = sample(LOGITS, seed=42, position=np.arange(DRAWS), **options)
    count = np.bincount(drawn.token, minlength=len(LOGITS))
    possible = probability > 0
    assert count[~possible].sum() == 0
    result = stats.power_divergence(count[possible], DRAWS * probability[possible], lambda_="log-likelihood")
    assert result.pvalue > 1e-6
    np.testing.assert_allclose(drawn.logprob, np.log(softmax(LOGITS))[drawn.token], rtol=1e-12)
    np.testing.assert_allclose(drawn.processed_logprob, np.log(probability[drawn.token]), rtol=1e-12)


def test_the_test_can_fail():
    """The same count against a distribution that is off by four percent of one token."""
    count = np.bincount(sample(LOGITS, seed=42, position=np.arange(DRAWS)).token, minlength=10)
    wrong = softmax(LOGITS + 0.04 * (np.arange(10) == 3))
    assert stats.power_divergence(count, DRAWS * wrong, lambda_="log-likelihood").pvalue < 1e-6


def test_draws_over_seeds_follow_the_distribution_too():
    count = np.bincount(sample(LOGITS, seed=np.arange(200_000), position=3).token, minlength=10)
    assert stats.power_divergence(count, 200_000 * softmax(LOGITS), lambda_="log-likelihood").pvalue > 1e-6


def test_successive_positions_are_independent():
    token = sample(LOGITS, seed=1, position=np.arange(DRAWS)).token
    pairs = np.bincount(token[0::2] * 10 + token[1::2], minlength=100).reshape(10, 10)
    common = pairs[:8, :8]
    assert stats.chi2_contingency(common).pvalue > 1e-6


def test_excluding_top_choices_throws_its_coin_as_often_as_asked():
    chain = Chain.like(
        "llama.cpp", xtc_probability=0.25, xtc_threshold=0.2, min_p=None, top_p=None, temperature=1.0
    )
    count = np.bincount(chain.sample(LOGITS, seed=9, position=np.arange(200_000)).token, minlength=10)
    excluded = softmax(keep(LOGITS, range(1, 10)))
    mixture = 0.75 * softmax(LOGITS) + 0.25 * excluded
    assert stats.power_divergence(count, 200_000 * mixture, lambda_="log-likelihood").pvalue > 1e-6
