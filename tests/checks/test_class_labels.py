"""Labels in every form that people have them in: one answer, or one clear refusal."""

import re

import matplotlib.figure
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from softmaxlib import Policy, evaluate, metrics, softmax
from softmaxlib._checks import check_labels, name_classes
from softmaxlib._checks.class_labels import ClassNumbers
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MostLikely, SelectiveRisk
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError
from softmaxlib.report import ConfusionDisplay

NAMES = ("cat", "dog", "owl")
TRUTH = [1, 0, 2, 1]
TEXT = [NAMES[index] for index in TRUTH]

AS_TEXT = {
    "list": TEXT,
    "array": np.array(TEXT),
    "objects": np.array(TEXT, dtype=object),
    "bytes": np.array([name.encode() for name in TEXT]),
    "pandas": pd.Series(TEXT),
    "pandas string": pd.Series(TEXT, dtype="string"),
    "pandas category": pd.Series(TEXT, dtype="category"),
    "pandas categories in another order": pd.Categorical(TEXT, categories=["owl", "dog", "cat", "bat"]),
    "pandas frame": pd.DataFrame({"label": TEXT}),
    "polars": pl.Series(TEXT),
    "polars category": pl.Series(TEXT, dtype=pl.Categorical),
    "polars enum": pl.Series(TEXT, dtype=pl.Enum(["owl", "dog", "cat"])),
    "polars frame": pl.DataFrame({"label": TEXT}),
    "pyarrow": pa.array(TEXT),
    "pyarrow chunks": pa.chunked_array([TEXT[:1], TEXT[1:]]),
    "pyarrow dictionary": pa.array(TEXT).dictionary_encode(),
    "pyarrow table": pa.table({"label": TEXT}),
}
if hasattr(np.dtypes, "StringDType"):
    AS_TEXT["numpy strings"] = np.array(TEXT, dtype=np.dtypes.StringDType())
AS_NUMBERS = {
    "list": TRUTH,
    "int8": np.array(TRUTH, np.int8),
    "uint64": np.array(TRUTH, np.uint64),
    "whole floats": np.array(TRUTH, np.float32),
    "objects": np.array(TRUTH, dtype=object),
    "column": np.array(TRUTH)[:, None],
    "pandas nullable": pd.Series(TRUTH, dtype="Int64"),
    "pandas category": pd.Series(TRUTH, dtype="category"),
    "polars": pl.Series(TRUTH),
    "pyarrow": pa.array(TRUTH),
    "torch": torch.tensor(TRUTH),
    "one-hot": np.eye(3)[TRUTH],
    "one-hot integers": np.eye(3, dtype=int)[TRUTH].tolist(),
    "one-hot booleans": pd.get_dummies(pd.Series(TEXT)),
    "one-hot tensor": torch.eye(3)[TRUTH],
}
AS_BOOLEANS = {
    "list": [True, False, False],
    "array": np.array([True, False, False]),
    "objects": np.array([True, False, False], dtype=object),
    "pandas nullable": pd.Series([True, False, False], dtype="boolean"),
    "polars": pl.Series([True, False, False]),
    "pyarrow": pa.array([True, False, False]),
    "torch": torch.tensor([True, False, False]),
}


@pytest.mark.parametrize("form", AS_TEXT)
def test_text_is_numbered_by_the_class_names_or_sorted(form: str) -> None:
    assert check_labels(AS_TEXT[form], 4, 3, class_names=NAMES).tolist() == TRUTH
    assert check_labels(AS_TEXT[form], 4, 3).tolist() == TRUTH
    reverse = check_labels(AS_TEXT[form], 4, 3, class_names=("owl", "dog", "cat"))
    assert reverse.tolist() == [2 - index for index in TRUTH]


@pytest.mark.parametrize("form", AS_NUMBERS)
def test_numbers_and_one_hot_rows(form: str) -> None:
    found = check_labels(AS_NUMBERS[form], 4, 3, class_names=NAMES)
    assert found.dtype == np.int64
    assert found.tolist() == TRUTH


@pytest.mark.parametrize("form", AS_BOOLEANS)
def test_booleans_are_the_two_classes(form: str) -> None:
    assert check_labels(AS_BOOLEANS[form], 3, 2).tolist() == [1, 0, 0]


