"""Decisions on one part of a source, and the counts of all parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from .._tables.compute import compute
from ..errors import InvalidInputError
from ..policy import Policy
from ..policy.decided_table import decided_table
from .location import Location
from .logit_table import LogitTable, Reading
from .overlap import read_ahead, write_behind
from .part import Part
from .reading import Progress, note_renormalized
from .renormalized import Renormalized
from .sinks import Write


@dataclass(frozen=True)
class Counts:
    """Numbers of rows read, decided and set aside.

    Attributes
    ----------
    rows, decided, set_aside : int
        Of the parts that were done now.
    parts : int
        How many parts were done now.
    skipped : int
        How many were there already, whole.
    renormalized : Renormalized or None
        The changes made by dividing probabilities by their sums, if that was requested.
    """

    rows: int
    decided: int
    set_aside: int
    parts: int
    skipped: int = 0
    renormalized: Renormalized | None = None

    def __str__(self) -> str:
        share = f" ({self.set_aside / self.rows:.1%})" if self.rows else ""
        done = f"{self.rows:,} rows decided, {self.set_aside:,}{share} set aside"
        return (
            f"{done}; {self.skipped:,} of {self.parts + self.skipped:,} parts were there"
            if self.skipped
            else done
        )


@dataclass(frozen=True)
class Job:
    """The settings that all parts share."""

    policy: Policy
    reading: Reading
    target: Location
    progress: Progress | None = None
    total: int | None = None


@dataclass(frozen=True)
class PartCounts:
    """The counts of one part."""

    rows: int
    set_aside: int
    renormalized: Renormalized | None


class SameColumns:
    """A writer of successive tables, which must all have the same columns."""

    def __init__(self, write: Write, target: Location) -> None:
        self._write = write
        self._target = target
        self._first: tuple[pa.Schema, Part] | None = None

    def __call__(self, table: pa.Table, part: Part) -> None:
        """Write a table of this part; an empty one only if it is the first."""
        if self._first is None:
            self._first = table.schema, part
        elif not len(table):
            return
        schema, first = self._first
        if not table.schema.equals(schema):
            raise InvalidInputError(
                f"{part.location} has other columns than {first.location}, and {self._target} is one table; "
                "write a folder, or leave out the columns that differ"
            )
        self._write(table)


def decide_part(write: SameColumns, job: Job, part: Part, left_out: Sequence[str] = ()) -> PartCounts:
    """Decide one part batch by batch, and write each batch of decisions, without some of the columns."""
    table = LogitTable(part, job.reading, may_be_empty=True)
    rows = set_aside = 0
    with write_behind(write) as write_later:
        for batch in read_ahead(table.batches()):
            others = batch.others.drop_columns(list(left_out))
            decided = decided_table(job.policy, batch.values, batch.groups, others)
            write_later(decided, part)
            rows += len(decided)
            set_aside += compute.sum(decided.column("abstained")).as_py() or 0
            report(job, len(decided))
    return PartCounts(rows, set_aside, table.renormalized)


def report(job: Job, rows: int) -> None:
    """Call the progress function, if there is one, with the number of rows just done."""
    if job.progress is not None:
        job.progress(rows, job.total)


def without_progress(job: Job) -> Job:
    """Return the job without its progress function, for another process."""
    return replace(job, progress=None)


def counted(done: Sequence[PartCounts], skipped: int = 0) -> Counts:
    """Add the counts of all parts."""
    rows, set_aside = sum(one.rows for one in done), sum(one.set_aside for one in done)
    renormalized = note_renormalized([one.renormalized for one in done])
    return Counts(rows, rows - set_aside, set_aside, len(done), skipped, renormalized)
