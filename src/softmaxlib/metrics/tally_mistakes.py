"""The wrong rows of a tally that the model was surest of: a bounded list, the same however it is merged."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from ..errors import FileFormatError
from .predictions import Predictions


@dataclass(frozen=True)
class TallyMistake:
    """A row whose most likely class is wrong.

    Attributes
    ----------
    row_id : str or None
        What it is called; None where rows came without identifiers.
    truth, predicted : int
        Its true class, and the most likely one.
    probability, truth_probability : float
        Of these two classes: of the most likely one, and of the true one.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> tally = metrics.Tally(2).update([[2.0, 0.0], [0.0, 3.0]], [0, 0], row_ids=["a", "b"])
    >>> [(one.row_id, one.predicted, round(one.probability, 4)) for one in tally.compute().mistakes]
    [('b', 1, 0.9526)]
    """

    row_id: str | None
    truth: int
    predicted: int
    probability: float
    truth_probability: float


class _Row(NamedTuple):
    """A wrong row: the probability of all but the most likely class, the loss, two classes, its name."""

    doubt: float
    loss: float
    truth: int
    predicted: int
    row_id: str | None


def _order(row: _Row) -> tuple[float, float, int, int, bool, str]:
    """Return what rows are ordered by. Rows that are equal in it are equal in all."""
    return row.doubt, -row.loss, row.truth, row.predicted, row.row_id is not None, row.row_id or ""


class WorstRows:
    """The wrong rows with the largest probability, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._rows: list[_Row] = []

    def add(self, rows: Predictions, row_ids: npt.NDArray[np.object_] | None) -> None:
        """Add rows; those that are right, and those that are not among the worst, are left out."""
        wrong = np.flatnonzero(~rows.figure("correct")) if self.most else np.zeros(0, np.int64)
        if len(self._rows) == self.most and wrong.size:
            wrong = wrong[rows.figure("doubt")[wrong] <= self._rows[-1].doubt]
        if not wrong.size:
            return
        columns = [rows.figure(name)[wrong] for name in ("doubt", "log_loss")]
        columns += [rows.labels[wrong], rows.figure("most_likely")[wrong]]
        if wrong.size > self.most:
            keys = columns[0], -columns[1], *columns[2:]
            order = np.lexsort(keys[::-1])
            last, stop = order[self.most - 1], self.most
            if row_ids is not None:  # names decide between rows that are equal in all else
                equal = np.logical_and.reduce([key[order] == key[last] for key in keys])
                stop = int(np.flatnonzero(equal)[-1]) + 1
            some = order[:stop]
            wrong, columns = wrong[some], [column[some] for column in columns]
        names = [None] * wrong.size if row_ids is None else row_ids[wrong].tolist()
        self._put(list(map(_Row, *(column.tolist() for column in columns), names)))

    def merge(self, other: "WorstRows") -> None:
        """Add the rows of another list."""
        self._put(other._rows)

    def _put(self, rows: list[_Row]) -> None:
        self._rows = sorted(self._rows + rows, key=_order)[: self.most]

    def found(self) -> tuple[TallyMistake, ...]:
        """Return the rows, the surest first."""
        return tuple(
            TallyMistake(row.row_id, row.truth, row.predicted, 1 - row.doubt, math.exp(-row.loss))
            for row in self._rows
        )

    def to_list(self) -> list[list[Any]]:
        """Return the rows as plain values; an infinite loss is None."""
        return [[row.doubt, None if math.isinf(row.loss) else row.loss, *row[2:]] for row in self._rows]

    @classmethod
    def from_list(cls, content: Any, place: str, most: int, classes: int) -> Self:
        """Read back what `to_list` wrote; nothing in it is trusted."""
        if not isinstance(content, list) or len(content) > most:
            raise FileFormatError(f"{place} must be a list of at most {most} rows; {_json.ADVICE}")
        made = cls(most)
        made._put([_decoded(row, place, classes) for row in content])
        return made


def _decoded(content: Any, place: str, classes: int) -> _Row:
    if not isinstance(content, list) or len(content) != len(_Row._fields):
        raise FileFormatError(f"{place} must hold rows of {len(_Row._fields)} values; {_json.ADVICE}")
    doubt, loss, truth, predicted, row_id = content
    if row_id is not None and not isinstance(row_id, str):
        raise FileFormatError(f"{place} must name rows by texts, got {row_id!r}; {_json.ADVICE}")
    return _Row(
        _json.decode_number(doubt, place, lower=0, upper=1),
        math.inf if loss is None else _json.decode_number(loss, place, lower=0),
        _json.decode_integer(truth, place, lower=0, upper=classes - 1),
        _json.decode_integer(predicted, place, lower=0, upper=classes - 1),
        row_id,
    )
