"""A rank's part of a loss: the logits of its classes and their arguments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from ... import _generic
from ...losses._loss_arguments import LossOptions
from ._pairs import Pair
from ._room import Room

_BLOCK = {"cpu": 2**18}
_LARGE_BLOCK = 2**23  # elements of a block on other devices, which compute many at a time
_ROWS_AT_ONCE = 4096


class Vocabulary(NamedTuple):
    """The classes of all ranks, as each rank knows them."""

    classes: int
    weight_exponent: int  # the weights of classes are below 2**weight_exponent
    weight_total: Pair


@dataclass(frozen=True)
class Shard:
    """Rows of a shard's logits, with their arguments."""

    logits: Callable[[slice], Tensor]  # some rows (rows, classes) in float32 or float64, not to be changed
    rows: int
    classes: int
    first_class: int
    target: Tensor  # as given
    label: Tensor | None  # one per row, as given
    ignore_index: int | None
    distribution: Tensor | None
    weight: Tensor | None
    where: Tensor | None
    options: LossOptions
    wide: bool  # `logits` gives float64: computed with pairs of float64
    with_entropy: bool
    device: torch.device
    dtype: torch.dtype  # of the loss
    block: int | None = None  # elements computed at a time; None: chosen for the device
    vocabulary: Vocabulary | None = None  # once the ranks have agreed
    room: Room = field(default_factory=Room)  # for the temporaries of a block

    @property
    def needs_terms(self) -> bool:
        """True if terms of the loss need the row's normalizer before they can be summed."""
        return bool(self.options.focal_gamma) and self.has_coefficients

    @property
    def has_coefficients(self) -> bool:
        """True if each class has a coefficient in the loss, not only the label."""
        return self.distribution is not None or bool(self.options.label_smoothing)

    @property
    def has_row_weights(self) -> bool:
        """True if the coefficients of smoothing differ from row to row, and are not only 0 and 1."""
        return bool(self.options.label_smoothing) and self.where is not None and self.weight is not None

    @cached_property
    def ignores(self) -> bool:
        """True if some row does not count."""
        if self.label is None or self.ignore_index is None:
            return False
        return any(not bool((self.labels(rows) != self.ignore_index).all()) for rows in row_blocks(self.rows))

    def groups(self) -> Iterator[slice]:
        """Yield rows for which numbers are computed at once, and then their classes block by block."""
        try:
            yield from row_blocks(self.rows)
        finally:
            self.room.clear()

    def blocks(self, rows: slice) -> Iterator[tuple[slice, slice]]:
        """Yield blocks of a group of rows, so that temporaries stay small, and their places in the group."""
        size = self.block or _BLOCK.get(self.device.type, _LARGE_BLOCK)
        step = max(1, size // max(1, self.classes))
        for start in range(rows.start, rows.stop, step):
            stop = min(rows.stop, start + step)
            yield slice(start, stop), slice(start - rows.start, stop - rows.start)

    def all_blocks(self) -> Iterator[slice]:
        """Yield the blocks of all rows."""
        for group in self.groups():
            for rows, _ in self.blocks(group):
                yield rows

    def counted(self, rows: slice) -> Tensor | None:
        """Return which rows are not ignored; None if all count."""
        if self.label is None or self.ignore_index is None:
            return None
        return self.labels(rows) != self.ignore_index

    def labels(self, rows: slice) -> Tensor:
        """Return the class indices of some rows, as signed integers."""
        assert self.label is not None
        return _generic.widest_labels(namespace, self.label[rows])

    def owned(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Return the rows whose label is on this shard, and its position there."""
        assert self.label is not None
        place = self.labels(rows).long() - self.first_class
        return (place >= 0) & (place < self.classes), place.clamp(0, max(0, self.classes - 1))

    def visible(self, rows: slice) -> Tensor:
        """Return the logits of some rows, with 0 in rows that don't count, and -inf in masked classes."""
        x = self.logits(rows)
        if self.ignores:
            counted = self.counted(rows)
            assert counted is not None
            x = torch.where(counted.unsqueeze(1), x, 0.0)
        return x if self.where is None else torch.where(self.where[rows], x, -torch.inf)

    def even_coefficients(self, rows: slice) -> Tensor | None:
        """Return the coefficients by which smoothing weights some rows; None if all are 1."""
        even = None if self.weight is None else self.weight.unsqueeze(0)
        if self.where is None:
            return even
        return self.where[rows].double() if even is None else torch.where(self.where[rows], even, 0.0)

    def target_coefficients(self, rows: slice) -> Tensor:
        """Return the target's probabilities of some rows, times the class weights."""
        assert self.distribution is not None
        q = self.distribution[rows].double()
        return q if self.weight is None else q * self.weight

    def coefficients(self, rows: slice, count: Tensor) -> Tensor:
        """Return the coefficient of each class's term in some rows, with ``count`` classes each."""
        smoothing = self.options.label_smoothing
        shape = (count.shape[0], self.classes)
        q = torch.zeros(shape, dtype=torch.float64, device=self.device)
        if self.distribution is not None:
            q = self.distribution[rows].double()
        elif self.classes:
            owned, place = self.owned(rows)
            q.scatter_(1, place.unsqueeze(1), owned.double().unsqueeze(1))
        q = (1 - smoothing) * q
        if smoothing:
            share = (smoothing / count).unsqueeze(1)
            q = q + (share if self.where is None else torch.where(self.where[rows], share, 0.0))
        return q if self.weight is None else q * self.weight


def row_blocks(rows: int) -> list[slice]:
    """Return blocks of rows, at least one."""
    return [slice(start, min(rows, start + _ROWS_AT_ONCE)) for start in range(0, max(1, rows), _ROWS_AT_ONCE)]


def vocabulary_of(shard: Shard) -> Vocabulary:
    """Return what the ranks have agreed on."""
    assert shard.vocabulary is not None
    return shard.vocabulary


def some(fields: Any, rows: slice) -> Any:
    """Return some rows of the fields of a named tuple."""
    return type(fields)(*(None if field is None else field[rows] for field in fields))


def store(fields: Any, rows: slice, new: Any) -> None:
    """Write some rows of the fields of a named tuple."""
    for held, value in zip(fields, new, strict=True):
        if held is not None:
            held[rows] = value
