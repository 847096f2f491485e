"""Names of classes that no file could hold."""

import numpy as np
import pytest

from softmaxlib import Policy, evaluate
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MostLikely
from softmaxlib.errors import InvalidInputError

LABELS = np.arange(60) % 2
LOGITS = 3 * np.eye(2)[LABELS] + np.random.default_rng(0).normal(size=(60, 2))
MESSAGE = r"class_names must be text that a file can hold, got 'b\\udcff' for class 1; replace its lone"


@pytest.mark.parametrize("names", [["a", "b\udcff"], np.array(["a", "b\udcff"])])
def test_a_lone_surrogate_is_refused(names):
    with pytest.raises(InvalidInputError, match=MESSAGE):
        Policy(TemperatureScaling(), MostLikely()).fit(LOGITS, LABELS, class_names=names)
    with pytest.raises(InvalidInputError, match=MESSAGE):
        evaluate(LOGITS, LABELS, class_names=names)


def test_text_of_any_script_is_a_name():
    policy = Policy(TemperatureScaling(), MostLikely())
    policy.fit(LOGITS, LABELS, class_names=["\u732b", "\U0001f415"])
    assert policy.class_names_ == ("\u732b", "\U0001f415")
