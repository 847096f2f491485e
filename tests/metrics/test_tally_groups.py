"""Groups of a tally are named as those of an evaluation, in any batches."""

import datetime

import numpy as np
import pandas as pd
import pytest

from softmaxlib import evaluate, metrics
from softmaxlib.errors import UnsupportedTypeError

GENERATOR = np.random.default_rng(0)
LOGITS, LABELS = GENERATOR.normal(size=(60, 3)), GENERATOR.integers(0, 3, 60)
TEXTS = ["east"] * 20 + [None] * 20 + ["west"] * 20


def rows_of_groups(groups, size):
    whole = metrics.Tally(3)
    for start in range(0, 60, size):
        some = slice(start, start + size)
        whole.merge(metrics.Tally(3).update(LOGITS[some], LABELS[some], groups=groups[some]))
    return {name: result.rows for name, result in whole.compute().groups.items()}


@pytest.mark.parametrize("size", [60, 30, 7])
@pytest.mark.parametrize(
    "groups",
    [
        pd.Series([1] * 45 + [None] * 15, dtype="Int64"),
        pd.Series([1] * 45 + [None] * 15, dtype="float64"),
        pd.Series(TEXTS, dtype="string"),
        pd.Series(pd.Categorical(TEXTS)),
        TEXTS,
        [7, "7", np.nan] * 20,
        np.arange(60) % 2 == 0,
        pd.Series([True, False, None] * 20, dtype="boolean"),
        np.array([2**63, 5] * 30, np.uint64),
    ],
    ids=str,
)
def test_a_group_has_one_name_in_all_batches(groups, size):
    compared = evaluate(LOGITS, LABELS, groups=groups).groups.groups
    found = rows_of_groups(groups, size)
    assert found == {one.name: one.rows for one in compared}
    if "(missing)" in found:
        assert list(found)[-1] == "(missing)"


@pytest.mark.parametrize("size", [60, 7])
def test_a_group_called_missing_is_that_of_rows_without_a_group(size):
    assert rows_of_groups([None] * 20 + ["(missing)"] * 20 + ["east"] * 20, size) == {
        "east": 20,
        "(missing)": 40,
    }
    assert rows_of_groups(["(missing)"] * 40 + ["east"] * 20, size) == {"east": 20, "(missing)": 40}


@pytest.mark.parametrize(
    "groups", [np.arange(60) / 2, [datetime.date(2026, 1, 1)] * 60, np.full(60, 2.0**63)], ids=str
)
def test_groups_that_are_neither_texts_nor_whole_numbers_are_refused(groups):
    tally = metrics.Tally(3).update(LOGITS, LABELS)
    before = tally.to_dict()
    with pytest.raises(UnsupportedTypeError, match="groups must be texts or whole numbers, got "):
        tally.update(LOGITS, LABELS, groups=groups)
    assert tally.to_dict() == before
