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
from ._packing import Layout
from ._read_sums import RowSums, read_sums
from ._row_losses import kept_numbers, terms_layout
from ._row_scale import Scale, first_slots, largest_of, pack_scale, scale_of, unpack_scale
from ._row_sums import layout_of, packed_sums, second_slots, sums_of
from ._shards import Shard, Vocabulary, row_blocks
from ._words import Words

Build = Callable[[], tuple[Claim, Shard]]


class Summed(NamedTuple):
    """The sums of each row over all shards, in words that are overwritten by what is kept of a row."""

    shard: Shard
    words: Words
    layout: Layout
    maximum: Tensor  # the largest logit of each row, in the type in which logits are computed

    def parts(self) -> Iterator[tuple[slice, RowSums, Scale]]:
        """Yield the sums of whole rows and their scale, some rows at a time."""
        for rows in row_blocks(self.shard.rows):
            numbers = self.layout.unpack(self.words.table[: self.layout.words, rows])
            scale = unpack_scale(self.maximum[rows], numbers)
            yield rows, read_sums(self.shard, numbers, scale), scale

    def numbers(self, start: int = 0) -> Iterator[Tensor]:
        """Yield room for one number per row. It may be written once the sums of a row are read."""
        table = self.words.table
        yield from table[start : len(table) - self.shard.wide].view(torch.float64)


class Prepared(NamedTuple):
    """A shard with its words, and room for the largest logits of float32."""

    shard: Shard
    words: Words
    maximum: Tensor | None


def attempt_largest(build: Build, group: Group) -> tuple[Outcome, Prepared | None]:
    """Make a shard and find its largest logits, before this rank reports success."""

    def prepare() -> tuple[Claim, Prepared]:
        claim, shard = build()
        rank, ranks = dist.get_rank(group), dist.get_world_size(group)
        slots = _slots(shard, _likely_classes(claim, ranks), ranks)
        words = Words(group, slots, shard.rows, shard.device)
        used = first_slots(shard, ranks)
        for rows in shard.groups():
            words.table[:used, rows] = largest_of(shard, rows, rank, ranks)
        maximum = None if shard.wide else torch.empty(shard.rows, dtype=torch.float32, device=shard.device)
        return claim, Prepared(shard, words, maximum)

    return attempt(prepare)


def sum_rows(outcome: Outcome, prepared: Prepared | None, group: Group) -> Summed:
    """Add the sums of all shards, in two collectives; an error on one rank is raised on all."""
    rank, ranks = dist.get_rank(group), dist.get_world_size(group)
    if prepared is None:
        Words(group, 0, 0, torch.device("cpu")).largest(outcome, 0, check_claims)
        raise AssertionError("an error of this rank is raised by all")
    shard, words, maximum = prepared
    used = first_slots(shard, ranks)

    def check(claims: list[Claim]) -> tuple[Vocabulary, int]:
        return check_claims(claims), min(_likely_classes(claim, ranks) for claim in claims)

    vocabulary, fewest = words.largest(outcome, used, check)
    shard = replace(shard, vocabulary=vocabulary)
    needed = _slots(shard, vocabulary.classes, ranks)
    if needed > _slots(shard, fewest, ranks):  # some rank has too few, as all ranks know
        words.agree(lambda: words.provide(needed))
    sizes = second_slots(shard, vocabulary.classes)
    layout, table = layout_of(shard, vocabulary.classes, ranks), words.table
    if maximum is None:
        maximum = table[-1].view(torch.float64)

    def compute() -> None:
        _check_labels(shard)
        for rows in shard.groups():
            scale = scale_of(shard, table[:used, rows], ranks)
            numbers = packed_sums(sizes, sums_of(shard, rows, scale))
            if rank == 0:
                numbers |= pack_scale(scale)
            layout.pack(numbers, table[: layout.words, rows])
            maximum[rows] = scale.maximum

    words.add(layout.words, compute)
    return Summed(shard, words, layout, maximum)


def _likely_classes(claim: Claim, ranks: int) -> int:
    """Return how many classes there may be, as a rank knows before the ranks agree."""
    return max(claim.first_class + claim.classes, ranks * claim.classes)


def _slots(shard: Shard, classes: int, ranks: int) -> int:
    """Return the words per row that a loss over so many classes needs; float64 has one for its largest."""
    kept = kept_numbers(shard)
    if shard.needs_terms:
        kept += terms_layout(shard, classes, ranks).words - (not shard.options.z_loss)
    needed = max(layout_of(shard, classes, ranks).words, kept) + shard.wide
    return max(first_slots(shard, ranks), needed)


def _check_labels(shard: Shard) -> None:
    """Check that labels are classes of the whole vocabulary; every rank has the same."""
    if shard.label is None or shard.vocabulary is None:
        return
    classes = shard.vocabulary.classes
    for rows in row_blocks(shard.rows):
        label = shard.labels(rows)
        wrong = (label < 0) | (label >= classes)
        counted = shard.counted(rows)
        if counted is not None:
            wrong &= counted
        if wrong.any():
            check_index_target(view_as_numpy(shard.target.cpu()), classes, shard.options.ignore_index)
