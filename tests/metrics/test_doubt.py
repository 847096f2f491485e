import mpmath
import numpy as np
import pytest

from softmaxlib import metrics
from softmaxlib.activations import softmax
from softmaxlib.errors import InvalidInputError

SCORES = ["maximum_probability", "margin", "entropy", "energy", "maximum_logit"]


def exact(score: str, logits: list[float]) -> mpmath.mpf:
    with mpmath.workdps(250):
        z = [mpmath.mpf(x) for x in logits]
        total = mpmath.fsum(mpmath.exp(x) for x in z)
        p = sorted((mpmath.exp(x) / total for x in z), reverse=True)
        return {
            "maximum_probability": 1 - p[0],
            "margin": 1 - (p[0] - p[1]),
            "entropy": -mpmath.fsum(q * mpmath.log(q) for q in p),
            "energy": -mpmath.log(total),
            "maximum_logit": -max(z),
        }[score]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
def test_every_digit_of_a_confident_row_is_kept(score: str, scale: float) -> None:
    logits = np.random.default_rng(0).normal(size=(50, 6)) * scale
    expected = np.array([float(exact(score, list(row))) for row in logits])
    np.testing.assert_allclose(metrics.doubt(logits, score=score), expected, rtol=1e-13)


@pytest.mark.parametrize("score", SCORES)
def test_larger_is_more_doubt(score: str) -> None:
    sure, unsure = [6.0, 0.0, 0.0], [1.0, 0.5, 0.0]
    low, high = metrics.doubt([sure, unsure], score=score)
    assert low < high


@pytest.mark.parametrize("score", SCORES[:3])
def test_probabilities_give_the_same(score: str) -> None:
    logits = np.random.default_rng(1).normal(size=(200, 5)) * 3
    p = softmax(logits)
    np.testing.assert_allclose(
        metrics.doubt(p, score=score, probabilities=True), metrics.doubt(logits, score=score), rtol=1e-12
    )
    certain = metrics.doubt([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], score=score, probabilities=True)
    assert certain[0] == 0
    assert certain[1] == pytest.approx({"maximum_probability": 0.5, "margin": 1, "entropy": np.log(2)}[score])


@pytest.mark.parametrize("score", ["energy", "maximum_logit"])
def test_scores_of_logits_refuse_probabilities(score: str) -> None:
    with pytest.raises(InvalidInputError, match=f"score '{score}' needs logits, got probabilities"):
        metrics.doubt([[0.5, 0.5]], score=score, probabilities=True)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"score must be one of maximum_probability, .*; got 'gut'"):
        metrics.doubt([[0.5, 0.5]], score="gut")
