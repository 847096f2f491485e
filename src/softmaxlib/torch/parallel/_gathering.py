"""The sums of whole rows from those of their shards: agree, gather, merge."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..._checks import check_index_target
from .._operators import view_as_numpy
from ._exchange import (
    Claim,
    Group,
    Outcome,
    attempt,
    check_claims,
    gather,
    pack,
    read_claims,
    unpack,
)
from ._shards import Shard, ShardSums, merge_sums

_ROWS_AT_ONCE = 4096

Build = Callable[[], tuple[Claim, Shard]]


class Gathered(NamedTuple):
    """The sums of each row from all shards, as words (ranks, words, rows)."""

    shard: Shard
    classes: int  # of all shards
    words: Tensor

    def parts(self) -> Iterator[tuple[slice, ShardSums]]:
        """Yield the sums of whole rows, some rows at a time."""
        like = self.shard.sums(slice(0, 0))
        for rows in row_blocks(self.shard.rows):
            yield rows, merge_sums([unpack(like, part[:, rows]) for part in self.words], self.shard.bins)


def attempt_sums(build: Build) -> tuple[Outcome, tuple[Shard, Tensor] | None]:
    """Make a shard and compute its sums, before this rank reports success."""

    def prepare() -> tuple[Claim, tuple[Shard, Tensor]]:
        claim, shard = build()
        return claim, (shard, words_of(shard, shard.sums))

    return attempt(prepare)


def gather_sums(outcome: Outcome, local: tuple[Shard, Tensor] | None, group: Group) -> Gathered:
    """Gather the sums of all shards, in two collectives; an error on one rank is raised on all."""
    classes = check_claims(read_claims(gather(outcome.words(), group), outcome))
    assert local is not None
    shard, words = local
    if shard.label is not None:
        label = shard.label if shard.counted is None else torch.where(shard.counted, shard.label, 0)
        if label.numel() and bool(((label < 0) | (label >= classes)).any()):
            check_index_target(view_as_numpy(shard.target.cpu()), classes, shard.options.ignore_index)
    return Gathered(shard, classes, gather_words(words, group))


def gather_words(words: Tensor, group: Group) -> Tensor:
    """Return the words (words, rows) of every rank."""
    received = gather(words.view(-1), group)
    return received.view(received.shape[0], *words.shape)


def words_of(shard: Shard, function: Callable[[slice], Any]) -> Tensor:
    """Return the results of a function of row blocks, as words (words, rows)."""
    empty = pack(function(slice(0, 0)))
    words = empty.new_empty((empty.shape[0], shard.rows))
    for rows in shard.blocks():
        words[:, rows] = pack(function(rows))
    return words


def row_blocks(rows: int) -> list[slice]:
    """Yield blocks of rows, at least one."""
    return [slice(start, min(rows, start + _ROWS_AT_ONCE)) for start in range(0, max(1, rows), _ROWS_AT_ONCE)]
