"""A rank's part of a loss: the logits of its classes, their arguments, and the sums that it sends."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...losses._loss_arguments import LossOptions
from . import _exact_sums as exact
from ._exact_sums import ExactSums
from ._pairs import two_product
from ._row_states import RowState, merge, state_of

_BLOCK = {"cpu": 2**17}
_LARGE_BLOCK = 2**23  # elements of a block on other devices, which compute many at a time


class LinearSums(NamedTuple):
    """Sums over classes of coefficients a, and of a x; infinite and NaN terms of a x are kept apart."""

    coefficients: ExactSums
    products: ExactSums
    special: Tensor


class ShardSums(NamedTuple):
    """Sums of each row, over a shard or over all of them. Sums that no option needs are None."""

    state: RowState
    chosen: Tensor | None  # the target's logit; 0 on shards without it
    chosen_weight: Tensor | None
    class_count: Tensor | None  # classes that `where` keeps
    even: LinearSums | None  # over the class weights, for smoothing
    target: LinearSums | None  # over class weights times target, for targets of probabilities
    mass: Tensor | None  # the sum of the target's probabilities; NaN where one is negative


@dataclass(frozen=True)
class Shard:
    """Rows of a shard's logits, with their arguments."""

    logits: Callable[[slice], Tensor]  # some rows as float64 (rows, classes), which may be overwritten
    rows: int
    classes: int
    first_class: int
    target: Tensor  # as given
    label: Tensor | None  # one per row, as int64
    counted: Tensor | None
    distribution: Tensor | None
    weight: Tensor | None
    where: Tensor | None
    options: LossOptions
    wide: bool
    with_entropy: bool
    device: torch.device
    block: int | None = None  # elements computed at a time; None: chosen for the device

    @property
    def bins(self) -> int:
        """The number of bins of a row's sums."""
        return exact.WIDE if self.wide else exact.NARROW

    @property
    def needs_terms(self) -> bool:
        """True if terms of the loss need the row's normalizer before they can be summed."""
        return bool(self.options.focal_gamma) and self.has_coefficients

    @property
    def has_coefficients(self) -> bool:
        """True if each class has a coefficient in the loss, not only the label."""
        return self.distribution is not None or bool(self.options.label_smoothing)

    def blocks(self) -> Iterator[slice]:
        """Yield blocks of rows, so that temporaries stay small."""
        size = self.block or _BLOCK.get(self.device.type, _LARGE_BLOCK)
        step = max(1, size // max(1, self.classes))
        for start in range(0, self.rows, step):
            yield slice(start, min(self.rows, start + step))

    def owned(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Return the rows whose label is on this shard, and its position there."""
        assert self.label is not None
        place = self.label[rows] - self.first_class
        return (place >= 0) & (place < self.classes), place.clamp(0, max(0, self.classes - 1))

    def visible(self, rows: slice) -> Tensor:
        """Return the logits of some rows, with 0 in rows that don't count, and -inf in masked classes."""
        x = self.logits(rows)
        if self.counted is not None:
            ignored = ~self.counted[rows]
            if ignored.any():
                x.masked_fill_(ignored.unsqueeze(1), 0.0)
        if self.where is not None:
            x.masked_fill_(~self.where[rows], -torch.inf)
        return x

    def sums(self, rows: slice) -> ShardSums:
        """Compute the sums of some rows of the shard."""
        x = self.visible(rows)
        chosen, chosen_weight = self._chosen(rows, x)
        where = None if self.where is None else self.where[rows]
        even = target = mass = None
        if self.options.label_smoothing:
            even = _linear_sums(self._even(x, where), x, self.bins, self.wide)
        if self.distribution is not None:
            q = self.distribution[rows].double()
            mass = torch.where((q < 0).any(1), torch.nan, q.sum(1))
            target = _linear_sums(q if self.weight is None else q * self.weight, x, self.bins, self.wide)
        return ShardSums(
            state=state_of(x, self.bins, self.with_entropy),
            chosen=chosen,
            chosen_weight=chosen_weight,
            class_count=None if where is None else where.sum(1),
            even=even,
            target=target,
            mass=mass,
        )

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

    def _even(self, x: Tensor, where: Tensor | None) -> Tensor:
        even = torch.ones_like(x) if self.weight is None else self.weight.expand_as(x)
        return even if where is None else torch.where(where, even, 0.0)

    def _chosen(self, rows: slice, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.label is None:
            return None, None
        if not self.classes:
            nothing = x.new_zeros(x.shape[0])
            return nothing, None if self.weight is None else nothing
        owned, place = self.owned(rows)
        chosen = torch.where(owned, x.gather(1, place.unsqueeze(1)).squeeze(1), 0.0)
        return chosen, None if self.weight is None else torch.where(owned, self.weight[place], 0.0)


def merge_sums(parts: Sequence[ShardSums], bins: int) -> ShardSums:
    """Merge the sums of rows over their shards."""

    def total(name: str) -> Tensor | None:
        tensors = [getattr(part, name) for part in parts]
        return None if tensors[0] is None else torch.stack(tensors).sum(0)

    def linear(name: str) -> LinearSums | None:
        sums: list[LinearSums] = [getattr(part, name) for part in parts]
        return None if sums[0] is None else _merge_linear(sums)

    return ShardSums(
        state=merge([part.state for part in parts], bins),
        chosen=total("chosen"),
        chosen_weight=total("chosen_weight"),
        class_count=total("class_count"),
        even=linear("even"),
        target=linear("target"),
        mass=total("mass"),
    )


def _merge_linear(parts: Sequence[LinearSums]) -> LinearSums:
    return LinearSums(
        exact.merge([part.coefficients for part in parts]),
        exact.merge([part.products for part in parts]),
        sum((part.special for part in parts[1:]), parts[0].special),
    )


def _linear_sums(coefficients: Tensor, x: Tensor, bins: int, wide: bool) -> LinearSums:
    if x.shape[1] > exact.MOST_TERMS:
        parts = zip(coefficients.split(exact.MOST_TERMS, 1), x.split(exact.MOST_TERMS, 1), strict=True)
        return _merge_linear([_linear_sums(*part, bins, wide) for part in parts])
    a, special = sum_of_finite(coefficients)
    products = torch.where(a == 0, 0.0, a * x)
    finite = products.isfinite()
    special = special + torch.where(finite, 0.0, products).sum(1)
    terms = (torch.where(finite, products, 0.0),)
    if wide:
        terms = two_product(a, torch.where(finite & (a != 0), x, 0.0))
    return LinearSums(exact.sum_exactly((a,), None, bins), exact.sum_exactly(terms, None, bins), special)


def sum_of_finite(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values with 0 in place of NaN and infinity, and the sum of these along rows."""
    finite = values.isfinite()
    return torch.where(finite, values, 0.0), torch.where(finite, 0.0, values).sum(1)
