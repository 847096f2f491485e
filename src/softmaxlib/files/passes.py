"""Repeated passes over all rows of a source, in blocks that do not depend on the split into files."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .._all_rows import Merged, RowBlock
from ..errors import InvalidInputError
from .block_sums import BlockSums
from .logit_table import Batch, LogitTable, Reading
from .overlap import read_ahead
from .part import Part
from .reading import Progress
from .tasks import run

BLOCK_VALUES = 1 << 19  # numbers per block, about
BLOCKS_OF_SUMS = 4  # for many sums of little work each: less is done for each block


class PlacedRows(NamedTuple):
    """Successive rows of a source.

    Attributes
    ----------
    first : int
        The place of the first one among all rows of the source, counted from 0.
    block : RowBlock
        The rows as they were read.
    rule_rows : boolean array (rows,) or None
        Whether each row is the rule's, if a column for this was named.
    ids : array of text (rows,) or None
        What each row is called, if a column for this was named.
    """

    first: int
    block: RowBlock
    rule_rows: npt.NDArray[np.bool_] | None
    ids: npt.NDArray[np.object_] | None


class View(Protocol):
    """A selection and conversion of rows; it is sent to the process that reads them."""

    def __call__(self, rows: PlacedRows) -> RowBlock:
        """Return the rows that count, converted."""
        ...


class _Piece(NamedTuple):
    """A number of successive rows of a part, after some that are skipped."""

    number: int  # of the part in the source
    part: Part
    skipped: int
    rows: int


class Task(NamedTuple):
    """Successive blocks, and the places of their rows."""

    first_block: int
    pieces: tuple[_Piece, ...]


class Job(NamedTuple):
    """Blocks of `size` rows, converted to a dtype, or left as they are if it is None."""

    reading: Reading
    size: int
    dtype: np.dtype | None
    view: View

    def blocks(self, task: Task) -> Iterator[PlacedRows]:
        """Yield the rows of a task in blocks; the last one may be smaller."""
        place, waiting, held = task.first_block * self.size, [], 0
        for piece in task.pieces:
            for rows in _rows_of_piece(self, piece):
                start = 0
                while start < len(rows.block.labels):
                    taken = _cut(rows, start, start + self.size - held)
                    waiting.append(taken)
                    start += len(taken.block.labels)
                    held += len(taken.block.labels)
                    if held == self.size:
                        yield _one(place, waiting)
                        place, waiting, held = place + held, [], 0
        if waiting:
            yield _one(place, waiting)


@dataclass(frozen=True)
class Passes:
    """The rows of a source, for fits and tests over all rows: see `AllRows`.

    Attributes
    ----------
    parts, counts : sequence of Part, of int
        What the source consists of, and how many rows each part has.
    reading : Reading
        The settings for reading it.
    dtype : dtype or None
        Of the values, the same for all parts; None for that of each file.
    view : View
        The rows that count, and their conversion.
    classes : int
        The number of classes.
    is_weighted : bool
        Whether they have weights.
    group_names : tuple of str
        The groups that occur.
    blocks_at_once : int
        How many times `BLOCK_VALUES` a block is large.
    executor, progress
        The executor that reads the parts, and the function called with the progress.
    """

    parts: Sequence[Part]
    counts: Sequence[int]
    reading: Reading
    dtype: np.dtype | None
    view: View
    classes: int
    is_weighted: bool
    group_names: tuple[str, ...] = ()
    blocks_at_once: int = 1
    executor: Executor | None = None
    progress: Progress | None = None

    def seen(self, view: View) -> "Passes":
        """Return the same rows in another view."""
        return replace(self, view=view)

    def merged(self, of_block: Callable[..., Merged], *arguments: object) -> Merged:
        """Merge the results of a module's function on each block of rows: ``of_block(block, *arguments)``."""
        every: BlockSums[Merged] = BlockSums()
        for sums, rows in run(partial(_merged, self.job, of_block, arguments), self.tasks(), self.executor):
            every.merge(sums)
            self.tell(rows)
        total = every.total()
        if total is None:
            raise InvalidInputError(
                "the calibration and the rule must each have rows of their own, with a weight above 0, and "
                "one of them has none; give more rows"
            )
        return total

    def every(self, step: int) -> RowBlock:
        """Return every `step`-th row of those that count, starting with the first."""
        found = []
        work = partial(_every, self.job, step)
        for block, rows in run(work, list(zip(self._first, self.tasks(), strict=False)), self.executor):
            found.append(block)
            self.tell(rows)
        return _joined(found)

    @cached_property
    def _first(self) -> list[int]:
        """The place of the first row of each task among those that count; this reads all rows."""
        tasks = self.tasks()
        counts = list(run(partial(_count, self.job), tasks, self.executor)) if len(tasks) > 1 else [0]
        return np.cumsum([0, *counts]).tolist()

    def with_groups(self) -> "Passes":
        """Return the same rows with the sorted groups that occur among them; this reads all rows."""
        found: set[str] = set()
        for names in run(partial(_groups, self.job), self.tasks(), self.executor):
            found |= names
        return replace(self, group_names=tuple(sorted(found)))

    @property
    def job(self) -> Job:
        """The size and the dtype of the blocks."""
        size = 1 << max(0, (self.blocks_at_once * BLOCK_VALUES // self.classes).bit_length() - 1)
        return Job(self.reading, size, self.dtype, self.view)

    def tell(self, rows: int) -> None:
        """Tell the progress of so many rows."""
        if self.progress is not None:
            self.progress(rows, None)

    def tasks(self) -> list[Task]:
        """Yield tasks: the blocks that start in each part; the last one may go on in the following parts."""
        size, tasks, start = self.job.size, [], 0
        for number, count in enumerate(self.counts):
            first, last = -(-start // size), -(-(start + count) // size)
            if last > first:
                pieces = self._pieces(number, first * size - start, (last - first) * size)
                tasks.append(Task(first, tuple(pieces)))
            start += count
        return tasks

    def _pieces(self, number: int, skipped: int, rows: int) -> Iterator[_Piece]:
        for which in range(number, len(self.parts)):
            taken = min(rows, self.counts[which] - skipped)
            if taken:
                yield _Piece(which, self.parts[which], skipped, taken)
            rows, skipped = rows - taken, 0
            if not rows:
                return


def _merged(
    job: Job, of_block: Callable[..., Merged], arguments: tuple[object, ...], task: Task
) -> tuple[BlockSums[Merged], int]:
    sums: BlockSums[Merged] = BlockSums()
    rows = 0
    for number, seen in enumerate(job.blocks(task)):
        block = job.view(seen)
        sums.add(task.first_block + number, of_block(block, *arguments) if len(block.labels) else None)
        rows += len(seen.block.labels)
    return sums, rows


def _count(job: Job, task: Task) -> int:
    return sum(len(job.view(seen).labels) for seen in job.blocks(task))


def _groups(job: Job, task: Task) -> set[str]:
    blocks = (job.view(seen).groups for seen in job.blocks(task))
    return {name for groups in blocks if groups is not None for name in groups.tolist()}


def _every(job: Job, step: int, task: tuple[int, Task]) -> tuple[RowBlock, int]:
    """Return every `step`-th row of a task, given the place of its first one among those that count."""
    place, rows, found = task[0], 0, []
    for seen in job.blocks(task[1]):
        block = job.view(seen)
        found.append(_some(block, slice(-place % step, None, step)))
        place += len(block.labels)
        rows += len(seen.block.labels)
    return _joined(found), rows


def _rows_of_piece(job: Job, piece: _Piece) -> Iterator[PlacedRows]:
    skipped, left = piece.skipped, piece.rows
    table = LogitTable(piece.part, job.reading, may_be_empty=True)
    with closing(read_ahead(table.batches(job.size))) as batches:
        for batch in batches:
            rows = len(batch.values)
            if skipped < rows:
                taken = _cut(_rows_of_batch(batch, job.dtype), skipped, skipped + left)
                yield taken
                left -= len(taken.block.labels)
                if not left:
                    return
            skipped = max(0, skipped - rows)


def _rows_of_batch(batch: Batch, dtype: np.dtype | None) -> PlacedRows:
    assert batch.labels is not None  # a label column was named
    values = batch.values if dtype is None else batch.values.astype(dtype, copy=False)
    block = RowBlock(values, batch.labels, batch.weights, batch.groups)
    return PlacedRows(0, block, batch.rule_rows, batch.ids)


def _cut(rows: PlacedRows, start: int, stop: int) -> PlacedRows:
    some = slice(start, stop)
    rule_rows, ids = rows.rule_rows, rows.ids
    return PlacedRows(
        0,
        _some(rows.block, some),
        None if rule_rows is None else rule_rows[some],
        None if ids is None else ids[some],
    )


def _some(block: RowBlock, some: slice) -> RowBlock:
    return RowBlock(*(None if column is None else column[some] for column in block))  # type: ignore[arg-type]


def _one(first: int, parts: list[PlacedRows]) -> PlacedRows:
    """Concatenate some parts."""
    if len(parts) == 1:
        return parts[0]._replace(first=first)
    rule_rows, ids = ([getattr(part, name) for part in parts] for name in ("rule_rows", "ids"))
    block = _joined([part.block for part in parts])
    return PlacedRows(first, block, _concatenated(rule_rows), _concatenated(ids))


def _joined(blocks: Sequence[RowBlock]) -> RowBlock:
    return RowBlock(*map(_concatenated, zip(*blocks, strict=True)))  # type: ignore[arg-type]


def _concatenated(parts: Sequence[npt.NDArray | None]) -> npt.NDArray | None:
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else None
