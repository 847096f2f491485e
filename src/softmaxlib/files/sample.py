"""The rows of a source in memory: all of them, or a uniform sample where there are too many."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray, IntArray
from .._checks import RandomState, check_integer, check_random_state
from .._checks.class_labels import ClassNumbers
from .._spelling import argument
from .._text import listed
from ..errors import InvalidInputError, UnsupportedTypeError
from .formats import TEXT_FORMATS, ending_of
from .logit_table import LogitTable, Reading
from .overlap import read_ahead
from .part import Part
from .parts import cut_at_row_groups
from .reading import Progress, note_renormalized
from .renormalized import Renormalized
from .tasks import run

SAMPLE_ROWS = 1_000_000
_MOST_ROWS = 10**9 - 1  # the limit of NumPy's hypergeometric distribution
_SALT = 0x5A3B1E  # the sample must not use the same random numbers as later draws with this seed


class Rows(NamedTuple):
    """The rows of a source that are in memory.

    Attributes
    ----------
    values, labels, groups, rule_rows, weights, ids
        One entry per row: see `Batch`. The labels are `ClassNumbers`.
    places : array of int (rows,)
        The place of each row among all rows of the source, counted from 0.
    parts, counts : sequence of Part, of int
        The parts of the source, and the number of rows of each.
    renormalized : Renormalized or None
        The changes made by dividing probabilities by their sums.
    """

    values: FloatArray
    labels: IntArray
    groups: npt.NDArray[np.object_] | None
    rule_rows: npt.NDArray[np.bool_] | None
    weights: npt.NDArray[np.float64] | None
    ids: npt.NDArray[np.object_] | None
    places: IntArray
    parts: Sequence[Part]
    counts: Sequence[int]
    renormalized: Renormalized | None

    @property
    def all_rows(self) -> int:
        """The number of rows of the source."""
        return sum(self.counts)

    @property
    def sampled_from(self) -> int | None:
        """The number of rows these were drawn from; None if these are all."""
        return None if len(self.labels) == self.all_rows else self.all_rows


@dataclass(frozen=True)
class Wanted:
    """A part, and how many of its rows to draw with `seed`; None for all."""

    part: Part
    rows: int | None
    all_rows: int | None
    seed: tuple[int, ...]

    def chosen(self) -> IntArray | None:
        """Draw the places of the rows in the part, rising; None for all."""
        if self.rows is None:
            return None
        assert self.all_rows is not None
        generator = np.random.default_rng(self.seed)
        return np.sort(generator.choice(self.all_rows, self.rows, replace=False, shuffle=False))


Columns = tuple[npt.NDArray | None, ...]  # values, labels, groups, rule_rows, weights, ids, places


class _Found(NamedTuple):
    columns: Columns
    rows: int
    renormalized: Renormalized | None


class Plan(NamedTuple):
    """The columns to read of each part of a source, and their format."""

    wanted: list[Wanted]
    reading: Reading

    @property
    def is_sample(self) -> bool:
        """True if there are more rows than are wanted."""
        return any(one.rows is not None for one in self.wanted)

    def read(self, executor: Executor | None, progress: Progress | None) -> Rows:
        """Read the rows that are wanted."""
        found: list[_Found] = []
        for one in run(partial(_read, self.reading), self.wanted, executor):
            found.append(one)
            if progress is not None:
                progress(one.rows, None)
        changed = note_renormalized([one.renormalized for one in found])
        counts = [one.rows for one in found]
        columns = [list(column) for column in zip(*(one.columns for one in found), strict=True)]
        del found
        first = np.cumsum([0, *counts])
        columns[-1] = [places + start for places, start in zip(columns[-1], first, strict=False)]
        return self.rows_of(columns, counts, changed)

    def rows_of(
        self,
        columns: list[list[npt.NDArray | None]],
        counts: Sequence[int],
        changed: Renormalized | None = None,
    ) -> Rows:
        """Join the rows that were read, each column in pieces; `counts` are the rows of the parts."""
        parts = [one.part for one in self.wanted]
        if not sum(counts):
            names = listed(list(dict.fromkeys(str(part.location) for part in parts)))
            raise InvalidInputError(f"{names} has no rows; at least one is needed")
        values, labels, groups, rule_rows, weights, ids, places = map(_joined, columns)
        if weights is not None and not weights.any():
            raise InvalidInputError(
                f"{argument('weight')} must not name a column that is 0 in every row, as "
                f"{self.reading.selection.weight!r} is: no row would count; name another"
            )
        assert labels is not None  # a label column was named
        numbers = labels.view(ClassNumbers)
        return Rows(values, numbers, groups, rule_rows, weights, ids, places, parts, counts, changed)  # type: ignore[arg-type]


def plan_rows(
    files: Sequence[Part],
    reading: Reading,
    *,
    sample_rows: int = SAMPLE_ROWS,
    random_state: RandomState = 0,
    executor: Executor | None = None,
) -> Plan:
    """Plan to read all rows of some files, or to draw `sample_rows` of them without replacement.

    Each set of this size is equally probable: the numbers of rows of the parts are drawn from the
    multivariate hypergeometric distribution, and each part draws its own rows. The sample depends only on
    `random_state` and the files, not on the executor.
    """
    if reading.selection.label is None:
        raise UnsupportedTypeError(f"{argument('label')} must name the column with the true class, got None")
    sample_rows = check_integer(sample_rows, "sample_rows", lower=1)
    seed = check_random_state(random_state)
    parts = list(cut_at_row_groups(files))
    return Plan(_wanted(parts, reading, sample_rows, seed, executor), reading)


def read_rows(
    files: Sequence[Part],
    reading: Reading,
    *,
    sample_rows: int = SAMPLE_ROWS,
    random_state: RandomState = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Rows:
    """Read all rows of some files, or a sample: see `plan_rows`."""
    plan = plan_rows(files, reading, sample_rows=sample_rows, random_state=random_state, executor=executor)
    return plan.read(executor, progress)


def _wanted(
    parts: Sequence[Part], reading: Reading, sample_rows: int, seed: int, executor: Executor | None
) -> list[Wanted]:
    if sum(_most_rows(part, reading) for part in parts) <= sample_rows:
        return [Wanted(part, None, part.rows, ()) for part in parts]
    unknown = [part for part in parts if part.rows is None]
    counted = iter(list(run(partial(_count, reading), unknown, executor)))
    counts = [next(counted) if part.rows is None else part.rows for part in parts]
    total = sum(counts)
    if total <= sample_rows:
        return [Wanted(part, None, rows, ()) for part, rows in zip(parts, counts, strict=True)]
    if total > _MOST_ROWS:
        raise InvalidInputError(
            f"a sample can be drawn of at most {_MOST_ROWS:,} rows, and there are {total:,}; name fewer "
            f"files, or take all of them with a larger {argument('sample_rows')}"
        )
    generator = np.random.default_rng((seed, _SALT))
    shares = generator.multivariate_hypergeometric(counts, sample_rows, method="marginals").tolist()
    return [
        Wanted(part, share, rows, (seed, _SALT, number))
        for number, (part, share, rows) in enumerate(zip(parts, shares, counts, strict=True))
    ]


def _most_rows(part: Part, reading: Reading) -> float:
    """Return the largest possible number of rows of a file, if that is known without reading it."""
    if part.rows is not None:
        return part.rows
    ending, compression = ending_of(part.location.path)
    if ending not in TEXT_FORMATS or compression is not None:
        return np.inf
    return part.location.info().size / (2 * len(reading.class_names or "01"))  # two bytes a class


def _count(reading: Reading, part: Part) -> int:
    table = LogitTable(part, reading, may_be_empty=True)
    return sum(len(batch.values) for batch in table.batches()) if table.rows is None else table.rows


def _read(reading: Reading, wanted: Wanted) -> _Found:
    """Read the wanted rows of a part, each column as one array."""
    chosen = wanted.chosen()
    table = LogitTable(wanted.part, reading, may_be_empty=True)
    columns: list[list[npt.NDArray | None]] = [[] for _ in range(7)]
    start = 0
    for batch in read_ahead(table.batches()):
        stop = start + len(batch.values)
        here = slice(None) if chosen is None else between(chosen, start, stop)
        places = np.arange(start, stop)
        of_rows = (batch.labels, batch.groups, batch.rule_rows, batch.weights, batch.ids)
        found = (batch.values, *of_rows, places)
        for column, values in zip(columns, found, strict=True):
            column.append(None if values is None else values[here])
        start = stop
    return _Found(tuple(map(_joined, columns)), start, table.renormalized)


def between(chosen: IntArray, start: int, stop: int) -> IntArray:
    """Return the places in a batch of those chosen rows that are in it."""
    first, last = np.searchsorted(chosen, [start, stop])
    return chosen[first:last] - start


def _joined(parts: list[npt.NDArray | None]) -> npt.NDArray | None:
    """Join one column of some parts, freeing each part once it is copied; None if it was not named."""
    named = [part for part in parts if part is not None]
    found = [part for part in named if len(part)] or named[:1]
    parts.clear()
    del named
    if len(found) < 2:
        return found[0] if found else None
    whole = np.empty((sum(map(len, found)), *found[0].shape[1:]), dtype=np.result_type(*found))
    end = len(whole)
    while found:
        last = found.pop()
        whole[end - len(last) : end] = last
        end -= len(last)
    return whole
