"""The sums of whole rows from those of their shards: agree, compare, add."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from ..._checks import check_index_target
from .._operators import view_as_numpy
from ._exchange import Claim, Group, Outcome, attempt, check_claims
from ._row_sums import RowSums, Scale, first_slots, largest_of, read_sums, scale_of, second_slots, sums_of
from ._shards import Shard
from ._words import Words

_ROWS_AT_ONCE = 4096
_KEPT = 5  # numbers of a row that are kept for the backward pass, at most, besides its entropy

Build = Callable[[], tuple[Claim, Shard]]


class Summed(NamedTuple):
    """The sums of each row over all shards, in words that are overwritten by what is kept of a row."""

    shard: Shard
    words: Words
    scale: Scale

    def parts(self) -> Iterator[tuple[slice, RowSums]]:
        """Yield the sums of whole rows, some rows at a time."""
        sums = slice(0, sum(second_slots(self.shard).values()))
        for rows in row_blocks(self.shard.rows):
            yield rows, read_sums(self.shard, self.words.table[sums, rows], some(self.scale, rows))

    def numbers(self) -> Iterator[Tensor]:
        """Yield room for one number per row. It may be written once the sums of a row are read."""
        yield from self.words.table.view(torch.float64)


def attempt_largest(build: Build, group: Group) -> tuple[Outcome, tuple[Shard, Words] | None]:
    """Make a shard and find its largest logits, before this rank reports success."""

    def prepare() -> tuple[Claim, tuple[Shard, Words]]:
        claim, shard = build()
        rank, ranks = dist.get_rank(group), dist.get_world_size(group)
        used = first_slots(shard, ranks)
        slots = max(used, sum(second_slots(shard).values()) + 1, _KEPT + shard.with_entropy)
        words = Words(group, slots, shard.rows, shard.device)
        for rows in shard.blocks():
            words.table[:used, rows] = largest_of(shard, rows, rank, ranks)
        return claim, (shard, words)

    return attempt(prepare)


def sum_rows(outcome: Outcome, prepared: tuple[Shard, Words] | None, group: Group) -> Summed:
    """Add the sums of all shards, in two collectives; an error on one rank is raised on all."""
    ranks = dist.get_world_size(group)
    if prepared is None:
        Words(group, 0, 0, torch.device("cpu")).largest(outcome, 0, check_claims)
        raise AssertionError("an error of this rank is raised by all")
    shard, words = prepared
    used = first_slots(shard, ranks)
    shard = replace(shard, vocabulary=words.largest(outcome, used, check_claims))
    _check_labels(shard)
    sums = sum(second_slots(shard).values())
    table = words.table
    scale = Scale(
        table[sums],
        _small(shard),
        _small(shard) if shard.has_coefficients else None,
        _small(shard) if shard.distribution is not None else None,
    )

    def compute() -> None:
        for rows in row_blocks(shard.rows):
            store(scale, rows, scale_of(shard, table[:used, rows], ranks))
        for rows in shard.blocks():
            table[:sums, rows] = sums_of(shard, rows, some(scale, rows))

    words.add(sums, compute)
    return Summed(shard, words, scale)


def _check_labels(shard: Shard) -> None:
    """Check that labels are classes of the whole vocabulary; every rank has the same."""
    if shard.label is None or shard.vocabulary is None:
        return
    classes = shard.vocabulary.classes
    wrong = (shard.label < 0) | (shard.label >= classes)
    counted = shard.counted(slice(None))
    if counted is not None:
        wrong &= counted
    if wrong.any():
        check_index_target(view_as_numpy(shard.target.cpu()), classes, shard.options.ignore_index)


def _small(shard: Shard) -> Tensor:
    return torch.empty(shard.rows, dtype=torch.int16, device=shard.device)


def row_blocks(rows: int) -> list[slice]:
    """Return blocks of rows, at least one."""
    return [slice(start, min(rows, start + _ROWS_AT_ONCE)) for start in range(0, max(1, rows), _ROWS_AT_ONCE)]


def some(fields: Any, rows: slice) -> Any:
    """Return some rows of the fields of a named tuple."""
    return type(fields)(*(None if field is None else field[rows] for field in fields))


def store(fields: Any, rows: slice, new: Any) -> None:
    """Write some rows of the fields of a named tuple."""
    for field, value in zip(fields, new, strict=True):
        if field is not None:
            field[rows] = value
