"""Names of classes that no file could hold."""

import numpy as np
import pytest

from softmaxlib import Policy, evaluate
from softmaxlib._checks.class_labels import check_class_names
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


@pytest.mark.parametrize("surrogate", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_every_surrogate_is_one(surrogate):
    with pytest.raises(UnicodeEncodeError):
        chr(surrogate).encode()
    with pytest.raises(InvalidInputError, match="replace its lone surrogate"):
        check_class_names(["a", chr(surrogate)], 2)


@pytest.mark.parametrize("names", [("\u732b", "\U0001f415"), ("\ud7ff", "\ue000")])
def test_text_of_any_script_is_a_name(names):
    policy = Policy(TemperatureScaling(), MostLikely())
    policy.fit(LOGITS, LABELS, class_names=names)
    assert policy.class_names_ == names