def test_names_come_from_text_as_far_as_it_tells() -> None:
    assert name_classes(["b", "a", "b"], 2) == ("a", "b")
    assert name_classes([1, 0], 3) == ("0", "1", "2")
    # more than ten numbers as text are not sorted as text
    assert check_labels(["2", "10", "0"], 3, 12).tolist() == [2, 10, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", None, "dog"], "labels must name a class in each row, got None in row 1"),
        (pl.Series(["cat", None, "dog"]), "labels must name a class in each row, got None in row 1"),
        (
            pd.Series(["cat", "dog", None], dtype="string"),
            "labels must name a class in each row, got <NA> in row 2",
        ),
        (pd.Series([1, None, 2], dtype="Int64"), "labels must name a class in each row, got NaN in row 1"),
        ([1.0, np.nan, 2.0], "labels must name a class in each row, got NaN in row 1"),
        (
            ["cat", "cta", "owl"],
            "among the class names cat, dog, owl; got 'cta' in row 1; did you mean 'cat'?",
        ),
        ([0.0, 0.5, 1.0], "labels must be class numbers or names, got 0.5 in row 1"),
        ([0.0, np.inf, 1.0], "labels must lie in 0 to 2 (3 classes), got inf in row 1"),
        ([0, 3, 1], "labels must lie in 0 to 2 (3 classes), got 3 in row 1"),
        ([0, -1, 1], "labels must lie in 0 to 2 (3 classes), got -1 in row 1"),
        ([True, False, True], "labels of True and False are for two classes, and there are 3"),
        ([[1, 0, 1]] * 3, "must be one-hot, one 1 and else 0 in each row, got [1 0 1] in row 0"),
        ([[0.9, 0.1, 0]] * 3, "labels must be class numbers or names, got 0.9 in row 0"),
        ([0, 1], "one class per row, shape (3,), or be one-hot, shape (3, 3), got shape (2,)"),
    ],
)
def test_what_names_no_class_is_refused(labels: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        check_labels(labels, 3, 3, class_names=NAMES)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["2020"] * 3, "M8[Y]"), "class numbers, class names or booleans, got dtype datetime64"),
        (np.array([1j, 0, 0]), "class numbers, class names or booleans, got dtype complex128"),
        (np.array([1, "a", 2], dtype=object), "all of one type; got int, str"),
    ],
)
def test_other_types_are_refused(labels: object, message: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=re.escape(message)):
        check_labels(labels, 3, 3, class_names=NAMES)


def test_text_that_does_not_show_every_class_needs_class_names() -> None:
    with pytest.raises(InvalidInputError, match="got 2 names: cat, dog; give class_names="):
        metrics.accuracy(np.eye(3) * 2, ["cat", "dog", "cat"])


