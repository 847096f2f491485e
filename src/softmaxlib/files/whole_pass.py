"""One pass over all rows of a source for an evaluation: tallies, sums, and the rows of its sample."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from .._all_rows import Floats
from .._arrays import IntArray
from ..metrics import Tally
from ..policy import Policy
from ..policy.audit_sums import AuditSums, flat_sums
from ..report.mistakes import MOST_MISTAKES, Mistake, surest, worst_mistakes
from ..report.row_sums import Counting, RowSums, SeenRows
from .block_sums import BlockSums
from .passes import BLOCKS_OF_SUMS, Job, Passes, PlacedRows, Task
from .reading import Progress
from .sample import Columns, Plan, Rows, Wanted, between
from .tasks import run
from .views import Logits


class _Setting(NamedTuple):
    job: Job
    counting: Counting
    is_weighted: bool
    draws: bool  # the rows of the sample


class _Sums(NamedTuple):
    """Over some rows: those of an evaluation of rows without weights, and those of an audit by a policy."""

    rows: RowSums | None
    audit: Floats | None

    @classmethod
    def of(cls, seen: SeenRows, setting: _Setting) -> "_Sums":
        """Return the sums over some rows."""
        counting = setting.counting
        audit = None
        if counting.policy is not None and seen.after is not None and seen.outcomes is not None:
            edges = counting.policy.record_.reliability.edges
            audit = flat_sums(counting.policy.rule, seen.after, seen.outcomes, edges)
        return cls(None if setting.is_weighted else RowSums.of(seen, counting), audit)

    def merge(self, other: "_Sums") -> "_Sums":
        """Add the sums over other rows."""
        rows = None if self.rows is None or other.rows is None else self.rows.merge(other.rows)
        audit = None if self.audit is None or other.audit is None else self.audit + other.audit
        return _Sums(rows, audit)


@dataclass
class _Seen:
    """Sums over some rows, their worst mistakes, and the rows of the sample among them."""

    before: Tally
    after: Tally
    mistakes: tuple[Mistake, ...] = ()
    sums: BlockSums[_Sums] = field(default_factory=BlockSums)
    sample: list[Columns] = field(default_factory=list)
    rows: int = 0

    def merge(self, other: "_Seen") -> None:
        """Add what is known of other rows."""
        self.before.merge(other.before)
        self.after.merge(other.after)
        self.mistakes = surest([*self.mistakes, *other.mistakes])
        self.sums.merge(other.sums)
        self.sample += other.sample
        self.rows += other.rows


@dataclass(frozen=True)
class WholePass:
    """The result of a pass over all rows.

    Attributes
    ----------
    before, after : Tally
        Of the logits as they came, and as a policy calibrates them; without one, the second is empty.
    rows : RowSums or None
        Where rows have no weights.
    audit : AuditSums or None
        Where there is a policy.
    mistakes : tuple of Mistake
        The wrong rows with the largest probability.
    sample : Rows or None
        The rows of the sample, if they were asked for.
    """

    before: Tally
    after: Tally
    rows: RowSums | None
    audit: AuditSums | None
    mistakes: tuple[Mistake, ...]
    sample: Rows | None


def see_all(
    plan: Plan,
    counting: Counting,
    floor: float | None,
    draws: bool,
    executor: Executor | None,
    progress: Progress | None,
) -> WholePass:
    """Look at each row of a source once.

    Parameters
    ----------
    plan : Plan
        For a sample; the rows of all parts are known.
    counting : Counting
        The settings of the sums.
    floor : float or None
        What replaces an exact probability of 0; None where the source holds logits.
    draws : bool
        Whether the sample is drawn.
    executor, progress
        See `files.evaluate`.
    """
    counts = [one.all_rows or 0 for one in plan.wanted]
    passes = Passes(
        [one.part for one in plan.wanted],
        counts,
        plan.reading,
        None,
        Logits(floor),
        classes=len(counting.class_names),
        is_weighted=plan.reading.selection.weight is not None,
        blocks_at_once=BLOCKS_OF_SUMS,
        executor=executor,
        progress=progress,
    )
    setting = _Setting(passes.job, counting, passes.is_weighted, draws)
    every = _nothing(counting)
    work = [(task, [plan.wanted[piece.number] for piece in task.pieces]) for task in passes.tasks()]
    for seen in run(partial(_see, setting), work, executor):
        passes.tell(seen.rows)
        every.merge(seen)
    sums = every.sums.total() or _Sums(None, None)
    sample = None
    if draws:
        columns = [list(column) for column in zip(*every.sample, strict=True)]
        sample = plan.rows_of(columns, counts)
    audit = None if sums.audit is None else _audit_sums(counting.policy, sums.audit, passes.is_weighted)
    return WholePass(every.before, every.after, sums.rows, audit, every.mistakes, sample)


def _nothing(counting: Counting) -> _Seen:
    return _Seen(*counting.tallies())


def _audit_sums(policy: Policy | None, flat: Floats, is_weighted: bool) -> AuditSums:
    assert policy is not None
    return AuditSums.from_flat(flat, policy.record_.reliability.edges, is_weighted, policy.class_names_)


def _see(setting: _Setting, work: tuple[Task, Sequence[Wanted]]) -> _Seen:
    task, wanted = work
    found = _nothing(setting.counting)
    chosen = _chosen(task, wanted) if setting.draws else np.zeros(0, np.int64)
    for number, placed in enumerate(setting.job.blocks(task)):
        if setting.draws:
            found.sample.append(_drawn(placed, chosen, found.rows))
        found.rows += len(placed.block.labels)
        block = setting.job.view(placed)
        sums = None
        if len(block.labels):
            seen = setting.counting.see(block)
            found.before.add(seen.before, of_classes=seen.after is None)  # of the final ones alone
            if seen.after is not None:
                found.after.add(seen.after)
            sums = _Sums.of(seen, setting)
            found.mistakes = _with_mistakes(found.mistakes, seen, placed, setting.counting.class_names)
        found.sums.add(task.first_block + number, sums)
    return found


def _with_mistakes(
    known: tuple[Mistake, ...], seen: SeenRows, placed: PlacedRows, names: tuple[str, ...]
) -> tuple[Mistake, ...]:
    """Return the worst mistakes among those known and those of more rows."""
    weights, ids = placed.block.weights, placed.ids
    places = np.arange(placed.first, placed.first + len(placed.block.labels))
    if weights is not None:  # rows without weight are not seen
        places, ids = places[weights > 0], None if ids is None else ids[weights > 0]
    least = known[-1].probability if len(known) == MOST_MISTAKES else None
    found = worst_mistakes(names, seen.after or seen.before, ids, least)
    return surest([*known, *(replace(one, row=int(places[one.row])) for one in found)])


def _chosen(task: Task, wanted: Sequence[Wanted]) -> IntArray:
    """Return the places of the rows of the sample among those of a task."""
    return np.concatenate([np.zeros(0, np.int64), *_chosen_of_pieces(task, wanted)])


def _chosen_of_pieces(task: Task, wanted: Sequence[Wanted]) -> Iterator[IntArray]:
    start = 0
    for piece, one in zip(task.pieces, wanted, strict=True):
        chosen = one.chosen()
        assert chosen is not None  # there are more rows than are wanted
        yield between(chosen, piece.skipped, piece.skipped + piece.rows) + start
        start += piece.rows


def _drawn(placed: PlacedRows, chosen: IntArray, start: int) -> Columns:
    """Return those rows of a block that are of the sample; `start` is its place among those of the task."""
    block = placed.block
    here = between(chosen, start, start + len(block.labels))
    columns = (block.values, block.labels, block.groups, placed.rule_rows, block.weights, placed.ids)
    return *(None if column is None else column[here] for column in columns), placed.first + here
