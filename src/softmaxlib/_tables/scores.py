"""One column of scores: the logit, or the probability, of the positive class of a binary model."""

import re
from collections.abc import Collection, Sequence

import numpy as np

from .._arrays import FloatArray, IntArray, two_columns
from .._spelling import argument
from .._text import quoted
from ..errors import InvalidInputError
from .selection import Selection

_WHOLE = re.compile(r"[+-]?\d{1,18}")


def rows_of_scores(
    scores: FloatArray, selection: Selection, place: object, column: str, first_row: int
) -> FloatArray:
    """Convert one finite number per row to rows of two classes (rows, 2): ``[0, x]``, or ``[1 - p, p]``.

    Raises
    ------
    InvalidInputError
        For a probability outside [0, 1].
    """
    if selection.kind == "probabilities":
        outside = np.flatnonzero((scores < 0) | (scores > 1))
        if outside.size:
            row = int(outside[0])
            raise InvalidInputError(
                f"{place}: probabilities must lie between 0 and 1, got {scores[row]} in row "
                f"{first_row + row} (counted from 0), {column}; if these are logits, fit and evaluate them "
                f"without {argument('probabilities', True)}"
            )
    return two_columns(scores, probabilities=selection.kind == "probabilities")


def order_of_scores(
    place: object, selection: Selection, class_names: Sequence[str], whose: str
) -> IntArray | None:
    """Return the places of two classes in rows of scores; None if the second class is the positive one.

    `whose` says in a message where the names are from: ``"the policy"``.
    """
    if len(class_names) != 2:
        raise InvalidInputError(
            f"{place}: one score a row is for two classes, and {whose} has {len(class_names)} "
            f"({quoted(class_names)}); name a column for each class with {argument('columns')}"
        )
    if selection.positive is None or selection.positive == class_names[1]:
        return None
    if selection.positive != class_names[0]:
        raise InvalidInputError(
            f"{argument('positive')} must be a class of {whose}, {quoted(class_names)}, got "
            f"{selection.positive!r}; correct it, or leave it out"
        )
    return np.array([1, 0])


def refuse_positive(place: object, selection: Selection, classes: int) -> None:
    """Refuse `positive` for a table that has a number for each class."""
    if selection.positive is not None:
        raise InvalidInputError(
            f"{argument('positive')} is for one column of scores, and {place} has a number for each of "
            f"{classes} classes; leave it out, or name the column with {argument('score')}"
        )


def are_enough(labels: Collection[str], positive: str | None) -> bool:
    """Return True if the labels found so far name both classes."""
    return len(labels) > 1 and (positive is None or positive in labels)


def classes_of_labels(labels: Collection[str], selection: Selection, place: object) -> tuple[str, str]:
    """Return the negative and the positive class, from the labels of a table.

    The positive class is the one that was named. Of numbers it is the larger one, and of false and true it
    is true; words do not tell.
    """
    found = sorted(labels, key=_key)
    where = f"{place}: column {selection.label!r}"
    positive = selection.positive
    if positive is not None and positive not in labels:
        raise InvalidInputError(
            f"{argument('positive')} must be a label, got {positive!r}, and {where} has {quoted(found)}; "
            "name one of them"
        )
    if len(found) < 2:
        raise InvalidInputError(
            f"{where} must have labels of two classes, got {quoted(found)} in every row; add rows of the "
            f"other, or choose another column with {argument('label')}"
        )
    if positive is not None:
        return next(label for label in found if label != positive), positive
    if not (all(map(_WHOLE.fullmatch, found)) or [label.lower() for label in found[:2]] == ["false", "true"]):
        raise InvalidInputError(
            f"{where} has labels such as {quoted(found[:2])}, which do not tell whose score it is; name the "
            f"class with {argument('positive')}, such as {argument('positive', found[0])}"
        )
    return found[0], found[1]


def _key(label: str) -> tuple[float, str]:
    return (int(label) if _WHOLE.fullmatch(label) else 0, label)