class TestWhoseNames:
    """Text means the classes of class_names, of a frame's columns, or of a policy; else it is sorted."""

    LOGITS = np.array([[3.0, 0.0], [0.0, 3.0], [2.5, 0.5], [0.5, 2.5]] * 30 + [[0.2, 0.4]] * 10)
    TRUTH = np.array([0, 1, 0, 1] * 30 + [0] * 10)  # of the last rows the other class is more likely
    LABELS = np.array(["ok", "fraud"])[TRUTH]  # "fraud" comes first where text is sorted

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.LOGITS, columns=["ok", "fraud"])

    def test_metrics_and_fits_take_those_of_a_frame(self) -> None:
        assert metrics.accuracy(self.frame(), self.LABELS) == 120 / 130
        assert metrics.accuracy(self.LOGITS, self.LABELS) == 10 / 130
        numbered = TemperatureScaling().fit(self.LOGITS, self.TRUTH)
        assert TemperatureScaling().fit(self.frame(), self.LABELS).temperature_ == numbered.temperature_
        probabilities = softmax(self.LOGITS)
        named = pd.DataFrame(probabilities, columns=["ok", "fraud"])
        rule = SelectiveRisk(0.2).fit(named, self.LABELS, probabilities=True)
        assert (
            rule.to_dict() == SelectiveRisk(0.2).fit(probabilities, self.TRUTH, probabilities=True).to_dict()
        )

    def test_a_policy_keeps_them(self) -> None:
        given = Policy(TemperatureScaling(), MostLikely()).fit(
            self.LOGITS, self.LABELS, class_names=["ok", "fraud"]
        )
        own = Policy(TemperatureScaling(), MostLikely()).fit(self.frame(), self.LABELS)
        for policy in (given, own):
            assert policy.class_names_ == ("ok", "fraud")
            assert policy.decide(self.LOGITS[:2]).labels.tolist() == ["ok", "fraud"]
            assert policy.audit(self.LOGITS, self.LABELS) == policy.audit(self.LOGITS, self.TRUTH)
            assert evaluate(self.LOGITS, self.LABELS, policy=policy).confusion.tolist() == [[60, 10], [0, 60]]
        with pytest.raises(InvalidInputError, match="among the class names ok, fraud; got 'okay' in row 0"):
            given.audit(self.LOGITS[:1], ["okay"])

    def test_without_any_they_are_sorted_and_kept(self) -> None:
        flipped = self.LOGITS[:, ::-1]
        policy = Policy(TemperatureScaling(), MostLikely()).fit(flipped, self.LABELS)
        assert policy.class_names_ == ("fraud", "ok")
        assert policy.decide(flipped[:2]).labels.tolist() == ["ok", "fraud"]
        assert evaluate(flipped, self.LABELS).class_names == ("fraud", "ok")

    def test_a_column_of_scores_names_no_class(self) -> None:
        scores = pd.DataFrame({"score": self.LOGITS[:, 1] - self.LOGITS[:, 0]})
        policy = Policy(TemperatureScaling(), MostLikely()).fit(
            scores, self.LABELS, class_names=["ok", "fraud"]
        )
        assert policy.decide(scores[:2]).labels.tolist() == ["ok", "fraud"]

    def test_displays_take_theirs(self) -> None:
        ax = matplotlib.figure.Figure().subplots()
        display = ConfusionDisplay.from_predictions(
            self.LOGITS, self.LABELS, ax=ax, class_names=["ok", "fraud"]
        )
        assert display.confusion.tolist() == [[60, 10], [0, 60]]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["True", "False"], [True, False, True]),
        (["2", "0", "1"], [2, 0, 1]),
        (["1", "2", "3"], [1, 2, 1]),
    ],
)
def test_numbers_that_could_be_names_or_places_are_refused(names, labels):
    """The columns are called after such labels, in another order."""
    with pytest.raises(
        InvalidInputError, match=r"must be text where classes are called .* convert the labels"
    ):
        check_labels(labels, 3, len(names), class_names=names)
    text = [str(label) for label in labels]
    assert check_labels(text, 3, len(names), class_names=names).tolist() == [names.index(one) for one in text]


def test_numbers_are_places_where_names_say_nothing_else():
    assert check_labels([True, False], 2, 2, class_names=["False", "True"]).tolist() == [1, 0]
    assert check_labels([2, 0], 2, 3, class_names=["0", "1", "2"]).tolist() == [2, 0]
    assert check_labels([2, 0], 2, 3, class_names=["cat", "dog", "7"]).tolist() == [2, 0]
    assert check_labels(np.zeros(0, np.int64), 0, 2, class_names=["1", "2"]).shape == (0,)


def test_numbers_that_were_matched_to_names_are_no_names():
    places = np.array([2, 0, 1])
    for names in (("1", "2", "3"), ("2", "1", "0")):
        found = check_labels(places.view(ClassNumbers), 3, 3, class_names=names)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, places)
        with pytest.raises(InvalidInputError, match="labels must be text where classes are called"):
            check_labels(places, 3, 3, class_names=names)
    with pytest.raises(InvalidInputError, match=r"lie in 0 to 2 \(3 classes\), got 3 in row 0"):
        check_labels(np.array([3, 0, 1]).view(ClassNumbers), 3, 3, class_names=("1", "2", "3"))


def test_columns_of_one_hot_labels_mean_the_classes_they_are_called_after():
    text = ["dog", "cat", "owl"]
    one_hot = pd.get_dummies(pd.Series(text))
    assert check_labels(one_hot, 3, 3, class_names=["owl", "dog", "cat"]).tolist() == [1, 2, 0]
    assert check_labels(one_hot, 3, 3).tolist() == [1, 0, 2]
    frame = pd.DataFrame(5 * np.eye(3)[[1, 2, 0]], columns=["owl", "dog", "cat"])
    assert metrics.accuracy(frame, one_hot) == 1
    with pytest.raises(InvalidInputError, match=r"columns of labels must be called after .* to_numpy\(\)"):
        check_labels(one_hot, 3, 3, class_names=["dog", "fox", "owl"])
