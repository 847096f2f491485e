"""One number a row is a binary model's: the row [0, x] of logits, [1 - p, p] of probabilities."""

import re

import numpy as np
import pandas as pd
import pytest

from softmaxlib._checks import check_logits, check_probabilities, warn_of_probabilities
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning

SCORES = [-1.5, 0.0, 700.0]


FORMS = {
    "array": np.array,
    "list": list,
    "one column": lambda values: np.array(values)[:, None],
    "pandas": pd.Series,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_score_is_the_logit_of_the_second_class(form) -> None:
    assert check_logits(form(SCORES)).tolist() == [[0, -1.5], [0, 0], [0, 700]]
    assert check_probabilities(form([0.25, 0.0, 1.0])).tolist() == [[0.75, 0.25], [1, 0], [0, 1]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype: type) -> None:
    assert check_logits(np.array(SCORES, dtype)).dtype == dtype
    assert check_probabilities(np.array([0.1], dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("check", "values", "message"),
    [
        (check_logits, [1.0, np.nan], "logits must be finite, got nan at row 1; drop the row"),
        (check_logits, np.float64(1), "logits must have two dimensions (rows, classes), or one (rows,)"),
        (check_logits, np.zeros((2, 2, 2)), "for a binary model, got shape (2, 2, 2)"),
        (check_logits, [], "logits must have at least one row and one class, got shape (0,)"),
        (check_probabilities, [0.5, 1.5], "probabilities must lie between 0 and 1, got 1.5 in row 1"),
        (check_probabilities, [[-0.5], [0.5]], "probabilities must lie between 0 and 1, got -0.5 in row 0"),
    ],
)
def test_what_is_no_score_is_refused(check, values, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        check(values)


def test_probabilities_of_the_second_class_are_no_logits() -> None:
    scores = check_logits(np.linspace(0.0, 1.0, 16))
    with pytest.warns(SoftmaxlibWarning, match="probabilities of the second class: each of the 16 rows"):
        warn_of_probabilities(scores, "pass them as probabilities")
    warn_of_probabilities(scores[:15], "")  # so few may be logits
    warn_of_probabilities(check_logits(np.linspace(0.0, 1.1, 16)), "")
    warn_of_probabilities(np.zeros((16, 2)), "")  # a model that has learned nothing
