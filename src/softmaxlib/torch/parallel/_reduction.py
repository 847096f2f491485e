"""The sums of whole rows from those of their shards: agree, compare, add."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from ..._checks import check_index_target
from .._operators import view_as_numpy
from ._exchange import Claim, Group, Outcome, attempt, check_claims
from ._read_sums import RowSums, read_sums
from ._row_losses import kept_numbers
from ._row_scale import Scale, first_slots, largest_of, scale_of
from ._row_sums import second_slots, slots_in_all, sums_of
from ._shards import Shard, row_blocks, some, store, vocabulary_of
from ._words import Words

Build = Callable[[], tuple[Claim, Shard]]


class Summed(NamedTuple):
    """The sums of each row over all shards, in words that are overwritten by what is kept of a row."""

    shard: Shard
    words: Words
    scale: Scale

    def parts(self) -> Iterator[tuple[slice, RowSums]]:
        """Yield the sums of whole rows, some rows at a time."""
        sums = slice(0, slots_in_all(second_slots(self.shard, vocabulary_of(self.shard).classes)))
        for rows in row_blocks(self.shard.rows):
            yield rows, read_sums(self.shard, self.words.table[sums, rows], some(self.scale, rows))

    def numbers(self) -> Iterator[Tensor]:
        """Yield room for one number per row. It may be written once the sums of a row are read."""
        yield from self.words.table[:-1].view(torch.float64)


def attempt_largest(build: Build, group: Group) -> tuple[Outcome, tuple[Shard, Words] | None]:
    """Make a shard and find its largest logits, before this rank reports success."""

    def prepare() -> tuple[Claim, tuple[Shard, Words]]:
        claim, shard = build()
        rank, ranks = dist.get_rank(group), dist.get_world_size(group)
        likely = max(shard.first_class + shard.classes, ranks * shard.classes)
        words = Words(group, _slots(shard, likely, ranks), shard.rows, shard.device)
        used = first_slots(shard, ranks)
        for rows in shard.groups():
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
    classes = vocabulary_of(shard).classes
    sums = slots_in_all(second_slots(shard, classes))
    words.provide(_slots(shard, classes, ranks))
    table = words.table
    scale = _room_for_scale(shard, table[-1])

    def compute() -> None:
        for rows in row_blocks(shard.rows):
            store(scale, rows, scale_of(shard, table[:used, rows], ranks))
        for rows in shard.groups():
            table[:sums, rows] = sums_of(shard, rows, some(scale, rows))

    words.add(sums, compute)
    return Summed(shard, words, scale)


def _slots(shard: Shard, classes: int, ranks: int) -> int:
    """Return the words per row that a loss over so many classes needs; the last is for the scale."""
    sums = slots_in_all(second_slots(shard, classes))
    return max(first_slots(shard, ranks), max(sums, kept_numbers(shard)) + 1)


def _room_for_scale(shard: Shard, word: Tensor) -> Scale:
    """Return room for the scale of each row, in one word per row as far as it fits."""

    def small() -> Tensor:
        return torch.empty(shard.rows, dtype=torch.int16, device=shard.device)

    if shard.wide:
        maximum, shift = word.view(torch.float64), small()
        reach = small() if shard.has_coefficients else None
    else:
        maximum = word.view(torch.float32)[::2]
        shift, reach = word.view(torch.int16).view(shard.rows, 4).T[2:]
    return Scale(
        maximum,
        shift,
        reach if shard.has_coefficients else None,
        small() if shard.has_row_weights else None,
        small() if shard.distribution is not None else None,
    )


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
