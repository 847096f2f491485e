"""The classes of a tally are the same in every batch, and in the same order, or it says so."""

import json

import numpy as np
import pandas as pd
import pytest

from softmaxlib import Policy, metrics
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MostLikely
from softmaxlib.errors import FileFormatError, InvalidInputError

from .made import made

NAMES = ("dog", "cat", "bird")  # not sorted
PROBABILITIES, LABELS = made(0, classes=3)
LOGITS = np.log(PROBABILITIES)
NAMED = np.array(NAMES)[LABELS]
FRAME = pd.DataFrame(LOGITS, columns=NAMES)
OTHER_ORDER = FRAME[sorted(NAMES)]
PARTS = slice(0, 7), slice(7, 300), slice(300, None)
EXPECTED = metrics.Tally(3).update(LOGITS, LABELS)
ORDER = "columns must be in the order of the classes of the tally, dog, cat, bird; got bird, cat, dog; select"


def nameless(tally):
    return tally.to_dict() | {"class_names": None}


def again(tally):
    return metrics.Tally.from_dict(json.loads(json.dumps(tally.to_dict())))


@pytest.mark.parametrize("given", [None, NAMES])
@pytest.mark.parametrize("prefix", ["", "logit_"])
def test_batches_of_names_are_those_of_numbers(given, prefix):
    tally = metrics.Tally(3, class_names=given)
    tally.update(FRAME.add_prefix(prefix)[PARTS[0]], NAMED[PARTS[0]])
    tally.update(LOGITS[PARTS[1]], NAMED[PARTS[1]])  # by the names of the first frame
    tally.update(LOGITS[PARTS[2]], LABELS[PARTS[2]])
    assert nameless(tally) == EXPECTED.to_dict()
    assert tally.compute().class_names == NAMES
    assert EXPECTED.compute().class_names is None
    assert tally.compute().confusion == EXPECTED.compute().confusion


def test_names_that_nothing_orders_are_never_numbered_batch_by_batch():
    tally = metrics.Tally(3)
    words = (
        "labels of a batch must be class numbers where nothing names the 3 classes in their order, got 3 "
        "names: bird, cat, dog; give class_names=... where the tally is made, pass frames whose columns name"
    )
    with pytest.raises(InvalidInputError, match=words):
        tally.update(LOGITS, NAMED)
    assert tally.to_dict() == metrics.Tally(3).to_dict()
    assert tally.update(LOGITS, LABELS.astype(str)).to_dict() == EXPECTED.to_dict()  # numbers, as text


def test_another_order_is_refused_everywhere():
    tally = metrics.Tally(3).update(FRAME, LABELS)
    before = tally.to_dict()
    for one in (tally, again(tally), metrics.Tally(3, class_names=NAMES)):
        with pytest.raises(InvalidInputError, match=ORDER):
            one.update(OTHER_ORDER, NAMED)
        with pytest.raises(InvalidInputError, match=ORDER):
            one.update(OTHER_ORDER[:0], [])
    with pytest.raises(
        InvalidInputError, match="columns must be called after the classes of the tally, dog, cat"
    ):
        tally.update(FRAME.rename(columns={"dog": "cow"}), LABELS)
    other = metrics.Tally(3).update(OTHER_ORDER, NAMED)
    words = (
        "tallies that are merged must have the same classes in the same order, got 'dog' and 'bird' as class "
        "0; tally frames with their columns in one order"
    )
    for one in (other, again(other)):
        with pytest.raises(InvalidInputError, match=words):
            tally.merge(one)
    assert tally.to_dict() == before


@pytest.mark.parametrize("first", [True, False])
def test_the_names_of_one_tally_are_those_of_the_merged_one(first):
    named, numbered = metrics.Tally(3).update(FRAME[:200], NAMED[:200]), metrics.Tally(3)
    numbered.update(LOGITS[200:], LABELS[200:])
    merged = named.merge(numbered) if first else numbered.merge(named)
    assert nameless(merged) == EXPECTED.to_dict()
    assert again(merged).compute().class_names == NAMES
    with pytest.raises(InvalidInputError, match=ORDER):
        merged.update(OTHER_ORDER, NAMED)


def test_a_batch_that_does_not_count_names_nothing():
    tally = metrics.Tally(3).update(OTHER_ORDER, NAMED, np.zeros(len(LABELS)))
    tally.update(OTHER_ORDER[:0], [])
    with pytest.raises(InvalidInputError, match="labels"):
        tally.update(OTHER_ORDER, np.full(len(LABELS), "cow"))
    assert nameless(tally.update(FRAME, NAMED)) == EXPECTED.to_dict()
    assert tally.reset().to_dict() == metrics.Tally(3, class_names=NAMES).to_dict()


def test_groups_have_the_names_too():
    groups = np.where(LABELS == 1, "a", "b")
    result = again(metrics.Tally(3).update(FRAME, NAMED, groups=groups)).compute()
    assert {one.class_names for one in result.groups.values()} == {NAMES}
    assert result.groups["a"].class_weight.tolist() == [0, (LABELS == 1).sum(), 0]


def test_a_tally_of_a_policy_has_its_names():
    policy = Policy(Identity(), MostLikely()).fit(FRAME, NAMED)
    tally = policy.tally().update(FRAME, NAMED)
    assert tally.figures().class_names == NAMES
    written = tally.to_dict()
    assert written["tally"]["class_names"] == list(NAMES)
    del written["tally"]["class_names"]  # as an earlier version wrote it
    read = type(tally).from_dict(written, policy)
    assert read.to_dict() == tally.to_dict()
    written["tally"]["class_names"] = sorted(NAMES)
    with pytest.raises(
        FileFormatError, match=r"tally\.tally must be of the policy's classes: .* got 'dog' and"
    ):
        type(tally).from_dict(written, policy)


def test_a_tally_of_an_earlier_version_has_no_names():
    written = EXPECTED.to_dict()
    del written["class_names"]
    assert metrics.Tally.from_dict(written).to_dict() == EXPECTED.to_dict()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("abc", r"tally\.class_names must be a list of texts or null; the file is damaged"),
        ([1, 2, 3], r"tally\.class_names must be a list of texts or null; the file is damaged"),
        (
            ["a", "b"],
            r"tally\.class_names must name the classes: class_names must name each of the 3 classes",
        ),
        (["a", "b", "b"], r"tally\.class_names must name the classes: class_names must differ, 'b' stands"),
    ],
)
def test_names_of_a_file_that_are_none(names, words):
    with pytest.raises(FileFormatError, match=words):
        metrics.Tally.from_dict(EXPECTED.to_dict() | {"class_names": names})


def test_names_of_a_group_are_those_of_the_tally():
    of_group = metrics.Tally(3, mistakes=0, class_names=NAMES).to_dict()
    with pytest.raises(FileFormatError, match="groups must be tallies of the same kind"):
        metrics.Tally.from_dict(EXPECTED.to_dict() | {"groups": {"a": of_group}})


@pytest.mark.parametrize("names", [["dog", "cat"], ["dog", "cat", "cat"], ["dog", "cat", "\udcff"]])
def test_names_that_are_none(names):
    with pytest.raises(InvalidInputError, match="class_names must"):
        metrics.Tally(3, class_names=names)
