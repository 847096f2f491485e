import json

import numpy as np
import pytest

from softmaxlib.decisions import MostLikely, Rule
from softmaxlib.errors import InvalidInputError


def test_the_first_of_the_highest_is_taken() -> None:
    decision = MostLikely().decide(
        np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]], np.float32), probabilities=True
    )
    assert decision.action.tolist() == [1, 0]
    assert decision.action.dtype == np.int64
    assert decision.confidence.tolist() == [float(np.float32(0.4)), 0.5]
    assert not decision.abstained.any()
    assert decision.expected_cost is None
    assert decision.sets is None


def test_json_and_fit() -> None:
    rule = MostLikely()
    assert rule.fit([[0.5, 0.5]], [1], probabilities=True) is rule
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert isinstance(back, MostLikely)
    assert repr(back) == "MostLikely()"


def test_logits_are_refused_with_advice() -> None:
    with pytest.raises(InvalidInputError, match=r"apply softmaxlib\.softmax first"):
        MostLikely().decide([[3.0, -1.0]], probabilities=True)
    with pytest.raises(InvalidInputError, match="labels must lie in 0 to 1"):
        MostLikely().fit([[0.5, 0.5]], [2], probabilities=True)
