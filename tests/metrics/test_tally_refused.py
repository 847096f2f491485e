"""Refused batches and merges: the tally stays as it was, and the error names the difference."""

import numpy as np
import pytest

from softmaxlib import metrics
from softmaxlib.decisions import Threshold
from softmaxlib.errors import InvalidInputError, SoftmaxlibError, UnsupportedTypeError

from .made import made

LOGITS, LABELS = np.log(made(0, rows=60, classes=3)[0]), made(0, rows=60, classes=3)[1]
DECISION = Threshold(0.6).decide(LOGITS)
MOST = 4


@pytest.fixture
def few_groups(monkeypatch):
    """Limit a tally to four groups."""
    for module in ("tally", "_tally_groups"):
        monkeypatch.setattr(f"softmaxlib.metrics.{module}.LARGEST_GROUPS", MOST)


def grouped(names, **options):
    groups = np.array(names)[np.arange(60) % len(names)]
    return metrics.Tally(3).update(LOGITS, LABELS, groups=groups, **options)


def groups_of(count):
    return np.arange(60) % count


@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_with_too_many_groups_changes_nothing(few_groups, weighted):
    tally = grouped(["a", "b"])
    before = tally.to_dict()
    weights = np.linspace(0.5, 1.5, 60) if weighted else None
    words = "groups must be at most 4, got 5, '2' among them; name a column that has fewer"
    with pytest.raises(InvalidInputError, match=words):
        tally.update(LOGITS, LABELS, weights, groups_of(3), decision=DECISION)
    assert tally.to_dict() == before
    assert len(tally.update(LOGITS, LABELS, groups=groups_of(2)).compute().groups) == MOST


def test_a_merge_with_too_many_groups_changes_nothing(few_groups):
    tally, other = grouped(["a", "b"]), grouped(["b", "c", "d", "e"])
    before = tally.to_dict(), other.to_dict()
    with pytest.raises(InvalidInputError, match="groups must be at most 4, got 5, 'e' among them; name a"):
        tally.merge(other)
    assert (tally.to_dict(), other.to_dict()) == before
    assert len(tally.merge(grouped(["b", "c", "d"])).compute().groups) == MOST


def test_groups_of_rows_that_do_not_count_are_none(few_groups):
    groups, weights = np.where(groups_of(12) < 8, groups_of(12), 1), np.ones(60)
    weights[groups > 3] = 0
    tally = metrics.Tally(3).update(LOGITS, LABELS, weights, groups)
    split = metrics.Tally(3)
    for some in (groups > 3, groups <= 3):
        split.update(LOGITS[some], LABELS[some], weights[some], groups[some])
    assert list(tally.compute().groups) == ["0", "1", "2", "3"]
    assert tally.to_dict() == split.to_dict()


@pytest.mark.parametrize("kept", [{}, {"groups": groups_of(2), "decision": DECISION, "cost": np.ones(60)}])
@pytest.mark.parametrize(
    "wrong",
    [
        {"groups": groups_of(2)[:5]},
        {"row_ids": np.arange(5)},
        {"row_ids": np.zeros((60, 2))},
        {"sample_weight": -np.ones(60)},
        {"sample_weight": np.full(60, 1e200)},
        {"decision": "all of them"},
        {"decision": Threshold(0.6).decide(LOGITS[:5])},
        {"decision": DECISION, "cost": np.full(60, np.nan)},
        {"decision": DECISION, "cost_without_rule": np.ones(5)},
        {"labels": np.full(60, 3)},
        {"labels": np.full(60, "dog")},
        {"logits": LOGITS[:, :2]},
        {"logits": LOGITS[:, :1]},
        {"logits": LOGITS[:, 0]},
        {"logits": LOGITS[None]},
        {"logits": np.where(LOGITS > 0, LOGITS, np.inf)},
    ],
)
def test_whatever_is_wrong_changes_nothing(kept, wrong):
    tally = metrics.Tally(3, tests=True, smooth=True).update(LOGITS, LABELS, **kept)
    before = tally.to_dict()
    arguments = {"logits": LOGITS, "labels": LABELS, **kept, **wrong}
    with pytest.raises(SoftmaxlibError):
        tally.update(**arguments)
    assert tally.to_dict() == before


def test_a_tally_may_be_merged_with_itself():
    tally = grouped(["a", "b"], decision=DECISION)
    twice = grouped(["a", "b"], decision=DECISION).merge(grouped(["a", "b"], decision=DECISION))
    assert tally.merge(tally).to_dict() == twice.to_dict()


@pytest.mark.parametrize(
    ("own", "others", "words"),
    [
        ({"tests": True}, {}, "got tests=True and tests=False; make both with the same arguments"),
        ({}, {"least_confidence": 0.9}, "got least_confidence=None and least_confidence=0.9; make both"),
        ({"n_bins": 9}, {"smooth": True}, "got n_bins=9 and n_bins=15, smooth=False and smooth=True; make"),
        ({"classes": 3}, {"mistakes": 3}, "got classes=3 and classes=2, mistakes=12 and mistakes=3; make"),
    ],
)
def test_the_settings_that_differ_are_named(own, others, words):
    one, other = (metrics.Tally(**{"classes": 2, **options}) for options in (own, others))
    with pytest.raises(
        InvalidInputError, match=f"^tallies that are merged must have the same settings, {words}"
    ):
        one.merge(other)


def test_what_is_no_tally_is_not_merged():
    tally = grouped(["a"])
    words = "merge takes another Tally, got dict; read what to_dict returned with Tally.from_dict"
    with pytest.raises(UnsupportedTypeError, match=words):
        tally.merge(tally.to_dict())
