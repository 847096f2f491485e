import json

import numpy as np
import pytest

from softmaxlib import metrics
from softmaxlib.decisions import MostLikely, Rule, TopK
from softmaxlib.errors import InvalidInputError


def test_sets_hold_the_k_most_likely_classes() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(6), 300).round(1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = generator.integers(0, 6, 300)
    for k in range(1, 7):
        decision = (
            TopK(k).fit(probabilities, labels, probabilities=True).decide(probabilities, probabilities=True)
        )
        assert (decision.sets.sum(axis=1) == k).all()
        covered = decision.sets[np.arange(300), labels].mean()
        assert covered == metrics.top_k_accuracy(probabilities, labels, k=k, probabilities=True)
        np.testing.assert_array_equal(
            decision.action, MostLikely().decide(probabilities, probabilities=True).action
        )
        assert not decision.abstained.any()


def test_json() -> None:
    back = Rule.from_dict(json.loads(json.dumps(TopK(3).to_dict())))
    assert repr(back) == "TopK(3)"


@pytest.mark.parametrize("k", [0, -1])
def test_a_list_of_no_class_is_refused(k: int) -> None:
    with pytest.raises(InvalidInputError, match=f"k must be a whole number, at least 1; got {k}"):
        TopK(k)


def test_more_classes_than_there_are_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match="TopK offers 3 classes, got probabilities of 2; choose k of at most 2"
    ):
        TopK(3).decide([[0.5, 0.5]], probabilities=True)
